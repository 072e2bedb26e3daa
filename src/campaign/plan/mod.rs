//! What a campaign will do: every option of every round resolved.
//!
//! A [`Plan`] is a value: it can be printed (`cleanloop plan`), stored and compared. The driver's journal keeps the
//! hashes of its parts, so that a changed campaign file shows which steps must be done again.

pub mod containers;
pub mod preview;
mod strategy;

use super::file::{
    ArchiveOptions, CalibratorKind, Campaign, ConfigError, Executables, FieldOptions, FlintArchiveOptions, ImagerKind,
    MaskCadence, MaskCombine, MaskImage, MaskMethod, OnFailure, Problem, Resources, SchedulerOptions, StartColumn,
    StopOptions, WorkOn, consider_mask_round,
};
use super::rules::acceptance::AcceptanceOptions;
use super::rules::solution_intervals::SolintOptions;
use crate::calibrator::options::GaincalOptions;
use crate::imager::tclean::TcleanOptions;
use crate::imager::wsclean::WscleanOptions;
use crate::masking::MaskingOptions;
use crate::masking::auto::AutoMaskOptions;
use crate::masking::multithresh::MultithreshOptions;
use crate::measurement_set::has_column;
use crate::noise::NoiseOptions;
use crate::quality::confetti::ConfettiOptions;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use sha2::{Digest, Sha256};
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use strategy::Options;

/// A campaign with everything resolved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Name of the campaign.
    pub name: String,
    /// The file it came from.
    pub campaign_file: PathBuf,
    /// Folder of everything that the campaign makes.
    pub output: PathBuf,
    /// The measurement sets, sorted as the file lists them, patterns expanded and sorted.
    pub measurement_sets: Vec<MeasurementSetPlan>,
    /// The imager.
    pub imager: ImagerKind,
    /// The calibrator.
    pub calibrator: CalibratorKind,
    /// Round 0, round 1, ...
    pub rounds: Vec<RoundPlan>,
    /// When a round is accepted, and when the campaign ends early.
    pub acceptance: AcceptanceOptions,
    /// Limits of the automatic solution intervals.
    pub solint: SolintOptions,
    /// When the cleaning of a round ends, with cadence `cycle`.
    pub stop: StopOptions,
    /// Threads, memory, time and disk.
    pub resources: Resources,
    /// How external programs are called.
    pub executables: Executables,
    /// Reference antenna; `None`: chosen by the program.
    pub reference_antenna: Option<String>,
    /// Copy or original.
    pub work_on: WorkOn,
    /// The column that round 0 images.
    pub start_column: StartColumn,
    /// Where the work runs.
    pub scheduler: SchedulerOptions,
    /// What happens to the other measurement sets when one fails.
    pub on_failure: OnFailure,
    /// What is collected at the end.
    pub archive: ArchiveOptions,
    /// Parts of the strategy that load but are not run.
    pub not_run: Vec<String>,
    /// What is worth a warning.
    pub warnings: Vec<String>,
    /// This round alone is imaged, as [`Plan::imaging_alone`] made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only_round: Option<usize>,
}

/// One measurement set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeasurementSetPlan {
    /// Short name, unique in the campaign and fit for a folder.
    pub name: String,
    /// Where it is, absolute.
    pub path: PathBuf,
}

/// One round.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RoundPlan {
    /// Its number; 0 images before any calibration.
    pub round: usize,
    /// How it calibrates before imaging; `None`: not at all.
    pub calibration: Option<CalibrationPlan>,
    /// The mask it is cleaned with; `None`: none.
    pub mask: Option<MaskPlan>,
    /// How it images.
    pub imaging: ImagingPlan,
    /// Column that is imaged, if no round is rejected on the way.
    pub data_column: String,
    /// It begins only when every measurement set has ended the round before: something of it is made from all of them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub waits_for_all: bool,
}

/// Calibration of a round.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CalibrationPlan {
    /// The calibrator.
    pub calibrator: CalibratorKind,
    /// Options of `gaincal`.
    pub gaincal: GaincalOptions,
    /// Reference antenna; `None`: chosen by the program.
    pub reference_antenna: Option<String>,
}

