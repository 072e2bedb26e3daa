//! A whole campaign: the folder and its lock, all measurement sets side by side, the record and the report.

pub mod archive;
pub mod barriers;
pub mod batch;
pub mod renamed_sets;
pub mod report_refresh;

use super::events::{Emitter, Event};
use super::file::{MaskCadence, MaskMethod, OnFailure, SchedulerKind};
use super::journal::{Journal, Step, StepId, StepKey};
use super::layout::{AttemptId, Layout};
use super::plan::{MeasurementSetPlan, Plan, Share};
use super::record::{CampaignRecord, DatasetRecord, Level, MessageRecord, RoundRecord, State, ToolVersion};
use super::rounds::{DatasetRun, DatasetSettings, MaskSource, OnRecord};
use super::steps::Backend;
use crate::batch_system::slurm::Slurm;
use crate::imager::Products;
use crate::process::interrupt;
use crate::util::fs;
use crate::util::lock::{DATASET_LOCK, Lock};
use crate::util::parallel;
use crate::{Error, ExitStatus, Result};
use barriers::Stage;
use batch::Follow;
use report_refresh::ReportRefresh;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Name of the frozen copy of the campaign file.
pub const FROZEN_CONFIG: &str = "campaign.yaml";
/// Name of the resolved plan beside it.
pub const FROZEN_PLAN: &str = "plan.json";

/// How long a run waits for the steward of the campaign's jobs, which holds the lock while it looks after them.
const STEWARD_PATIENCE: Duration = Duration::from_secs(30);

/// What a run is told apart from the plan.
pub struct RunSettings<'a> {
    /// Put what earlier runs left aside, and begin anew.
    pub restart: bool,
    /// The command line, for the record.
    pub command_line: Vec<String>,
    /// The campaign file's text.
    pub config: String,
    /// Writes the report into the campaign folder.
    pub report: &'a (dyn Fn(&CampaignRecord, &Path) -> Result<()> + Sync),
    /// Makes the adapters of one measurement set.
    pub backend: &'a MakeWorkshop,
    /// How a run on Slurm accompanies its jobs.
    pub follow: Follow,
    /// What is done once, from all measurement sets, before a round that waits for all of them
    /// ([`super::plan::RoundPlan::waits_for_all`]): gets the round and the records so far.
    pub at_barrier: &'a AtBarrier,
}

/// The work at a barrier.
pub type AtBarrier = dyn Fn(&Plan, usize, &[DatasetRecord], &Emitter) -> Result<()> + Sync;

/// Makes the adapters of one measurement set with its share of the machine. All of them share the plan.
pub type MakeWorkshop = dyn for<'p> Fn(&'p Plan, &MeasurementSetPlan, Share) -> Result<Box<dyn Backend + 'p>> + Sync;

/// Runs (or resumes) the campaign; returns 0 or, if one diverged and its best round was kept, 4.
///
/// # Errors
/// The folder is in use or belongs to another campaign; the failure of the only measurement set, or of some of many;
/// an interruption.
pub fn run(plan: &Plan, settings: &RunSettings<'_>, events: &Emitter) -> Result<ExitStatus> {
    let _lock = take_lock(&plan.output, events)?;
    let slurm = plan.scheduler.engine == SchedulerKind::Slurm;
    if settings.restart {
        batch::refuse_if_queued(&plan.output, &Slurm, "and --restart would take its folder away")?;
        put_aside(plan, events)?;
    }
    let plan = &under_known_names(plan, settings, events);
    if !slurm {
        batch::refuse_if_queued(&plan.output, &Slurm, "and this run is not on Slurm")?;
    }
    let record = open_record(plan, settings)?;
    if slurm {
        return batch::run(plan, record, settings, events, &Slurm, settings.follow);
    }
    freeze(plan, settings)?;
    announce(plan, events);
    let show = |record: &CampaignRecord| show(record.clone(), plan, settings);
    let failed = |error: &Error| {
        events.message(None, Level::Warning, format!("the report could not be renewed: {error}"));
    };
    let showing = ReportRefresh::new(record, &show, &failed);
    let outcomes = showing.during(|| run_stages(plan, settings, events, &showing));
    let mut record = showing.into_record();
    let (state, result) = match outcomes {
        Ok(outcomes) => summarise(plan, outcomes),
        Err(Error::Interrupted) => (State::Interrupted, Err(Error::Interrupted)),
        Err(error) => (State::Failed, Err(error)),
    };
    record.state = state;
    record.finished = Some(jiff::Timestamp::now());
    let shown = show(&record).and_then(|()| if state != State::Interrupted { collect(plan, events) } else { Ok(()) });
    events.emit(Event::CampaignFinished { state });
    result.and_then(|status| shown.map(|()| status))
}

