//! What the driver asks of the world: the one seam between *when* (the driver) and *what* (imagers, calibrators, masks,
//! measurements). The driver sees this trait, paths and metrics; never pixels or command lines.

pub mod field;
pub mod masks;
pub mod programs;

use super::file::StartColumn;
use super::layout::AttemptId;
use super::record::{CycleRecord, MaskRecord};
use super::rules::acceptance::Relaxation;
use crate::Result;
use crate::calibrator::SolutionTable;
use crate::imager::progress::ProgressSink;
use crate::imager::{Products, StopReason};
use crate::measurement_set::MsSummary;
use crate::quality::metrics::{ImageMetrics, RoundFiles};
use crate::quality::solutions::SolutionStats;
use field::FieldImage;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// One attempt at one round with everything resolved. The three option values decide the steps' keys.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AttemptPlan {
    /// Which attempt.
    pub id: AttemptId,
    /// One line for people, e.g. `phase, solint 60s, with a mask`.
    pub about: String,
    /// What makes it gentler than the plan; empty for the first attempt.
    pub changes: Vec<Relaxation>,
    /// Why no further round is worth trying; the campaign then ends as converged, before anything is run.
    pub give_up: Option<String>,
    /// Options of the calibration; `None`: this round images without a new calibration.
    pub calibration: Option<serde_json::Value>,
    /// Solution interval and mode, for the record.
    pub interval: Option<(String, String)>,
    /// Why this interval, where the program chose it.
    pub interval_why: Option<String>,
    /// Options of the mask that is made before imaging; `None`: no mask.
    pub mask: Option<serde_json::Value>,
    /// The field image that the mask comes from; `None`: it is made from the measurement set's own image.
    #[serde(default)]
    pub field: Option<FieldImage>,
    /// An empty mask is no mistake: masks are made again between cycles.
    pub mask_may_be_empty: bool,
    /// Options of the imaging, including how masks are made between cycles.
    pub imaging: serde_json::Value,
    /// The first calibrated round (its loss is tolerated a little).
    pub first_interval: bool,
    /// Amplitudes are solved for.
    pub amplitudes: bool,
    /// Interval and mode were chosen from the image.
    #[serde(default)]
    pub interval_chosen: bool,
    /// Later rounds of the plan differ in kind.
    pub more_to_try: bool,
}

/// What earlier rounds found, for settings that the program chooses itself.
#[derive(Debug, Clone, Copy)]
pub struct Earlier<'a> {
    /// Judged attempts, oldest first.
    pub history: &'a [super::rules::acceptance::RoundOutcome],
}

/// What imaging gave.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Imaged {
    /// The final files.
    pub products: Products,
    /// Major cycles, where they were driven one by one.
    pub cycles: Vec<CycleRecord>,
    /// Why cleaning ended, where that is known.
    pub stopped: Option<StopReason>,
    /// The last cycle's mask, where masks were made between cycles.
    pub mask: Option<MaskRecord>,
    /// The command lines that were run.
    pub commands: Vec<Vec<String>>,
}

/// What a solve gave.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Solved {
    /// The tables, in the order of application.
    pub tables: Vec<SolutionTable>,
    /// Their statistics.
    pub stats: SolutionStats,
    /// The command lines (or worker requests) that were run.
    pub commands: Vec<Vec<String>>,
}

/// The measurement set as the rounds use it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Prepared {
    /// The measurement set to work on (the copy, or the user's own).
    pub measurement_set: PathBuf,
    /// What is in it.
    pub summary: MsSummary,
    /// Facts worth showing, label to text.
    pub facts: IndexMap<String, String>,
    /// Programs used and their versions.
    pub tools: IndexMap<String, String>,
    /// The column that is imaged before any calibration.
    #[serde(default)]
    pub column: StartColumn,
    /// A calibration solves against `MODEL_DATA`, so it must hold the model of the right round.
    #[serde(default = "yes")]
    pub model_wanted: bool,
}

fn yes() -> bool {
    true
}

/// Files and names for one piece of work.
#[derive(Clone)]
pub struct StepContext {
    /// The measurement set being worked on.
    pub measurement_set: PathBuf,
    /// Folder for the results; it exists.
    pub folder: PathBuf,
    /// The programs' own words.
    pub log: PathBuf,
    /// Consumer of progress.
    pub progress: ProgressSink,
}

/// Programs and masks of one measurement set, made for the driver from a resolved plan.
pub trait Backend: Send {
    /// Identity of the data: changes when the user's measurement set is another one. Not its path: it may be moved.
    ///
    /// # Errors
    /// The measurement set is missing or unreadable.
    fn data_identity(&mut self) -> Result<String>;

    /// Checks programs, options, data and disk, then makes the working copy in `folder` (or checks the original).
    ///
    /// # Errors
    /// Bad input, a missing program, too little disk.
    fn prepare(&mut self, bench: &StepContext) -> Result<Prepared>;

    /// Takes note of what [`Backend::prepare`] gave, in this run or in an earlier one.
    fn prepared(&mut self, prepared: &Prepared);

    /// Number of the last round (round 0 is the first).
    fn last_round(&self) -> usize;

    /// The options of an attempt.
    ///
    /// # Errors
    /// Options that cannot be resolved.
    fn attempt(&mut self, id: AttemptId, changes: &[Relaxation], earlier: Earlier<'_>) -> Result<AttemptPlan>;

    /// Solves for the gains of this attempt against `MODEL_DATA` and looks at the tables.
    ///
    /// # Errors
    /// Empty `MODEL_DATA`, or the program's failure.
    fn solve(&mut self, plan: &AttemptPlan, bench: &StepContext) -> Result<Solved>;

    /// Applies the tables from `DATA` to `CORRECTED_DATA`; none: a plain copy.
    ///
    /// # Errors
    /// The program's failure.
    fn apply(&mut self, plan: &AttemptPlan, tables: &[SolutionTable], bench: &StepContext) -> Result<()>;

    /// Makes the clean mask of this attempt from an accepted image (and that round's mask, for comparison).
    ///
    /// # Errors
    /// An image that cannot be used.
    fn mask(
        &mut self,
        plan: &AttemptPlan,
        source: &Products,
        previous: Option<&MaskRecord>,
        bench: &StepContext,
    ) -> Result<MaskRecord>;

    /// Makes the image.
    ///
    /// # Errors
    /// The program's failure.
    fn image(&mut self, plan: &AttemptPlan, column: &str, mask: Option<&Path>, bench: &StepContext) -> Result<Imaged>;

    /// Puts a model back into `MODEL_DATA`.
    ///
    /// # Errors
    /// The program's failure.
    fn predict(&mut self, plan: &AttemptPlan, column: &str, model: &Path, bench: &StepContext) -> Result<()>;

    /// Measures a round's files.
    ///
    /// # Errors
    /// Files that cannot be read.
    fn measure(&mut self, files: &RoundFiles) -> Result<ImageMetrics> {
        crate::quality::metrics::of_files(files)
    }

    /// The line that applies this attempt's tables to another measurement set.
    fn apply_line(&mut self, plan: &AttemptPlan, tables: &[SolutionTable]) -> Option<String>;
}
