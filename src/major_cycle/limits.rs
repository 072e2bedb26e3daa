//! The limits of the loop, with everything resolved.

use super::StopOptions;
use crate::imager::{NoiseThreshold, StopLimits, StopReason};
use crate::quality::residual::PlaneResidual;
use serde::{Deserialize, Serialize};

/// Limits at which the loop ends, with everything resolved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StopRules {
    /// Those of the cleaning itself. Of independent channels of a cube each has all the iterations, and one that finds
    /// nothing to do is stopped.
    pub limits: StopLimits,
    /// A fresh mask before every n-th major iteration.
    pub every: usize,
    /// A mask that changes by less than this fraction of its pixels is kept for the rest, which runs in one call; in
    /// more, if the noise that the threshold is a multiple of has fallen meanwhile.
    pub freeze_change: f64,
    /// A cycle must change the model's flux, and lower the peak inside the same mask, by this fraction.
    pub least_new_flux: f64,
    /// Divergence: the peak over the lowest so far.
    pub peak_growth: f64,
    /// Divergence: the noise over the lowest so far.
    pub rms_growth: f64,
    /// An empty first mask is no error: nothing is cleaned then.
    pub may_clean_nothing: bool,
}

impl StopRules {
    /// The user's rules, with the imager's own limits where the user gives none.
    pub fn new(stop: &StopOptions, imager: &StopLimits, every: usize, freeze_change: f64) -> Self {
        Self {
            limits: StopLimits {
                threshold_jy: stop.threshold_jy.or(imager.threshold_jy),
                nsigma: stop.nsigma.or(imager.nsigma),
                iterations: stop.iterations.unwrap_or(imager.iterations),
                major_cycles: stop.major_cycles.unwrap_or(imager.major_cycles).max(1),
                independent_channels: imager.independent_channels,
            },
            every: every.max(1),
            freeze_change,
            least_new_flux: stop.least_new_flux,
            peak_growth: stop.peak_growth,
            rms_growth: stop.rms_growth,
            may_clean_nothing: false,
        }
    }

    /// Planes are judged one by one: those of a cube, or the only channel of a group of a cube's.
    pub(super) fn by_channel(&self, planes: usize) -> bool {
        planes > 1 || self.limits.independent_channels
    }

    /// Threshold down to which a plane with this noise is cleaned, Jy/beam.
    pub(super) fn threshold(&self, rms: f64) -> f64 {
        self.limits.threshold_jy.unwrap_or(0.0).max(self.limits.nsigma.unwrap_or(0.0) * rms)
    }

    /// The threshold as a multiple of the noise, where it is one.
    pub(crate) fn noise_threshold(&self) -> Option<NoiseThreshold> {
        let least_jy = self.limits.threshold_jy.filter(|jy| *jy > 0.0);
        self.limits.nsigma.filter(|n| *n > 0.0).map(|nsigma| NoiseThreshold { nsigma, least_jy })
    }

    /// Why nothing is left to clean in this plane, if that is so.
    pub(super) fn nothing_left(&self, plane: &PlaneResidual) -> Option<StopReason> {
        if plane.masked_pixels == 0 {
            return Some(StopReason::EmptyMask);
        }
        (plane.peak_in_mask <= self.threshold(plane.rms)).then(|| self.threshold_kind(plane))
    }

    /// The threshold that counts in this plane: the absolute one, or that by its noise.
    pub(super) fn threshold_kind(&self, plane: &PlaneResidual) -> StopReason {
        let by_threshold = self.limits.threshold_jy.is_some_and(|t| t >= self.limits.nsigma.unwrap_or(0.0) * plane.rms);
        if by_threshold { StopReason::Threshold } else { StopReason::NSigma }
    }
}
