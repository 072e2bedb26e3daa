//! Celestial coordinates of pixels (FITS WCS papers I and II), and of pixels of one image in another.
//!
//! The linear part (CRPIX, CD or PC and CDELT or CROTA), the slant of SIN (PV2_1, PV2_2; NCP is a slanted SIN) and the
//! celestial frames are handled here; `projection` has the spherical projections, `pole` how they lie on the sky.
//! Pixel coordinates are 0-based `(x, y)`: the centre of the first pixel is (0, 0), as in numpy.

mod pole;
mod projection;

use super::{FitsImage, Header, ImageError};
use pole::Fiducial;
use projection::Projection;

/// Offset of 0-based pixel coordinates from those of FITS.
const FITS_FIRST_PIXEL: f64 = 1.0;
/// Projections whose coordinates are compared with wcslib in the tests.
const PROJECTIONS: [&str; 10] = ["SIN", "TAN", "NCP", "ARC", "STG", "ZEA", "CAR", "SFL", "AIT", "MOL"];
/// Equinox from which a header without RADESYS means FK5 instead of FK4.
const FIRST_FK5_EQUINOX: f64 = 1984.0;

/// Why a header gives no celestial coordinates.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum WcsError {
    /// A keyword that celestial coordinates need.
    #[error("has no {0} in its header, so its pixels have no position on the sky")]
    Missing(String),
    /// A keyword whose value is no number.
    #[error("has {key} = '{found}' in its header; a number was expected")]
    NotANumber {
        /// The keyword.
        key: String,
        /// Its value.
        found: String,
    },
    /// The first two axes are something else.
    #[error(
        "has axes of type '{0}' and '{1}'; right ascension and declination (or GLON and GLAT) with a projection, like RA---SIN and DEC--SIN, were expected as axes 1 and 2"
    )]
    NotCelestial(String, String),
    /// A projection, or a distortion, that is not supported.
    #[error("has the projection '{found}', which is not supported (supported: {})", PROJECTIONS.join(", "))]
    Projection {
        /// Value of CTYPE.
        found: String,
    },
    /// FK4 and others.
    #[error("has positions in the system '{found}'; ICRS, FK5 (equinox 2000) and galactic are supported")]
    Frame {
        /// RADESYS and EQUINOX.
        found: String,
    },
    /// Another unit than degrees.
    #[error("has {key} = '{found}'; degrees were expected")]
    Unit {
        /// The keyword.
        key: String,
        /// Its value.
        found: String,
    },
    /// The matrix of the linear part cannot be inverted.
    #[error("has a singular pixel matrix (CDELT, PC, CD): {0:?} degrees per pixel")]
    Singular([f64; 4]),
    /// Anything that the projection's own parameters can do wrong.
    #[error("has celestial coordinates that cannot be used: {0}")]
    Unusable(String),
}

/// A celestial reference frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frame {
    /// International Celestial Reference System.
    Icrs,
    /// FK5, equinox J2000.
    Fk5,
    /// Galactic longitude and latitude.
    Galactic,
}

impl std::fmt::Display for Frame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Icrs => "ICRS",
            Self::Fk5 => "FK5, equinox 2000",
            Self::Galactic => "galactic coordinates",
        })
    }
}

type Matrix = [[f64; 3]; 3];

fn multiply(a: &Matrix, b: &Matrix) -> Matrix {
    std::array::from_fn(|i| std::array::from_fn(|j| (0..3).map(|k| a[i][k] * b[k][j]).sum()))
}

fn transpose(a: &Matrix) -> Matrix {
    std::array::from_fn(|i| std::array::from_fn(|j| a[j][i]))
}

fn apply(m: &Matrix, v: [f64; 3]) -> [f64; 3] {
    std::array::from_fn(|i| m[i][0] * v[0] + m[i][1] * v[1] + m[i][2] * v[2])
}

/// Turns the axes (not the vector) by `degrees` about axis 0, 1 or 2.
fn turn(axis: usize, degrees: f64) -> Matrix {
    let (s, c) = degrees.to_radians().sin_cos();
    match axis {
        0 => [[1., 0., 0.], [0., c, s], [0., -s, c]],
        1 => [[c, 0., -s], [0., 1., 0.], [s, 0., c]],
        _ => [[c, s, 0.], [-s, c, 0.], [0., 0., 1.]],
    }
}

