//! Inputs and summary of one call.

use super::PlaneSummary;
use crate::image::Beam;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Files and facts of one major cycle.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CycleInputs {
    /// The residual just made: an image or cube.
    pub residual: PathBuf,
    /// The PSF, for its sidelobe level (first call only) and, if the residual has none, the beam.
    pub psf: Option<PathBuf>,
    /// The PSF's sidelobe level, if known.
    pub sidelobe_level: Option<f32>,
    /// Primary beam, used with `pbmask` above 0.
    pub pb: Option<PathBuf>,
    /// Valid pixels: those that are neither 0 nor NaN.
    pub pixelmask: Option<PathBuf>,
    /// Mask before the first call (later calls ignore it): pixels that are neither 0 nor NaN.
    pub initial_mask: Option<PathBuf>,
    /// Common restoring beam, instead of the residual's.
    pub beam: Option<Beam>,
    /// The minor cycle before this call reached the user's cleaning threshold.
    pub threshold_reached: bool,
    /// Minor-cycle iterations so far; only whether it is 0 matters. Unless given: 0 at the first call, then counted on.
    pub iterdone: Option<u64>,
    /// Number of this call, counted from 0, if the caller keeps count. The state's last call is then not done twice:
    /// its mask is written again and its summary returned.
    pub cycle: Option<usize>,
    /// For channels that are cleaned each by itself: what is known of each. Its beam and its PSF's sidelobe level are its own
    /// then, so that its mask does not depend on the others. Empty: the cube is masked as a whole, as in tclean.
    pub channels: Vec<ChannelFacts>,
}

/// What is known of one channel that is cleaned by itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ChannelFacts {
    /// Minor-cycle iterations so far.
    pub iterdone: u64,
    /// Its minor cycle before this call reached the user's cleaning threshold.
    pub threshold_reached: bool,
    /// It is left as it is by this call.
    pub keep: bool,
}

/// The result of one call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CycleSummary {
    /// Number of the call, counted from 0.
    pub cycle: usize,
    /// `iterdone` as used.
    pub iterdone: u64,
    /// As given.
    pub threshold_reached: bool,
    /// PSF sidelobe level.
    pub sidelobe_level: f32,
    /// Common beam: major axis, minor axis (arcsec), position angle (degrees).
    pub beam_arcsec: [f64; 3],
    /// Area of the beam in pixels.
    pub beam_pixels: f64,
    /// Regions with fewer pixels than this were pruned.
    pub prune_pixels: f64,
    /// The polarisation, counted from 0, that the mask was made from; all others have the same mask.
    pub polarisation: usize,
    /// Masked pixels, over all channels of that polarisation.
    pub mask_pixels: usize,
    /// Channel by channel.
    pub planes: Vec<PlaneSummary>,
    /// Warnings for the user.
    pub warnings: Vec<String>,
}
