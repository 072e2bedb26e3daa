//! Images read plane by plane.

use super::PlaneKind;
use super::cfitsio::{Handle, MAX_AXES, c_path};
use super::plain::{self, PlainPixels, PlainPlane};
use crate::image::beam_table::Beams;
use crate::image::damage;
use crate::image::{Header, ImageError};
use ndarray::Array2;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// A FITS image of 2 to 4 axes, read plane by plane (plain, `.gz`, or tile-compressed).
///
/// Pixels arrive as float32 whatever the file holds: BSCALE and BZERO are applied, BLANK becomes NaN.
pub struct FitsImage {
    path: PathBuf,
    handle: Handle,
    /// Lengths of the FITS axes, first (x) first.
    axes: Vec<usize>,
    kinds: Vec<PlaneKind>,
    bitpix: i32,
    header: Header,
    /// The pixels, where they can be read without cfitsio.
    plain: Option<PlainPixels>,
    /// Restoring beams, once they were asked for.
    pub(in crate::image) beams: OnceLock<Result<Beams, ImageError>>,
}

impl std::fmt::Debug for FitsImage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FitsImage").field("path", &self.path).field("axes", &self.axes).finish_non_exhaustive()
    }
}

impl FitsImage {
    /// Opens the first image of the file that has pixels.
    ///
    /// # Errors
    /// A file that is absent, not FITS, has no image, a zero-sized axis, or more than one axis beyond x and y
    /// that is neither frequency nor polarisation.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, ImageError> {
        let path = path.as_ref().to_path_buf();
        let unreadable = |reason: String| ImageError::Unreadable { path: path.clone(), reason };
        let unsuitable = |reason: String| ImageError::Unsuitable { path: path.clone(), reason };
        check_is_file(&path)?;
        let name = c_path(&path).ok_or_else(|| unreadable("its name holds a NUL byte".into()))?;
        damage::check_tiles(&path, true).map_err(unsuitable)?;
        let mut handle = Handle::open(&name)
            .map_err(|reason| unsuitable(format!("is not a FITS file that can be read: {reason}")))?;
        // The primary HDU of a tile-compressed file is empty: take the first image with pixels.
        let naxis = handle.seek_image().ok_or_else(|| unsuitable("holds no image (no HDU with pixels)".into()))?;
        if naxis > MAX_AXES {
            return Err(unsuitable(format!("has {naxis} axes; 2 to 4 were expected")));
        }
        let (bitpix, axes) = handle.shape(naxis).map_err(unreadable)?;
        let header = Header::from_cards(handle.cards().map_err(unreadable)?);
        let kinds = plane_kinds(&header, &axes).map_err(unsuitable)?;
        damage::check_size(&path, &axes, plain::bytes_of_pixels(&path, &handle)).map_err(unsuitable)?;
        let plain = PlainPixels::of(&path, &handle);
        Ok(Self { path, handle, axes, kinds, bitpix, header, plain, beams: OnceLock::new() })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The header's meaningful cards.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// `(ny, nx)`.
    pub fn plane_shape(&self) -> (usize, usize) {
        (self.axes[1], self.axes[0])
    }

    /// Lengths of all FITS axes, x first.
    pub fn axes(&self) -> &[usize] {
        &self.axes
    }

    /// BITPIX of the stored pixels, as cfitsio sees them after scaling (an int16 with BSCALE counts as float).
    pub fn bitpix(&self) -> i32 {
        self.bitpix
    }

    /// Kinds of the axes beyond the second, third first.
    pub fn plane_kinds(&self) -> &[PlaneKind] {
        &self.kinds
    }

    fn count(&self, kind: PlaneKind) -> usize {
        self.kinds.iter().zip(&self.axes[2..]).filter(|(k, _)| **k == kind).map(|(_, n)| n).product()
    }

    /// Number of frequency channels (1 for a plane).
    pub fn channels(&self) -> usize {
        self.count(PlaneKind::Channel)
    }

    /// Number of polarisations (1 for a plane).
    pub fn polarisations(&self) -> usize {
        self.count(PlaneKind::Polarisation)
    }

    /// Position of a plane in the file, counted in planes.
    pub fn plane_index(&self, polarisation: usize, channel: usize) -> usize {
        let (mut index, mut stride) = (0, 1);
        for (kind, &n) in self.kinds.iter().zip(&self.axes[2..]) {
            if n > 1 {
                index += stride
                    * match kind {
                        PlaneKind::Channel => channel,
                        PlaneKind::Polarisation => polarisation,
                    };
            }
            stride *= n;
        }
        index
    }