impl Frame {
    /// Matrix that takes unit vectors from this frame to ICRS.
    fn to_icrs(self) -> Matrix {
        /// Milliarcseconds in a degree.
        const MAS: f64 = 3.6e6;
        // Frame bias between ICRS and FK5 J2000 (USNO Circular 179, section 3.5).
        let icrs_to_fk5 = multiply(&multiply(&turn(0, 19.9 / MAS), &turn(1, 9.1 / MAS)), &turn(2, -22.9 / MAS));
        // North galactic pole and position angle of the galactic centre in FK5 J2000 (Reid & Brunthaler 2004).
        let fk5_to_galactic = multiply(
            &multiply(&turn(2, 180.0 - 122.931_918_568_002_6), &turn(1, 90.0 - 27.128_251_180_856_22)),
            &turn(2, 192.859_481_206_534_8),
        );
        match self {
            Self::Icrs => [[1., 0., 0.], [0., 1., 0.], [0., 0., 1.]],
            Self::Fk5 => transpose(&icrs_to_fk5),
            Self::Galactic => multiply(&transpose(&icrs_to_fk5), &transpose(&fk5_to_galactic)),
        }
    }

    /// Matrix that takes unit vectors from this frame to `other`; `None` when they are the same.
    fn matrix_to(self, other: Self) -> Option<Matrix> {
        (self != other).then(|| multiply(&transpose(&other.to_icrs()), &self.to_icrs()))
    }
}

/// A position on the sky, degrees.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SkyPosition {
    /// Right ascension, or galactic longitude, 0 to 360.
    pub lon_deg: f64,
    /// Declination, or galactic latitude, -90 to 90.
    pub lat_deg: f64,
}

impl SkyPosition {
    /// The position's unit vector.
    pub fn to_vector(self) -> [f64; 3] {
        let ((sl, cl), (sb, cb)) = (self.lon_deg.to_radians().sin_cos(), self.lat_deg.to_radians().sin_cos());
        [cb * cl, cb * sl, sb]
    }

    /// The position of a vector of any length.
    pub fn from_vector([x, y, z]: [f64; 3]) -> Self {
        let lon = y.atan2(x).to_degrees();
        Self { lon_deg: if lon < 0.0 { lon + 360.0 } else { lon }, lat_deg: z.atan2(x.hypot(y)).to_degrees() }
    }

    /// The same direction in another frame.
    pub fn in_frame(self, from: Frame, to: Frame) -> Self {
        from.matrix_to(to).map_or(self, |m| Self::from_vector(apply(&m, self.to_vector())))
    }

    /// The position `separation` degrees away at position angle `angle` (degrees, north through east).
    pub fn offset(self, angle: f64, separation: f64) -> Self {
        let ((ss, cs), (sa, ca)) = (separation.to_radians().sin_cos(), angle.to_radians().sin_cos());
        let ((sl, cl), (sb, cb)) = (self.lon_deg.to_radians().sin_cos(), self.lat_deg.to_radians().sin_cos());
        // Unit vectors towards the position, north and east.
        let (p, n, e) = ([cb * cl, cb * sl, sb], [-sb * cl, -sb * sl, cb], [-sl, cl, 0.0]);
        Self::from_vector(std::array::from_fn(|i| cs * p[i] + ss * (ca * n[i] + sa * e[i])))
    }

    /// Angle between two positions, degrees.
    pub fn separation(self, other: Self) -> f64 {
        let (a, b) = (self.to_vector(), other.to_vector());
        let chord = (0..3).map(|i| (a[i] - b[i]).powi(2)).sum::<f64>().sqrt();
        (2.0 * (chord / 2.0).min(1.0).asin()).to_degrees()
    }
}

/// The celestial coordinate system of an image's first two axes.
#[derive(Debug)]
pub struct CelestialWcs {
    reference_pixel: [f64; 2],
    /// Degrees in the plane of projection per pixel: rows are the plane's axes, columns the pixel axes.
    matrix: [f64; 4],
    inverse: [f64; 4],
    /// PV2_1 and PV2_2 of SIN.
    slant: Option<[f64; 2]>,
    projection: Projection,
    /// Takes native vectors of the projection to celestial ones, and back.
    to_celestial: Matrix,
    to_native: Matrix,
    reference: SkyPosition,
    frame: Frame,
}

