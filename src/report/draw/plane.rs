//! One plane of an image with what its header says about it.

use super::sky;
use crate::image::{CelestialWcs, FitsImage, ImageError, PixelBeam};
use crate::report::numbers::significant;
use ndarray::Array2;
use std::path::Path;

const ARCSEC_PER_DEG: f64 = 3600.0;

/// One plane with what its header says.
#[derive(Debug)]
pub(crate) struct Plane {
    /// Pixels, `[y, x]`.
    pub(crate) pixels: Array2<f32>,
    /// Restoring beam, pixels.
    pub(crate) beam: Option<PixelBeam>,
    /// The same in words.
    pub(crate) beam_words: Option<String>,
    /// East is on the left, as usual.
    pub(crate) east_left: bool,
    /// Celestial coordinates, where the header has them.
    pub(crate) wcs: Option<CelestialWcs>,
    /// Frequency of the plane, Hz.
    pub(crate) frequency_hz: Option<f64>,
}

impl Plane {
    /// Reads `channel` (the first polarisation) of a file; a channel that the file has not is its first.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub(crate) fn read(path: &Path, channel: usize) -> Result<Self, ImageError> {
        let mut file = FitsImage::open(path)?;
        let channel = if channel < file.channels() { channel } else { 0 };
        let pixels = file.read_plane(0, channel)?;
        let header = file.header();
        let beam = file.plane_beam(0, channel).ok().flatten();
        let frequency_hz =
            (3..=4).find(|i| header.get(&format!("CTYPE{i}")).is_some_and(|t| t.starts_with("FREQ"))).and_then(|i| {
                let value = |key: &str| header.get_f64(&format!("{key}{i}"));
                Some(value("CRVAL")? + (channel as f64 + 1.0 - value("CRPIX")?) * value("CDELT")?)
            });
        Ok(Self {
            pixels,
            beam: beam.and_then(|b| Some(b.in_pixels(file.pixel_deg().ok()?))),
            beam_words: beam.map(|b| {
                let arcsec = |deg: f64| significant(deg * ARCSEC_PER_DEG, 3);
                format!("{}″ × {}″, {:.0}°", arcsec(b.major_deg), arcsec(b.minor_deg), b.pa_deg)
            }),
            east_left: header.get_f64("CDELT1").is_none_or(|d| d < 0.0),
            wcs: CelestialWcs::from_header(header).ok(),
            frequency_hz,
        })
    }

    /// The whole plane.
    pub(crate) fn window(&self) -> Window {
        let (ny, nx) = self.pixels.dim();
        Window { x: 0, y: 0, nx, ny }
    }

    /// Position of a 0-based pixel, in words.
    pub(crate) fn position(&self, x: usize, y: usize) -> Option<String> {
        let p = self.wcs.as_ref()?.pixel_to_sky(x as f64, y as f64)?;
        Some(sky::position(p.lon_deg, p.lat_deg))
    }
}

/// Reads a mask plane: what is not 0 is set.
///
/// # Errors
/// A file that cannot be read.
pub(crate) fn read_mask(path: &Path, channel: usize) -> Result<Array2<bool>, ImageError> {
    let mut file = FitsImage::open(path)?;
    let channel = if channel < file.channels() { channel } else { 0 };
    file.read_mask(0, channel)
}

/// A rectangle of pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    /// First pixel.
    pub(crate) x: usize,
    /// First row.
    pub(crate) y: usize,
    /// Pixels across.
    pub(crate) nx: usize,
    /// Rows.
    pub(crate) ny: usize,
}

impl Window {
    /// A square of `side` pixels round `(x, y)`, moved inside a plane of `(ny, nx)`.
    pub(crate) fn around(x: usize, y: usize, side: usize, (ny, nx): (usize, usize)) -> Self {
        let place = |at: usize, n: usize| at.saturating_sub(side / 2).min(n.saturating_sub(side));
        Self { x: place(x, nx), y: place(y, ny), nx: side.min(nx), ny: side.min(ny) }
    }
}