/// Mask of a round.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MaskPlan {
    /// How it is made; never [`MaskMethod::None`].
    pub method: MaskMethod,
    /// The image that it is made from.
    #[serde(default, skip_serializing_if = "MaskImage::is_default")]
    pub image: MaskImage,
    /// With image `field`: how that is made.
    #[serde(default, skip_serializing_if = "FieldOptions::is_default")]
    pub field: FieldOptions,
    /// How often.
    pub cadence: MaskCadence,
    /// With cadence cycle: before every n-th major cycle.
    pub every: usize,
    /// How two masks become one.
    pub combine: MaskCombine,
    /// Options of flint's pipeline.
    pub masking: MaskingOptions,
    /// Limits of the method `auto`.
    pub auto: AutoMaskOptions,
    /// Options of auto-multithresh.
    pub automask: MultithreshOptions,
    /// Background and noise.
    pub noise: NoiseOptions,
    /// Masks and regions that are always cleaned.
    pub include: Vec<PathBuf>,
    /// Masks and regions that are never cleaned.
    pub exclude: Vec<PathBuf>,
    /// A mask that changes by less than this fraction is kept.
    pub freeze_change: f64,
    /// Limits of the confetti veto between cycles; `None`: no veto.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confetti: Option<ConfettiOptions>,
}

/// Imaging of a round.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(clippy::large_enum_variant)] // One a round; boxes would only be in the way.
pub enum ImagingPlan {
    /// By wsclean.
    Wsclean(WscleanOptions),
    /// By CASA's tclean.
    Tclean(TcleanOptions),
    /// By the template `executables.imager`.
    Command(Vec<String>),
}

/// Why a campaign cannot be planned.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// A mistake in the file.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A measurement set or pattern of the command line names nothing.
    #[error("--ms {0}: no such measurement set; name existing ones, or a pattern that matches some")]
    NoSuchSet(String),
    /// Two measurement sets are one and the same.
    #[error("the measurement set {} is listed twice", .0.display())]
    Twice(PathBuf),
    /// A round beyond the last.
    #[error("there is no round {round}: the campaign's last round is {last} (`campaign: rounds`)")]
    NoSuchRound {
        /// The round asked for.
        round: usize,
        /// The last one.
        last: usize,
    },
    /// The working directory is gone.
    #[error("the path {} cannot be made absolute: {source}", path.display())]
    NoAbsolutePath {
        /// The path.
        path: PathBuf,
        /// The operating system's words.
        source: std::io::Error,
    },
}

impl From<PlanError> for crate::Error {
    fn from(error: PlanError) -> Self {
        Self::bad_input(error)
    }
}

/// Resolves a campaign: measurement sets found, options merged, environment variables replaced.
///
/// # Errors
/// A measurement set that does not exist, an environment variable that is not set, a merged map of options that does
/// not make sense.
pub fn resolve(campaign: &Campaign) -> Result<Plan, PlanError> {
    resolve_with(campaign, &|name| std::env::var(name).ok())
}

/// As [`resolve`], with environment variables from `environment`.
///
/// # Errors
/// As [`resolve`].
pub fn resolve_with(campaign: &Campaign, environment: &dyn Fn(&str) -> Option<String>) -> Result<Plan, PlanError> {
    let options = Options::new(campaign, environment);
    let block = options.block()?;
    let start = if campaign.command_line_output || campaign.block.output.is_none() && campaign.command_line_sets {
        Path::new(".")
    } else {
        campaign.folder()
    };
    let output = absolute(&start.join(block.output.clone().unwrap_or_else(|| folder_name(&campaign.name()).into())))?;
    let mut rounds = Vec::new();
    let mut calibrated = false;
    for round in 0..=campaign.last_round() {
        let calibration = calibration(&options, &block, round)?;
        calibrated |= calibration.is_some();
        let data_column = if calibrated { "CORRECTED_DATA" } else { block.start_column.name() };
        let mut imaging = imaging(campaign, &options, &block, round)?;
        if let ImagingPlan::Wsclean(wsclean) = &mut imaging {
            wsclean.data_column = data_column.to_owned();
        }
        let mask = mask(campaign, &options, &block, round)?;
        let waits_for_all = round > 0 && mask.as_ref().is_some_and(|m| m.image == MaskImage::Field);
        rounds.push(RoundPlan {
            round,
            calibration,
            mask,
            imaging,
            data_column: data_column.to_owned(),
            waits_for_all,
        });
    }
    let mut warnings = campaign.warnings.clone();
    warnings.extend(strategy::warnings(campaign, &block));
    let (archive, homeless) = archive(campaign, &options, &block)?;
    let mut not_run = campaign.not_run.clone();
    not_run.extend(homeless);
    let mut plan = Plan {
        name: campaign.name(),
        campaign_file: absolute(&campaign.path)?,
        output,
        measurement_sets: measurement_sets(campaign, &block.measurement_sets)?,
        imager: block.imager,
        calibrator: block.calibrator,
        rounds,
        acceptance: block.acceptance,
        solint: block.solint,
        stop: block.stop,
        resources: block.resources,
        executables: block.executables,
        reference_antenna: block.reference_antenna,
        work_on: block.work_on,
        start_column: block.start_column,
        scheduler: block.scheduler,
        on_failure: block.on_failure,
        archive,
        not_run,
        warnings,
        only_round: None,
    };
    let more = containers::warnings(&plan);
    plan.warnings.extend(more);
    Ok(plan)
}

