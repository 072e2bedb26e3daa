//! The state of an image that decides about the levels of its automatic mask.

use crate::image::PixelBeam;
use crate::kernels::order_statistics::statistics_where;
use ndarray::ArrayView2;
use serde::{Deserialize, Serialize};

/// FWHM that stands in for an unknown beam, pixels.
const FALLBACK_FWHM: f64 = 4.0;

/// Brightness, negatives and noise of an image, on which the levels of an automatic mask depend.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ImageState {
    /// Brightest pixel, Jy/beam.
    pub peak: f64,
    /// Most negative pixel, Jy/beam (0 when none is).
    pub minimum: f64,
    /// 1.4826 MAD of the whole image, Jy/beam.
    pub rms: f64,
    /// |minimum| / peak.
    pub negative_ratio: f64,
    /// |minimum| over the most negative pixel that Gaussian noise of this rms would make.
    pub negative_excess: f64,
    /// FWHM of the beam's major axis, pixels.
    pub fwhm: f64,
    /// Solid angle of the beam, pixels.
    pub beam_area: f64,
}

/// FWHM of the beam's major axis, pixels, at least 1; of a usual beam where none is known.
pub fn fwhm_of(beam: Option<&PixelBeam>) -> f64 {
    beam.map_or(FALLBACK_FWHM, |b| b.major.max(1.0))
}

/// Measures an image, `[y, x]`; `None` without positive pixels or noise.
pub fn measure(image: ArrayView2<'_, f32>, beam: Option<&PixelBeam>) -> Option<ImageState> {
    measure_and_count(image, beam).map(|(state, _)| state)
}

/// [`measure`], with the number of pixels that have data.
pub(super) fn measure_and_count(image: ArrayView2<'_, f32>, beam: Option<&PixelBeam>) -> Option<(ImageState, usize)> {
    let standard = image.as_standard_layout();
    let values = standard.as_slice()?;
    // Zeros are pixels that were not imaged.
    let (stats, range) = statistics_where(values, |v| v != 0.0)?;
    let (peak, minimum) = (f64::from(range.greatest.max(0.0)), f64::from(range.least.min(0.0)));
    let rms = stats.sigma();
    if peak <= 0.0 || rms <= 0.0 {
        return None;
    }
    let round = PixelBeam { major: FALLBACK_FWHM, minor: FALLBACK_FWHM, pa_deg: 0.0 };
    let beam = beam.copied().unwrap_or(round);
    // The most negative of n independent normal numbers lies near sqrt(2 ln n) sigma.
    let beams = (stats.count as f64 / beam.area().max(1.0)).max(2.0);
    let of_noise = (2.0 * beams.ln()).sqrt() * rms;
    let state = ImageState {
        peak,
        minimum,
        rms,
        negative_ratio: -minimum / peak,
        negative_excess: -minimum / of_noise,
        fwhm: fwhm_of(Some(&beam)),
        beam_area: beam.area().max(1.0),
    };
    Some((state, range.count))
}
