//! Images and cubes after the best round: in the order of the file, each as a campaign of its own in `final/NAME/`.

use super::events::Emitter;
use super::file::{OnFailure, SchedulerKind, WorkOn};
use super::journal::{Column, Journal, JournalEvent, StepId, StepKey};
use super::layout::{FROZEN_PLAN, final_imaging_folder};
use super::plan::{FinalPlan, Plan};
use super::record::{CampaignRecord, FinalRecord, Level, State};
use super::run::{self, CampaignRun, FROZEN_CONFIG, Outcome, RunSettings, Selection};
use super::steps::{borders, final_data};
use crate::util::lock::{CAMPAIGN_LOCK, Lock, STEWARD};
use crate::{Error, Result};
use std::time::Instant;

/// Makes all final images of a campaign that has ended; the outcome is that of the campaign, with them in its record.
///
/// # Errors
/// The failure of one of them, after the others were made (with `on_failure: stop`: at once); an interruption.
pub(super) fn run_all(plan: &Plan, settings: &RunSettings<'_>, events: &Emitter, outcome: Outcome) -> Result<Outcome> {
    if plan.final_imaging.is_empty() || settings.selection.is_partial() || !has_images(outcome.state) {
        return Ok(outcome);
    }
    let _lock = Lock::take(&plan.output)?;
    let campaign = CampaignRun { plan, settings, events };
    let mut failures: Vec<String> = Vec::new();
    for imaging in &plan.final_imaging {
        match run_one(campaign, imaging, false) {
            // Its jobs go on by themselves; the steward begins the next.
            Ok(made) if !made.state.is_final() => break,
            Ok(_) => {}
            Err(Error::Interrupted) => return Err(Error::Interrupted),
            Err(error) => {
                failures.push(format!("final imaging {}: {error}", imaging.name));
                if plan.on_failure == OnFailure::Stop {
                    break;
                }
            }
        }
    }
    let record = CampaignRecord::load(&plan.output)?;
    if failures.is_empty() { Ok(Outcome { record, ..outcome }) } else { Err(Error::external(failures.join("\n"))) }
}

/// Makes one final image of a campaign that has ended.
///
/// # Errors
/// The campaign has not ended; the failure of a program; an interruption.
pub(super) fn run_alone(plan: &Plan, name: &str, settings: &RunSettings<'_>, events: &Emitter) -> Result<Outcome> {
    let imaging = plan.final_named(name)?;
    let _lock = Lock::take(&plan.output)?;
    run_one(CampaignRun { plan, settings, events }, imaging, settings.restart)
}

/// Images can be made of a campaign in this state.
fn has_images(state: State) -> bool {
    matches!(state, State::Done | State::Converged | State::Diverged)
}

/// The campaign's lock must be held.
fn run_one(campaign: CampaignRun<'_>, imaging: &FinalPlan, restart: bool) -> Result<Outcome> {
    let CampaignRun { plan, settings, events } = campaign;
    let began = Instant::now();
    let inputs = final_data::inputs(plan, imaging)?;
    let imaging = &imaging.for_data(&inputs)?;
    let groups = plan.of_final(imaging, &inputs);
    let mut own = borders::with_channels_again(groups.clone(), imaging, &inputs);
    forget_model(plan, &own)?;
    if inputs.iter().any(|input| input.facets.is_some()) && !imaging.imaging.takes_facets() {
        let text = format!(
            "final imaging {}: its imager does not apply the best round's solutions by direction: they are left out",
            imaging.name
        );
        events.message(None, Level::Warning, text);
    }
    note(campaign, FinalRecord { state: State::Running, ..of(&own, imaging) })?;
    let mut settings = RunSettings {
        restart,
        command_line: settings.command_line.clone(),
        config: settings.config.clone(),
        selection: Selection::default(),
        ..*settings
    };
    let mut outcome = run::run(&own, &settings, events);
    let more = borders::with_channels_again(groups, imaging, &inputs);
    if outcome.as_ref().is_ok_and(|made| has_images(made.state)) && more.targets != own.targets {
        own = more;
        settings.restart = false;
        outcome = run::run(&own, &settings, events);
    }
    let ended = match &outcome {
        Ok(outcome) => FinalRecord { state: outcome.state, ..of(&own, imaging) },
        Err(Error::Interrupted) => FinalRecord { state: State::Interrupted, ..of(&own, imaging) },
        Err(error) => FinalRecord { state: State::Failed, error: error.to_string(), ..of(&own, imaging) },
    };
    note(campaign, FinalRecord { seconds: Some(began.elapsed().as_secs_f64()), ..ended })?;
    outcome
}

