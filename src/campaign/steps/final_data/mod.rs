//! The data of a final imaging, made before any of it is imaged: copies with the best tables applied, and with what is
//! to be subtracted taken out; and the frequencies of a cube that is imaged in groups.

mod grid;
mod subtract;

pub(crate) use grid::{load as load_grid, make as make_grid};

use super::Prepared;
use super::onto::{Applier, copied};
use super::programs::Programs;
use crate::campaign::file::{FinalData, StartColumn, Subtract};
use crate::campaign::journal::{Journal, JournalEvent, StepId, StepKey};
use crate::campaign::layout::{FROZEN_PLAN, Layout};
use crate::campaign::plan::{FinalInput, FinalOf, FinalPlan, MeasurementSetPlan, Plan, Share, TargetPlan};
use crate::campaign::record::{CampaignRecord, ContinuumRecord, Level, MemberSolutions};
use crate::imager::ImagerOptions;
use crate::measurement_set::{self, DataPart, MsSummary};
use crate::util::fs;
use crate::{Error, Result};
use std::path::{Path, PathBuf};
use subtract::SubtractRequest;

/// What the steps here say to people.
pub(crate) type Tell<'a> = &'a dyn Fn(Level, String);

/// The data of all targets of a campaign that has ended, as final imagings find them.
///
/// # Errors
/// It has not ended; the best rounds of some targets are calibrated, and those of others are not.
pub(crate) fn inputs(plan: &Plan, imaging: &FinalPlan) -> Result<Vec<FinalInput>> {
    let record = CampaignRecord::load(&plan.output)?;
    let mut inputs = Vec::new();
    for target in &plan.targets {
        let layout = plan.layout_of(target);
        let solutions = MemberSolutions::load(&layout.final_folder())?;
        let prepared = prepared(&layout)?;
        let member = |(set, own): (&super::PreparedSet, &MeasurementSetPlan)| MeasurementSetPlan {
            name: set.name.clone(),
            path: set.path.clone(),
            // A copy of one field has no other.
            field: own.field.clone().filter(|_| set.path == own.path),
        };
        let best = record.datasets.iter().find(|dataset| dataset.name == target.name).and_then(|d| d.best_round());
        inputs.push(FinalInput {
            target: target.name.clone(),
            members: prepared.sets.iter().zip(&target.members).map(member).collect(),
            column: if solutions.is_empty() { prepared.column } else { StartColumn::CorrectedData },
            facets: best.and_then(|round| round.facets.as_ref()).map(|facets| facets.files.clone()),
            antennas: prepared.sets.iter().map(|set| set.summary.antennas_with_data()).max().unwrap_or(0),
            frequencies_hz: frequencies(plan, target, imaging, &prepared)?,
        });
        if needs_channels(imaging) && inputs[inputs.len() - 1].frequencies_hz.is_empty() {
            return Err(Error::bad_input(format!(
                "{}: wsclean can image groups of channels only of one spectral window with ascending frequencies: leave \
                 `channels_per_job` of {} out, or select one window with `campaign: spw`",
                target.name, imaging.name
            )));
        }
    }
    if let Some(other) = inputs.iter().find(|input| input.column != inputs[0].column) {
        return Err(Error::bad_input(format!(
            "the best rounds of {} and {} are in different columns ({} and {}), as one of them is not calibrated: final \
             images of both need campaigns of their own",
            inputs[0].target,
            other.target,
            inputs[0].column.name(),
            other.column.name()
        )));
    }
    Ok(inputs)
}

/// wsclean divides the channels of the data into groups.
fn needs_channels(imaging: &FinalPlan) -> bool {
    imaging.channels_per_job.is_some() && matches!(imaging.imaging, ImagerOptions::Wsclean(_))
}

