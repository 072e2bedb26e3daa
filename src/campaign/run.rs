//! A whole campaign: the folder and its lock, all measurement sets side by side, the record and the report.

use super::dataset::{DatasetRun, DatasetSettings};
use super::events::{Emitter, Event};
use super::folder::{self, Layout, Lock};
use super::plan::{MeasurementSetPlan, Plan};
use super::record::{CampaignRecord, DatasetRecord, Level, MessageRecord, State, ToolVersion};
use super::workshop::Workshop;
use crate::campaign::config::{OnFailure, SchedulerKind};
use crate::process::interrupt;
use crate::scheduler::local;
use crate::{Error, ExitStatus, Result};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

/// Name of the frozen copy of the campaign file.
pub const FROZEN_CONFIG: &str = "campaign.yaml";
/// Name of the resolved plan beside it.
pub const FROZEN_PLAN: &str = "plan.json";

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
    pub workshop: &'a MakeWorkshop,
}

/// Makes the adapters of one measurement set with its share of the machine.
pub type MakeWorkshop = dyn Fn(&Plan, &MeasurementSetPlan, Share) -> Result<Box<dyn Workshop>> + Sync;

/// The part of the machine that one measurement set may use.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Share {
    /// Threads.
    pub threads: usize,
    /// Memory, GB; `None`: each program's own limit.
    pub memory_gb: Option<f64>,
}

impl Share {
    /// Threads and memory divided among the measurement sets that are worked on at the same time.
    pub fn of(plan: &Plan) -> Self {
        let machine = std::thread::available_parallelism().map_or(1, usize::from);
        let at_once = plan.resources.concurrent.clamp(1, plan.measurement_sets.len().max(1));
        Self {
            threads: (plan.resources.threads.unwrap_or(machine) / at_once).max(1),
            memory_gb: plan.resources.memory_gb.map(|gb| gb / at_once as f64),
        }
    }
}

/// Where a measurement set's files are: the campaign folder itself if it is the only one, else a folder below it.
pub fn layout_of(plan: &Plan, set: &MeasurementSetPlan) -> Layout {
    if plan.measurement_sets.len() == 1 { Layout::new(&plan.output) } else { Layout::new(plan.output.join(&set.name)) }
}

/// Runs (or resumes) the campaign; returns 0 or, if one diverged and its best round was kept, 4.
///
/// # Errors
/// The folder is in use or belongs to another campaign; the failure of the only measurement set, or of some of many;
/// an interruption.
pub fn run(plan: &Plan, settings: &RunSettings<'_>, events: &Emitter) -> Result<ExitStatus> {
    if plan.scheduler.engine != SchedulerKind::Local {
        return Err(Error::bad_input(
            "campaign.scheduler: slurm is not there yet in this version; leave the key out to run on this machine",
        ));
    }
    let _lock = Lock::take(&plan.output)?;
    if settings.restart {
        put_aside(plan, events)?;
    }
    let record = Mutex::new(open_record(plan, settings)?);
    folder::write_atomically(&plan.output.join(FROZEN_CONFIG), settings.config.as_bytes())?;
    let json = serde_json::to_vec_pretty(plan).expect("plans are plain data");
    folder::write_atomically(&plan.output.join(FROZEN_PLAN), &json)?;
    events.emit(Event::CampaignStarted {
        name: plan.name.clone(),
        datasets: plan.measurement_sets.iter().map(|s| s.name.clone()).collect(),
        rounds: plan.rounds.len(),
    });
    for text in &plan.warnings {
        events.message(None, Level::Warning, text);
    }
    if !plan.not_run.is_empty() {
        let text = format!("parts of the strategy that are not run: {}", plan.not_run.join(", "));
        events.message(None, Level::Info, text);
    }
    let stop = AtomicBool::new(false);
    let outcomes = local::run_all(plan.measurement_sets.len(), plan.resources.concurrent, &stop, |index| {
        let outcome = run_one(plan, index, settings, events, &record);
        let interrupted = matches!(outcome, Err(Error::Interrupted)) || interrupt::requested();
        if interrupted || (outcome.is_err() && plan.on_failure == OnFailure::Stop) {
            stop.store(true, Ordering::SeqCst);
        }
        outcome
    });
    let mut record = record.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    let (state, result) = summarise(plan, outcomes);
    record.state = state;
    record.finished = Some(jiff::Timestamp::now());
    let shown = show(&mut record, plan, settings);
    events.emit(Event::CampaignFinished { state });
    result.and_then(|status| shown.map(|()| status))
}

fn run_one(
    plan: &Plan,
    index: usize,
    settings: &RunSettings<'_>,
    events: &Emitter,
    record: &Mutex<CampaignRecord>,
) -> Result<State> {
    let set = &plan.measurement_sets[index];
    let mut workshop = (settings.workshop)(plan, set, Share::of(plan))?;
    let dataset = DatasetSettings {
        name: set.name.clone(),
        sources: vec![set.path.clone()],
        layout: layout_of(plan, set),
        acceptance: plan.acceptance.clone(),
        plan_hashes: plan.rounds.iter().map(|r| (format!("round {}", r.round), r.hash())).collect(),
        until_round: None,
    };
    let run = DatasetRun::new(dataset, workshop.as_mut(), events.clone())?;
    let mut on_record = |changed: &DatasetRecord, tools: &[ToolVersion]| -> Result<()> {
        let mut record = record.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        record.datasets[index] = changed.clone();
        for tool in tools {
            if !record.tools.contains(tool) {
                record.tools.push(tool.clone());
            }
        }
        show(&mut record, plan, settings)
    };
    run.run(&mut on_record).1
}

fn show(record: &mut CampaignRecord, plan: &Plan, settings: &RunSettings<'_>) -> Result<()> {
    record.updated = Some(jiff::Timestamp::now());
    record.save(&plan.output)?;
    (settings.report)(record, &plan.output)
}

fn open_record(plan: &Plan, settings: &RunSettings<'_>) -> Result<CampaignRecord> {
    let earlier = CampaignRecord::load(&plan.output).ok();
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
            folder: layout_of(plan, set).root().to_path_buf(),
            planned_rounds: plan.rounds.len(),
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
fn put_aside(plan: &Plan, events: &Emitter) -> Result<()> {
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
    folder::make(&target)?;
    for entry in entries {
        let to = target.join(entry.file_name().unwrap_or_default());
        std::fs::rename(&entry, &to).map_err(Error::internal)?;
    }
    let text = format!("what earlier runs left is now in {}; delete it when it is not needed", target.display());
    events.message(None, Level::Info, text);
    Ok(())
}

fn summarise(plan: &Plan, outcomes: Vec<Option<Result<State>>>) -> (State, Result<ExitStatus>) {
    let mut failures: Vec<(&str, Error)> = Vec::new();
    let (mut diverged, mut converged, mut not_begun) = (0, 0, 0);
    for (set, outcome) in plan.measurement_sets.iter().zip(outcomes) {
        match outcome {
            Some(Ok(State::Diverged)) => diverged += 1,
            Some(Ok(State::Converged)) => converged += 1,
            Some(Ok(_)) => {}
            Some(Err(Error::Interrupted)) => return (State::Interrupted, Err(Error::Interrupted)),
            Some(Err(e)) => failures.push((&set.name, e)),
            None => not_begun += 1,
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