fn of(own: &Plan, imaging: &FinalPlan) -> FinalRecord {
    FinalRecord { name: imaging.name.clone(), folder: own.output.clone(), ..FinalRecord::default() }
}

/// Enters a final imaging into the campaign's record and report.
fn note(campaign: CampaignRun<'_>, entry: FinalRecord) -> Result<()> {
    let mut record = CampaignRecord::load(&campaign.plan.output)?;
    match record.final_images.iter_mut().find(|known| known.name == entry.name) {
        Some(known) => *known = entry,
        None => record.final_images.push(entry),
    }
    run::show(campaign, record)
}

/// An imager that may write a model to the working copies leaves them with another than the journals say.
fn forget_model(plan: &Plan, own: &Plan) -> Result<()> {
    let writes = |set: &super::plan::MeasurementSetPlan| own.rounds[0].imaging.writes_to(&set.path, true);
    let written = own.work_on == WorkOn::Original
        && own.final_of.as_ref().is_some_and(|of| !of.makes_data)
        && own.targets.iter().flat_map(|target| &target.members).any(writes);
    if !written {
        return Ok(());
    }
    for target in &plan.targets {
        let mut journal = Journal::open(plan.layout_of(target).journal())?;
        let key = StepKey::of(&("final imaging", &own.name));
        if journal.holder(Column::Model).is_some() {
            journal.append(JournalEvent::Started { step: StepId::FINAL_IMAGING, key, touches: vec![Column::Model] })?;
        }
    }
    Ok(())
}

/// After the jobs of a campaign, or of one of its final imagings, have ended: submits those of the next final imaging,
/// unless a run follows the campaign.
///
/// # Errors
/// As [`run_all`].
pub(super) fn go_on(ended: &Plan, settings: &RunSettings<'_>, events: &Emitter) -> Result<()> {
    let plan = &match &ended.final_of {
        Some(of) => Plan { output: of.campaign.clone(), ..Plan::load(&of.campaign.join(FROZEN_PLAN))? },
        None => ended.clone(),
    };
    if plan.final_imaging.is_empty() || plan.scheduler.engine != SchedulerKind::Slurm {
        return Ok(());
    }
    let record = CampaignRecord::load(&plan.output)?;
    let Ok(_lock) = Lock::take_in_role(&plan.output, CAMPAIGN_LOCK, STEWARD) else { return Ok(()) };
    if !has_images(record.state) {
        return Ok(());
    }
    let config = std::fs::read_to_string(plan.output.join(FROZEN_CONFIG)).unwrap_or_default();
    let settings = RunSettings {
        command_line: settings.command_line.clone(),
        config,
        selection: Selection::default(),
        ..*settings
    };
    let campaign = CampaignRun { plan, settings: &settings, events };
    let goes_on = |failed: bool| !failed || plan.on_failure != OnFailure::Stop;
    let mut failures: Vec<String> = Vec::new();
    for imaging in &plan.final_imaging {
        let folder = final_imaging_folder(&plan.output, &imaging.name);
        let stands = CampaignRecord::load(&folder).map(|own| own.state);
        let failed = match stands {
            Ok(state @ (State::Done | State::Converged | State::Diverged | State::Failed))
                if !borders::has_open_channels(&folder) =>
            {
                note(campaign, FinalRecord { name: imaging.name.clone(), folder, state, ..FinalRecord::default() })?;
                state == State::Failed
            }
            // Its own steward looks after it.
            Ok(State::Running | State::Waiting | State::Interrupted) => return Ok(()),
            _ => match run_one(campaign, imaging, false) {
                Ok(made) if !made.state.is_final() => return Ok(()),
                Ok(_) => false,
                Err(Error::Interrupted) => return Err(Error::Interrupted),
                Err(error) => {
                    failures.push(format!("final imaging {}: {error}", imaging.name));
                    true
                }
            },
        };
        if !goes_on(failed) {
            break;
        }
    }
    if failures.is_empty() { Ok(()) } else { Err(Error::external(failures.join("\n"))) }
}
