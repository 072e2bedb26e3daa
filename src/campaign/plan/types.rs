//! The plan and its parts.

use super::{PlanError, hash};
use crate::calibrator::facets::options::FacetOptions;
use crate::calibrator::options::GaincalOptions;
use crate::campaign::file::{
    ApplyTo, ArchiveOptions, AverageOptions, CalibratorKind, Executables, FieldOptions, FilledIn, FinalData,
    ImagerKind, MaskCadence, MaskImage, Multiscale, OnFailure, Resources, RestoringBeam, SchedulerOptions, StartColumn,
    StartModel, StopOptions, Subtract, WorkOn,
};
use crate::campaign::layout::Layout;
use crate::campaign::rules::acceptance::AcceptanceOptions;
use crate::campaign::rules::schedule::SolintOptions;
use crate::imager::{ChannelGroup, DataChannels, FacetFiles, ImagerOptions};
use crate::masking::MaskRecipe;
use crate::measurement_set::continuum::UvcontsubOptions;
use crate::quality::confetti::ConfettiOptions;
use crate::util::fs;
use crate::{Error, Result};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// A campaign with everything resolved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Name of the campaign.
    pub name: String,
    /// The file it came from.
    pub campaign_file: PathBuf,
    /// Folder of everything that the campaign makes.
    pub output: PathBuf,
    /// What is imaged, in the order of the first measurement set of each.
    pub targets: Vec<TargetPlan>,
    /// Windows and channels that are used; empty: all.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub spw: String,
    /// Averaging of the working copies.
    #[serde(default, skip_serializing_if = "AverageOptions::is_default")]
    pub average: AverageOptions,
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
    /// Options of the rounds by direction that the automatic schedule may end with; `None`: it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub facet_stage: Option<FacetOptions>,
    /// Whether rounds come to clean with multi-scale by themselves.
    #[serde(default, skip_serializing_if = "Multiscale::is_none")]
    pub multiscale: Multiscale,
    /// When the cleaning of a round ends, with cadence `cycle`.
    pub stop: StopOptions,
    /// Threads, memory, time and disk.
    pub resources: Resources,
    /// Commands of the external programs.
    pub executables: Executables,
    /// Reference antenna; `None`: chosen by the program.
    pub reference_antenna: Option<String>,
    /// Copy or original.
    pub work_on: WorkOn,
    /// The column that round 0 images.
    pub start_column: StartColumn,
    /// The model that the first calibration starts from.
    #[serde(default)]
    pub start_model: StartModel,
    /// The data that get the best solutions at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub apply_to: Option<ApplyTo>,
    /// Where the work runs.
    pub scheduler: SchedulerOptions,
    /// Whether the other measurement sets go on when one fails.
    pub on_failure: OnFailure,
    /// Files that are collected at the end.
    pub archive: ArchiveOptions,
    /// The defaults that the file was filled in with, where they are not those of the options.
    #[serde(default)]
    pub filled_in: FilledIn,
    /// Parts of the strategy that load but are not run.
    pub not_run: Vec<String>,
    /// Warnings.
    pub warnings: Vec<String>,
    /// This round alone is imaged, as [`Plan::imaging_alone`] made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only_round: Option<usize>,
    /// Images and cubes that are made after the best round, in this order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub final_imaging: Vec<FinalPlan>,
    /// This plan is that of a final imaging of another campaign.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub final_of: Option<FinalOf>,
}

/// What is imaged together: one measurement set, or several of one pointing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TargetPlan {
    /// Short name, unique in the campaign and fit for a folder: that of its only measurement set, or of the first and how
    /// many more there are (`night1+2`).
    pub name: String,
    /// Its measurement sets, as the file lists them; never empty.
    pub members: Vec<MeasurementSetPlan>,
    /// The channels of a cube that are imaged; `None`: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channels: Option<ChannelsPlan>,
}

/// Channels of a cube that are imaged by themselves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChannelsPlan {
    /// The target whose cube it is.
    pub target: String,
    /// The channels.
    pub group: ChannelGroup,
    /// The channels of the data that it is made of, where the imager divides them (wsclean).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of_data: Option<DataChannels>,
    /// Antennas with data, which a group's own look at the data does not count; 0: they are not known.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub antennas: usize,
    /// Pixels that are never in the mask of this single channel, which is imaged again without the confetti in them; `None`:
    /// this is one of the cube's groups.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub veto: Option<PathBuf>,
}

