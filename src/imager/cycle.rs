//! Values that pass between an imager and the loop over its cycles.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The files of one residual, after a major cycle.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Residual {
    /// Residual image or cube, Jy/beam.
    pub residual: PathBuf,
    /// Where the imager's own pixel mask limits the plane (primary-beam limit): non-zero is valid.
    pub pixel_mask: Option<PathBuf>,
    /// Primary beam, if there is one.
    pub pb: Option<PathBuf>,
    /// Point-spread function.
    pub psf: PathBuf,
    /// Model that was subtracted, Jy/pixel; `None` before the first cycle.
    pub model: Option<PathBuf>,
}

/// Limits at which cleaning stops, from the imager's own options.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct StopLimits {
    /// Peak inside the mask, Jy/beam (wsclean's and tclean's `threshold`).
    pub threshold_jy: Option<f64>,
    /// The same as a multiple of the residual's robust noise (wsclean's `auto_threshold`, tclean's `nsigma`).
    pub nsigma: Option<f64>,
    /// Minor iterations over all cycles (`niter`).
    pub iterations: u64,
    /// Major cycles (wsclean's `nmiter`, tclean's `nmajor`).
    pub major_cycles: usize,
    /// Each channel of a cube is cleaned by itself (wsclean's, unless they are joined).
    pub independent_channels: bool,
}

/// Limits of one minor cycle.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MinorControls {
    /// Minor iterations that are left, over all cycles.
    pub iterations_left: u64,
    /// Threshold of the whole run, Jy/beam, at the noise of the residual that the call begins with.
    pub threshold_jy: f64,
    /// The threshold is a multiple of the noise: an imager that measures the noise before each of its major iterations
    /// follows it as it falls.
    #[serde(default)]
    pub follows_noise: Option<NoiseThreshold>,
    /// Most major iterations of this call (1: a fresh mask for each).
    pub major_iterations: usize,
    /// This is the last call: write the model to the data.
    pub last: bool,
    /// Limits of the channels of a cube, in the order of its planes; empty: all channels have the limits above.
    /// An imager that controls its channels itself (CASA) may ignore them.
    #[serde(default)]
    pub channels: Vec<ChannelControls>,
}

/// A threshold that is a multiple of the noise.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct NoiseThreshold {
    /// The multiple.
    pub nsigma: f64,
    /// The least threshold, Jy/beam; `None`: there is no other.
    pub least_jy: Option<f64>,
}

/// Limits of one minor cycle of one channel of a cube.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ChannelControls {
    /// The channel is still to be cleaned; converged channels are left alone.
    pub active: bool,
    /// Minor iterations that are left, over all cycles.
    pub iterations_left: u64,
    /// Threshold of the whole run, Jy/beam.
    pub threshold_jy: f64,
    /// Most major iterations of this call.
    pub major_iterations: usize,
}

/// A channel of a cube that is reverted to an earlier state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelRevert {
    /// Its plane, 0 first.
    pub channel: usize,
    /// The state after this cycle (1 is the first; 0: before any).
    pub cycle: usize,
}

/// Outcome of one minor cycle.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MinorCycle {
    /// Minor iterations done in this call.
    pub iterations: u64,
    /// Major iterations done in this call.
    pub major_iterations: usize,
    /// Level down to which this cycle cleaned, Jy/beam, as far as the imager reports it.
    pub cycle_threshold_jy: Option<f64>,
    /// The cycle's own threshold was the user's: the flag that auto-multithresh's skip rule needs.
    pub threshold_reached: bool,
    /// The imager's reason for stopping, if it will not go on by itself.
    pub stopped: Option<StopReason>,
    /// The channels of a cube by themselves, in the order of its planes; empty where there is but one plane.
    #[serde(default)]
    pub channels: Vec<ChannelCycle>,
}

/// A first cycle that began with its mask.
#[derive(Debug, Clone, PartialEq)]
pub struct BegunCycle {
    /// The residual before it: the dirty image.
    pub dirty: Residual,
    /// Its outcome.
    pub minor: MinorCycle,
}

/// Outcome of one minor cycle in one channel of a cube; see [`MinorCycle`].
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ChannelCycle {
    /// Minor iterations done in this call.
    pub iterations: u64,
    /// Major iterations done in this call, where the imager makes them channel by channel.
    #[serde(default)]
    pub major_iterations: usize,
    /// Level down to which this cycle cleaned, Jy/beam, as far as the imager reports it.
    pub cycle_threshold_jy: Option<f64>,
    /// The cycle's own threshold was the user's.
    pub threshold_reached: bool,
    /// Why the channel has converged, if it has.
    pub stopped: Option<StopReason>,
}

/// Why cleaning ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum StopReason {
    /// The peak inside the mask is at or below the user's threshold.
    Threshold,
    /// The peak inside the mask is at or below n sigma of the residual's robust noise.
    NSigma,
    /// The iteration limit.
    Iterations,
    /// The limit of major cycles.
    MajorCycles,
    /// A cycle added no flux.
    NoNewFlux,
    /// There is nothing to clean: the mask is empty.
    EmptyMask,
    /// Peak or rms rose beyond the limit; the last good cycle was taken.
    Diverged,
    /// The imager's own words.
    Other(String),
}