/// The campaign's lock. The steward of its jobs holds it for a moment only: that is waited for.
fn take_lock(output: &Path, events: &Emitter) -> Result<Lock> {
    let waiting = Instant::now();
    let mut told = false;
    loop {
        match Lock::take(output) {
            Err(error) if error.is_passing() && waiting.elapsed() < STEWARD_PATIENCE => {
                if !told && waiting.elapsed() > Duration::from_secs(1) {
                    events.message(None, Level::Info, "the steward of the jobs is at work here: waiting for it");
                    told = true;
                }
                interrupt::check()?;
                std::thread::sleep(Duration::from_millis(100));
            }
            taken => return Ok(taken?),
        }
    }
}

/// The plan, with measurement sets that were renamed under the names of their folders.
pub(crate) fn under_known_names(plan: &Plan, settings: &RunSettings<'_>, events: &Emitter) -> Plan {
    let identity = |set: &MeasurementSetPlan| (settings.backend)(plan, set, Share::of(plan))?.data_identity();
    renamed_sets::under_known_names(plan, &identity, events)
}

/// Writes down what was asked for, as written and as resolved.
pub(crate) fn freeze(plan: &Plan, settings: &RunSettings<'_>) -> Result<()> {
    fs::write_atomically(&plan.output.join(FROZEN_CONFIG), settings.config.as_bytes())?;
    let json = serde_json::to_vec_pretty(plan).expect("plans are plain data");
    Ok(fs::write_atomically(&plan.output.join(FROZEN_PLAN), &json)?)
}

pub(crate) fn announce(plan: &Plan, events: &Emitter) {
    events.emit(Event::CampaignStarted {
        name: plan.name.clone(),
        datasets: plan.measurement_sets.iter().map(|s| s.name.clone()).collect(),
        rounds: plan.rounds_to_run().len(),
    });
    for text in &plan.warnings {
        events.message(None, Level::Warning, text);
    }
    if !plan.not_run.is_empty() {
        let text = format!("parts of the strategy that are not run: {}", plan.not_run.join(", "));
        events.message(None, Level::Info, text);
    }
}

/// What became of each measurement set; `None`: it was not begun.
type Outcomes = Vec<Option<Result<State>>>;

/// Works through the stages; at a barrier all measurement sets wait for each other.
fn run_stages(
    plan: &Plan,
    settings: &RunSettings<'_>,
    events: &Emitter,
    showing: &ReportRefresh<'_>,
) -> Result<Outcomes> {
    let count = plan.measurement_sets.len();
    let mut outcomes: Outcomes = (0..count).map(|_| None).collect();
    let stop = AtomicBool::new(false);
    for stage in barriers::of(plan) {
        let goes_on = |outcome: &Option<Result<State>>| matches!(outcome, None | Some(Ok(State::Running)));
        let left: Vec<usize> = (0..count).filter(|i| goes_on(&outcomes[*i])).collect();
        if left.is_empty() || stop.load(Ordering::SeqCst) {
            break;
        }
        let last = match stage {
            Stage::Barrier { round } => {
                (settings.at_barrier)(plan, round, &showing.record().datasets, events)?;
                continue;
            }
            Stage::Rounds { last, .. } => last,
        };
        let done = parallel::run_all(left.len(), plan.resources.concurrent, &stop, |i| {
            let index = left[i];
            let on_record = &mut |changed: &DatasetRecord, tools: &[ToolVersion]| {
                showing.change(|record| {
                    record.datasets[index] = changed.clone();
                    note_tools(record, tools);
                });
                Ok(())
            };
            let outcome = run_one(plan, index, Some(last), Share::of(plan), settings, events, on_record);
            let interrupted = matches!(outcome, Err(Error::Interrupted)) || interrupt::requested();
            if interrupted || (outcome.is_err() && plan.on_failure == OnFailure::Stop) {
                stop.store(true, Ordering::SeqCst);
            }
            outcome
        });
        for (index, outcome) in left.into_iter().zip(done) {
            outcomes[index] = outcome;
        }
    }
    Ok(outcomes)
}

