//! The work of one job: a round of a measurement set, or what is made of all sets before a round.

use super::dataset_file::{DatasetFile, read_dataset, write_dataset, write_given_up};
use super::decide::SetProgress;
use super::hash_of_work;
use crate::batch_system::ledger::Ledger;
use crate::campaign::journal::Journal;
use crate::campaign::plan::{Plan, Share};
use crate::campaign::record::{DatasetRecord, Level, State, ToolVersion};
use crate::campaign::run::{CampaignRun, FROZEN_PLAN, plan_hashes};
use crate::process::interrupt;
use crate::util::fs;
use crate::util::lock::{self, DATASET_LOCK, Lock};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Time that a job waits for the lock of its measurement set: that of a job on a node that died may linger.
const LOCK_PATIENCE: Duration = Duration::from_secs(60);
/// Set by Slurm: how often it started this job again.
const RESTARTS: &str = "SLURM_RESTART_COUNT";

/// Result of the job at a barrier.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct BarrierDone {
    pub(super) error: Option<String>,
}

pub(super) fn barrier_file(output: &Path, generation: u32, round: usize) -> PathBuf {
    Ledger::new(output).folder().join(format!("barrier-{generation}-{round}.done"))
}

/// The plan that the jobs of a campaign folder work from.
///
/// # Errors
/// No campaign has run there.
pub(crate) fn frozen_plan(output: &Path) -> Result<Plan> {
    let mut plan = Plan::load(&output.join(FROZEN_PLAN))?;
    // The folder may have been moved since.
    plan.output = std::path::absolute(output).map_err(Error::internal)?;
    Ok(plan)
}

/// One round of one measurement set, as a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TaskOf {
    /// The round.
    pub round: usize,
    /// Index of the measurement set in the plan.
    pub index: usize,
}

/// The work before a round that needs all measurement sets, as a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BarrierOf {
    /// The round that waits.
    pub round: usize,
    /// The run of the campaign that the job belongs to.
    pub generation: u32,
}

fn check_plan(plan: &Plan, hash: &str) -> Result<()> {
    if hash_of_work(plan) == hash {
        return Ok(());
    }
    Err(Error::bad_input(format!(
        "{}: the plan in this folder is not the one that this job was submitted for; run the campaign again",
        plan.output.join(FROZEN_PLAN).display()
    )))
}

/// Does the work of a job: a round of a measurement set, with journal and lock as in a local run.
///
/// # Errors
/// As a local run of that measurement set.
pub(crate) fn task(campaign: CampaignRun<'_>, hash: &str, of: TaskOf) -> Result<State> {
    let CampaignRun { plan, events, .. } = campaign;
    check_plan(plan, hash)?;
    let set = plan.targets.get(of.index).ok_or_else(|| Error::bad_input("no such measurement set"))?;
    let layout = plan.layout_of(set);
    let hashes = plan_hashes(plan);
    // It may have ended early, or an earlier start of this job may have done it.
    let before = match Journal::read(&layout.journal()) {
        Ok(entries) => SetProgress::of(&entries, &hashes),
        Err(_) => SetProgress::NOTHING,
    };
    if let Some(state) = before.over() {
        return Ok(state);
    }
    if before.next_round > of.round {
        return Ok(State::Running);
    }
    let waiting = Instant::now();
    while lock::holder(layout.root(), DATASET_LOCK).is_some() && waiting.elapsed() < LOCK_PATIENCE {
        interrupt::check()?;
        std::thread::sleep(Duration::from_millis(200));
    }
    let restarts: u32 = std::env::var(RESTARTS).ok().and_then(|n| n.parse().ok()).unwrap_or(0);
    if restarts > plan.scheduler.retries {
        let why = format!(
            "the job of round {} was brought back by Slurm {restarts} times (its node failed, a more urgent job took its \
             place, or somebody requeued it): `scheduler.retries` is {}; raise it, or run again",
            of.round, plan.scheduler.retries
        );
        let _lock = Lock::take_named(layout.root(), DATASET_LOCK)?;
        write_given_up(plan, set, &why)?;
        return Err(Error::external(why));
    }
    let mut on_record = |dataset: &DatasetRecord, tools: &[ToolVersion]| {
        let file = DatasetFile { dataset: dataset.clone(), tools: tools.to_vec() };
        // What people look at is no reason to fail.
        if let Err(error) = write_dataset(&layout, &file) {
            events.message(Some(&set.name), Level::Warning, format!("the record could not be renewed: {error}"));
        }
        Ok(())
    };
    campaign.run_one(of.index, Some(of.round), share(plan, of.round), &mut on_record)
}

/// The share that a job asked for.
fn share(plan: &Plan, round: usize) -> Share {
    let job = plan.scheduler.of_round(round);
    let of_slurm = || std::env::var("SLURM_CPUS_PER_TASK").ok()?.parse().ok();
    Share {
        threads: job.cpus.or_else(of_slurm).or(plan.resources.threads).unwrap_or(1),
        memory_gb: job.memory_gb.or(plan.resources.memory_gb),
    }
}

/// Does the work at a barrier, and leaves word of how it ended.
///
/// # Errors
/// The work failed, or the folder cannot be written.
pub(crate) fn barrier(campaign: CampaignRun<'_>, hash: &str, at: BarrierOf) -> Result<()> {
    let CampaignRun { plan, settings, events } = campaign;
    let BarrierOf { round, generation } = at;
    check_plan(plan, hash)?;
    let datasets: Vec<DatasetRecord> =
        plan.targets.iter().filter_map(|set| Some(read_dataset(&plan.layout_of(set))?.dataset)).collect();
    let done = (settings.at_barrier)(plan, round, &datasets, events);
    if matches!(done, Err(Error::Interrupted)) {
        return done;
    }
    let word = BarrierDone { error: done.as_ref().err().map(ToString::to_string) };
    let json = serde_json::to_vec(&word).expect("plain data");
    fs::write_atomically(&barrier_file(&plan.output, generation, round), &json)?;
    done
}
