//! The next action for each measurement set, decided from its journal, its last jobs and Slurm's states alone.

use crate::batch_system::ledger::{Submission, Work};
use crate::batch_system::slurm::TaskState;
use crate::campaign::file::Loss;
use crate::campaign::journal;
use crate::campaign::record::State;
use indexmap::IndexMap;
use std::collections::{BTreeMap, HashMap};

/// Progress of a measurement set according to its journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SetProgress {
    /// The first round that is not done.
    pub next_round: usize,
    /// How the last run of it ended; `None`: it did not come to an end.
    pub end: Option<End>,
}

/// The end of a run of a measurement set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// The rounds that were asked for are done.
    Paused,
    /// A signal ended it.
    Interrupted,
    /// For good.
    Ended(State),
}

impl SetProgress {
    pub(super) const NOTHING: Self = Self { next_round: 0, end: None };

    /// From a journal's lines. What was done under another plan does not count here: the job finds out what of it holds.
    pub(super) fn of(entries: &[journal::Entry], plan: &IndexMap<String, String>) -> Self {
        let mut progress = Self::NOTHING;
        for entry in entries {
            match &entry.event {
                journal::JournalEvent::Run { plan: then, .. } => {
                    progress = Self { end: None, next_round: if then == plan { progress.next_round } else { 0 } };
                }
                journal::JournalEvent::Paused { round } => {
                    progress = Self { next_round: progress.next_round.max(round + 1), end: Some(End::Paused) };
                }
                journal::JournalEvent::Interrupted => progress.end = Some(End::Interrupted),
                journal::JournalEvent::Ended { state, .. } => {
                    progress.end = Some(End::Ended(*state));
                }
                _ => {}
            }
        }
        progress
    }

    pub(super) fn over(self) -> Option<State> {
        match self.end {
            Some(End::Ended(state)) if state != State::Failed => Some(state),
            _ => None,
        }
    }
}

/// The last jobs of a measurement set.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct LastJobs {
    pub(super) generation: u32,
    /// Round to (how often it was lost before, Slurm's state if it still knows).
    pub(super) rounds: BTreeMap<usize, (u32, Option<TaskState>)>,
}

impl LastJobs {
    pub(super) fn live(&self) -> Option<TaskState> {
        let states = self.rounds.values().filter_map(|(_, state)| *state).filter(|s| s.is_live());
        states.max_by_key(|s| *s == TaskState::Running)
    }
}

/// The next action for a measurement set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NextJob {
    /// Its jobs are in the queue or run.
    Wait(TaskState),
    /// It is through.
    Over(State),
    /// It failed, and is not tried again in this generation.
    Failed,
    /// Somebody cancelled its jobs.
    Cancelled,
    /// Jobs from this round on.
    Submit { round: usize, attempt: u32 },
    /// Its job was lost for good.
    GiveUp { why: String },
}

/// The decision for one measurement set (pure).
pub(super) fn next_of(
    progress: SetProgress,
    last: Option<&LastJobs>,
    generation: u32,
    resubmit: &[Loss],
    retries: u32,
) -> NextJob {
    if let Some(state) = last.and_then(LastJobs::live) {
        return NextJob::Wait(state);
    }
    if let Some(state) = progress.over() {
        return NextJob::Over(state);
    }
    let round = progress.next_round;
    let afresh = NextJob::Submit { round, attempt: 0 };
    let Some(last) = last.filter(|l| l.generation == generation) else { return afresh };
    if progress.end == Some(End::Ended(State::Failed)) {
        return NextJob::Failed;
    }
    // All that was submitted is done: the rest was left for later.
    let Some((attempt, state)) = last.rounds.get(&round) else { return afresh };
    let interrupted = progress.end == Some(End::Interrupted);
    let lost = |loss: Loss, what| (resubmit.contains(&loss), what);
    let (again, what) = match state {
        Some(TaskState::Cancelled) => return NextJob::Cancelled,
        Some(TaskState::NodeFail) => lost(Loss::NodeFail, NODE_FAILED),
        Some(TaskState::Preempted) => lost(Loss::Preempted, PREEMPTED),
        Some(TaskState::Timeout) => lost(Loss::Timeout, TIMED_OUT),
        Some(TaskState::OutOfMemory) => (false, OUT_OF_MEMORY),
        // Slurm warns a job before its time limit, and it ends by itself.
        Some(TaskState::Failed) if interrupted => lost(Loss::Timeout, TIMED_OUT),
        Some(TaskState::Failed) => (false, "it ended before it could say why; see its log"),
        Some(TaskState::NeverRan) => (true, "the job before it was lost; run again"),
        // Done in Slurm's eyes and not in the journal's (a file system that lags), or forgotten by Slurm.
        _ => (true, "it left no word of its end; see its log, and run again"),
    };
    match again && *attempt < retries {
        true => NextJob::Submit { round, attempt: attempt + 1 },
        false => NextJob::GiveUp { why: format!("the job of round {round} was lost {} time(s): {what}", attempt + 1) },
    }
}

// Why a job is given up, with Slurm's word for it, and what to do.
pub(super) const NODE_FAILED: &str = "its node failed (NODE_FAIL); run again, without that node (`scheduler.arguments: [--exclude=NODE]`) if it is to blame";
pub(super) const PREEMPTED: &str =
    "it was preempted (PREEMPTED); run again, or choose a `scheduler.partition` whose jobs are not preempted";
pub(super) const TIMED_OUT: &str = "it reached its time limit (TIMEOUT); raise `scheduler.time_limit`, for all rounds or for this one, \
                         and run again: it goes on after the last step that is done";
pub(super) const OUT_OF_MEMORY: &str = "it took more memory than it had asked for (OUT_OF_MEMORY); raise `scheduler.memory_gb`, for all \
                             rounds or for this one, and run again";

/// The last jobs of each measurement set.
pub(super) fn last_jobs(
    submissions: &[Submission],
    states: &HashMap<(u32, usize), TaskState>,
) -> HashMap<String, LastJobs> {
    let mut all: HashMap<String, (u32, LastJobs)> = HashMap::new();
    for s in submissions {
        let Work::Round { round } = s.work else { continue };
        for member in &s.members {
            let fresh = || (s.wave, LastJobs { generation: s.generation, rounds: BTreeMap::new() });
            let entry = all.entry(member.set.clone()).or_insert_with(fresh);
            if entry.0 != s.wave {
                *entry = fresh();
            }
            let state = states.get(&(s.number, member.index)).copied();
            entry.1.rounds.insert(round, (member.attempt, state));
        }
    }
    all.into_iter().map(|(set, (_, last))| (set, last)).collect()
}

/// Everything that may still be live or counts for the present: whole ledgers grow with the years.
pub(super) fn of_latest_waves(submissions: &[Submission]) -> Vec<Submission> {
    let mut latest: HashMap<&str, u32> = HashMap::new();
    for s in submissions {
        for member in &s.members {
            latest.insert(&member.set, s.wave);
        }
    }
    let newest = submissions.iter().map(|s| s.generation).max().unwrap_or(0);
    submissions
        .iter()
        .filter(|s| {
            s.members.iter().any(|m| latest[m.set.as_str()] == s.wave)
                || (s.members.is_empty() && s.generation == newest)
        })
        .cloned()
        .collect()
}

/// Where a campaign stands after [`Batch::advance`].
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Outlook {
    pub(super) next: Vec<NextJob>,
    /// Something is in the queue, runs, or will be submitted.
    pub going_on: bool,
    /// Trouble of the campaign as a whole.
    pub trouble: Option<String>,
    /// Jobs were cancelled by somebody.
    pub cancelled: bool,
}