pub(crate) fn note_tools(record: &mut CampaignRecord, tools: &[ToolVersion]) {
    for tool in tools {
        if !record.tools.contains(tool) {
            record.tools.push(tool.clone());
        }
    }
}

/// Works on one measurement set up to a round (or as far as it goes), under its lock.
pub(crate) fn run_one(
    plan: &Plan,
    index: usize,
    until_round: Option<usize>,
    share: Share,
    settings: &RunSettings<'_>,
    events: &Emitter,
    on_record: OnRecord<'_>,
) -> Result<State> {
    let set = &plan.measurement_sets[index];
    let layout = plan.layout_of(set);
    let _lock = Lock::take_named(layout.root(), DATASET_LOCK)?;
    let mut backend = (settings.backend)(plan, set, share)?;
    let dataset = DatasetSettings {
        name: set.name.clone(),
        sources: vec![set.path.clone()],
        layout,
        acceptance: plan.acceptance.clone(),
        plan_hashes: plan_hashes(plan),
        until_round,
        series_apart: plan.measurement_sets.len() > 1,
        disk_budget: disk_budget(plan),
        archive: plan.archive.clone(),
        first_round: plan.only_round.unwrap_or(0),
        mask_source: mask_source(plan, set)?,
    };
    DatasetRun::new(dataset, backend.as_mut(), events.clone())?.run(on_record).1
}

/// Each measurement set's part of the disk budget, bytes.
fn disk_budget(plan: &Plan) -> Option<u64> {
    const GB: f64 = 1e9;
    let parts = plan.measurement_sets.len().max(1) as f64;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // Checked to be positive; far below 2^64.
    plan.resources.disk_budget_gb.map(|gb| (gb * GB / parts) as u64)
}

/// Collects what the archive is to hold of the campaign as a whole: report, field images, campaign file, record.
pub(crate) fn collect(plan: &Plan, events: &Emitter) -> Result<()> {
    if plan.archive.is_empty() {
        return Ok(());
    }
    let made = archive::collect(&plan.archive, &plan.output, archive::Part::Campaign, "campaign")?;
    for pattern in
        made.unmatched.iter().filter(|pattern| archive::is_of_the_campaign(pattern) && !pattern.contains('*'))
    {
        events.message(None, Level::Warning, format!("archive: no file matches the pattern `{pattern}`"));
    }
    Ok(())
}

