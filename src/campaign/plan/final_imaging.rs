//! Images and cubes after the best round: each is run as a campaign of its own, of one round without calibration.

mod operations;

pub(super) use operations::not_run as operations_not_run;

use super::PlanError;
use super::measurement_sets::from_folder;
use super::strategy::{Options, mask_of};
use super::types::{ChannelsPlan, FinalOf, FinalPlan, MeasurementSetPlan, Plan, RoundPlan, TargetPlan};
use crate::Error;
use crate::campaign::file::{
    ArchiveOptions, CalibratorKind, CampaignBlock, CampaignFile, FinalData, FinalImaging, ImagerKind, MaskCadence,
    MaskMethod, MaskSettings, Multiscale, RestoringBeam, StartColumn, StartModel, Subtract, WorkOn,
};
use crate::campaign::layout::final_imaging_folder;
use crate::imager::{ChannelGroup, DataChannels, FacetFiles, ImagerOptions};
use std::path::PathBuf;

/// The data of one target that a final imaging reads.
#[derive(Debug, Clone, PartialEq)]
pub struct FinalInput {
    /// The target in the campaign.
    pub target: String,
    /// Its measurement sets.
    pub members: Vec<MeasurementSetPlan>,
    /// The column that holds the best round's data.
    pub column: StartColumn,
    /// Solutions by direction of the best round; `None`: it has none.
    pub facets: Option<FacetFiles>,
    /// Antennas with data, of the set that has most; 0: they are not known.
    pub antennas: usize,
    /// Frequencies of the channels of the data, Hz, ascending, of the only spectral window; empty: nobody needs them.
    pub frequencies_hz: Vec<f64>,
}

impl FinalPlan {
    /// Its data are others than those that the rounds worked on.
    pub fn makes_data(&self) -> bool {
        self.data == FinalData::Full || self.subtract != Subtract::None
    }

    /// The groups of channels that it is imaged in; empty: it is imaged at once.
    pub fn groups(&self) -> Vec<ChannelGroup> {
        match (self.channels_per_job, self.channels) {
            (Some(size), Some(channels)) => ChannelGroup::all(channels, size),
            _ => Vec::new(),
        }
    }

    /// The same for these data: where each of their channels is one of the cube, it has so many.
    ///
    /// # Errors
    /// Not all measurement sets have the same number of channels.
    pub(crate) fn for_data(&self, inputs: &[FinalInput]) -> Result<Self, Error> {
        let mut own = self.clone();
        let ImagerOptions::Wsclean(options) = &mut own.imaging else { return Ok(own) };
        if !self.every_channel {
            return Ok(own);
        }
        let first = inputs.first().map(|input| input.frequencies_hz.len()).filter(|channels| *channels > 0);
        let same = |input: &FinalInput| Some(input.frequencies_hz.len()) == first;
        let Some(channels) = first.filter(|_| inputs.iter().all(same)) else {
            return Err(Error::bad_input(format!(
                "final imaging {}: each channel of the data is imaged by itself, which needs the same number of channels in \
                 one spectral window of all measurement sets: select them with `campaign: spw`",
                self.name
            )));
        };
        (options.channels_out, options.join_channels, options.channel_range) = (channels as u64, false, None);
        own.channels = Some(channels);
        Ok(own)
    }

    /// The channels of the data that a group is made of, where the imager divides them.
    pub(crate) fn of_data(&self, group: &ChannelGroup, frequencies_hz: &[f64]) -> Option<DataChannels> {
        match &self.imaging {
            ImagerOptions::Wsclean(o) if !frequencies_hz.is_empty() => {
                Some(DataChannels::of(group, frequencies_hz, o.channel_range))
            }
            _ => None,
        }
    }