    /// Reads one plane, `[y, x]`, float32.
    ///
    /// # Errors
    /// Pixels that cannot be read, with the path.
    ///
    /// # Panics
    /// When the plane is outside the cube.
    pub fn read_plane(&mut self, polarisation: usize, channel: usize) -> Result<Array2<f32>, ImageError> {
        let (ny, nx) = self.plane_shape();
        let mut data = vec![0f32; ny * nx];
        self.read_plane_into(polarisation, channel, &mut data)?;
        Ok(Array2::from_shape_vec((ny, nx), data).expect("length is ny * nx"))
    }

    /// Reads one plane into a buffer of `ny * nx` pixels.
    ///
    /// # Errors
    /// Pixels that cannot be read, with the path.
    ///
    /// # Panics
    /// When the buffer has another length, or the plane is outside the cube.
    pub fn read_plane_into(&mut self, polarisation: usize, channel: usize, out: &mut [f32]) -> Result<(), ImageError> {
        let (ny, nx) = self.plane_shape();
        assert_eq!(out.len(), ny * nx);
        self.read_rows_into(polarisation, channel, 0, out)
    }

    /// Reads whole rows of one plane, from row `first` on, as many as the buffer holds.
    ///
    /// # Errors
    /// Pixels that cannot be read, with the path.
    ///
    /// # Panics
    /// When the buffer is not a whole number of rows, or the rows or the plane are outside the cube.
    pub fn read_rows_into(
        &mut self,
        polarisation: usize,
        channel: usize,
        first: usize,
        out: &mut [f32],
    ) -> Result<(), ImageError> {
        let (ny, nx) = self.plane_shape();
        assert!(out.len().is_multiple_of(nx) && first + out.len() / nx <= ny);
        assert!(polarisation < self.polarisations() && channel < self.channels());
        let first = (self.plane_index(polarisation, channel) * ny + first) * nx;
        if let Some(plain) = &self.plain {
            let fail = |e: std::io::Error| ImageError::Unreadable { path: self.path.clone(), reason: e.to_string() };
            return plain.read(first, out).map_err(fail);
        }
        self.handle.read(first, out).map_err(|reason| ImageError::Unreadable { path: self.path.clone(), reason })
    }

