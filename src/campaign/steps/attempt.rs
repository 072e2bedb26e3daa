//! One attempt at a round: its steps with their options, and the keys of those.

use super::field::FieldImage;
use crate::calibrator::facets::FacetDirection;
use crate::calibrator::facets::options::FacetOptions;
use crate::calibrator::options::GaincalOptions;
use crate::campaign::file::StopOptions;
use crate::campaign::journal::StepKey;
use crate::campaign::layout::AttemptId;
use crate::campaign::plan::{CalibrationPlan, MaskPlan};
use crate::campaign::record::MaskRecord;
use crate::campaign::rules::acceptance::{Relaxation, RoundOutcome};
use crate::campaign::rules::schedule::{Limit, Weighed};
use crate::imager::{FacetFiles, ImagerOptions, Products};
use crate::major_cycle::CycleRecord;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// What an attempt is chosen from.
#[derive(Debug, Clone, Copy)]
pub struct Past<'a> {
    /// The judged attempts, oldest first.
    pub history: &'a [RoundOutcome],
    /// Images and mask of the last accepted attempt; older files may be gone where the disk budget was short.
    pub images: Option<(&'a Products, Option<&'a Path>)>,
}

/// The next attempt, or why there is none.
#[derive(Debug, Clone)]
pub enum Proposal {
    /// This is to be tried.
    Try(Box<AttemptPlan>),
    /// No further round is worth trying; the campaign ends as converged.
    GiveUp {
        /// Why.
        why: String,
        /// What ended it.
        limit: Limit,
    },
}

/// One attempt at one round with everything resolved.
#[derive(Debug, Clone, PartialEq)]
pub struct AttemptPlan {
    /// Which attempt.
    pub id: AttemptId,
    /// One line for people, e.g. `phase, solint 60s, with a mask`.
    pub about: String,
    /// Relaxations of the plan's settings; empty for the first attempt.
    pub changes: Vec<Relaxation>,
    /// The calibration; `None`: this round images without a new one.
    pub calibration: Option<CalibrationStep>,
    /// Solving by direction, on top of the last accepted tables; `None`: it does not.
    pub facets: Option<FacetStep>,
    /// Why this chain, where the program chose it.
    pub interval_why: Option<String>,
    /// What else was weighed.
    pub weighed: Vec<Weighed>,
    /// The mask that is made before imaging; `None`: no mask.
    pub mask: Option<MaskStep>,
    /// The imaging.
    pub imaging: ImagingStep,
    /// The first calibrated round (its loss is tolerated a little).
    pub first_interval: bool,
    /// Later rounds of the plan differ in kind.
    pub more_to_try: bool,
}

impl AttemptPlan {
    /// The solves of its calibration; empty: there is none.
    pub fn chain(&self) -> &[GaincalOptions] {
        self.calibration.as_ref().map_or(&[], |step| &step.options.chain)
    }

    /// Amplitudes are solved for.
    pub fn amplitudes(&self) -> bool {
        self.facets.as_ref().is_some_and(|step| step.options.calmode.amplitudes())
            || self.chain().iter().any(|options| options.kind().amplitudes())
    }

    /// Interval and mode were chosen from the image.
    pub fn interval_chosen(&self) -> bool {
        self.interval_why.is_some()
    }

    /// An empty mask is no mistake: masks are made again between cycles.
    pub fn mask_may_be_empty(&self) -> bool {
        self.imaging.cycles.is_some()
    }
}

/// Solving for gains and applying them.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CalibrationStep {
    /// Calibrator and options, intervals and modes resolved.
    pub options: CalibrationPlan,
    /// The chains of measurement sets that are imaged together, where they differ; empty: all have that of the options.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub chains: Vec<Vec<GaincalOptions>>,
}

impl CalibrationStep {
    /// The same chain for all measurement sets.
    pub fn alike(options: CalibrationPlan) -> Self {
        Self { options, chains: Vec::new() }
    }

    /// The step of one measurement set alone.
    pub fn of_set(&self, member: usize) -> Self {
        let chain = self.chains.get(member).unwrap_or(&self.options.chain).clone();
        Self::alike(CalibrationPlan { chain, ..self.options.clone() })
    }

    /// The key of solving on these data against the model of this image.
    pub fn key(&self, data: Option<&StepKey>, image: &StepKey) -> StepKey {
        StepKey::of(&("solve", data, image, self))
    }
}

/// Solving for gains by direction.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FacetStep {
    /// Its options.
    pub options: FacetOptions,
}

impl FacetStep {
    /// The key of solving on what the column holds against the model of this image, with directions in this mask.
    pub fn key(&self, (column, applied): (&str, Option<&StepKey>), image: &StepKey, mask: Option<&StepKey>) -> StepKey {
        StepKey::of(&("facets", column, applied, image, mask, self))
    }
}

/// Facets that an image is made with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FacetInputs<'a> {
    /// Facets and solutions.
    pub files: &'a FacetFiles,
    /// The directions.
    pub directions: &'a [FacetDirection],
    /// What each direction is compared with; `None`: the files are final.
    pub judged: Option<FacetReference<'a>>,
    /// Most images: each further one with a mask made from the one before, while the dynamic range rises.
    pub images: usize,
}

