//! Celestial coordinates of pixels (FITS WCS papers I and II), and of pixels of one image in another.
//!
//! The linear part (CRPIX, CD or PC and CDELT or CROTA2), the slant of SIN (PV2_1, PV2_2; NCP is a slanted SIN) and
//! the celestial frames are handled here; the spherical projections themselves are those of the `wcs` crate.
//! Pixel coordinates are 0-based `(x, y)`: the centre of the first pixel is (0, 0), as in numpy.

use super::{FitsImage, Header, ImageError};
use wcs::{ImgXY, WCSParams, WCSProj};

/// Offset of 0-based pixel coordinates from those of FITS.
const FITS_FIRST_PIXEL: f64 = 1.0;
/// Projections whose coordinates are compared with wcslib in the tests.
const PROJECTIONS: [&str; 10] = ["SIN", "TAN", "NCP", "ARC", "STG", "ZEA", "CAR", "SFL", "AIT", "MOL"];
/// Those of them about a pole at the reference point, whose orientation is exact.
const ZENITHAL: [&str; 6] = ["SIN", "TAN", "NCP", "ARC", "STG", "ZEA"];
/// Equinox from which a header without RADESYS means FK5 instead of FK4.
const FIRST_FK5_EQUINOX: f64 = 1984.0;

/// Why a header gives no celestial coordinates.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum WcsError {
    /// A keyword that celestial coordinates need.
    #[error("has no {0} in its header, so its pixels have no position on the sky")]
    Missing(String),
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
    projection: WCSProj,
    reference: SkyPosition,
    frame: Frame,
}

impl CelestialWcs {
    /// Reads CTYPE, CRPIX, CRVAL, CD or PC, CDELT, CROTA2, PV2, LONPOLE, LATPOLE, RADESYS and EQUINOX of axes 1, 2.
    ///
    /// # Errors
    /// See [`WcsError`].
    pub fn from_header(header: &Header) -> Result<Self, WcsError> {
        let text = |key: &str| header.get(key).filter(|v| !v.is_empty());
        let number = |key: &str| header.get_f64(key);
        let need = |key: &str| number(key).ok_or_else(|| WcsError::Missing(key.into()));
        let types = [1, 2].map(|axis| text(&format!("CTYPE{axis}")).unwrap_or_default().to_uppercase());
        if types.iter().all(String::is_empty) {
            return Err(WcsError::Missing("CTYPE1 and CTYPE2".into()));
        }
        let galactic = types[0].starts_with("GLON") && types[1].starts_with("GLAT");
        let equatorial = types[0].starts_with("RA--") && types[1].starts_with("DEC-");
        let code = types[0].get(5..).unwrap_or("");
        if !(galactic || equatorial) || types[1].get(5..) != Some(code) || code.is_empty() {
            return Err(WcsError::NotCelestial(types[0].clone(), types[1].clone()));
        }
        if !PROJECTIONS.contains(&code) {
            return Err(WcsError::Projection { found: code.into() });
        }
        for axis in [1, 2] {
            let key = format!("CUNIT{axis}");
            if let Some(found) =
                text(&key).filter(|u| !["deg", "degree", "degrees"].contains(&u.to_lowercase().as_str()))
            {
                return Err(WcsError::Unit { key, found });
            }
        }
        let frame = if galactic { Frame::Galactic } else { equatorial_frame(header)? };
        let matrix = pixel_matrix(header)?;
        let determinant = matrix[0] * matrix[3] - matrix[1] * matrix[2];
        if !(determinant.is_finite() && determinant != 0.0) {
            return Err(WcsError::Singular(matrix));
        }
        let inverse = [matrix[3], -matrix[1], -matrix[2], matrix[0]].map(|v| v / determinant);
        let (longitude, latitude) = (need("CRVAL1")?, need("CRVAL2")?);
        let slant = match code {
            "SIN" => Some([number("PV2_1").unwrap_or(0.0), number("PV2_2").unwrap_or(0.0)]),
            "NCP" => Some([0.0, 1.0 / latitude.to_radians().tan()]),
            _ => None,
        }
        .filter(|s| *s != [0.0, 0.0]);
        if slant.is_some_and(|s| s.iter().any(|v| !v.is_finite())) {
            return Err(WcsError::Unusable(format!("NCP at declination {latitude}")));
        }
        if !ZENITHAL.contains(&code) {
            let usual = if latitude >= 0.0 { 0.0 } else { 180.0 };
            let pole = number("LONPOLE").unwrap_or(usual);
            if pole != usual || number("PV1_1").or(number("PV1_2")).is_some() {
                return Err(WcsError::Unusable(format!(
                    "projection {code} with LONPOLE = {pole}, PV1_1 or PV1_2; only the default orientation is supported"
                )));
            }
        }
        let mut params = blank_params(if code == "NCP" { "SIN" } else { code });
        (params.crval1, params.crval2) = (Some(longitude), Some(latitude));
        (params.lonpole, params.latpole) = (number("LONPOLE"), number("LATPOLE"));
        (params.pv1_1, params.pv1_2) = (number("PV1_1"), number("PV1_2"));
        // The crate's pixels are degrees in the plane of projection; the size matters to distortions only.
        let projection = WCSProj::new(1, 1, &params).map_err(|e| WcsError::Unusable(e.to_string()))?;
        let reference = SkyPosition { lon_deg: longitude, lat_deg: latitude };
        Ok(Self {
            reference_pixel: [need("CRPIX1")?, need("CRPIX2")?],
            matrix,
            inverse,
            slant,
            projection,
            reference,
            frame,
        })
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
        let v = self.projection.unproj_xyz(&ImgXY::new(p, q))?;
        let v = [v.x(), v.y(), v.z()];
        v.iter().all(|c| c.is_finite()).then_some(v)
    }