    /// Groups of channels read the same data at the same time, and the imager needs a column that is not there.
    fn lacks_column(&self, input: &FinalInput) -> bool {
        let by_cycle = self.mask.as_ref().is_some_and(|mask| mask.cadence == MaskCadence::Cycle);
        let wsclean = matches!(self.imaging, ImagerOptions::Wsclean(_));
        let lacks = |set: &MeasurementSetPlan| self.imaging.writes_to(&set.path, by_cycle);
        wsclean && self.channels_per_job.is_some() && input.members.iter().any(lacks)
    }
}

impl Plan {
    /// The cubes that are imaged in groups of channels: the name of each, and the first of its groups.
    pub(crate) fn cubes(&self) -> impl Iterator<Item = (&str, &TargetPlan)> {
        let first = |group: &(&str, &TargetPlan)| {
            let same = |target: &&TargetPlan| target.channels.as_ref().is_some_and(|other| other.target == group.0);
            self.targets.iter().find(same).is_some_and(|target| std::ptr::eq(target, group.1))
        };
        self.targets.iter().filter_map(|t| Some((t.channels.as_ref()?.target.as_str(), t))).filter(first)
    }

    /// The folder of a cube that is put together from groups.
    pub(crate) fn cube_folder(&self, name: &str) -> PathBuf {
        let several = self.cubes().any(|(other, _)| other != name);
        if several { self.output.join(name) } else { self.output.clone() }
    }

    /// The final imaging of this name.
    ///
    /// # Errors
    /// There is none.
    pub fn final_named(&self, name: &str) -> Result<&FinalPlan, PlanError> {
        self.final_imaging.iter().find(|imaging| imaging.name == name).ok_or_else(|| PlanError::NoSuchFinal {
            name: name.to_owned(),
            known: self.final_imaging.iter().map(|imaging| imaging.name.clone()).collect(),
        })
    }

    /// The plan of a final imaging: one round, without calibration, of these data; each group of channels is a target.
    pub(crate) fn of_final(&self, imaging: &FinalPlan, inputs: &[FinalInput]) -> Self {
        let output = final_imaging_folder(&self.output, &imaging.name);
        let column = inputs.first().map_or(StartColumn::Data, |input| input.column);
        let makes_data = imaging.makes_data() || inputs.iter().any(|input| imaging.lacks_column(input));
        let start_column = if makes_data { StartColumn::Data } else { column };
        let mut options = imaging.imaging.clone();
        options.set_data_column(start_column.name());
        let members = |input: &FinalInput| {
            let own = |set: &MeasurementSetPlan| MeasurementSetPlan {
                path: output.join("data").join(format!("{}.ms", set.name)),
                field: None,
                ..set.clone()
            };
            if makes_data { input.members.iter().map(own).collect() } else { input.members.clone() }
        };
        let groups = imaging.groups();
        let targets_of = |input: &FinalInput| -> Vec<TargetPlan> {
            let whole = TargetPlan { name: input.target.clone(), members: members(input), channels: None };
            if groups.is_empty() {
                return vec![whole];
            }
            let name = |group: &ChannelGroup| match inputs.len() {
                1 => group.name(),
                _ => format!("{}-{}", input.target, group.name()),
            };
            let channels = |group: &ChannelGroup| ChannelsPlan {
                target: input.target.clone(),
                group: *group,
                of_data: imaging.of_data(group, &input.frequencies_hz),
                antennas: input.antennas,
                veto: None,
            };
            let of = |group: &ChannelGroup| TargetPlan {
                name: name(group),
                channels: Some(channels(group)),
                ..whole.clone()
            };
            groups.iter().map(of).collect()
        };
        let facets = inputs.iter().filter_map(|input| Some((input.target.clone(), input.facets.clone()?)));
        Self {
            name: format!("{}, final imaging {}", self.name, imaging.name),
            targets: inputs.iter().flat_map(targets_of).collect(),
            output: output.clone(),
            spw: String::new(),
            average: Default::default(),
            imager: imaging.imager,
            calibrator: CalibratorKind::None,
            rounds: vec![RoundPlan {
                round: 0,
                calibration: None,
                facets: None,
                mask: imaging.mask.clone(),
                imaging: options,
                data_column: start_column.name().to_owned(),
                waits_for_all: makes_data || !groups.is_empty() && imaging.imaging.needs_grid(),
            }],
            facet_stage: None,
            multiscale: Multiscale::None,
            stop: imaging.stop.clone(),
            // Groups only read; what is there for this imaging alone may be written to.
            work_on: if makes_data || !groups.is_empty() { WorkOn::Original } else { self.work_on },
            start_column,
            // Nothing may be there to clean.
            start_model: StartModel::Auto,
            apply_to: None,
            archive: ArchiveOptions::default(),
            not_run: Vec::new(),
            warnings: Vec::new(),
            only_round: Some(0),
            final_imaging: Vec::new(),
            final_of: Some(FinalOf {
                campaign: self.output.clone(),
                imaging: imaging.clone(),
                makes_data,
                facets: facets.collect(),
            }),
            ..self.clone()
        }
    }
}