/// For a round that is imaged alone: the last accepted image of an earlier round that the campaign has.
fn mask_source(plan: &Plan, set: &MeasurementSetPlan) -> Result<Option<MaskSource>> {
    let Some(round) = plan.only_round else { return Ok(None) };
    let campaign = plan.output.parent().unwrap_or(&plan.output);
    let earlier = CampaignRecord::load_earlier(campaign);
    let source = earlier.as_ref().ok().cloned().flatten().and_then(|record| {
        let dataset = record.datasets.into_iter().find(|d| d.name == set.name)?;
        let accepted = dataset.rounds.into_iter().rfind(|r| r.round < round && r.is_accepted())?;
        let products = accepted.products.clone()?;
        Some(MaskSource { key: image_key(&accepted, &products), products, mask: accepted.mask })
    });
    let Some(mask) = &plan.rounds[round].mask else { return Ok(source) };
    // A mask that was made from it stays, whatever became of the images meanwhile.
    let made = StepId::of(AttemptId::first(round), Step::Mask);
    let is_made = Journal::last_done_key(&plan.layout_of(set).journal(), made).is_some();
    let gone = source.as_ref().filter(|_| !is_made).and_then(|s| {
        let files = [Some(&s.products.image), Some(&s.products.residual), Some(&s.products.psf)];
        let needed = if matches!(mask.method, MaskMethod::Multithresh | MaskMethod::Both) { 3 } else { 1 };
        files.into_iter().take(needed).flatten().find(|file| !file.exists()).cloned()
    });
    if mask.cadence != MaskCadence::Round {
        // The first mask is then made from the residual alone.
        return Ok(source.filter(|_| gone.is_none()));
    }
    let others = "make masks from the residual (`mask: {cadence: cycle}`), or image without one (--mask none)";
    if let Some(file) = gone {
        return Err(Error::bad_input(format!(
            "{}: the mask of round {round} is made from it, but it is not there any more: old rounds' images are removed \
             to keep the disk budget (`campaign.resources.disk_budget_gb`). To go \
             on, {others}",
            file.display()
        )));
    }
    if source.is_none() {
        earlier?;
        return Err(Error::bad_input(format!(
            "round {round} is cleaned with a mask that is made from an earlier round's image, and {} has none of {}. \
             Run the campaign up to round {} first, or {others}",
            campaign.display(),
            set.name,
            round - 1
        )));
    }
    Ok(source)
}

/// Changes when the images of a recorded round do, but not when they are removed to keep the disk budget: the key of the
/// step that made them.
fn image_key(round: &RoundRecord, products: &Products) -> StepKey {
    let step = StepId::of(round.id(), Step::Image);
    // MEASUREMENT SET'S FOLDER/round-NN/image/image.fits
    let journal = products.image.ancestors().nth(3).map(|folder| Layout::new(folder).journal());
    journal.and_then(|path| Journal::last_done_key(&path, step)).unwrap_or_else(|| {
        let file = std::fs::metadata(&products.image).ok();
        StepKey::of(&("mask source", &products.image, file.map(|f| (f.len(), f.modified().ok()))))
    })
}

/// The hash of each round's options, as the journals keep them.
pub(crate) fn plan_hashes(plan: &Plan) -> indexmap::IndexMap<String, String> {
    let rounds = plan.rounds_to_run().iter().map(|r| (format!("round {}", r.round), r.hash()));
    rounds.chain([("acceptance".to_string(), super::plan::hash(&plan.acceptance))]).collect()
}

/// Writes the record and the report.
pub(crate) fn show(mut record: CampaignRecord, plan: &Plan, settings: &RunSettings<'_>) -> Result<()> {
    record.updated = Some(jiff::Timestamp::now());
    record.save(&plan.output)?;
    (settings.report)(&record, &plan.output)
}

pub(crate) fn open_record(plan: &Plan, settings: &RunSettings<'_>) -> Result<CampaignRecord> {
    let earlier = CampaignRecord::load_earlier(&plan.output)?;
    if let Some(earlier) = earlier.as_ref().filter(|e| e.name != plan.name) {
        return Err(Error::bad_input(format!(
            "{}: this folder belongs to the campaign `{}`, not to `{}`. Give another output, or put the old one aside \
             with --restart",
            plan.output.display(),
            earlier.name,
            plan.name
        )));
    }
    let one = plan.measurement_sets.len() == 1;
    if earlier.as_ref().is_some_and(|e| (e.datasets.len() == 1) != one) {
        return Err(Error::bad_input(format!(
            "{}: the campaign in this folder had {} measurement set(s), now there are {}. Give another output, or put \
             the old one aside with --restart",
            plan.output.display(),
            earlier.map_or(0, |e| e.datasets.len()),
            plan.measurement_sets.len()
        )));
    }
    let mut record = CampaignRecord::new(&plan.name);
    record.started = earlier.and_then(|e| e.started).or_else(|| Some(jiff::Timestamp::now()));
    record.config.clone_from(&settings.config);
    record.config_path = Some(plan.campaign_file.clone());
    record.command_line.clone_from(&settings.command_line);
    record.state = State::Running;
    record.datasets = plan
        .measurement_sets
        .iter()
        .map(|set| DatasetRecord {
            name: set.name.clone(),
            sources: vec![set.path.clone()],
            folder: plan.layout_of(set).root().to_path_buf(),
            planned_rounds: plan.rounds_to_run().len(),
            ..DatasetRecord::default()
        })
        .collect();
    record.messages = plan
        .warnings
        .iter()
        .map(|text| MessageRecord { at: record.started, level: Level::Warning, text: text.clone() })
        .collect();
    Ok(record)
}

