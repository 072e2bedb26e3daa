//! The `campaign:` block: everything about a campaign that is not an option of one of its tools.

use super::archive::ArchiveOptions;
use super::final_imaging::FinalImaging;
use super::mask::{self, MaskInput, MaskSettings};
use super::programs::{self, CalibratorKind, Executables, ImagerKind, Word};
use super::reading::findings::Findings;
use super::reading::problem::Problem;
use super::resources::Resources;
use super::rounds::RoundSelection;
use super::scheduler::{self, SchedulerInput, SchedulerOptions};
use super::selection::{ApplyTo, AverageOptions, FieldChoice, FieldInput, Together};
use super::stages::{FacetStage, Multiscale};
use super::start_model::StartModel;
use crate::campaign::rules::acceptance::AcceptanceOptions;
use crate::campaign::rules::schedule::SolintOptions;
use crate::major_cycle::StopOptions;
use crate::options::Validate;
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The data that are worked on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum WorkOn {
    /// A copy inside the campaign folder; the user's data are only read.
    #[default]
    Copy,
    /// The user's own measurement set, which gains `MODEL_DATA` and `CORRECTED_DATA`. `DATA` is never written.
    Original,
}

/// The column that round 0 images.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema, clap::ValueEnum)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[value(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum StartColumn {
    /// The data as observed or delivered.
    #[default]
    Data,
    /// Data that were calibrated before.
    CorrectedData,
}

impl StartColumn {
    /// Its name in the measurement set.
    pub fn name(self) -> &'static str {
        match self {
            Self::Data => "DATA",
            Self::CorrectedData => "CORRECTED_DATA",
        }
    }
}

/// The fate of the other measurement sets when one fails.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnFailure {
    /// They go on.
    #[default]
    Continue,
    /// They are stopped, too.
    Stop,
}

/// The `campaign:` block.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CampaignBlock {
    /// Name of the campaign, for titles and folders. Default: the file's name without its ending.
    #[serde(deserialize_with = "crate::options::optional_text")]
    #[schemars(with = "Option<Word>")]
    pub name: Option<String>,
    /// Measurement sets: paths, or patterns with `*`, `?`, `[ab]`. Relative paths start at the campaign file's folder.
    pub measurement_sets: Vec<String>,
    /// Which measurement sets are imaged together, into one image with one mask and one judgement; each keeps tables of its
    /// own. `pointing`: those whose phase centres agree within a tenth of the primary beam, which is the default in a plain
    /// campaign.
    pub together: Together,
    /// The field that is imaged, by name or number; a list of fields, or `each`: each of them by itself. Default: the only
    /// field with data, or the only one with the intent `OBSERVE_TARGET`.
    #[schemars(with = "Option<FieldInput>")]
    pub field: FieldChoice,
    /// Spectral windows that are used, by number, each with a range of channels if need be: `0,2:4~60`. Empty: all.
    #[serde(deserialize_with = "programs::any_text")]
    #[schemars(with = "Word")]
    pub spw: String,
    /// Averaging in time and frequency, of the copy that is worked on.
    pub average: AverageOptions,
    /// Folder for all results of the campaign. Default: the campaign's name.
    pub output: Option<PathBuf>,
    /// Number of the last round; round 0, before any calibration, comes first: 3 means rounds 0, 1, 2 and 3. Default: the
    /// last round of `selfcal`; in a plain campaign 10.
    pub rounds: Option<usize>,
    /// The program that makes the images.
    pub imager: ImagerKind,
    /// The program that solves for gains and applies them.
    pub calibrator: CalibratorKind,
    /// Clean masks: a method, or a map of settings. In a plain campaign the method is `auto` and the cadence `cycle` unless
    /// they are named.
    #[serde(deserialize_with = "mask::read")]
    #[schemars(with = "MaskInput")]
    pub mask: MaskSettings,
    /// Limits for accepting a round, and for a campaign that has converged or diverged.
    pub acceptance: AcceptanceOptions,
    /// Limits of the automatic solution intervals (`gaincal: {solint: auto}`).
    pub solint: SolintOptions,
    /// `auto`: once rounds without directions hardly gain and the residual shows errors that depend on direction, further
    /// rounds solve by direction (with the options of the mode `facets` in `defaults`). It needs `gaincal: {solint: auto}`.
    pub facets: FacetStage,
    /// `auto`: once a tenth of the flux in the masks of two accepted rounds in a row is in resolved islands (flux above 5 times
    /// the peak), further rounds clean with multi-scale. It needs wsclean and a mask; cubes stay as they are.
    pub multiscale: Multiscale,
    /// Limits at which the cleaning of a round ends, with cadence `cycle`.
    pub stop: StopOptions,
    /// Threads, memory, time and disk.
    pub resources: Resources,
    /// Commands of the external programs.
    pub executables: Executables,
    /// Reference antenna, by name or number. Default: the antenna with most unflagged data nearest the array's centre.
    #[serde(deserialize_with = "crate::options::optional_text")]
    #[schemars(with = "Option<Word>")]
    pub reference_antenna: Option<String>,
    /// The data that are worked on: a `copy` or the `original`.
    pub work_on: WorkOn,
    /// The column that round 0 images.
    pub start_column: StartColumn,
    /// The model that the first calibrated round is solved against: that of the first `image`; a `point` at the phase
    /// centre, with the flux that the shortest baselines see; or the path of a FITS model (Jy/pixel) or component list
    /// (wsclean's `-save-source-list`, or lines of right ascension, declination and flux in Jy). `auto`: a point where the
    /// first image is doubted and solves against a point are better. In a plain campaign the default is `auto`.
    pub start_model: StartModel,
    /// Images and cubes that are made once the best round is known, by name and in this order: see
    /// `docs/final-imaging.md`.
    pub final_imaging: IndexMap<String, FinalImaging>,
    /// Data that get the best solutions when the campaign has ended, un-averaged and unselected: the `original`, or another
    /// measurement set of the same array. Their `CORRECTED_DATA` is written. Default: none.
    pub apply_to: Option<ApplyTo>,
    /// Rounds that image without calibrating first (flint's field option).
    pub skip_selfcal_on_rounds: Option<Vec<usize>>,
    /// flint's field option: the same as `mask.allow`.
    pub use_beam_masks: Option<bool>,
    /// flint's field option: a number for `mask.rounds`.
    pub use_beam_masks_from: Option<usize>,
    /// flint's field option: the same as `mask.rounds`; takes precedence over `use_beam_masks_from`.
    pub use_beam_masks_rounds: Option<RoundSelection>,
    /// flint's field option: folder of the tar files that the strategy's mode `archive` asks for.
    pub sbid_archive_path: Option<PathBuf>,
    /// flint's field option: folder of the copies that the strategy's mode `archive` asks for.
    pub sbid_copy_path: Option<PathBuf>,
    /// Scheduler of the work: an engine, or a map of settings.
    #[serde(deserialize_with = "scheduler::read")]
    #[schemars(with = "SchedulerInput")]
    pub scheduler: SchedulerOptions,
    /// Whether the other measurement sets go on when one fails.
    pub on_failure: OnFailure,
    /// Files that are collected at the end.
    pub archive: ArchiveOptions,
}