    /// Pixel coordinates `(x, y)` of a unit vector in the image's own frame.
    pub fn vector_to_pixel(&self, [x, y, z]: [f64; 3]) -> Option<(f64, f64)> {
        let plane = self.projection.proj_xyz(&(x, y, z))?;
        let (mut p, mut q) = (plane.x(), plane.y());
        if let Some([xi, eta]) = self.slant {
            let (l, m) = (p.to_radians(), q.to_radians());
            let r2 = l * l + m * m;
            let s = r2 / (1.0 + (1.0 - r2).max(0.0).sqrt());
            (p, q) = ((l + xi * s).to_degrees(), (m + eta * s).to_degrees());
        }
        let [a, b, c, d] = self.inverse;
        let (px, py) = (
            a * p + b * q + self.reference_pixel[0] - FITS_FIRST_PIXEL,
            c * p + d * q + self.reference_pixel[1] - FITS_FIRST_PIXEL,
        );
        (px.is_finite() && py.is_finite()).then_some((px, py))
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

/// Degrees per pixel from CD, or PC and CDELT, or CDELT and CROTA2, in this order of preference.
fn pixel_matrix(header: &Header) -> Result<[f64; 4], WcsError> {
    const ELEMENTS: [(usize, usize); 4] = [(1, 1), (1, 2), (2, 1), (2, 2)];
    let cd = ELEMENTS.map(|(i, j)| header.get_f64(&format!("CD{i}_{j}")));
    if cd.iter().any(Option::is_some) {
        return Ok(cd.map(|v| v.unwrap_or(0.0)));
    }
    let need = |key: &str| header.get_f64(key).ok_or_else(|| WcsError::Missing(key.into()));
    let (d1, d2) = (need("CDELT1")?, need("CDELT2")?);
    let pc = ELEMENTS
        .map(|(i, j)| header.get_f64(&format!("PC{i}_{j}")).or_else(|| header.get_f64(&format!("PC{i:03}{j:03}"))));
    if pc.iter().any(Option::is_some) {
        let identity = [1.0, 0.0, 0.0, 1.0];
        let pc: [f64; 4] = std::array::from_fn(|i| pc[i].unwrap_or(identity[i]));
        return Ok([d1 * pc[0], d1 * pc[1], d2 * pc[2], d2 * pc[3]]);
    }
    let (s, c) = header.get_f64("CROTA2").unwrap_or(0.0).to_radians().sin_cos();
    Ok([d1 * c, -d2 * s, d1 * s, d2 * c])
}

/// Parameters of the crate with pixels of one degree and the reference point at pixel 0.
fn blank_params(code: &str) -> WCSParams {
    // Frames are turned here: for the crate every image is plain RA and Dec.
    let json = serde_json::json!({
        "CTYPE1": format!("RA---{code}"), "CTYPE2": format!("DEC--{code}"), "NAXIS": 2, "NAXIS1": 1, "NAXIS2": 1,
        "CRPIX1": 0.0, "CRPIX2": 0.0, "CD1_1": 1.0, "CD1_2": 0.0, "CD2_1": 0.0, "CD2_2": 1.0,
    });
    serde_json::from_value(json).expect("all other parameters are optional")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    /// Positions and pixels as astropy gives them (tests/wcs_reference/make.py).
    fn reference() -> Value {
        serde_json::from_str(include_str!("../../tests/wcs_reference/table.json")).unwrap()
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
