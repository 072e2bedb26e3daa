//! Results of attempts that a run keeps, and the active calibration.

use crate::calibrator::SolutionTable;
use crate::calibrator::facets::FacetSolution;
use crate::campaign::journal::StepKey;
use crate::campaign::layout::AttemptId;
use crate::campaign::record::MaskRecord;
use crate::campaign::steps::{AttemptPlan, CalibrationStep, FacetInputs, GivenMask, Imaged, ImagedData, Prepared};
use std::path::PathBuf;

/// An attempt that imaged, beyond its record.
#[derive(Debug, Clone)]
pub(super) struct Attempted {
    pub(super) plan: AttemptPlan,
    pub(super) active: ActiveCalibration,
    pub(super) image_key: StepKey,
    pub(super) imaged: Imaged,
    /// The mask that the imaging began with.
    pub(super) given_mask: Option<GivenMask>,
    /// The mask that it was last cleaned with.
    pub(super) mask: Option<MaskRecord>,
    /// The key of that mask; `None` where it was made between cycles: the image's key stands for it.
    pub(super) mask_key: Option<StepKey>,
    /// Where its images are.
    pub(super) part: ImagePart,
}

/// The part of an attempt's folder that holds images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ImagePart {
    /// Those that the attempt begins with.
    First,
    /// Those without the measurement sets whose solutions are too weak.
    WithoutWeakSets,
}

impl ImagePart {
    /// Its folder.
    pub(super) fn folder(self) -> &'static str {
        match self {
            Self::First => "image",
            Self::WithoutWeakSets => "image-without-weak-sets",
        }
    }

    /// The imager's log.
    pub(super) fn log(self) -> &'static str {
        match self {
            Self::First => "imager.log",
            Self::WithoutWeakSets => "imager-without-weak-sets.log",
        }
    }
}

/// The calibration that an image is made with.
#[derive(Debug, Clone)]
pub(super) struct ActiveCalibration {
    /// The column to be imaged.
    pub(super) column: &'static str,
    /// The calibration that `CORRECTED_DATA` must hold; `None`: `DATA` is imaged.
    pub(super) applied: Option<Applied>,
    /// Solutions by direction that are applied while imaging; `None`: none.
    pub(super) facets: Option<ActiveFacets>,
}

/// Solutions by direction.
#[derive(Debug, Clone)]
pub(super) struct ActiveFacets {
    pub(super) key: StepKey,
    pub(super) solution: FacetSolution,
}

/// Tables, and the attempt with whose options they are applied.
#[derive(Debug, Clone)]
pub(super) struct Applied {
    /// Of all measurement sets together.
    pub(super) key: StepKey,
    pub(super) attempt: AttemptId,
    /// By measurement set.
    pub(super) members: Vec<AppliedTables>,
    /// The measurement sets whose new solutions are too weak.
    pub(super) weak: Vec<usize>,
    /// Those of them that are not imaged.
    pub(super) left_out: Vec<usize>,
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
        Self { key, attempt, members, weak: Vec::new(), left_out: Vec::new() }
    }
}

impl Attempted {
    /// The key of its solutions by direction.
    pub(super) fn facets_key(&self) -> Option<&StepKey> {
        self.active.facets.as_ref().map(|facets| &facets.key)
    }
}

impl ActiveCalibration {
    /// Nothing is applied to a column.
    pub(super) fn none(column: &'static str) -> Self {
        Self { column, applied: None, facets: None }
    }

    pub(super) fn key(&self) -> Option<&StepKey> {
        self.applied.as_ref().map(|a| &a.key)
    }

    /// The measurement sets whose new solutions are too weak.
    pub(super) fn weak(&self) -> &[usize] {
        self.applied.as_ref().map_or(&[], |applied| &applied.weak)
    }

    /// The measurement sets that are not imaged.
    pub(super) fn left_out(&self) -> &[usize] {
        self.applied.as_ref().map_or(&[], |applied| &applied.left_out)
    }

    /// The measurement sets that are imaged.
    pub(super) fn imaged_sets(&self, data: &Prepared) -> Vec<PathBuf> {
        let imaged = data.sets.iter().enumerate().filter(|(member, _)| !self.left_out().contains(member));
        imaged.map(|(_, set)| set.path.clone()).collect()
    }

    /// The same, with these measurement sets not imaged.
    pub(super) fn without(&self, left_out: Vec<usize>) -> Self {
        let mut active = self.clone();
        if let Some(applied) = active.applied.as_mut().filter(|applied| applied.left_out != left_out) {
            applied.key = StepKey::of(&("without", &applied.key, &left_out));
            applied.left_out = left_out;
        }
        active
    }

    /// What an image or a prediction reads, with solutions that are final.
    pub(super) fn imaged(&self) -> ImagedData<'_> {
        let facets = self.facets.as_ref().map(|ActiveFacets { solution, .. }| FacetInputs {
            files: &solution.files,
            directions: &solution.directions,
            judged: None,
            images: 1,
        });
        ImagedData { column: self.column, facets }
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