/// The final imagings of a campaign: flint's operations, then those of the `campaign:` block, in its order.
pub(super) fn final_imagings(
    campaign: &CampaignFile,
    options: &Options<'_>,
    block: &CampaignBlock,
) -> Result<Vec<FinalPlan>, PlanError> {
    let mut all = operations::of(campaign, options, block)?;
    for (name, imaging) in &block.final_imaging {
        all.push(resolve(campaign, options, block, (name, imaging))?);
    }
    Ok(all)
}

fn resolve(
    campaign: &CampaignFile,
    options: &Options<'_>,
    block: &CampaignBlock,
    (name, imaging): (&str, &FinalImaging),
) -> Result<FinalPlan, PlanError> {
    let imager = imaging.imager.unwrap_or(block.imager);
    let own = match imager {
        ImagerKind::Wsclean => &imaging.wsclean,
        ImagerKind::Casa => &imaging.tclean,
        ImagerKind::Command => &serde_json::Map::new(),
    };
    let place = ["campaign", "final_imaging", name];
    let base = imager.mode().map(|mode| options.map(campaign.last_round(), mode)).transpose()?.unwrap_or_default();
    let made = from_folder(campaign, options.final_imager(base, (imager, own), &place, &block.executables.imager)?)?;
    let mode = imager.mode().unwrap_or_default();
    let wrong = |key: &str, message: String, help: &str| {
        let at: Vec<&str> = place.into_iter().chain([mode, key]).collect();
        let at = if campaign.tree.at(&at).is_some() { &at[..] } else { &place[..] };
        PlanError::from(campaign.error_at(at, message, help))
    };
    if imaging.channels_per_job.is_some()
        && let Some((key, remedy)) = made.against_groups()
    {
        let message = format!("`final_imaging.{name}` cannot be imaged in groups of channels (`{mode}.{key}`)");
        return Err(wrong(key, message, remedy));
    }
    let common = matches!(&made, ImagerOptions::Tclean(o) if o.restores_to_common());
    let settings = imaging.mask.clone().unwrap_or_else(|| MaskSettings {
        cadence: MaskCadence::Cycle,
        method: if imager == ImagerKind::Command { MaskMethod::None } else { block.mask.method },
        ..block.mask.clone()
    });
    Ok(FinalPlan {
        name: name.to_owned(),
        imager,
        mask: mask_of(campaign, options, &settings, campaign.last_round())?,
        stop: imaging.stop.clone().unwrap_or_else(|| block.stop.clone()),
        data: imaging.data,
        subtract: imaging.subtract,
        uvcontsub: imaging.uvcontsub.clone(),
        channels_per_job: imaging.channels_per_job,
        channels: made.cube_channels().or(imaging.channels),
        every_channel: false,
        confetti: settings.confetti_veto.then(|| settings.confetti.clone()),
        restoringbeam: if common { RestoringBeam::Common } else { imaging.restoringbeam },
        remove_groups: imaging.remove_groups,
        imaging: made,
    })
}