/// One measurement set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeasurementSetPlan {
    /// Short name, unique in the campaign and fit for a folder.
    pub name: String,
    /// Where it is, absolute.
    pub path: PathBuf,
    /// The field that is imaged, by name or number; `None`: the only one, or the only target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
}

impl TargetPlan {
    /// Several measurement sets are imaged together.
    pub fn is_joint(&self) -> bool {
        self.members.len() > 1
    }

    /// The paths of its measurement sets.
    pub fn paths(&self) -> Vec<PathBuf> {
        self.members.iter().map(|set| set.path.clone()).collect()
    }
}

/// One round.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RoundPlan {
    /// Its number; 0 images before any calibration.
    pub round: usize,
    /// Calibration before imaging; `None`: none.
    pub calibration: Option<CalibrationPlan>,
    /// Solving by direction before imaging, on top of the tables of the rounds before; `None`: it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub facets: Option<FacetOptions>,
    /// The mask it is cleaned with; `None`: none.
    pub mask: Option<MaskPlan>,
    /// Imaging.
    pub imaging: ImagerOptions,
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
    /// Options of `gaincal`, one for each solve: solved in this order, each with those before it applied, all applied
    /// together. Never empty.
    pub chain: Vec<GaincalOptions>,
    /// Reference antenna; `None`: chosen by the program.
    pub reference_antenna: Option<String>,
}

/// Mask of a round.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MaskPlan {
    /// Its method, never [`MaskMethod::None`](crate::masking::MaskMethod::None), with the options of all methods.
    pub recipe: MaskRecipe,
    /// The image that it is made from.
    #[serde(default, skip_serializing_if = "MaskImage::is_default")]
    pub image: MaskImage,
    /// With image `field`: how that is made.
    #[serde(default, skip_serializing_if = "FieldOptions::is_default")]
    pub field: FieldOptions,
    /// Its cadence.
    pub cadence: MaskCadence,
    /// With cadence cycle: before every n-th major cycle.
    pub every: usize,
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

/// One imaging after the best round, with everything resolved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FinalPlan {
    /// Its name, which is that of its folder in `final/`.
    pub name: String,
    /// The imager.
    pub imager: ImagerKind,
    /// Its options.
    pub imaging: ImagerOptions,
    /// The masks it is cleaned with; `None`: none.
    pub mask: Option<MaskPlan>,
    /// When its cleaning ends, with cadence `cycle`.
    pub stop: StopOptions,
    /// Its data.
    pub data: FinalData,
    /// What is subtracted from them.
    pub subtract: Subtract,
    /// How the continuum is fitted that is subtracted.
    #[serde(default, skip_serializing_if = "is_default")]
    pub uvcontsub: UvcontsubOptions,
    /// Channels of a group; `None`: it is imaged at once.
    pub channels_per_job: Option<usize>,
    /// Channels of the cube, where they are known.
    pub channels: Option<usize>,
    /// Each channel of the data is a channel of the cube (flint's `subtractcube`): how many, the data say.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub every_channel: bool,
    /// Limits of the confetti veto at the borders of groups; `None`: no veto.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confetti: Option<ConfettiOptions>,
    /// Beams of a cube that is put together from groups.
    pub restoringbeam: RestoringBeam,
    /// The images of the groups go once the cube is there.
    pub remove_groups: bool,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // As serde asks for it.
fn is_zero(number: &usize) -> bool {
    *number == 0
}

fn is_default(options: &UvcontsubOptions) -> bool {
    *options == UvcontsubOptions::default()
}

/// The final imaging that a plan is of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FinalOf {
    /// The folder of the campaign whose best rounds it images.
    pub campaign: PathBuf,
    /// The imaging.
    pub imaging: FinalPlan,
    /// Its data are copies of its own, made before any of it is imaged.
    pub makes_data: bool,
    /// Solutions by direction that belong to the best rounds, by target.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub facets: IndexMap<String, FacetFiles>,
}

