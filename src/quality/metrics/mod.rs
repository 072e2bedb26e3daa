//! The metrics of a round, from its images alone.
//!
//! Images are ranked by the dynamic range, the peak over the standard deviation of the residual outside the clean mask: on
//! simulated fields that follows the true error of the image (docs/acceptance.md). S/N and near-field S/N are those of
//! NRAO's auto_selfcal (functions `estimate_SNR` and `estimate_near_field_SNR`): the peak over 1.4826 times the median
//! absolute deviation of the same pixels, which does not feel the artefacts around bright sources, and over that of the
//! pixels around the peak, where calibration errors show.

mod change;
mod cube;
mod files;
mod model;
mod noise;
mod plane;
mod resolved;
#[cfg(test)]
mod tests;

pub use cube::of_channels;
pub use files::{RoundFiles, of_files};
pub use model::of_model;
pub use plane::{BeamOnPixels, NEAR_FIELD_INNER_BEAMS, NEAR_FIELD_OUTER_BEAMS, PlaneArrays, of_plane};

use crate::image::Beam;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Metrics of a round from its images. All numbers are finite, so they survive JSON.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ImageMetrics {
    /// Safe standard deviation of the residual (or image) outside the mask, Jy/beam: the variance of each block of 3 beams
    /// counts up to 3 times the median of the blocks around it, so that artefacts around bright sources count and single
    /// bad pixels, stripes and edges do not. 0 when there is no such pixel.
    pub noise: f64,
    /// Robust noise, Jy/beam: 1.4826 MAD of the same pixels.
    pub rms: f64,
    /// Standard deviation of the same pixels, Jy/beam.
    pub standard_deviation: f64,
    /// Brightest pixel of the image, Jy/beam.
    pub peak: f64,
    /// Zero-based `[x, y]` of the peak.
    pub peak_pixel: [usize; 2],
    /// Channel of the peak (0 in an image of one plane).
    pub peak_channel: usize,
    /// Peak over noise, by which rounds are ranked; 0 when either is not positive.
    pub dynamic_range: f64,
    /// Peak over rms: the S/N of auto_selfcal; 0 when either is not positive.
    pub snr: f64,
    /// Most negative pixel of the image, Jy/beam (0 when none is negative).
    pub minimum: f64,
    /// Zero-based `[x, y]` of the most negative pixel.
    pub minimum_pixel: [usize; 2],
    /// |minimum| / peak; 0 when the peak is not positive.
    pub negative_ratio: f64,
    /// Robust noise in an annulus around the peak, outside the mask, Jy/beam; `None` when too few pixels are left.
    pub near_field_rms: Option<f64>,
    /// Peak over the near-field rms.
    pub near_field_snr: Option<f64>,
    /// Standard deviation of the image minus an earlier one, scaled to fit, over the noise; of a cube the largest of its
    /// channels. `None` without an earlier image of the same shape.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub change: Option<f64>,
    /// Part of the flux in masked islands that is in resolved ones, whose flux is above 5 times their peak; `None` without
    /// mask or beam, and for a cube.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resolved_fraction: Option<f64>,
    /// The restoring beam of the header.
    pub beam: Option<Beam>,
    /// Solid angle of the beam, pi BMAJ BMIN / (4 ln 2), square arcseconds.
    pub beam_area_arcsec2: Option<f64>,
    /// Pixels that hold data (finite).
    pub valid_pixels: u64,
    /// Pixels of the clean mask; `None` without a mask.
    pub masked_pixels: Option<u64>,
    /// Masked pixels over valid pixels.
    pub masked_fraction: Option<f64>,
    /// Of the model; `None` without one.
    pub model: Option<ModelMetrics>,
    /// An image without any finite pixel, an infinite pixel anywhere, or a NaN in the model.
    pub non_finite: bool,
    /// Metrics of every channel; empty for an image of one plane.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub channels: Vec<ImageMetrics>,
}

/// Metrics of a CLEAN model.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ModelMetrics {
    /// Sum of the model, Jy.
    pub total_flux: f64,
    /// Sum of |model|, Jy.
    pub absolute_flux: f64,
    /// Sum inside the islands of earlier rounds, Jy; `None` when none were given.
    pub inside_flux: Option<f64>,
    /// Sum of |model| outside them, Jy: negative and positive errors do not hide one another.
    pub outside_flux: Option<f64>,
    /// Pixels that are not 0.
    pub components: u64,
    /// Flux of negative components over the sum of |model|.
    pub negative_fraction: f64,
    /// Largest model pixel, Jy.
    pub peak: f64,
}

impl ImageMetrics {
    /// True when a model was given and holds nothing.
    pub fn model_is_empty(&self) -> bool {
        self.model.is_some_and(|m| m.components == 0)
    }

    /// Sets the ratios from peak, minimum and noise.
    pub(super) fn with_ratios(mut self) -> Self {
        let peak = self.peak;
        let over = |noise: f64| if peak > 0.0 && noise > 0.0 { peak / noise } else { 0.0 };
        self.near_field_snr = self.near_field_rms.map(over);
        self.dynamic_range = over(self.noise);
        self.snr = over(self.rms);
        self.negative_ratio = if self.peak > 0.0 { -self.minimum / self.peak } else { 0.0 };
        self.masked_fraction = self.masked_pixels.map(|n| n as f64 / self.valid_pixels.max(1) as f64);
        self
    }
}