/// The campaign has data, a part of them is a copy, and its limits of acceptance are valid.
pub(super) fn check(found: &mut Findings<'_>) {
    let block = &found.campaign.block;
    if block.measurement_sets.is_empty() {
        let whole = || found.campaign.tree.entry("campaign").map(|entry| entry.key_span);
        let place = found.span(&["measurement_sets"]).or_else(whole);
        found.problems.push(
            Problem::new(place, "no measurement sets are named")
                .help("list them under `campaign.measurement_sets`, or give them with --ms"),
        );
    }
    let part = [
        ("field", !block.field.is_default()),
        ("spw", !block.spw.is_empty()),
        ("average", !block.average.is_default()),
    ];
    if let Some((key, _)) = part.into_iter().find(|(_, asked)| *asked && block.work_on == WorkOn::Original) {
        found.problem(
            &[key],
            format!("`campaign.{key}` needs a copy: `work_on: original` works on all of the data"),
            "leave out `work_on`",
        );
    }
    if block.apply_to.is_some() {
        check_apply_to(found);
    }
    for error in found.campaign.block.acceptance.problems() {
        found.problem(&["acceptance", error.key()], error.to_string(), "");
    }
}

/// There will be solutions, and they are for the column that they are applied to.
fn check_apply_to(found: &mut Findings<'_>) {
    let block = &found.campaign.block;
    let key = &["apply_to"];
    if block.calibrator == CalibratorKind::None {
        found.problem(key, "`campaign.apply_to` needs a calibrator: there will be no solutions", "leave it out");
    } else if block.work_on == WorkOn::Original {
        let message = "with `work_on: original` the best solutions are applied to the original in any case";
        found.problem(key, message, "leave `apply_to` out");
    } else if block.start_column == StartColumn::CorrectedData {
        let message = "solutions for CORRECTED_DATA (`start_column`) cannot be applied to DATA";
        found.problem(key, message, "leave it out, and use `cleanloop apply --split NEW.ms` afterwards");
    }
}