    /// One plane for any number of threads to read from at once; `None` when its pixels need cfitsio (another type than
    /// float32, a scale, compression).
    ///
    /// # Panics
    /// When the plane is outside the cube.
    pub fn plain_plane(&self, polarisation: usize, channel: usize) -> Option<PlainPlane<'_>> {
        assert!(polarisation < self.polarisations() && channel < self.channels());
        let (ny, nx) = self.plane_shape();
        let first = self.plane_index(polarisation, channel) * ny * nx;
        self.plain.as_ref().map(|pixels| PlainPlane { pixels, path: &self.path, first, shape: (ny, nx) })
    }

    /// Reads one plane, `[y, x]`, turning each pixel into something smaller on the way: the float32 plane is never
    /// in memory.
    ///
    /// # Errors
    /// Pixels that cannot be read, with the path.
    ///
    /// # Panics
    /// When the plane is outside the cube.
    pub fn read_plane_as<T>(
        &mut self,
        polarisation: usize,
        channel: usize,
        convert: impl Fn(f32) -> T,
    ) -> Result<Array2<T>, ImageError> {
        /// Pixels read at once.
        const STRIP: usize = 1 << 20;
        let (ny, nx) = self.plane_shape();
        let rows = (STRIP / nx).clamp(1, ny);
        let mut buffer = vec![0f32; rows * nx];
        let mut data = Vec::with_capacity(ny * nx);
        for first in (0..ny).step_by(rows) {
            let strip = &mut buffer[..rows.min(ny - first) * nx];
            self.read_rows_into(polarisation, channel, first, strip)?;
            data.extend(strip.iter().map(|&v| convert(v)));
        }
        Ok(Array2::from_shape_vec((ny, nx), data).expect("length is ny * nx"))
    }

    /// Opens a file that goes with this image: its planes must have the same size, and it must be one plane for all
    /// channels or have as many channels.
    ///
    /// # Errors
    /// As [`FitsImage::open`]; sizes or channels that differ.
    pub fn companion(&self, path: &Path) -> Result<Self, ImageError> {
        self.fitting(path, true)
    }

    /// As [`FitsImage::companion`], but one plane does not do for several channels.
    ///
    /// # Errors
    /// As [`FitsImage::companion`].
    pub fn companion_of_all_channels(&self, path: &Path) -> Result<Self, ImageError> {
        self.fitting(path, false)
    }

    fn fitting(&self, path: &Path, may_be_plane: bool) -> Result<Self, ImageError> {
        let other = Self::open(path)?;
        if other.plane_shape() != self.plane_shape() {
            return Err(ImageError::ShapesDiffer {
                left: path.to_path_buf(),
                left_shape: other.plane_shape(),
                right: self.path.clone(),
                right_shape: self.plane_shape(),
            });
        }
        self.check_same_sky(&other)?;
        let (found, wanted) = (other.channels(), self.channels());
        if found != wanted && !(may_be_plane && found == 1) {
            let or_one = if may_be_plane { " (or 1)" } else { "" };
            let image = self.path.display();
            let reason =
                format!("has {found} channels, but {image} has {wanted}: both must have the same number{or_one}");
            return Err(ImageError::Unsuitable { path: path.to_path_buf(), reason });
        }
        Ok(other)
    }

    /// Side of the (square) pixels in degrees: |CDELT1| = |CDELT2|, or the CD matrix's scale.
    ///
    /// # Errors
    /// No pixel size in the header, or pixels that are not square.
    pub fn pixel_deg(&self) -> Result<f64, ImageError> {
        let unsuitable = |reason: String| ImageError::Unsuitable { path: self.path.clone(), reason };
        let key = |k: &str| self.header.get_f64(k);
        let (dx, dy) = match (key("CDELT1"), key("CDELT2")) {
            (Some(x), Some(y)) => (x.abs(), y.abs()),
            _ => match (key("CD1_1"), key("CD2_2")) {
                (Some(a), Some(d)) => (a.hypot(key("CD2_1").unwrap_or(0.0)), d.hypot(key("CD1_2").unwrap_or(0.0))),
                _ => return Err(unsuitable("has no pixel size (CDELT1 and CDELT2) in its header".into())),
            },
        };
        if !(dx > 0.0 && (dx - dy).abs() <= 1e-6 * dx) {
            return Err(unsuitable(format!("has pixels of {dx} x {dy} degrees; square pixels are needed")));
        }
        Ok(dx)
    }
}

/// Refuses what cannot be a FITS file, in better words than cfitsio has.
fn check_is_file(path: &Path) -> Result<(), ImageError> {
    let unsuitable = |reason: &str| ImageError::Unsuitable { path: path.to_path_buf(), reason: reason.into() };
    let unreadable = |e: std::io::Error| ImageError::Unreadable { path: path.to_path_buf(), reason: e.to_string() };
    match std::fs::metadata(path).map_err(unreadable)? {
        m if m.is_dir() => Err(unsuitable("is a directory, not a FITS file (a CASA image? export it with exportfits)")),
        m if m.len() == 0 => Err(unsuitable("is empty (0 bytes)")),
        _ if begins_like_fits(path).map_err(unreadable)? => Ok(()),
        _ => Err(unsuitable(
            "is not a FITS file: it does not begin with SIMPLE (another format, or a copy that went wrong?)",
        )),
    }
}

/// Whether the first bytes are those of FITS, or of a compressed file, which cfitsio reads as well.
fn begins_like_fits(path: &Path) -> std::io::Result<bool> {
    const GZIP: &[u8] = &[0x1f, 0x8b];
    const COMPRESS: &[u8] = &[0x1f, 0x9d];
    const ZIP: &[u8] = b"PK";
    let mut first = Vec::new();
    std::fs::File::open(path)?.take(6).read_to_end(&mut first)?;
    Ok(first == b"SIMPLE" || [GZIP, COMPRESS, ZIP].iter().any(|magic| first.starts_with(magic)))
}

/// The name of an axis, in capitals; empty without one.
fn ctype(header: &Header, axis: usize) -> String {
    header.get(&format!("CTYPE{axis}")).unwrap_or_default().to_uppercase()
}