/// Moves everything but the lock into `discarded-N`: a slip of the finger loses nothing.
pub(crate) fn put_aside(plan: &Plan, events: &Emitter) -> Result<()> {
    let entries: Vec<PathBuf> = std::fs::read_dir(&plan.output)
        .map_err(Error::internal)?
        .flatten()
        .map(|e| e.path())
        .filter(|p| {
            let name = p.file_name().unwrap_or_default().to_string_lossy().into_owned();
            name != "lock" && !name.starts_with("discarded-")
        })
        .collect();
    if entries.is_empty() {
        return Ok(());
    }
    let target = (1..)
        .map(|n| plan.output.join(format!("discarded-{n}")))
        .find(|p| !p.exists())
        .expect("there is always a free number");
    fs::make(&target)?;
    for entry in entries {
        let to = target.join(entry.file_name().unwrap_or_default());
        std::fs::rename(&entry, &to).map_err(Error::internal)?;
    }
    let text = format!("what earlier runs left is now in {}; delete it when it is not needed", target.display());
    events.message(None, Level::Info, text);
    Ok(())
}

pub(crate) fn summarise(plan: &Plan, outcomes: Vec<Option<Result<State>>>) -> (State, Result<ExitStatus>) {
    let mut failures: Vec<(&str, Error)> = Vec::new();
    let (mut diverged, mut converged, mut not_begun) = (0, 0, 0);
    for (set, outcome) in plan.measurement_sets.iter().zip(outcomes) {
        match outcome {
            Some(Ok(State::Diverged)) => diverged += 1,
            Some(Ok(State::Converged)) => converged += 1,
            Some(Ok(State::Done | State::Failed | State::Interrupted | State::Waiting)) => {}
            Some(Err(Error::Interrupted)) => return (State::Interrupted, Err(Error::Interrupted)),
            Some(Err(e)) => failures.push((&set.name, e)),
            None | Some(Ok(State::Running)) => not_begun += 1,
        }
    }
    if interrupt::requested() {
        return (State::Interrupted, Err(Error::Interrupted));
    }
    let all = plan.measurement_sets.len();
    if all == 1
        && let Some((_, error)) = failures.pop()
    {
        return (State::Failed, Err(error));
    }
    if !failures.is_empty() {
        let mut words = format!("{} of {all} measurement sets failed", failures.len());
        if not_begun > 0 {
            words.push_str(&format!(" and {not_begun} were not begun"));
        }
        for (name, error) in &failures {
            words.push_str(&format!("\n  {name}: {error}"));
        }
        let error = match failures[0].1.exit_status() {
            ExitStatus::BadInput => Error::bad_input(words),
            ExitStatus::Internal => Error::internal(words),
            _ => Error::external(words),
        };
        return (State::Failed, Err(error));
    }
    match (diverged, converged) {
        (0, n) if n == all => (State::Converged, Ok(ExitStatus::Done)),
        (0, _) => (State::Done, Ok(ExitStatus::Done)),
        _ => (State::Diverged, Ok(ExitStatus::Diverged)),
    }
}