impl CelestialWcs {
    /// Reads CTYPE, CRPIX, CRVAL, CD or PC, CDELT, CROTA, PV, LONPOLE, LATPOLE, RADESYS and EQUINOX of axes 1 and 2, of
    /// which either may be the longitude.
    ///
    /// # Errors
    /// See [`WcsError`].
    pub fn from_header(header: &Header) -> Result<Self, WcsError> {
        Self::read(header, false).map(|(wcs, _)| wcs)
    }

    /// [`Self::from_header`], where `any_frame` takes positions in a system that is not supported for ICRS; the system then
    /// comes with them.
    pub(super) fn read(header: &Header, any_frame: bool) -> Result<(Self, Option<String>), WcsError> {
        let need = |key: &str| number(header, key)?.ok_or_else(|| WcsError::Missing(key.into()));
        let axes = Axes::of(header)?;
        let projection =
            Projection::from_code(&axes.code).ok_or_else(|| WcsError::Projection { found: axes.code.clone() })?;
        check_units(header)?;
        let frame = if axes.galactic { Ok(Frame::Galactic) } else { equatorial_frame(header) };
        let (frame, other) = match frame {
            Err(WcsError::Frame { found }) if any_frame => (Frame::Icrs, Some(found)),
            known => (known?, None),
        };
        let [a, b, c, d] = pixel_matrix(header, axes.latitude)?;
        let matrix = if axes.latitude == 1 { [c, d, a, b] } else { [a, b, c, d] };
        let determinant = matrix[0] * matrix[3] - matrix[1] * matrix[2];
        if !(determinant.is_finite() && determinant != 0.0) {
            return Err(WcsError::Singular(matrix));
        }
        let inverse = [matrix[3], -matrix[1], -matrix[2], matrix[0]].map(|v| v / determinant);
        let reference = SkyPosition {
            lon_deg: need(&format!("CRVAL{}", axes.longitude))?,
            lat_deg: need(&format!("CRVAL{}", axes.latitude))?,
        };
        if reference.lat_deg.abs() > 90.0 {
            return Err(WcsError::Unusable(format!("a reference point at latitude {}", reference.lat_deg)));
        }
        let fiducial = axes.fiducial(header, projection, reference)?;
        let to_celestial = fiducial.to_celestial()?;
        let wcs = Self {
            reference_pixel: [need("CRPIX1")?, need("CRPIX2")?],
            matrix,
            inverse,
            slant: axes.slant(header, reference.lat_deg)?,
            projection,
            to_native: transpose(&to_celestial),
            to_celestial,
            reference,
            frame,
        };
        Ok((wcs, other))
    }

    /// The frame of [`Self::pixel_to_sky`].
    pub fn frame(&self) -> Frame {
        self.frame
    }

    /// Position of pixel coordinates in the image's own frame; `None` outside the projection.
    pub fn pixel_to_sky(&self, x: f64, y: f64) -> Option<SkyPosition> {
        self.pixel_to_vector(x, y).map(SkyPosition::from_vector)
    }

    /// Pixel coordinates `(x, y)` of a position in the image's own frame; `None` when it has none.
    pub fn sky_to_pixel(&self, position: SkyPosition) -> Option<(f64, f64)> {
        self.vector_to_pixel(position.to_vector())
    }

    /// Position of the reference point (CRVAL1, CRVAL2), for many images the pointing centre.
    pub fn reference(&self) -> SkyPosition {
        self.reference
    }

    /// Area of a pixel at the reference point, square degrees.
    pub fn pixel_area(&self) -> f64 {
        (self.matrix[0] * self.matrix[3] - self.matrix[1] * self.matrix[2]).abs()
    }

