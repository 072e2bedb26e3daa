//! A campaign on a batch system: which jobs are submitted, when, and what becomes of those that are lost.
//!
//! A round of many measurement sets is a job array; the array of the next round depends on it index by index
//! (`aftercorr`), so every measurement set goes on as soon as it can. A job is this same program (`cleanloop task`),
//! with the journal, the locks and the rounds of a local run. The journals say what was done; Slurm says what is in the
//! queue; the ledger (`slurm/`) says what was submitted. [`Batch::advance`] puts the three together: it is called by a
//! run that follows its jobs, and by a small job, the steward, that waits for the others, so that a campaign goes on when
//! nobody is logged in. Whoever calls it holds the campaign's lock.

mod cancel;
mod dataset_file;
mod decide;
mod follow;
mod job;
mod status;
mod submit;
#[cfg(test)]
mod tests;

pub(crate) use cancel::{cancel, refuse_if_queued};
pub(crate) use follow::{run, steward};
pub(crate) use job::{BarrierOf, TaskOf, barrier, frozen_plan, task};
pub use status::JobsStatus;
pub(crate) use status::status;

use super::{CampaignRun, plan_hashes};
use crate::batch_system::ledger::{Ledger, LedgerState, Submission, Work};
use crate::batch_system::slurm::{BatchSystem, TaskState};
use crate::campaign::file::OnFailure;
use crate::campaign::journal::Journal;
use crate::campaign::plan::{self, Plan};
use crate::campaign::record::Level;
use crate::util::lock::{DATASET_LOCK, Lock};
use crate::{Error, Result};
use dataset_file::{DatasetFile, write_given_up};
use decide::{LastJobs, NextJob, Outlook, SetProgress, last_jobs, next_of, of_latest_waves};
use indexmap::IndexMap;
use std::collections::HashMap;

/// How a run accompanies its jobs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Follow {
    #[default]
    /// Until they have ended; an interruption leaves them alone.
    Along,
    /// Until they have ended; an interruption cancels them.
    CancelOnInterrupt,
    /// Not at all: submit and return.
    Detach,
}

/// A campaign and its batch system.
pub(crate) struct Batch<'a> {
    campaign: CampaignRun<'a>,
    system: &'a dyn BatchSystem,
    ledger: Ledger,
    hash: String,
    hashes: IndexMap<String, String>,
    /// Journals by their length: a journal only grows.
    journals: HashMap<String, (u64, SetProgress)>,
    /// Datasets' records by the file's inode: it is replaced, not changed.
    records: HashMap<String, (u64, DatasetFile)>,
    /// Rounds of each measurement set that events were emitted for.
    reported: HashMap<String, usize>,
    polls: u32,
}

/// Hash of what decides the results: jobs of another one must not mix with ours.
pub(crate) fn hash_of_work(plan: &Plan) -> String {
    let p = plan;
    let deciding = (
        (&p.targets, &p.rounds, &p.acceptance, &p.solint, &p.stop),
        (&p.imager, &p.calibrator, &p.executables, &p.reference_antenna, &p.work_on, &p.start_column),
    );
    plan::hash(&deciding)[..16].to_string()
}

impl<'a> Batch<'a> {
    /// Nothing is asked or written yet.
    pub(crate) fn new(campaign: CampaignRun<'a>, system: &'a dyn BatchSystem) -> Self {
        let plan = campaign.plan;
        Self {
            campaign,
            system,
            ledger: Ledger::new(&plan.output),
            hash: hash_of_work(plan),
            hashes: plan_hashes(plan),
            journals: HashMap::new(),
            records: HashMap::new(),
            reported: HashMap::new(),
            polls: 0,
        }
    }

    /// Begins a new generation: what failed in earlier ones is tried again; jobs that are still queued are kept.
    ///
    /// # Errors
    /// Jobs of another plan are still queued; Slurm does not answer; the folder cannot be written.
    pub(crate) fn begin(&mut self) -> Result<()> {
        let submissions = of_latest_waves(&self.adopt()?);
        let states = self.states(&submissions)?;
        let live = |s: &Submission| states.iter().any(|((n, _), state)| *n == s.number && state.is_live());
        if let Some(other) = submissions.iter().find(|s| s.plan != self.hash && s.work != Work::Steward && live(s)) {
            return Err(Error::bad_input(format!(
                "{}: jobs of an earlier plan of this campaign are still queued (job {}, {}); wait for them, or cancel them \
                 with `cleanloop cancel {}`",
                self.campaign.plan.output.display(),
                other.job.unwrap_or_default(),
                other.name,
                self.campaign.plan.output.display()
            )));
        }
        let generation = self.ledger.state().generation + 1;
        Ok(self.ledger.set_state(LedgerState { generation, cancelled: false })?)
    }

