//! Stop limits that the imagers' own options hold.

use super::ImagingPlan;
use crate::major_cycle::ImagerLimits;

/// The stop limits of the imager's own options.
pub(crate) fn limits_of(imaging: &ImagingPlan) -> ImagerLimits {
    match imaging {
        ImagingPlan::Wsclean(o) => ImagerLimits {
            threshold_jy: o.threshold,
            nsigma: o.auto_threshold,
            iterations: o.niter,
            major_cycles: usize::try_from(o.nmiter).unwrap_or(usize::MAX),
            independent_channels: o.channels_out > 1 && !o.join_channels,
        },
        ImagingPlan::Tclean(o) => ImagerLimits {
            threshold_jy: o.threshold_jy().filter(|t| *t > 0.0),
            nsigma: Some(o.nsigma).filter(|n| *n > 0.0),
            iterations: o.niter,
            major_cycles: usize::try_from(o.nmajor).unwrap_or(usize::MAX),
            independent_channels: false,
        },
        ImagingPlan::Command(_) => ImagerLimits {
            threshold_jy: None,
            nsigma: None,
            iterations: u64::MAX,
            major_cycles: usize::MAX,
            independent_channels: false,
        },
    }
}