/// What is collected at the end: `campaign.archive`, and the strategy's mode `archive` where a folder is named for it
/// (without one flint archives nothing, either: then the second part says so).
fn archive(
    campaign: &Campaign,
    options: &Options,
    block: &super::file::CampaignBlock,
) -> Result<(ArchiveOptions, Option<String>), PlanError> {
    let mut archive = block.archive.clone();
    let base = campaign.folder();
    let folder = |path: &Option<PathBuf>| path.as_ref().map(|p| absolute(&base.join(p))).transpose();
    (archive.to, archive.copy_to) = (folder(&archive.to)?, folder(&archive.copy_to)?);
    let (tars, copies) = (folder(&block.sbid_archive_path)?, folder(&block.sbid_copy_path)?);
    let has_mode = |maps: &super::file::ModeMaps| maps.contains_key("archive");
    let maps = std::iter::once(&campaign.defaults).chain(campaign.rounds.values()).chain([&campaign.overrides]);
    let asked_for = maps.into_iter().any(has_mode);
    // As flint: a folder for one of them does not stand for the other.
    let flint = tars.is_some() || copies.is_some();
    let own = archive.to.is_some() || archive.copy_to.is_some() || !archive.is_empty();
    if flint || asked_for && own {
        let patterns: FlintArchiveOptions = options.typed(campaign.last_round(), "archive")?;
        if archive.tar_file_re_patterns.is_empty() && (tars.is_some() || !flint) {
            archive.tar_file_re_patterns = patterns.tar_file_re_patterns;
        }
        if archive.copy_file_re_patterns.is_empty() && (copies.is_some() || !flint) {
            archive.copy_file_re_patterns = patterns.copy_file_re_patterns;
        }
        archive.to = tars.or(archive.to);
        archive.copy_to = copies.or(archive.copy_to);
    }
    let homeless = asked_for && !flint && !own;
    let words =
        "the mode `archive`, as no folder is named for it (`sbid_archive_path`, `sbid_copy_path` or `archive.to`)";
    Ok((archive, homeless.then(|| words.to_owned())))
}

fn calibration(
    options: &Options,
    block: &super::file::CampaignBlock,
    round: usize,
) -> Result<Option<CalibrationPlan>, PlanError> {
    let skipped = block.skip_selfcal_on_rounds.as_ref().is_some_and(|rounds| rounds.contains(&round));
    if round == 0 || skipped || block.calibrator == CalibratorKind::None {
        return Ok(None);
    }
    Ok(Some(CalibrationPlan {
        calibrator: block.calibrator,
        gaincal: options.typed(round, "gaincal")?,
        reference_antenna: block.reference_antenna.clone(),
    }))
}