/// Frequencies of the data that wsclean divides into groups; none: they do not ascend in one window, or nobody needs them.
fn frequencies(plan: &Plan, target: &TargetPlan, imaging: &FinalPlan, prepared: &Prepared) -> Result<Vec<f64>> {
    let mut found: Vec<f64> = Vec::new();
    for (set, own) in prepared.sets.iter().zip(&target.members).filter(|_| needs_channels(imaging)) {
        let (summary, field) = match imaging.data {
            FinalData::Working => (set.summary.clone(), set.part.field.filter(|_| set.path == own.path)),
            FinalData::Full => {
                let casa = Programs::new(plan, target, Share::of(plan)).casa()?;
                (MsSummary::read(&casa, &own.path)?, set.part.field)
            }
        };
        let some: Vec<usize> = summary.windows_with_data(field).into_iter().map(|(window, _)| window).collect();
        let windows = if some.is_empty() { (0..summary.spectral_windows.len()).collect() } else { some };
        let [window] = windows[..] else { return Ok(Vec::new()) };
        let frequencies = &summary.spectral_windows[window].frequencies_hz;
        let same = found.is_empty() || found.len() == frequencies.len();
        if !same || frequencies.windows(2).any(|pair| pair[1] <= pair[0]) {
            return Ok(Vec::new());
        }
        found.clone_from(frequencies);
    }
    Ok(found)
}

/// The working copies of a target, from its journal.
fn prepared(layout: &Layout) -> Result<Prepared> {
    let entries = Journal::read(&layout.journal())?;
    let found = entries.into_iter().rev().find_map(|entry| match entry.event {
        JournalEvent::Done { step, result, .. } if step == StepId::PREPARE => serde_json::from_value(result).ok(),
        _ => None,
    });
    found.ok_or_else(|| {
        let journal = layout.journal();
        Error::bad_input(format!("{}: no round was run; run the campaign to its end first", journal.display()))
    })
}

/// Makes all that a final imaging needs before any of it is imaged, unless that is done already.
///
/// # Errors
/// The campaign has not ended; the failure of a program.
pub(crate) fn make(plan: &Plan, of: &FinalOf, tell: Tell<'_>) -> Result<()> {
    if of.makes_data {
        let campaign = Plan::load(&of.campaign.join(FROZEN_PLAN))?;
        let campaign = Plan { output: of.campaign.clone(), ..campaign };
        for (target, input) in campaign.targets.iter().zip(inputs(&campaign, &of.imaging)?) {
            for member in 0..input.members.len() {
                let work = Work { campaign: &campaign, target, input: &input, member, of, output: &plan.output };
                work.make(tell)?;
            }
        }
    }
    if of.imaging.channels_per_job.is_some() && of.imaging.imaging.needs_grid() {
        make_grid(plan, tell)?;
    }
    Ok(())
}

/// The continuum that was subtracted from the data of a final imaging; none where its data have another history.
pub(crate) fn continuum(plan: &Plan, of: &FinalOf) -> Vec<ContinuumRecord> {
    match of.imaging.subtract {
        Subtract::Continuum => ContinuumRecord::load_all(&plan.output.join("data")),
        Subtract::None | Subtract::Model => Vec::new(),
    }
}

/// The copy of one measurement set.
struct Work<'a> {
    campaign: &'a Plan,
    target: &'a TargetPlan,
    input: &'a FinalInput,
    member: usize,
    of: &'a FinalOf,
    output: &'a Path,
}