/// Refuses images whose first two axes are not those of the sky, as far as the axes have names.
fn check_sky_is_first(header: &Header, naxis: usize) -> Result<(), String> {
    let is_on_sky = |axis: &usize| {
        let name = ctype(header, *axis);
        let name = name.split('-').next().unwrap_or_default();
        ["RA", "DEC", "GLON", "GLAT", "ELON", "ELAT"].contains(&name)
    };
    let is_polarisation = |axis: &usize| ["STOKES", "CORR"].iter().any(|name| ctype(header, *axis).starts_with(name));
    let wrong = (3..=naxis).find(is_on_sky).or_else(|| (1..=2).find(is_polarisation));
    wrong.map_or(Ok(()), |axis| {
        Err(format!(
            "has axis {axis} of type '{}' (CTYPE{axis}), but CTYPE1 = '{}' and CTYPE2 = '{}': the two axes of the sky \
         must be the first; put the axes in another order",
            ctype(header, axis),
            ctype(header, 1),
            ctype(header, 2)
        ))
    })
}

/// Kinds of the axes beyond the second, or why these axes are not those of an image.
fn plane_kinds(header: &Header, axes: &[usize]) -> Result<Vec<PlaneKind>, String> {
    if axes.len() < 2 {
        return Err(format!("has {} axis; an image has at least 2", axes.len()));
    }
    if axes.contains(&0) {
        return Err(format!("has a zero-sized axis ({axes:?})"));
    }
    check_sky_is_first(header, axes.len())?;
    let kinds: Vec<PlaneKind> = (3..=axes.len())
        .map(|i| {
            match ctype(header, i).as_str() {
                c if c.starts_with("STOKES") || c.starts_with("CORR") => PlaneKind::Polarisation,
                // Without names: the customary order RA, DEC, FREQ, STOKES.
                "" if i == 4 => PlaneKind::Polarisation,
                _ => PlaneKind::Channel,
            }
        })
        .collect();
    for kind in [PlaneKind::Channel, PlaneKind::Polarisation] {
        let long = (3..=axes.len()).filter(|i| kinds[i - 3] == kind && axes[i - 1] > 1);
        let named = |i: usize| format!("axis {i} ('{}') of {} pixels", ctype(header, i), axes[i - 1]);
        let long: Vec<String> = long.map(named).collect();
        if long.len() > 1 {
            return Err(format!(
                "has {}, which cannot be told apart as frequency and Stokes: one of each was expected",
                long.join(" and ")
            ));
        }
    }
    Ok(kinds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{PixelType, PlaneWriter};

    #[test]
    fn plain_pixels_equal_those_of_cfitsio() {
        let folder = tempfile::tempdir().unwrap();
        // More than two pieces, and a row that straddles them.
        let (ny, nx) = (301, 1001);
        let plane = Array2::from_shape_fn((ny, nx), |(y, x)| if x == 7 { f32::NAN } else { (y * nx + x) as f32 });
        let path = folder.path().join("a.fits");
        let mut writer = PlaneWriter::create(&path, &[nx, ny, 2], PixelType::F32, &Header::default(), false).unwrap();
        writer.write_plane(0, (&plane * -1.0).view()).unwrap();
        writer.write_plane(1, plane.view()).unwrap();
        writer.finish().unwrap();
        let mut image = FitsImage::open(&path).unwrap();
        let same =
            |a: &Array2<f32>, b: &Array2<f32>| a.iter().zip(b).all(|(a, b)| a == b || (a.is_nan() && b.is_nan()));
        assert!(image.plain.is_some());
        let fast = image.read_plane(0, 1).unwrap();
        image.plain = None;
        assert!(same(&fast, &image.read_plane(0, 1).unwrap()) && same(&fast, &plane));
        let mut rows = vec![0f32; 2 * nx];
        FitsImage::open(&path).unwrap().plain_plane(0, 1).unwrap().read_rows(5, &mut rows).unwrap();
        assert_eq!(rows[nx + 8..], plane.as_slice().unwrap()[6 * nx + 8..7 * nx]);
        // Scaled pixels are left to cfitsio.
        let mut bytes = std::fs::read(&path).unwrap();
        let end = bytes.windows(9).position(|w| w == b"END      ").unwrap();
        bytes[end..end + 80].copy_from_slice(format!("{:<80}", "BSCALE  =                  2.0").as_bytes());
        bytes[end + 80..end + 83].copy_from_slice(b"END");
        std::fs::write(&path, bytes).unwrap();
        let mut image = FitsImage::open(&path).unwrap();
        assert!(image.plain.is_none());
        assert_eq!(image.read_plane(0, 1).unwrap()[[0, 1]], 2.0);
    }
}
