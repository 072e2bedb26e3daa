//! When the loop over major cycles ends: the options that people give.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Stop rules of the major cycles (cadence `cycle`). Limits that are not given come from the imager's options: minor
/// iterations (`niter`), major cycles (`nmiter`) and the threshold (`threshold`, `auto_threshold`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StopOptions {
    /// Stop when the peak inside the mask is at or below this threshold, Jy/beam.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub threshold_jy: Option<f64>,
    /// Stop when the peak inside the mask is at or below this many times the residual's robust noise.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub nsigma: Option<f64>,
    /// Most minor iterations, over all cycles of a round.
    pub iterations: Option<u64>,
    /// Most major cycles of a round.
    #[schemars(range(min = 1))]
    pub major_cycles: Option<usize>,
    /// Stop when a cycle adds less than this fraction of the model's flux.
    #[schemars(range(min = 0.0))]
    pub least_new_flux: f64,
    /// Cleaning has diverged when the residual's peak exceeds the lowest one so far by more than this factor: the last
    /// good cycle is taken.
    #[schemars(extend("exclusiveMinimum" = 1))]
    pub peak_growth: f64,
    /// Cleaning has diverged when the residual's noise exceeds the lowest one so far by more than this factor.
    #[schemars(extend("exclusiveMinimum" = 1))]
    pub rms_growth: f64,
}

/// A cycle that adds a ten-thousandth of the flux is at the noise of the sum.
const DEFAULT_LEAST_NEW_FLUX: f64 = 1e-4;
/// A peak may rise a little while sidelobes are taken away; half as much again is divergence.
const DEFAULT_PEAK_GROWTH: f64 = 1.5;
/// The robust noise hardly ever rises in a clean that converges.
const DEFAULT_RMS_GROWTH: f64 = 1.2;

impl Default for StopOptions {
    fn default() -> Self {
        Self {
            threshold_jy: None,
            nsigma: None,
            iterations: None,
            major_cycles: None,
            least_new_flux: DEFAULT_LEAST_NEW_FLUX,
            peak_growth: DEFAULT_PEAK_GROWTH,
            rms_growth: DEFAULT_RMS_GROWTH,
        }
    }
}
