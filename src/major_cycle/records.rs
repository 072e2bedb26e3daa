//! Records of major cycles, for the report and for other tools.

use crate::imager::StopReason;
use crate::quality::confetti::ConfettiVerdict;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// One major cycle of a round.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct CycleRecord {
    /// Cycle, 0 first (the dirty image).
    pub cycle: usize,
    /// The residual that the cycle's mask was made from.
    pub residual: Option<PathBuf>,
    /// The mask handed to the minor cycle.
    pub mask: Option<PathBuf>,
    /// Brightest residual pixel, Jy/beam.
    pub peak: Option<f64>,
    /// Brightest residual pixel inside the mask, Jy/beam.
    pub peak_in_mask: Option<f64>,
    /// Robust noise of the residual, Jy/beam.
    pub rms: Option<f64>,
    /// Level down to which the cycle cleaned, Jy/beam.
    pub threshold: Option<f64>,
    /// Masked pixels, over all channels.
    pub masked_pixels: Option<u64>,
    /// Pixels that the cycle before did not mask.
    pub added: Option<u64>,
    /// Pixels that only the cycle before masked.
    pub removed: Option<u64>,
    /// Why the mask is as it is, where its levels were chosen from the residual.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub mask_why: String,
    /// Flux of the model after the cycle, Jy.
    pub model_flux: Option<f64>,
    /// Minor iterations of the cycle.
    pub iterations: Option<u64>,
    /// How it ended, for the last one.
    pub stopped: Option<StopReason>,
    /// Wall time, seconds.
    pub seconds: Option<f64>,
    /// By channel; empty for continuum.
    pub channels: Vec<ChannelRecord>,
    /// Confetti that was found in the model before this cycle (cubes).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub confetti: Vec<ConfettiRecord>,
}

/// One channel in one major cycle.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ChannelRecord {
    /// Brightest residual pixel, Jy/beam.
    pub peak: Option<f64>,
    /// The same inside the mask.
    pub peak_in_mask: Option<f64>,
    /// Robust noise of the residual, Jy/beam.
    pub rms: Option<f64>,
    /// Level of the mask or of cleaning, Jy/beam.
    pub threshold: Option<f64>,
    /// Masked pixels.
    pub masked_pixels: Option<u64>,
    /// Flux of the model after the cycle, Jy.
    pub model_flux: Option<f64>,
    /// Minor iterations of the cycle.
    pub iterations: Option<u64>,
    /// Why the channel is not cleaned any more; `None`: it still is.
    pub stopped: Option<StopReason>,
}

/// A model pixel that was judged.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ConfettiRecord {
    /// Zero-based `[x, y]`.
    pub pixel: [usize; 2],
    /// Zero-based channel.
    pub channel: usize,
    /// Major cycle in which it was found.
    pub cycle: Option<usize>,
    /// The judgement.
    pub verdict: ConfettiVerdict,
    /// Score, higher is worse.
    pub score: f64,
    /// Model brightness, Jy/pixel.
    pub flux: f64,
    /// The channel's model against its neighbours'.
    pub isolation: Option<f64>,
    /// Negative model around it, as a fraction.
    pub pedestal: Option<f64>,
    /// Support by the data, in units of the residual's noise.
    pub support: Option<f64>,
    /// Model spectrum through the pixel, Jy/pixel, and the channel of its first entry.
    pub spectrum: Vec<Option<f64>>,
    /// Zero-based channel of the spectrum's first entry.
    pub spectrum_first: usize,
    /// The action taken.
    pub action: String,
    /// Picture of the channels around it (SVG).
    pub picture: Option<PathBuf>,
}
