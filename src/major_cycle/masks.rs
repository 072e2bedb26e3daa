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
    /// Its planes one by one; empty: their maker does not count them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub channels: Vec<PlaneMask>,
}

impl CycleMask {
    /// All of its planes as one.
    pub(super) fn as_one_plane(&self) -> PlaneMask {
        let Self { pixels, added, removed, hidden, .. } = *self;
        PlaneMask { pixels, added, removed, hidden, kept: false }
    }
}

/// A mask that is known before there is a residual.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FirstMask {
    /// The mask.
    pub mask: CycleMask,
    /// Pixels that only it or only the mask that the last imaging ended with has; `None`: there was none.
    pub changed: Option<u64>,
}

/// One plane of the mask of a cycle.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlaneMask {
    /// Masked pixels.
    pub pixels: u64,
    /// Pixels that the cycle before did not mask.
    pub added: u64,
    /// Pixels that only the cycle before masked.
    pub removed: u64,
    /// Whether sidelobes of what was not cleaned yet may have hidden more.
    pub hidden: bool,
    /// It is the plane of the cycle before, and was not made again.
    pub kept: bool,
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
    /// The channels of a cube that are cleaned each by itself; empty: none are, or this is the first mask.
    pub channels: &'a [ChannelMoment],
}

/// The state of one channel when a mask is made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ChannelMoment {
    /// It is not cleaned any more.
    pub stopped: bool,
    /// Its plane of the mask stays as it is.
    pub keep: bool,
    /// Minor iterations done so far.
    pub iterations: u64,
    /// Its last minor cycle came down to the user's threshold.
    pub threshold_reached: bool,
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

    /// The mask of the first cycle, if it is known before there is a residual.
    ///
    /// # Errors
    /// Files that cannot be read or written.
    fn first(&mut self) -> Result<Option<FirstMask>> {
        Ok(None)
    }

    /// Takes notice of the residual before the first cycle, which began with [`CycleMasks::first`]; returns the copy of it that
    /// outlives the imager's files.
    ///
    /// # Errors
    /// Files that cannot be written.
    fn begun(&mut self, dirty: &Residual) -> Result<Option<PathBuf>> {
        let _ = dirty;
        Ok(None)
    }

    /// Makes the mask for the next minor cycle from the residual just made.
    ///
    /// # Errors
    /// A residual that cannot be used.
    fn make(&mut self, residual: &Residual, moment: &MaskMoment<'_>) -> Result<CycleMask>;

    /// Gives these channels of a mask that was just made the planes of the mask before: they have come to their end, and
    /// are cleaned no more.
    ///
    /// # Errors
    /// Files that cannot be read or written.
    fn take_back(&mut self, mask: &CycleMask, before: &CycleMask, channels: &[usize]) -> Result<()> {
        let _ = (mask, before, channels);
        Ok(())
    }
}