fn mask(
    campaign: &Campaign,
    options: &Options,
    block: &super::file::CampaignBlock,
    round: usize,
) -> Result<Option<MaskPlan>, PlanError> {
    let settings = &block.mask;
    // Round 0 has no earlier image to make a mask from; before its major cycles there is the residual.
    let source = round > 0 || settings.cadence == MaskCadence::Cycle;
    let wanted = consider_mask_round(round, &campaign.mask_rounds(), campaign.masks_allowed());
    if settings.method == MaskMethod::None || !source || !wanted {
        return Ok(None);
    }
    let base = campaign.folder();
    let files = |files: &[PathBuf]| files.iter().map(|file| absolute(&base.join(file))).collect::<Result<Vec<_>, _>>();
    Ok(Some(MaskPlan {
        method: settings.method,
        image: settings.image,
        field: settings.field.clone(),
        cadence: settings.cadence,
        every: settings.every,
        combine: settings.combine,
        masking: options.typed(round, "masking")?,
        auto: settings.auto.clone(),
        automask: options.typed(round, "automask")?,
        noise: options.noise(round, &settings.noise)?,
        include: files(&settings.include)?,
        exclude: files(&settings.exclude)?,
        freeze_change: settings.freeze_change,
        confetti: (settings.cadence == MaskCadence::Cycle && settings.confetti_veto).then(|| settings.confetti.clone()),
    }))
}

fn imaging(
    campaign: &Campaign,
    options: &Options,
    block: &super::file::CampaignBlock,
    round: usize,
) -> Result<ImagingPlan, PlanError> {
    Ok(match block.imager {
        ImagerKind::Wsclean => {
            let mut wsclean: WscleanOptions = options.typed(round, "wsclean")?;
            // The imager runs in a folder of its own: relative paths start at the campaign file's folder.
            for path in [&mut wsclean.fits_mask, &mut wsclean.multiscale_fits_mask, &mut wsclean.temp_dir] {
                if let Some(relative) = path.as_mut() {
                    *relative = absolute(&campaign.folder().join(&*relative))?;
                }
            }
            if let Some(beam) = &mut wsclean.primary_beam {
                beam.image = absolute(&campaign.folder().join(&beam.image))?;
            }
            ImagingPlan::Wsclean(wsclean)
        }
        ImagerKind::Casa => ImagingPlan::Tclean(options.typed(round, "tclean")?),
        ImagerKind::Command => ImagingPlan::Command(block.executables.imager.clone()),
    })
}

impl RoundPlan {
    /// Hash of everything that decides what the calibration of this round gives.
    pub fn calibration_hash(&self) -> String {
        hash(&self.calibration)
    }

    /// Hash of everything that decides the mask, apart from the image it is made from.
    pub fn mask_hash(&self) -> String {
        hash(&self.mask)
    }

    /// Hash of everything that decides the image, apart from data and mask.
    pub fn image_hash(&self) -> String {
        hash(&(&self.imaging, &self.data_column))
    }

    /// Hash of the whole round.
    pub fn hash(&self) -> String {
        hash(self)
    }
}

impl Plan {
    /// The imaging of one round alone, without any calibration, in a folder of its own inside the campaign's. `column`
    /// is imaged; `None`: the one that the round images.
    ///
    /// # Errors
    /// There is no such round.
    pub fn imaging_alone(mut self, round: usize, column: Option<StartColumn>) -> Result<Self, PlanError> {
        let last = self.rounds.len() - 1;
        let Some(chosen) = self.rounds.get(round) else { return Err(PlanError::NoSuchRound { round, last }) };
        let corrected = chosen.data_column == StartColumn::CorrectedData.name();
        let planned = if corrected { StartColumn::CorrectedData } else { StartColumn::Data };
        self.start_column = column.unwrap_or(planned);
        for r in &mut self.rounds {
            r.calibration = None;
            r.waits_for_all = false;
            self.start_column.name().clone_into(&mut r.data_column);
            if let ImagingPlan::Wsclean(wsclean) = &mut r.imaging {
                wsclean.data_column.clone_from(&r.data_column);
            }
        }
        self.calibrator = CalibratorKind::None;
        self.scheduler = SchedulerOptions::default();
        self.archive = ArchiveOptions::default();
        self.output = self.output.join(format!("imaging-{round:02}"));
        self.name = format!("{}, imaging of round {round}", self.name);
        self.only_round = Some(round);
        Ok(self)
    }

    /// The rounds that are run.
    pub fn rounds_to_run(&self) -> &[RoundPlan] {
        match self.only_round {
            Some(round) => &self.rounds[round..=round],
            None => &self.rounds,
        }
    }

