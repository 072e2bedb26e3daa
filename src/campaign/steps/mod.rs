//! Steps that the driver asks of the world: the one seam between *when* (the driver) and *what* (imagers, calibrators,
//! masks, measurements). The driver sees this trait, paths and metrics; never pixels or command lines.

mod attempt;
pub(crate) mod borders;
pub(crate) mod cube;
pub(crate) mod field;
pub(crate) mod final_data;
pub mod masks;
pub(crate) mod onto;
pub(crate) mod programs;
mod recipe;

pub use attempt::{
    AttemptPlan, CalibrationStep, CycleMasking, FacetInputs, FacetReference, FacetStep, GivenMask, ImagedData,
    ImagingInputs, ImagingStep, MaskStep, Past, Proposal,
};

use super::file::{StartColumn, StartModel};
use super::layout::AttemptId;
use super::record::{CycleRecord, FacetOutcome, MaskRecord, MemberSolutions};
use super::rules::acceptance::Relaxation;
use crate::Result;
use crate::calibrator::SolutionTable;
use crate::calibrator::facets::FacetSolution;
use crate::imager::progress::ProgressSink;
use crate::imager::{Products, StopReason};
use crate::measurement_set::{DataPart, MsSummary};
use crate::quality::metrics::{ImageMetrics, RoundFiles};
use crate::quality::solutions::SolutionStats;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// The result of an imaging.
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
    /// What became of the directions, where it was made with facets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub facets: Option<FacetOutcome>,
    /// The command lines that were run.
    pub commands: Vec<Vec<String>>,
}

/// The result of a solve.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Solved {
    /// The tables, in the order of application.
    pub tables: Vec<SolutionTable>,
    /// Their statistics.
    pub stats: SolutionStats,
    /// The command lines (or worker requests) that were run.
    pub commands: Vec<Vec<String>>,
}

/// Chains that models to start from are tried with.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StartChains {
    /// The chains.
    pub steps: Vec<CalibrationStep>,
    /// The interval is left to the program: the attempt takes the chain that was best.
    pub automatic: bool,
}

/// A measurement set as the rounds use it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PreparedSet {
    /// Its name in the campaign.
    pub name: String,
    /// The measurement set to work on (the copy, or the user's own).
    pub path: PathBuf,
    /// Summary of its content.
    pub summary: MsSummary,
    /// The part of the user's measurement set that it is.
    #[serde(default, skip_serializing_if = "DataPart::is_all")]
    pub part: DataPart,
}

/// The measurement sets of a target as the rounds use them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Prepared {
    /// The measurement sets that are imaged together, in the order of the plan; never empty.
    pub sets: Vec<PreparedSet>,
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
    /// What people should know of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

fn yes() -> bool {
    true
}

impl Prepared {
    /// The measurement sets to work on.
    pub fn paths(&self) -> Vec<PathBuf> {
        self.sets.iter().map(|set| set.path.clone()).collect()
    }

    /// The measurement sets to work on are there.
    pub fn is_there(&self) -> bool {
        self.sets.iter().all(|set| set.path.exists())
    }

    /// The name of a measurement set that is one of several; `None`: it is the only one.
    pub fn member_name(&self, member: usize) -> Option<&str> {
        self.sets.get(member).filter(|_| self.sets.len() > 1).map(|set| set.name.as_str())
    }

    /// Name of the log of a step of one measurement set.
    pub fn log_name(&self, step: &str, member: usize) -> String {
        self.member_name(member).map_or_else(|| format!("{step}.log"), |name| format!("{step}-{name}.log"))
    }

    /// Theoretical noise of an image of all its data, Jy/beam; `None`: that of one of the measurement sets is not known.
    pub fn theoretical_noise_jy(&self) -> Option<f64> {
        theoretical_noise_jy(&self.sets)
    }
}

/// Weights add up: 1 over the root of the sum of 1 over the squares, Jy/beam.
fn theoretical_noise_jy(sets: &[PreparedSet]) -> Option<f64> {
    let weight = |set: &PreparedSet| Some(set.summary.theoretical_noise?.jy()?.powi(-2));
    Some(sets.iter().map(weight).sum::<Option<f64>>()?.sqrt().recip()).filter(|noise| noise.is_finite())
}

/// Files and names for one step.
#[derive(Clone)]
pub struct StepContext {
    /// The attempt that the step belongs to; preparing belongs to the first.
    pub attempt: AttemptId,
    /// The measurement sets being worked on.
    pub measurement_sets: Vec<PathBuf>,
    /// Folder for the results; it exists.
    pub folder: PathBuf,
    /// File for the programs' output.
    pub log: PathBuf,
    /// Consumer of progress.
    pub progress: ProgressSink,
}

/// One of several solves.
pub struct SolveJob<'a> {
    /// Index of the measurement set.
    pub member: usize,
    /// Its options.
    pub step: CalibrationStep,
    /// Its tables of the last accepted round.
    pub earlier: &'a [SolutionTable],
    /// Its files.
    pub context: StepContext,
}

/// Programs and masks of one target, made for the driver from a resolved plan. `member` is the index of one of its
/// measurement sets.
pub trait Backend: Send {
    /// Identity of the data: changes when one of the user's measurement sets is another one. Not their paths: they may be
    /// moved.
    ///
    /// # Errors
    /// A measurement set is missing or unreadable.
    fn data_identity(&mut self) -> Result<String>;

