//! Where the loop gets its masks from.

use super::ConfettiRecord;
use crate::Result;
use crate::imager::{MinorCycle, Residual};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The mask of one cycle.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CycleMask {
    /// The file.
    pub path: PathBuf,
    /// Masked pixels over all channels.
    pub pixels: u64,
    /// Pixels that the cycle before did not mask.
    pub added: u64,
    /// Pixels that only the cycle before masked.
    pub removed: u64,
    /// A copy of the residual that outlives the imager's own files, for the report.
    #[serde(default)]
    pub kept_residual: Option<PathBuf>,
    /// Whether sidelobes of what was not cleaned yet may have hidden more: then an unchanged mask says nothing.
    #[serde(default)]
    pub hidden: bool,
    /// Why it is as it is, where its levels were chosen from the residual.
    #[serde(default)]
    pub why: String,
}

/// The state of the loop when a mask is made.
#[derive(Debug, Clone, Copy)]
pub struct MaskMoment<'a> {
    /// Number of the cycle, 0 first.
    pub cycle: usize,
    /// Number of masks made before: fewer than cycles, where some were used again.
    pub masks: usize,
    /// Minor iterations done so far, over all channels.
    pub iterations: u64,
    /// The minor cycle before; `None` at first.
    pub last: Option<&'a MinorCycle>,
    /// The mask before; `None` at first.
    pub previous: Option<&'a CycleMask>,
}

/// Pixels of the model that are not on the sky, and the model without them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CycleVeto {
    /// The pixels.
    pub found: Vec<ConfettiRecord>,
    /// The repaired model cube.
    pub model: PathBuf,
}

/// Makes the masks. The same moment must give the same mask again: a run that was killed asks twice.
pub trait CycleMasks {
    /// Looks for confetti in the model of the cycles so far; masks made from now on leave it out. A repaired model is
    /// free of what was found: asked again, there is nothing.
    ///
    /// # Errors
    /// Cubes that cannot be read, files that cannot be written.
    fn veto(&mut self, residual: &Residual, moment: &MaskMoment<'_>) -> Result<Option<CycleVeto>> {
        let _ = (residual, moment);
        Ok(None)
    }

    /// Makes the mask for the next minor cycle from the residual just made.
    ///
    /// # Errors
    /// A residual that cannot be used.
    fn make(&mut self, residual: &Residual, moment: &MaskMoment<'_>) -> Result<CycleMask>;
}