    /// Whether a copy of this measurement set is worked on: that was asked for, and something will be written to it.
    pub fn copies(&self, measurement_set: &Path) -> bool {
        // wsclean needs the column MODEL_DATA to go on from one major cycle to the next; what it holds stays as it is
        // where no calibration follows.
        let written = |round: &RoundPlan| match &round.imaging {
            ImagingPlan::Wsclean(_) => {
                let by_cycle = round.mask.as_ref().is_some_and(|m| m.cadence == MaskCadence::Cycle);
                by_cycle && has_column(measurement_set, "MODEL_DATA") != Some(true)
            }
            ImagingPlan::Tclean(_) => false,
            ImagingPlan::Command(_) => true,
        };
        let written = self.calibrator != CalibratorKind::None || self.rounds_to_run().iter().any(written);
        self.work_on == WorkOn::Copy && written
    }

    /// Hash of everything; of use to see at a glance that nothing changed.
    pub fn hash(&self) -> String {
        hash(self)
    }
}

/// SHA-256, in hexadecimal digits, of the canonical JSON of a value: keys sorted, no spaces.
pub fn hash(value: &impl Serialize) -> String {
    use std::fmt::Write;
    let mut json = serde_json::to_value(value).unwrap_or(Json::Null);
    json.sort_all_objects();
    Sha256::digest(json.to_string()).iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// An absolute path without `.`; the file itself need not exist.
fn absolute(path: &Path) -> Result<PathBuf, PlanError> {
    let absolute =
        std::path::absolute(path).map_err(|source| PlanError::NoAbsolutePath { path: path.to_path_buf(), source })?;
    Ok(absolute.components().collect())
}

/// A name without characters that make trouble in paths and scripts.
fn folder_name(name: &str) -> String {
    let safe = |c: char| if c.is_alphanumeric() || "._-+".contains(c) { c } else { '_' };
    let name: String = name.chars().map(safe).collect();
    if name.trim_matches('.').is_empty() { "campaign".to_owned() } else { name }
}

/// Finds the measurement sets: patterns expanded and sorted, names made unique.
fn measurement_sets(campaign: &Campaign, patterns: &[String]) -> Result<Vec<MeasurementSetPlan>, PlanError> {
    let start = if campaign.command_line_sets { Path::new(".") } else { campaign.folder() };
    let mut paths: Vec<PathBuf> = Vec::new();
    let mut missing = Vec::new();
    for (index, pattern) in patterns.iter().enumerate() {
        let full = absolute(&start.join(pattern))?;
        let mut found: Vec<PathBuf> = if full.exists() {
            vec![full]
        } else {
            glob::glob(&full.to_string_lossy()).map(|paths| paths.flatten().collect()).unwrap_or_default()
        };
        if found.is_empty() {
            if campaign.command_line_sets {
                return Err(PlanError::NoSuchSet(pattern.clone()));
            }
            missing.push(no_such_set(campaign, index, pattern));
        }
        found.sort();
        paths.extend(found);
    }
    if !missing.is_empty() {
        return Err(PlanError::Config(ConfigError {
            name: campaign.path.display().to_string(),
            text: campaign.text.clone(),
            problems: missing,
        }));
    }
    let mut sets: Vec<MeasurementSetPlan> = Vec::new();
    let (mut known, mut names) = (HashSet::new(), HashSet::new());
    for path in paths {
        if !known.insert(path.clone()) {
            return Err(PlanError::Twice(path));
        }
        let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        let stem = folder_name(&stem);
        let mut name = stem.clone();
        let mut number = 2;
        while !names.insert(name.clone()) {
            name = format!("{stem}-{number}");
            number += 1;
        }
        sets.push(MeasurementSetPlan { name, path });
    }
    Ok(sets)
}

fn no_such_set(campaign: &Campaign, index: usize, pattern: &str) -> Problem {
    use super::file::yaml::Value;
    let list = campaign.tree.at(&["campaign", "measurement_sets"]);
    let span = list.map(|node| match &node.value {
        Value::Seq(items) => items.get(index).map_or(node.span, |item| item.span),
        _ => node.span,
    });
    let is_pattern = pattern.contains(['*', '?', '[']);
    let message = if is_pattern {
        format!("no measurement set matches `{pattern}`")
    } else {
        format!("there is no measurement set `{pattern}`")
    };
    Problem::new(span, message).help(format!("relative paths start at the folder {}", campaign.folder().display()))
}