    /// Checks programs, options, data and disk, then makes the working copies in the context's folder (or checks
    /// the originals).
    ///
    /// # Errors
    /// Bad input, a missing program, too little disk.
    fn prepare(&mut self, context: &StepContext) -> Result<Prepared>;

    /// Takes note of the result of [`Backend::prepare`], from this run or an earlier one.
    fn prepared(&mut self, prepared: &Prepared);

    /// Number of the last round (round 0 is the first).
    fn last_round(&self) -> usize;

    /// The steps of an attempt with `changes`, after the judged attempts of `past`.
    ///
    /// # Errors
    /// Options that cannot be resolved.
    fn propose(&mut self, id: AttemptId, changes: &[Relaxation], past: &Past<'_>) -> Result<Proposal>;

    /// Solves for gains of one measurement set against `MODEL_DATA`, and reads the statistics of the tables. `earlier` are
    /// its tables of the last accepted round, for terms that are not solved again.
    ///
    /// # Errors
    /// Empty `MODEL_DATA`, or the program's failure.
    fn solve(
        &mut self,
        member: usize,
        step: &CalibrationStep,
        earlier: &[SolutionTable],
        context: &StepContext,
    ) -> Result<Solved>;

    /// Number of solves that there are processors for at the same time.
    fn solves_at_once(&self) -> usize {
        1
    }

    /// Does several solves, each as [`Backend::solve`], at the same time; the results in the order of the jobs.
    fn solve_several(&mut self, jobs: &[SolveJob<'_>]) -> Vec<Result<Solved>> {
        jobs.iter().map(|job| self.solve(job.member, &job.step, job.earlier, &job.context)).collect()
    }

    /// Applies the tables of one measurement set from `DATA` to `CORRECTED_DATA`; none: a plain copy.
    ///
    /// # Errors
    /// The program's failure.
    fn apply(
        &mut self,
        member: usize,
        step: &CalibrationStep,
        tables: &[SolutionTable],
        context: &StepContext,
    ) -> Result<()>;

    /// Makes a clean mask from an accepted image (and that round's mask, for comparison).
    ///
    /// # Errors
    /// An image that cannot be used.
    fn mask(
        &mut self,
        step: &MaskStep,
        source: &Products,
        previous: Option<&MaskRecord>,
        context: &StepContext,
    ) -> Result<MaskRecord>;

    /// Solves for gains by direction on the column of all measurement sets, against the model of an accepted image, with
    /// directions among the sources in its mask.
    ///
    /// # Errors
    /// Too few directions, data that cannot be solved by direction, the program's failure.
    fn solve_facets(
        &mut self,
        step: &FacetStep,
        column: &str,
        source: (&Products, Option<&Path>),
        context: &StepContext,
    ) -> Result<FacetSolution>;

    /// Makes the image from a column of the measurement sets. With facets, a direction that got worse goes back to its
    /// earlier solutions.
    ///
    /// # Errors
    /// The program's failure.
    fn image(
        &mut self,
        step: &ImagingStep,
        data: &ImagedData<'_>,
        mask: Option<&GivenMask>,
        context: &StepContext,
    ) -> Result<Imaged>;

    /// Puts a model back into `MODEL_DATA`, with the gains of its facets.
    ///
    /// # Errors
    /// The program's failure.
    fn predict(&mut self, step: &ImagingStep, data: &ImagedData<'_>, model: &Path, context: &StepContext)
    -> Result<()>;

    /// The chains that models to start from are tried with before this attempt; none where it does not calibrate.
    fn start_chains(&mut self, id: AttemptId) -> StartChains;

    /// Writes a model to start from, on the grid of these images.
    ///
    /// # Errors
    /// A file that cannot be used, no data to take the flux from.
    fn start_model(&mut self, source: &StartModel, like: &Products, context: &StepContext) -> Result<PathBuf>;

    /// Takes this chain, of those of [`Backend::start_chains`], for the attempt.
    fn start_with(&mut self, id: AttemptId, step: &CalibrationStep, why: &str);

    /// Measures a round's files.
    ///
    /// # Errors
    /// Files that cannot be read.
    fn measure(&mut self, files: &RoundFiles) -> Result<ImageMetrics> {
        crate::quality::metrics::of_files(files)
    }

    /// Applies the solutions of a product to the data that a working copy was made from, in `to`; returns what should be
    /// known. `root` is the target's folder.
    ///
    /// # Errors
    /// Data that do not go with the solutions, the program's failure.
    fn apply_to(
        &mut self,
        solutions: &MemberSolutions,
        root: &Path,
        to: &Path,
        context: &StepContext,
    ) -> Result<Vec<String>>;

    /// The line that images other data, `OTHER.ms`, with these facets and solutions in the working folder.
    fn facets_line(&mut self, step: &ImagingStep, facets: &FacetSolution) -> String {
        step.imager.facets_line(&facets.files)
    }

    /// The line that applies these tables to another measurement set.
    fn apply_line(&mut self, step: &CalibrationStep, tables: &[SolutionTable]) -> Option<String>;
}