    /// Submissions with their job numbers; those that were cut off are looked for by name, or taken back.
    fn adopt(&self) -> Result<Vec<Submission>> {
        self.ledger.adopt(self.system, &mut |job, name| {
            let text = format!("found job {job} ({name}), which an earlier run submitted");
            self.campaign.events.message(None, Level::Info, text);
        })
    }

    /// Slurm's states by number of submission and index (0 for single jobs).
    fn states(&self, submissions: &[Submission]) -> Result<HashMap<(u32, usize), TaskState>> {
        // Only the last jobs of each measurement set matter, and they are of the latest waves.
        let jobs: Vec<u64> = submissions.iter().filter_map(|s| s.job).collect();
        let number: HashMap<u64, u32> = submissions.iter().filter_map(|s| Some((s.job?, s.number))).collect();
        let tasks = self.system.tasks(&jobs)?;
        Ok(tasks.into_iter().filter_map(|t| Some(((*number.get(&t.job)?, t.index.unwrap_or(0)), t.state))).collect())
    }

    fn progress(&mut self, index: usize) -> Result<SetProgress> {
        let set = &self.campaign.plan.targets[index];
        let path = self.campaign.plan.layout_of(set).journal();
        let Ok(length) = path.metadata().map(|m| m.len()) else { return Ok(SetProgress::NOTHING) };
        if let Some((_, progress)) = self.journals.get(&set.name).filter(|(then, _)| *then == length) {
            return Ok(*progress);
        }
        let progress = SetProgress::of(&Journal::read(&path)?, &self.hashes);
        self.journals.insert(set.name.clone(), (length, progress));
        Ok(progress)
    }

    /// Looks at everything and submits what is due. The campaign's lock must be held.
    ///
    /// # Errors
    /// Slurm does not answer or refuses; the folder cannot be written.
    pub(crate) fn advance(&mut self) -> Result<Outlook> {
        let ledger_state = self.ledger.state();
        let generation = ledger_state.generation;
        let submissions = self.adopt()?;
        let recent = of_latest_waves(&submissions);
        let states = self.states(&recent)?;
        let last = last_jobs(&recent, &states);
        let scheduler = &self.campaign.plan.scheduler;
        let mut next = Vec::with_capacity(self.campaign.plan.targets.len());
        for index in 0..self.campaign.plan.targets.len() {
            let jobs = last.get(&self.campaign.plan.targets[index].name);
            // Journals of sets at work are left alone.
            let progress = match jobs.and_then(LastJobs::live) {
                Some(_) => SetProgress::NOTHING,
                None => self.progress(index)?,
            };
            let mut decided = next_of(progress, jobs, generation, &scheduler.resubmit, scheduler.retries);
            if let NextJob::GiveUp { why } = &decided {
                decided = self.give_up(index, why)?;
            }
            next.push(decided);
        }
        let going = |n: &NextJob| matches!(n, NextJob::Wait(_) | NextJob::Submit { .. });
        let stopped = next.contains(&NextJob::Failed) && self.campaign.plan.on_failure == OnFailure::Stop;
        let mut outlook = Outlook {
            going_on: next.iter().any(going),
            // Those that we cancel ourselves because another one failed are not meant.
            cancelled: ledger_state.cancelled || (!stopped && next.contains(&NextJob::Cancelled)),
            trouble: None,
            next,
        };
        if ledger_state.cancelled || stopped {
            if outlook.next.iter().any(|n| matches!(n, NextJob::Wait(_))) {
                self.cancel_all(&recent)?;
            }
            outlook.going_on = outlook.next.iter().any(|n| matches!(n, NextJob::Wait(_)));
            return Ok(outlook);
        }
        self.submit_due(&mut outlook, &recent, &states, generation)?;
        Ok(outlook)
    }

    fn cancel_all(&self, submissions: &[Submission]) -> Result<()> {
        let jobs: Vec<u64> = submissions.iter().filter_map(|s| s.job).collect();
        Ok(self.system.cancel(&jobs)?)
    }

    /// Writes into the journal that a measurement set is given up, unless somebody still works on it.
    fn give_up(&mut self, index: usize, why: &str) -> Result<NextJob> {
        let set = &self.campaign.plan.targets[index];
        let layout = self.campaign.plan.layout_of(set);
        let Ok(_lock) = Lock::take_named(layout.root(), DATASET_LOCK) else {
            return Ok(NextJob::Wait(TaskState::Running));
        };
        write_given_up(self.campaign.plan, set, why)?;
        self.campaign.events.message(Some(&set.name), Level::Error, why);
        Ok(NextJob::Failed)
    }
}