    /// Unit vector of pixel coordinates, in the image's own frame.
    pub fn pixel_to_vector(&self, x: f64, y: f64) -> Option<[f64; 3]> {
        let (dx, dy) = (x + FITS_FIRST_PIXEL - self.reference_pixel[0], y + FITS_FIRST_PIXEL - self.reference_pixel[1]);
        let [a, b, c, d] = self.matrix;
        let (mut p, mut q) = (a * dx + b * dy, c * dx + d * dy);
        if let Some([xi, eta]) = self.slant {
            // With s = 1 - sin(theta): l = p - xi s, m = q - eta s, l^2 + m^2 + (1 - s)^2 = 1; the near root.
            let (pr, qr) = (p.to_radians(), q.to_radians());
            let (r2, half) = (pr * pr + qr * qr, 1.0 + pr * xi + qr * eta);
            let root = half * half - (1.0 + xi * xi + eta * eta) * r2;
            if root < 0.0 {
                return None;
            }
            let s = r2 / (half + root.sqrt());
            (p, q) = ((pr - xi * s).to_degrees(), (qr - eta * s).to_degrees());
        }
        let v = apply(&self.to_celestial, self.projection.unproject(p.to_radians(), q.to_radians())?);
        v.iter().all(|c| c.is_finite()).then_some(v)
    }

    /// Pixel coordinates `(x, y)` of a unit vector in the image's own frame.
    pub fn vector_to_pixel(&self, vector: [f64; 3]) -> Option<(f64, f64)> {
        let (mut p, mut q) = self.projection.project(apply(&self.to_native, vector))?;
        if let Some([xi, eta]) = self.slant {
            let r2 = p * p + q * q;
            let s = r2 / (1.0 + (1.0 - r2).max(0.0).sqrt());
            (p, q) = (p + xi * s, q + eta * s);
        }
        let (p, q) = (p.to_degrees(), q.to_degrees());
        let [a, b, c, d] = self.inverse;
        let (px, py) = (
            a * p + b * q + self.reference_pixel[0] - FITS_FIRST_PIXEL,
            c * p + d * q + self.reference_pixel[1] - FITS_FIRST_PIXEL,
        );
        (px.is_finite() && py.is_finite()).then_some((px, py))
    }

    /// The largest distance between a pixel of this grid and the same one of `other`, both of `shape` `(ny, nx)`, in
    /// pixels of `other`; corners and centre are looked at. Infinite where only one has a position.
    pub(crate) fn offset_from(&self, other: &Self, (ny, nx): (usize, usize)) -> f64 {
        let (right, top) = (nx.saturating_sub(1) as f64, ny.saturating_sub(1) as f64);
        let map = self.to_pixels_of(other);
        [(0.0, 0.0), (right, 0.0), (0.0, top), (right, top), (right / 2.0, top / 2.0)]
            .into_iter()
            .map(|(x, y)| match (map.map(x, y), self.pixel_to_vector(x, y), other.pixel_to_vector(x, y)) {
                (Some((ox, oy)), ..) => (ox - x).hypot(oy - y),
                // Beyond the rim of both projections.
                (None, None, None) => 0.0,
                _ => f64::INFINITY,
            })
            .fold(0.0, f64::max)
    }

    /// The way from this image's pixels to those of `other`.
    pub fn to_pixels_of<'a>(&'a self, other: &'a Self) -> PixelMap<'a> {
        PixelMap { from: self, to: other, turn: self.frame.matrix_to(other.frame) }
    }
}

/// Maps pixel coordinates of one image to those of another at the same position on the sky.
#[derive(Debug)]
pub struct PixelMap<'a> {
    from: &'a CelestialWcs,
    to: &'a CelestialWcs,
    turn: Option<Matrix>,
}

impl PixelMap<'_> {
    /// Pixel coordinates in the other image; `None` where either image has no such position.
    pub fn map(&self, x: f64, y: f64) -> Option<(f64, f64)> {
        let v = self.from.pixel_to_vector(x, y)?;
        self.to.vector_to_pixel(self.turn.as_ref().map_or(v, |m| apply(m, v)))
    }
}

impl FitsImage {
    /// The celestial coordinate system of the image.
    ///
    /// # Errors
    /// [`ImageError::Unsuitable`] with the words of a [`WcsError`].
    pub fn wcs(&self) -> Result<CelestialWcs, ImageError> {
        CelestialWcs::from_header(self.header())
            .map_err(|e| ImageError::Unsuitable { path: self.path().to_path_buf(), reason: e.to_string() })
    }
}