impl RoundPlan {
    /// It solves for something else than another round.
    pub(crate) fn differs_from(&self, other: &Self) -> bool {
        (&self.calibration, &self.facets) != (&other.calibration, &other.facets)
    }

    /// Hash of everything that decides what the calibration of this round gives.
    pub fn calibration_hash(&self) -> String {
        match &self.facets {
            Some(facets) => hash(facets),
            None => hash(&self.calibration),
        }
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
    /// Where a target's files are: the campaign folder itself if it is the only one and no group of channels,
    /// else a folder below it.
    pub fn layout_of(&self, target: &TargetPlan) -> Layout {
        let alone = self.targets.len() == 1 && target.channels.is_none();
        if alone { Layout::new(&self.output) } else { Layout::new(self.output.join(&target.name)) }
    }

    /// The imaging of one round alone, without any calibration, in a folder of its own inside the campaign's. `column`
    /// is imaged; `None`: the one that the round images.
    ///
    /// # Errors
    /// There is no such round.
    pub fn imaging_alone(mut self, round: usize, column: Option<StartColumn>) -> std::result::Result<Self, PlanError> {
        let last = self.rounds.len() - 1;
        let Some(chosen) = self.rounds.get(round) else { return Err(PlanError::NoSuchRound { round, last }) };
        let corrected = chosen.data_column == StartColumn::CorrectedData.name();
        let planned = if corrected { StartColumn::CorrectedData } else { StartColumn::Data };
        self.start_column = column.unwrap_or(planned);
        for r in &mut self.rounds {
            r.calibration = None;
            r.facets = None;
            r.waits_for_all = false;
            self.start_column.name().clone_into(&mut r.data_column);
            r.imaging.set_data_column(&r.data_column);
        }
        self.calibrator = CalibratorKind::None;
        self.scheduler = SchedulerOptions::default();
        self.archive = ArchiveOptions::default();
        self.apply_to = None;
        self.final_imaging = Vec::new();
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

    /// Whether copies of a target's measurement sets are worked on: that was asked for, and they are parts of the data, or
    /// something will be written to them.
    pub fn copies(&self, target: &TargetPlan) -> bool {
        let written = |round: &RoundPlan| {
            let by_cycle = round.mask.as_ref().is_some_and(|m| m.cadence == MaskCadence::Cycle);
            target.members.iter().any(|set| round.imaging.writes_to(&set.path, by_cycle))
        };
        let written = self.calibrator != CalibratorKind::None || self.rounds_to_run().iter().any(written);
        self.work_on == WorkOn::Copy && (written || target.members.iter().any(|set| self.selects(set)))
    }

    /// Whether DP3 may write the working copies of measurement sets that CASA cannot read: then no solutions are applied to
    /// the originals.
    pub(crate) fn may_decompress(&self, target: &TargetPlan) -> bool {
        self.copies(target) && self.start_column == StartColumn::Data && self.apply_to != Some(ApplyTo::Original)
    }

    /// Whether a part of the measurement set is asked for, or an average of it.
    pub fn selects(&self, set: &MeasurementSetPlan) -> bool {
        set.field.is_some() || !self.spw.is_empty() || !self.average.is_default()
    }

    /// Hash of everything; of use to see at a glance that nothing changed.
    pub fn hash(&self) -> String {
        hash(self)
    }

    /// Writes the plan as JSON; [`Plan::load`] reads it.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        let json = serde_json::to_vec_pretty(self).map_err(Error::internal)?;
        Ok(fs::write_atomically(path, &json)?)
    }

    /// Reads a plan that [`Plan::save`] wrote.
    ///
    /// # Errors
    /// The file cannot be read, or holds no plan.
    pub fn load(path: &Path) -> Result<Self> {
        let failed = |error: &dyn std::fmt::Display| {
            Error::bad_input(format!(
                "{}: cannot be read: {error}; is this the folder of a campaign that has run?",
                path.display()
            ))
        };
        let text = std::fs::read(path).map_err(|error| failed(&error))?;
        serde_json::from_slice(&text).map_err(|error| failed(&error))
    }
}
