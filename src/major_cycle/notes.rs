//! The notes that an interrupted imaging goes on from: `cycles.json`, one entry per finished cycle.

use super::{ChannelMoment, ConfettiRecord, CycleMask, CycleRecord, MaskMoment};
use crate::imager::{ChannelRevert, MinorCycle};
use crate::util::fs;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Name of the file of finished cycles in the job's folder.
const FILE: &str = "cycles.json";

/// One finished cycle.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Finished {
    pub record: CycleRecord,
    pub mask: CycleMask,
    /// The mask is that of the cycle before.
    pub same_mask: bool,
    pub minor: MinorCycle,
    /// Channels that diverged in this cycle and were reverted.
    pub reverted: Option<Reverted>,
    /// Confetti that was found in the model after this cycle. It is written down before the model is repaired: in the
    /// repaired one it is not found again.
    pub vetoed: Vec<ConfettiRecord>,
}

/// Channels that were reverted to their best cycles, and the look at the residual that showed it. It is written down
/// before it is done: a run that is cut off meanwhile must not take the better residual for the one it had looked at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Reverted {
    pub channels: Vec<ChannelRevert>,
    pub record: CycleRecord,
    pub mask: CycleMask,
    pub same_mask: bool,
}

/// All finished cycles of one imaging, oldest first, and the file that keeps them.
pub(super) struct Notes {
    path: PathBuf,
    pub finished: Vec<Finished>,
    /// A cycle diverged and was taken back: those after it clean in small steps.
    pub careful: bool,
}

/// The content of the file.
#[derive(Default, Serialize, Deserialize)]
struct Content<F> {
    finished: F,
    careful: bool,
}

impl Notes {
    /// Reads the notes of an earlier run in `folder`, as far as the imager has the cycles (`completed`).
    pub(super) fn open(folder: &Path, completed: usize) -> Result<Self> {
        let path = folder.join(FILE);
        let Content::<Vec<Finished>> { mut finished, careful } = match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(Error::internal)?,
            Err(_) => Content::default(),
        };
        finished.truncate(completed);
        Ok(Self { path, finished, careful })
    }

    /// Writes the notes down.
    pub(super) fn save(&self) -> Result<()> {
        let content = Content { finished: &self.finished, careful: self.careful };
        let json = serde_json::to_vec(&content).expect("cycles are plain data");
        Ok(fs::write_atomically(&self.path, &json)?)
    }

    /// Removes the file: the imaging is complete.
    pub(super) fn remove(&self) -> Result<()> {
        Ok(fs::remove(&self.path)?)
    }

    /// Number of the cycle that comes next, 0 first.
    pub(super) fn next_cycle(&self) -> usize {
        self.finished.len()
    }

    /// The records of the finished cycles.
    pub(super) fn records(&self) -> Vec<CycleRecord> {
        self.finished.iter().map(|f| f.record.clone()).collect()
    }

    /// The state of the loop after the finished cycles.
    pub(super) fn moment<'a>(&'a self, channels: &'a [ChannelMoment]) -> MaskMoment<'a> {
        MaskMoment {
            cycle: self.next_cycle(),
            masks: self.finished.iter().filter(|f| !f.same_mask).count(),
            iterations: iterations(&self.finished),
            last: self.finished.last().map(|f| &f.minor),
            previous: self.finished.last().map(|f| &f.mask),
            channels,
        }
    }
}

/// Minor iterations of these cycles, over all channels.
pub(super) fn iterations(finished: &[Finished]) -> u64 {
    finished.iter().map(|f| f.minor.iterations).sum()
}

/// The number of cycles after which the residual was the lowest: the peak before cycle n is the state after n calls.
pub(super) fn best_cycle(peaks: impl Iterator<Item = Option<f64>>) -> usize {
    let lowest = peaks.map(|p| p.unwrap_or(f64::INFINITY)).enumerate().min_by(|a, b| a.1.total_cmp(&b.1));
    lowest.map_or(0, |(cycle, _)| cycle)
}