/// A number of the header; `None` without the keyword.
fn number(header: &Header, key: &str) -> Result<Option<f64>, WcsError> {
    match (header.get(key), header.get_f64(key)) {
        (Some(found), None) if !found.is_empty() => Err(WcsError::NotANumber { key: key.into(), found }),
        (_, value) => Ok(value.filter(|v| v.is_finite())),
    }
}

/// Which of the first two axes is which.
struct Axes {
    /// Number of the axis, 1 or 2.
    longitude: usize,
    latitude: usize,
    galactic: bool,
    /// Code of the projection.
    code: String,
}

impl Axes {
    fn of(header: &Header) -> Result<Self, WcsError> {
        let types = [1, 2].map(|i| header.get(&format!("CTYPE{i}")).unwrap_or_default().to_uppercase());
        if types.iter().all(String::is_empty) {
            return Err(WcsError::Missing("CTYPE1 and CTYPE2".into()));
        }
        let latitude = if latitude_is_first(header) { 1 } else { 2 };
        let longitude = 3 - latitude;
        let (lon, lat) = (&types[longitude - 1], &types[latitude - 1]);
        let galactic = lon.starts_with("GLON") && lat.starts_with("GLAT");
        let equatorial = lon.starts_with("RA--") && lat.starts_with("DEC-");
        let code = lon.get(5..).unwrap_or("").to_string();
        if !(galactic || equatorial) || lat.get(5..) != Some(code.as_str()) || code.is_empty() {
            let [first, second] = types;
            return Err(WcsError::NotCelestial(first, second));
        }
        Ok(Self { longitude, latitude, galactic, code })
    }

    /// PV of the latitude's axis for SIN; NCP is SIN with a slant that follows from the declination.
    fn slant(&self, header: &Header, latitude: f64) -> Result<Option<[f64; 2]>, WcsError> {
        let pv = |m: usize| Ok(number(header, &format!("PV{}_{m}", self.latitude))?.unwrap_or(0.0));
        let slant = match self.code.as_str() {
            "SIN" => [pv(1)?, pv(2)?],
            "NCP" => [0.0, 1.0 / latitude.to_radians().tan()],
            _ => return Ok(None),
        };
        if slant.iter().any(|v| !v.is_finite()) {
            return Err(WcsError::Unusable(format!("NCP at declination {latitude}")));
        }
        Ok(Some(slant).filter(|s| *s != [0.0, 0.0]))
    }

    /// How the projection lies on the sky: LONPOLE and LATPOLE, or PV of the longitude's axis, which goes before them.
    fn fiducial(&self, header: &Header, projection: Projection, reference: SkyPosition) -> Result<Fiducial, WcsError> {
        let pv = |m: usize| number(header, &format!("PV{}_{m}", self.longitude));
        for m in 0..=2 {
            if let Some(value) = pv(m)? {
                let usual = [0.0, 0.0, if projection.is_zenithal() { 90.0 } else { 0.0 }][m];
                if value != usual {
                    let key = format!("PV{}_{m}", self.longitude);
                    return Err(WcsError::Unusable(format!("{key} = {value}; {usual} was expected")));
                }
            }
        }
        let keyword = |m: usize, key: &str| {
            Ok(match pv(m)? {
                Some(value) => Some(value),
                None => number(header, key)?,
            })
        };
        Ok(Fiducial {
            at_pole: projection.is_zenithal(),
            reference,
            lonpole: keyword(3, "LONPOLE")?,
            latpole: keyword(4, "LATPOLE")?,
        })
    }
}

/// Refuses units other than degrees.
fn check_units(header: &Header) -> Result<(), WcsError> {
    for key in ["CUNIT1", "CUNIT2"] {
        let found = header.get(key).filter(|unit| !unit.is_empty());
        if let Some(found) = found.filter(|u| !["deg", "degree", "degrees"].contains(&u.to_lowercase().as_str())) {
            return Err(WcsError::Unit { key: key.into(), found });
        }
    }
    Ok(())
}