impl Work<'_> {
    fn make(&self, tell: Tell<'_>) -> Result<()> {
        let set = &self.input.members[self.member];
        let folder = self.output.join("data");
        let made = folder.join(format!("{}.ms", set.name));
        let stamp = folder.join(format!("{}.key", set.name));
        let layout = self.campaign.layout_of(self.target);
        let finished = Journal::last_done_key(&layout.journal(), StepId::FINISH);
        let key = StepKey::of(&(
            "final data",
            finished,
            self.of.imaging.data,
            self.of.imaging.subtract,
            &self.of.imaging.uvcontsub,
        ));
        let key = key.to_string();
        if made.is_dir() && std::fs::read_to_string(&stamp).is_ok_and(|then| then == key) {
            return Ok(());
        }
        fs::make(&folder)?;
        fs::remove(&made)?;
        let aside = folder.join(format!(".{}.part", set.name));
        fs::remove(&aside)?;
        fs::make(&aside)?;
        let logs = self.output.join("logs");
        fs::make(&logs)?;
        let log = logs.join(format!("data-{}.log", set.name));
        let mut programs = Programs::new(self.campaign, self.target, Share::of(self.campaign));
        let new = aside.join("new.ms");
        match self.of.imaging.data {
            FinalData::Working => self.copy_working(&mut programs, &new)?,
            FinalData::Full => {
                let solutions = MemberSolutions::load(&layout.final_folder())?.into_iter().find(|s| s.name == set.name);
                self.copy_full(&mut programs, solutions.as_ref(), (&aside, &new), &log, tell)?;
            }
        }
        if self.of.imaging.subtract != Subtract::None {
            let record = CampaignRecord::load(&self.campaign.output)?;
            let best = record.datasets.iter().find(|d| d.name == self.target.name).and_then(|d| d.best_round());
            let best = best.ok_or_else(|| Error::bad_input(format!("{}: it has no best round", self.target.name)))?;
            let facets = self.input.facets.as_ref().map(|files| files.of_member(self.member));
            let request = SubtractRequest {
                what: self.of.imaging.subtract,
                uvcontsub: &self.of.imaging.uvcontsub,
                name: &set.name,
                measurement_set: &new,
                folder: &folder,
                log: &log,
                best,
                imaging: &self.campaign.rounds[best.round.min(self.campaign.rounds.len() - 1)].imaging,
                facets: facets.as_ref(),
            };
            subtract::subtract(&request, &mut programs, tell)?;
        }
        if self.of.imaging.channels_per_job.is_some() && self.of.imaging.imaging.writes_to(&new, true) {
            // Groups that work at the same time must not add the column that wsclean's cycles need.
            measurement_set::copy_column(&programs.casa()?, &new, "DATA", "MODEL_DATA")?;
        }
        std::fs::rename(&new, &made).map_err(Error::internal)?;
        fs::remove(&aside)?;
        fs::write_atomically(&stamp, key.as_bytes())?;
        tell(Level::Info, format!("{}: the data of this imaging", made.display()));
        Ok(())
    }

    /// The working copy, its imaged column as `DATA`.
    fn copy_working(&self, programs: &mut Programs<'_>, new: &Path) -> Result<()> {
        copied(&self.input.members[self.member].path, new)?;
        match self.input.column {
            StartColumn::Data => Ok(()),
            StartColumn::CorrectedData => measurement_set::adopt_corrected(&programs.casa()?, new),
        }
    }

    /// The original with the best tables applied, un-averaged and unselected, as `DATA`; only its field is taken.
    fn copy_full(
        &self,
        programs: &mut Programs<'_>,
        solutions: Option<&MemberSolutions>,
        (aside, new): (&Path, &Path),
        log: &Path,
        tell: Tell<'_>,
    ) -> Result<()> {
        let from = &self.target.members[self.member].path;
        let casa = programs.casa()?;
        let layout = self.campaign.layout_of(self.target);
        let Some(solutions) = solutions else {
            let part = prepared(&layout)?.sets.get(self.member).map(|set| set.part.clone()).unwrap_or_default();
            let field = DataPart { field: part.field, ..DataPart::default() };
            return field.copy(&casa, from, self.campaign.start_column.name(), new, log);
        };
        let whole: PathBuf = aside.join("whole.ms");
        copied(from, &whole)?;
        if solutions.start_column == StartColumn::CorrectedData {
            measurement_set::adopt_corrected(&casa, &whole)?;
        }
        let mut calibrator = programs.calibrator(&solutions.calibration)?;
        let mut applier = Applier { casa: &casa, calibrator: calibrator.as_mut(), root: layout.root(), log };
        for note in applier.apply_to_data(solutions, &whole)? {
            tell(Level::Warning, note);
        }
        let field = applier.field(solutions, &whole)?;
        measurement_set::split_corrected(&casa, &whole, field.into_iter().collect(), new, log)?;
        Ok(fs::remove(&whole)?)
    }
}
