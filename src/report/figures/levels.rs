//! The levels that decide the colours of image and residual.

use crate::campaign::record::RoundRecord;
use crate::kernels::order_statistics::statistics_where;
use crate::report::draw::plane::Plane;
use crate::report::draw::raster::ColourScale;
use ndarray::Array2;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Residuals are drawn between plus and minus this multiple of the noise.
pub(crate) const RESIDUAL_SIGMAS: f64 = 6.0;
/// Images start at this multiple of the noise below zero.
const IMAGE_LOW_SIGMAS: f64 = 3.0;
/// Images turn from linear to logarithmic at this multiple of the noise.
const IMAGE_SOFT_SIGMAS: f64 = 2.0;

/// Noise and peak of a round.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Levels {
    /// Noise, Jy/beam.
    pub(crate) rms: f64,
    /// Peak, Jy/beam.
    pub(crate) peak: f64,
    /// Channel that is shown.
    pub(crate) channel: usize,
}

impl Levels {
    /// The scale of images.
    pub(super) fn image(self) -> ColourScale {
        let rms = self.rms.max(f64::MIN_POSITIVE);
        ColourScale::Asinh {
            low: -IMAGE_LOW_SIGMAS * rms,
            high: self.peak.max(10.0 * rms),
            soft: IMAGE_SOFT_SIGMAS * rms,
        }
    }

    /// The scale of residuals.
    pub(super) fn residual(self) -> ColourScale {
        let high = RESIDUAL_SIGMAS * self.rms.max(f64::MIN_POSITIVE);
        ColourScale::Linear { low: -high, high }
    }
}

/// Levels of a round from its metrics, or measured on its image where it has none.
pub(crate) fn levels(folder: &Path, round: &RoundRecord) -> Option<Levels> {
    if let Some(m) = round.metrics.as_ref().filter(|m| m.rms > 0.0 && m.peak > 0.0) {
        return Some(Levels { rms: m.rms, peak: m.peak, channel: m.peak_channel });
    }
    let products = round.products.as_ref()?;
    let plane = Plane::read(&folder.join(&products.image), 0).ok()?;
    Some(measure(&plane.pixels))
}

/// Levels of a plane.
pub(super) fn measure(pixels: &Array2<f32>) -> Levels {
    let flat = pixels.as_slice().expect("read in standard layout");
    let (rms, peak) = statistics_where(flat, |v| v != 0.0)
        .map_or((0.0, 0.0), |(stats, range)| (stats.sigma(), range.greatest.max(0.0)));
    Levels { rms, peak: f64::from(peak), channel: 0 }
}