fn equatorial_frame(header: &Header) -> Result<Frame, WcsError> {
    let equinox = header.get_f64("EQUINOX").or_else(|| header.get_f64("EPOCH"));
    let system = header
        .get("RADESYS")
        .or_else(|| header.get("RADECSYS"))
        .map(|s| s.trim().to_uppercase())
        .filter(|s| !s.is_empty())
        .unwrap_or_else(|| match equinox {
            None => "ICRS".into(),
            Some(year) if year >= FIRST_FK5_EQUINOX => "FK5".into(),
            Some(_) => "FK4".into(),
        });
    match (system.as_str(), equinox) {
        ("ICRS", _) => Ok(Frame::Icrs),
        ("FK5", None | Some(2000.0)) => Ok(Frame::Fk5),
        (_, None) => Err(WcsError::Frame { found: system }),
        (_, Some(year)) => Err(WcsError::Frame { found: format!("{system}, equinox {year}") }),
    }
}

/// Degrees per pixel from CD, or PC and CDELT, or CDELT and CROTA of the latitude's axis, in this order of preference.
fn pixel_matrix(header: &Header, latitude: usize) -> Result<[f64; 4], WcsError> {
    let element = |[i, j]: [usize; 2], names: [String; 2]| -> Result<Option<f64>, WcsError> {
        let [name, old] = names;
        let value = number(header, &format!("{name}{i}_{j}"))?;
        Ok(if value.is_some() || old.is_empty() { value } else { number(header, &format!("{old}{i:03}{j:03}"))? })
    };
    let all = |name: &str, old: &str| -> Result<[Option<f64>; 4], WcsError> {
        let at = |i, j| element([i, j], [name.into(), old.into()]);
        Ok([at(1, 1)?, at(1, 2)?, at(2, 1)?, at(2, 2)?])
    };
    let cd = all("CD", "")?;
    if cd.iter().any(Option::is_some) {
        return Ok(cd.map(|v| v.unwrap_or(0.0)));
    }
    let need = |key: &str| number(header, key)?.ok_or_else(|| WcsError::Missing(key.into()));
    let (d1, d2) = (need("CDELT1")?, need("CDELT2")?);
    let pc = all("PC", "PC")?;
    if pc.iter().any(Option::is_some) {
        let identity = [1.0, 0.0, 0.0, 1.0];
        let pc: [f64; 4] = std::array::from_fn(|i| pc[i].unwrap_or(identity[i]));
        return Ok([d1 * pc[0], d1 * pc[1], d2 * pc[2], d2 * pc[3]]);
    }
    let rotation = number(header, &format!("CROTA{latitude}"))?.unwrap_or(0.0);
    // Turned from the longitude's axis to the latitude's.
    let (s, c) = (if latitude == 1 { -rotation } else { rotation }).to_radians().sin_cos();
    Ok([d1 * c, -d2 * s, d1 * s, d2 * c])
}

/// The direction of a position angle (north through east) on the grid of pixels: degrees from the direction of y
/// towards low x. The same number where RA grows to the left and Dec upwards, and where the header does not tell.
pub(crate) fn pixel_position_angle(header: &Header, pa_deg: f64) -> f64 {
    let Ok([a, b, c, d]) = sky_matrix(header) else { return pa_deg };
    if b == 0.0 && c == 0.0 {
        return if (a < 0.0) == (d > 0.0) { pa_deg } else { -pa_deg };
    }
    if a == 0.0 && d == 0.0 {
        return if (b < 0.0) == (c > 0.0) { 90.0 - pa_deg } else { pa_deg - 90.0 };
    }
    // The pixels' direction of the unit vector (sin, cos) of (east, north).
    let (east, north) = pa_deg.to_radians().sin_cos();
    let determinant = a * d - b * c;
    let (dx, dy) = ((d * east - b * north) / determinant, (a * north - c * east) / determinant);
    let turned = (-dx).atan2(dy).to_degrees();
    if turned.is_finite() { turned } else { pa_deg }
}

/// East and north (rows) in degrees per pixel (columns), whichever of the first two axes is the longitude.
fn sky_matrix(header: &Header) -> Result<[f64; 4], WcsError> {
    let latitude = if latitude_is_first(header) { 1 } else { 2 };
    let [a, b, c, d] = pixel_matrix(header, latitude)?;
    Ok(if latitude == 1 { [c, d, a, b] } else { [a, b, c, d] })
}

