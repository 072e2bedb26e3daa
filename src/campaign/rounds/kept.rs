//! Results of attempts that a run keeps, and the active calibration.

use crate::calibrator::SolutionTable;
use crate::campaign::journal::StepKey;
use crate::campaign::layout::AttemptId;
use crate::campaign::record::MaskRecord;
use crate::campaign::steps::{AttemptPlan, CalibrationStep, Imaged};
use std::path::PathBuf;

/// An attempt that imaged, beyond its record.
#[derive(Debug, Clone)]
pub(super) struct Attempted {
    pub(super) plan: AttemptPlan,
    pub(super) active: ActiveCalibration,
    pub(super) image_key: StepKey,
    pub(super) imaged: Imaged,
    /// The mask that the imaging began with.
    pub(super) given_mask: Option<PathBuf>,
    /// The mask that it was last cleaned with.
    pub(super) mask: Option<MaskRecord>,
    /// The key of that mask; `None` where it was made between cycles: the image's key stands for it.
    pub(super) mask_key: Option<StepKey>,
}

/// The calibration that an image is made with.
#[derive(Debug, Clone)]
pub(super) struct ActiveCalibration {
    /// The column to be imaged.
    pub(super) column: &'static str,
    /// The calibration that `CORRECTED_DATA` must hold; `None`: `DATA` is imaged.
    pub(super) applied: Option<Applied>,
}

/// Tables, and the attempt with whose options they are applied.
#[derive(Debug, Clone)]
pub(super) struct Applied {
    /// Of all measurement sets together.
    pub(super) key: StepKey,
    pub(super) attempt: AttemptId,
    /// By measurement set.
    pub(super) members: Vec<AppliedTables>,
}

/// Tables of one measurement set.
#[derive(Debug, Clone)]
pub(super) struct AppliedTables {
    pub(super) key: StepKey,
    /// The options that they were solved with.
    pub(super) step: CalibrationStep,
    /// None: its data stay as they are.
    pub(super) tables: Vec<SolutionTable>,
}

impl Applied {
    pub(super) fn new(attempt: AttemptId, members: Vec<AppliedTables>) -> Self {
        let key = match members.as_slice() {
            [only] => only.key.clone(),
            several => StepKey::of(&("together", several.iter().map(|member| &member.key).collect::<Vec<_>>())),
        };
        Self { key, attempt, members }
    }
}

impl ActiveCalibration {
    pub(super) fn key(&self) -> Option<&StepKey> {
        self.applied.as_ref().map(|a| &a.key)
    }

    /// The tables of all measurement sets, one after the other.
    pub(super) fn all_tables(&self) -> Vec<SolutionTable> {
        let members = self.applied.iter().flat_map(|applied| &applied.members);
        members.flat_map(|member| member.tables.clone()).collect()
    }

    /// What is applied to one measurement set.
    pub(super) fn member(&self, member: usize) -> Option<&AppliedTables> {
        self.applied.as_ref()?.members.get(member)
    }

    /// The tables of one measurement set.
    pub(super) fn tables(&self, member: usize) -> &[SolutionTable] {
        self.member(member).map_or(&[], |member| &member.tables)
    }
}
