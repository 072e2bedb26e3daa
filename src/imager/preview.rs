//! An imaging before it runs: abilities of the imager, and its calls.

use super::NoiseThreshold;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Abilities of an imager; `cleanloop plan` shows them, so that nothing comes as a surprise at run time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capabilities {
    /// Program and version, e.g. `wsclean 3.1.0`.
    pub program: String,
    /// It can be given a fresh mask before each minor cycle.
    pub mask_per_cycle: bool,
    /// A mask cube is used channel by channel (wsclean 3.1 uses its first plane for all channels).
    pub mask_cube_per_channel: bool,
    /// It reads a bit mask with one bit per scale (`-multiscale-fits-mask`).
    pub multiscale_bit_masks: bool,
    /// It makes a primary beam for this telescope, or why it does not.
    pub primary_beam: std::result::Result<(), String>,
}

impl Capabilities {
    /// Subject and words of each ability, for people who plan a run.
    pub fn words(&self) -> Vec<(&'static str, String)> {
        let cycles = if self.mask_per_cycle {
            "it takes a fresh mask before each"
        } else {
            "it images in one call, with one mask: `mask: {cadence: cycle}` is refused"
        };
        let cubes = if self.mask_cube_per_channel {
            "a mask for each channel"
        } else {
            "one mask for all channels: of a mask cube only the first plane counts"
        };
        let scales = if self.multiscale_bit_masks {
            "a mask for each scale, from the bits of the mask"
        } else {
            "one mask for all scales: of a mask with a bit for each scale any bit counts"
        };
        let beam = match &self.primary_beam {
            Ok(()) => "there is one: image.pbcor.fits is the image divided by it",
            Err(why) => why,
        };
        [("major cycles", cycles), ("cubes", cubes), ("scales", scales), ("primary beam", beam)]
            .map(|(subject, words)| (subject, words.to_owned()))
            .into()
    }
}

/// Masks of an imaging, as far as they are known before it runs.
#[derive(Debug, Clone, PartialEq)]
pub enum PlannedMasks {
    /// None: everything may be cleaned.
    None,
    /// One mask for the whole imaging.
    Fixed(PathBuf),
    /// A fresh mask before major cycles.
    PerCycle(PlannedCycles),
}

/// Limits and masks of an imaging with a fresh mask before major cycles.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedCycles {
    /// Folder of the masks `cycle-000.fits`, `cycle-001.fits`...
    pub masks: PathBuf,
    /// Limit of minor iterations.
    pub iterations: u64,
    /// Limit of major cycles.
    pub major_cycles: usize,
    /// A fresh mask before every n-th.
    pub every: usize,
    /// Threshold, Jy/beam; `None`: it follows from the residual's noise before each call.
    pub threshold_jy: Option<f64>,
    /// The threshold is a multiple of the noise.
    pub follows_noise: Option<NoiseThreshold>,
    /// The first mask is there before any residual.
    pub begins_inside: bool,
}

/// An imaging as `plan` shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct ImagerPreview {
    /// Abilities of the imager.
    pub capabilities: Capabilities,
    /// Its calls, in order; empty where it cannot image with these masks.
    pub calls: Vec<PlannedCall>,
    /// Remarks about all calls.
    pub notes: Vec<String>,
}

/// A call of the imager, as `plan` shows it. Words in capital letters stand for what only a run knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedCall {
    /// Its purpose, and when it is made.
    pub what: String,
    /// Its words.
    pub words: Vec<String>,
}