/// The last accepted image, which directions are compared with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FacetReference<'a> {
    /// Its residual.
    pub residual: &'a Path,
    /// Its mask.
    pub mask: Option<&'a Path>,
    /// Its facets and solutions; `None`: it had none, and a direction that got worse gets gains of 1.
    pub earlier: Option<&'a FacetFiles>,
}

/// What an imaging reads from the data.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ImagedData<'a> {
    /// The column.
    pub column: &'a str,
    /// Solutions by direction that are applied on the way; `None`: none.
    pub facets: Option<FacetInputs<'a>>,
}

/// Making the mask before imaging.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MaskStep {
    /// Method and options.
    pub mask: MaskPlan,
    /// Factor on levels that are chosen from the image: 1, or more in a relaxed attempt.
    pub caution: f64,
    /// The field image that the mask comes from; `None`: it is made from the measurement set's own image.
    pub field: Option<FieldImage>,
}

impl MaskStep {
    /// The key of the mask from this image.
    pub fn key(&self, source: &StepKey) -> StepKey {
        StepKey::of(&("mask", source, &self.mask, self.caution, self.field.as_ref().map(|field| &field.key)))
    }
}

/// Imaging.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ImagingStep {
    /// The imager and its options.
    pub imager: ImagerOptions,
    /// Masks between major cycles; `None`: none.
    pub cycles: Option<CycleMasking>,
    /// When cleaning ends, where masks are made between cycles.
    pub stop: StopOptions,
    /// Scales of the mask before imaging: of more than one, each has a bit of its own. 0 without a mask.
    pub mask_scales: usize,
    /// With masks between cycles: an empty first mask is no error.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub may_clean_nothing: bool,
}

/// Masks between major cycles.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CycleMasking {
    /// Method and options.
    pub mask: MaskPlan,
    /// Multiplies levels that are chosen from the residual.
    pub caution: f64,
}

/// The mask that there is before imaging.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenMask {
    /// The file.
    pub path: PathBuf,
    /// Masked pixels.
    pub pixels: u64,
    /// Pixels that only it or only the last accepted round's mask has; `None`: there is no such mask.
    pub changed: Option<u64>,
    /// It holds what a dirty image shows, if the last accepted round is anything to go by: its own did, or nearly.
    pub holds_dirty: bool,
}

impl GivenMask {
    /// Part of its pixels that a dirty image may add to a mask that holds what it shows: points and sources of a few beams add
    /// up to 7 % on simulated fields, wide ones ten times the whole mask.
    const BEYOND: f64 = 0.1;

    /// The mask of a round; `last` is that of the accepted one before, with the cycles that began in it.
    pub fn of_round(mask: &MaskRecord, last: Option<(&Self, &[CycleRecord])>) -> Self {
        let held = |given: &Self, first: u64| (first as f64) <= (1.0 + Self::BEYOND) * given.pixels as f64;
        let first = |cycles: &[CycleRecord]| cycles.first().and_then(|cycle| cycle.masked_pixels);
        Self {
            path: mask.path.clone(),
            pixels: mask.pixels,
            changed: mask.added.zip(mask.removed).map(|(added, removed)| added + removed),
            holds_dirty: last.is_some_and(|(given, cycles)| first(cycles).is_some_and(|first| held(given, first))),
        }
    }
}

/// Inputs of an image, apart from options.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct ImagingInputs<'a> {
    /// Key of the data.
    pub data: Option<&'a StepKey>,
    /// Column that is imaged.
    pub column: &'a str,
    /// Key of the calibration that the column holds; `None`: none.
    pub applied: Option<&'a StepKey>,
    /// Key of the mask before imaging.
    pub mask: Option<&'a StepKey>,
    /// Key of the solutions by direction; `None`: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub facets: Option<&'a StepKey>,
}

impl ImagingStep {
    /// The key of the image from these inputs.
    pub fn key(&self, inputs: &ImagingInputs<'_>) -> StepKey {
        StepKey::of(&("image", inputs, self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imager::wsclean::WscleanOptions;

    fn imaging(extra: &str) -> ImagingStep {
        let options: WscleanOptions = serde_yaml::from_str(&format!("extra: {extra}")).unwrap();
        let imager = ImagerOptions::Wsclean(options);
        ImagingStep { imager, cycles: None, stop: StopOptions::default(), mask_scales: 0, may_clean_nothing: false }
    }

    #[test]
    fn the_order_of_further_options_does_not_matter_to_an_image() {
        let inputs = ImagingInputs { data: None, column: "DATA", applied: None, mask: None, facets: None };
        let key = |extra: &str| imaging(extra).key(&inputs);
        assert_eq!(key("{taper-gaussian: 5, maxuv-l: 9000}"), key("{maxuv-l: 9000, taper-gaussian: 5}"));
        assert_ne!(key("{taper-gaussian: 5, maxuv-l: 9000}"), key("{taper-gaussian: 5, maxuv-l: 9001}"));
        let corrected = ImagingInputs { column: "CORRECTED_DATA", ..inputs };
        assert_ne!(imaging("{}").key(&inputs), imaging("{}").key(&corrected));
    }
}