/// Whether the first axis is declination or another latitude.
fn latitude_is_first(header: &Header) -> bool {
    header.get("CTYPE1").is_some_and(|t| ["DEC", "GLAT", "ELAT"].iter().any(|k| t.to_uppercase().starts_with(k)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    /// Positions and pixels as astropy gives them (tests/wcs_reference/make.py).
    fn reference() -> Value {
        serde_json::from_str(include_str!("../../../tests/wcs_reference/table.json")).unwrap()
    }

    fn header(cards: &Value) -> Header {
        let mut header = Header::default();
        for (key, value) in cards.as_object().unwrap() {
            match value {
                Value::String(text) => header.set_str(key, text),
                number => header.set_f64(key, number.as_f64().unwrap()),
            }
        }
        header
    }

    fn pair(value: &Value) -> Option<(f64, f64)> {
        let list = value.as_array()?;
        Some((list[0].as_f64()?, list[1].as_f64()?))
    }

    #[test]
    fn pixels_are_where_astropy_has_them_and_back() {
        let table = reference();
        let mut positions = 0;
        for (name, points) in table["sky"].as_object().unwrap() {
            // The crate finds the pole of these projections through an arc cosine.
            let tolerance = if name == "car_off_equator" { 1e-5 } else { 1e-7 };
            let wcs = CelestialWcs::from_header(&header(&table["headers"][name])).unwrap();
            for point in points.as_array().unwrap() {
                let (x, y) = pair(&point["pixel"]).unwrap();
                let ours = wcs.pixel_to_sky(x, y);
                let Some((lon_deg, lat_deg)) = pair(&point["sky"]) else {
                    assert!(ours.is_none(), "{name} ({x}, {y}) is outside the projection, not at {ours:?}");
                    continue;
                };
                let theirs = SkyPosition { lon_deg: lon_deg.rem_euclid(360.0), lat_deg };
                let ours = ours.unwrap_or_else(|| panic!("{name} ({x}, {y}) has a position"));
                let apart = ours.separation(theirs) / wcs.pixel_area().sqrt();
                assert!(apart < tolerance, "{name} ({x}, {y}): {ours:?}, not {theirs:?}: {apart:e} pixels");
                let (bx, by) = wcs.sky_to_pixel(theirs).unwrap();
                assert!((bx - x).hypot(by - y) < 10.0 * tolerance, "{name} ({x}, {y}) comes back as ({bx}, {by})");
                positions += 1;
            }
        }
        assert!(positions > 250);
    }

    /// Random headers of all projections, with positions of wcslib (tests/wcs_reference/random_headers.py).
    #[test]
    fn random_headers_mean_what_wcslib_makes_of_them() {
        let table: Value = serde_json::from_str(include_str!("../../../tests/wcs_reference/random.json")).unwrap();
        let (mut positions, mut refused) = (0, 0);
        for case in table["cases"].as_array().unwrap() {
            let cards = &case["header"];
            let wcs = CelestialWcs::from_header(&header(cards));
            let Some(points) = case["positions"].as_array() else {
                assert!(wcs.is_err(), "wcslib refuses {cards}");
                refused += 1;
                continue;
            };
            let wcs = wcs.unwrap_or_else(|e| panic!("{cards}: {e}"));
            for point in points {
                let numbers: Vec<Option<f64>> = point.as_array().unwrap().iter().map(Value::as_f64).collect();
                let [Some(x), Some(y), lon, lat] = numbers[..] else { panic!("{point}") };
                let ours = wcs.pixel_to_sky(x, y);
                let (Some(lon_deg), Some(lat_deg)) = (lon, lat) else {
                    assert!(ours.is_none(), "{cards}: ({x}, {y}) has no position, not {ours:?}");
                    continue;
                };
                let theirs = SkyPosition { lon_deg, lat_deg };
                let ours = ours.unwrap_or_else(|| panic!("{cards}: ({x}, {y}) is at {theirs:?}"));
                // wcslib finds the native pole through an arc cosine: 1e-8 degrees, 0.04 milliarcseconds.
                let tolerance = 1e-7 + 1e-5 * wcs.pixel_area().sqrt();
                assert!(ours.separation(theirs) < tolerance, "{cards}: ({x}, {y}) is at {theirs:?}, not {ours:?}");
                let (bx, by) = wcs.sky_to_pixel(ours).unwrap_or_else(|| panic!("{cards}: {ours:?} has a pixel"));
                assert!((bx - x).hypot(by - y) < 1e-4, "{cards}: ({x}, {y}) comes back as ({bx}, {by})");
                positions += 1;
            }
        }
        assert!(positions > 700 && refused > 5, "{positions} positions, {refused} refused");
    }

    #[test]
    fn pixels_of_one_image_are_found_in_another() {
        let table = reference();
        let wcs = |name: &Value| CelestialWcs::from_header(&header(&table["headers"][name.as_str().unwrap()])).unwrap();
        for case in table["pairs"].as_array().unwrap() {
            let (from, to) = (wcs(&case["from"]), wcs(&case["to"]));
            let map = from.to_pixels_of(&to);
            for point in case["pixels"].as_array().unwrap() {
                let ((x, y), (tx, ty)) = (pair(&point["pixel"]).unwrap(), pair(&point["other"]).unwrap());
                let (ox, oy) = map.map(x, y).unwrap();
                let apart = (ox - tx).hypot(oy - ty);
                assert!(
                    apart < 1e-5,
                    "{} in {}: ({x}, {y}) is ({ox}, {oy}), not ({tx}, {ty})",
                    case["from"],
                    case["to"]
                );
            }
        }
    }

    #[test]
    fn offsets_run_north_through_east() {
        let centre = SkyPosition { lon_deg: 0.0, lat_deg: 0.0 };
        let north = centre.offset(0.0, 2.0);
        let east = centre.offset(90.0, 2.0);
        assert!(north.separation(SkyPosition { lon_deg: 0.0, lat_deg: 2.0 }) < 1e-12);
        assert!(east.separation(SkyPosition { lon_deg: 2.0, lat_deg: 0.0 }) < 1e-12);
        assert!(
            (SkyPosition { lon_deg: 77.0, lat_deg: -80.0 }
                .offset(213.0, 4.5)
                .separation(SkyPosition { lon_deg: 77.0, lat_deg: -80.0 })
                - 4.5)
                .abs()
                < 1e-9
        );
    }

    #[rstest::rstest]
    #[case(&[], WcsError::Missing("CTYPE1 and CTYPE2".into()))]
    #[case(&[("CTYPE1", "RA---TPV"), ("CTYPE2", "DEC--TPV")], WcsError::Projection { found: "TPV".into() })]
    #[case(&[("CTYPE1", "FREQ"), ("CTYPE2", "STOKES")], WcsError::NotCelestial("FREQ".into(), "STOKES".into()))]
    #[case(&[("CTYPE1", "RA---SIN"), ("CTYPE2", "DEC--TAN")], WcsError::NotCelestial("RA---SIN".into(), "DEC--TAN".into()))]
    #[case(&[("CTYPE1", "RA"), ("CTYPE2", "DEC")], WcsError::NotCelestial("RA".into(), "DEC".into()))]
    #[case(&[("CTYPE1", "RA---SIN"), ("CTYPE2", "DEC--SIN"), ("CUNIT2", "arcsec")], WcsError::Unit { key: "CUNIT2".into(), found: "arcsec".into() })]
    #[case(&[("CTYPE1", "RA---SIN"), ("CTYPE2", "DEC--SIN"), ("RADESYS", "FK4")], WcsError::Frame { found: "FK4".into() })]
    #[case(&[("CTYPE1", "RA---SIN"), ("CTYPE2", "DEC--SIN")], WcsError::Missing("CDELT1".into()))]
    fn headers_that_give_no_position_say_why(#[case] cards: &[(&str, &str)], #[case] expected: WcsError) {
        let mut header = Header::default();
        cards.iter().for_each(|(k, v)| header.set_str(k, v));
        assert_eq!(CelestialWcs::from_header(&header).unwrap_err(), expected);
    }
}
