//! A campaign on a batch system: which jobs are submitted, when, and what becomes of those that are lost.
//!
//! A round of many measurement sets is a job array; the array of the next round depends on it index by index
//! (`aftercorr`), so every measurement set goes on as soon as it can. A job is this same program (`cleanloop task`),
//! with the journal, the locks and the rounds of a local run. The journals say what was done; Slurm says what is in the
//! queue; the ledger (`slurm/`) says what was submitted. [`Batch::advance`] puts the three together: it is called by a
//! run that follows its jobs, and by a small job, the steward, that waits for the others, so that a campaign goes on when
//! nobody is logged in. Whoever calls it holds the campaign's lock.

use super::barriers::{self, Stage};
use super::{FROZEN_PLAN, RunSettings, note_tools, plan_hashes};
use crate::batch_system::ledger::{Ledger, LedgerState, Member, Submission, Work};
use crate::batch_system::slurm::{BatchSystem, Job, SlurmError, TaskState};
use crate::campaign::events::{Emitter, Event, Place};
use crate::campaign::file::{Loss, OnFailure, TimeLimit};
use crate::campaign::journal::{self, Journal};
use crate::campaign::layout::Layout;
use crate::campaign::plan::{self, MeasurementSetPlan, Plan, Share};
use crate::campaign::record::{CampaignRecord, DatasetRecord, Level, MessageRecord, State, ToolVersion};
use crate::campaign::run;
use crate::process::interrupt;
use crate::util::fs;
use crate::util::lock::{self, CAMPAIGN_LOCK, DATASET_LOCK, Lock, STEWARD};
use crate::{Error, ExitStatus, Result};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A measurement set's record, written by its jobs; `record.json` of the campaign is put together from these.
pub const DATASET_RECORD: &str = "dataset.json";
/// How long a job waits for the lock of its measurement set: that of a job on a node that died may linger.
const LOCK_PATIENCE: Duration = Duration::from_secs(60);
/// How long a cancelled job may take to end.
const CANCEL_PATIENCE: Duration = Duration::from_secs(90);
/// After this time jobs that are still there are cancelled again: Slurm may have missed some that were just starting.
const CANCEL_AGAIN: Duration = Duration::from_secs(10);
/// How long a submission may take that has been announced; whoever made it may have died since.
const SUBMIT_PATIENCE: Duration = Duration::from_secs(10);
/// Set by Slurm: how often it started this job again.
const RESTARTS: &str = "SLURM_RESTART_COUNT";
/// A following run submits lost jobs again at most once in so many polls: few arrays instead of many.
const RESUBMIT_POLLS: u32 = 4;

/// How a run accompanies its jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Follow {
    /// Until they have ended; an interruption leaves them alone.
    Along,
    /// Until they have ended; an interruption cancels them.
    CancelOnInterrupt,
    /// Not at all: submit and return.
    Detach,
}

/// What a job leaves for the campaign's record.
#[derive(Debug, Default, Serialize, Deserialize)]
struct DatasetFile {
    dataset: DatasetRecord,
    tools: Vec<ToolVersion>,
}

/// How far a measurement set is, as its journal tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// The first round that is not done.
    pub next_round: usize,
    /// How the last run of it ended; `None`: it did not come to an end.
    pub end: Option<End>,
}

/// How a run of a measurement set ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The rounds that were asked for are done.
    Paused,
    /// A signal ended it.
    Interrupted,
    /// For good.
    Ended(State),
}

impl Progress {
    const NOTHING: Self = Self { next_round: 0, end: None };

    /// From a journal's lines. What was done under another plan does not count here: the job finds out what of it holds.
    fn of(entries: &[journal::Entry], plan: &IndexMap<String, String>) -> Self {
        let mut progress = Self::NOTHING;
        for entry in entries {
            match &entry.event {
                journal::Event::Run { plan: then, .. } => {
                    progress = Self { end: None, next_round: if then == plan { progress.next_round } else { 0 } };
                }
                journal::Event::Paused { round } => {
                    progress = Self { next_round: progress.next_round.max(round + 1), end: Some(End::Paused) };
                }
                journal::Event::Interrupted => progress.end = Some(End::Interrupted),
                journal::Event::Ended { state, .. } => {
                    let state = match state.as_str() {
                        "done" => State::Done,
                        "converged" => State::Converged,
                        "diverged" => State::Diverged,
                        _ => State::Failed,
                    };
                    progress.end = Some(End::Ended(state));
                }
                _ => {}
            }
        }
        progress
    }

    fn over(self) -> Option<State> {
        match self.end {
            Some(End::Ended(state)) if state != State::Failed => Some(state),
            _ => None,
        }
    }
}

/// What is known of a measurement set apart from its journal: the last jobs it had.
#[derive(Debug, Clone, PartialEq)]
struct LastJobs {
    generation: u32,
    /// Round to (how often it was lost before, Slurm's state if it still knows).
    rounds: BTreeMap<usize, (u32, Option<TaskState>)>,
}

impl LastJobs {
    fn live(&self) -> Option<TaskState> {
        let states = self.rounds.values().filter_map(|(_, state)| *state).filter(|s| s.is_live());
        states.max_by_key(|s| *s == TaskState::Running)
    }
}

/// What is to be done with a measurement set.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Next {
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
fn next_of(progress: Progress, last: Option<&LastJobs>, generation: u32, resubmit: &[Loss], retries: u32) -> Next {
    if let Some(state) = last.and_then(LastJobs::live) {
        return Next::Wait(state);
    }
    if let Some(state) = progress.over() {
        return Next::Over(state);
    }
    let round = progress.next_round;
    let afresh = Next::Submit { round, attempt: 0 };
    let Some(last) = last.filter(|l| l.generation == generation) else { return afresh };
    if progress.end == Some(End::Ended(State::Failed)) {
        return Next::Failed;
    }
    // All that was submitted is done: the rest was left for later.
    let Some((attempt, state)) = last.rounds.get(&round) else { return afresh };
    let interrupted = progress.end == Some(End::Interrupted);
    let told = |loss: Loss, what| (resubmit.contains(&loss), what);
    let (again, what) = match state {
        Some(TaskState::Cancelled) => return Next::Cancelled,
        Some(TaskState::NodeFail) => told(Loss::NodeFail, NODE_FAILED),
        Some(TaskState::Preempted) => told(Loss::Preempted, PREEMPTED),
        Some(TaskState::Timeout) => told(Loss::Timeout, TIMED_OUT),
        Some(TaskState::OutOfMemory) => (false, OUT_OF_MEMORY),
        // Slurm warns a job before its time limit, and it ends by itself.
        Some(TaskState::Failed) if interrupted => told(Loss::Timeout, TIMED_OUT),
        Some(TaskState::Failed) => (false, "it ended before it could say why; see its log"),
        Some(TaskState::NeverRan) => (true, "the job before it was lost; run again"),
        // Done in Slurm's eyes and not in the journal's (a file system that lags), or forgotten by Slurm.
        _ => (true, "it left no word of its end; see its log, and run again"),
    };
    match again && *attempt < retries {
        true => Next::Submit { round, attempt: attempt + 1 },
        false => Next::GiveUp { why: format!("the job of round {round} was lost {} time(s): {what}", attempt + 1) },
    }
}

// Why a job is given up, with Slurm's word for it, and what to do.
const NODE_FAILED: &str = "its node failed (NODE_FAIL); run again, without that node (`scheduler.arguments: [--exclude=NODE]`) if it is to blame";
const PREEMPTED: &str =
    "it was preempted (PREEMPTED); run again, or choose a `scheduler.partition` whose jobs are not preempted";
const TIMED_OUT: &str = "it reached its time limit (TIMEOUT); raise `scheduler.time_limit`, for all rounds or for this one, \
                         and run again: it goes on after the last step that is done";
const OUT_OF_MEMORY: &str = "it took more memory than it had asked for (OUT_OF_MEMORY); raise `scheduler.memory_gb`, for all \
                             rounds or for this one, and run again";

/// Where a campaign stands after [`Batch::advance`].
#[derive(Debug, Clone, PartialEq)]
pub struct Outlook {
    next: Vec<Next>,
    /// Something is in the queue, runs, or will be submitted.
    pub going_on: bool,
    /// What went wrong for the campaign as a whole.
    pub trouble: Option<String>,
    /// Jobs were cancelled by somebody.
    pub cancelled: bool,
}

/// A campaign and its batch system.
pub struct Batch<'a> {
    plan: &'a Plan,
    settings: &'a RunSettings<'a>,
    events: &'a Emitter,
    system: &'a dyn BatchSystem,
    ledger: Ledger,
    hash: String,
    hashes: IndexMap<String, String>,
    /// Journals by their length: a journal only grows.
    journals: HashMap<String, (u64, Progress)>,
    /// Datasets' records by the file's inode: it is replaced, not changed.
    records: HashMap<String, (u64, DatasetFile)>,
    told: HashMap<String, usize>,
    polls: u32,
}

/// Hash of what decides the results: jobs of another one must not mix with ours.
pub fn hash_of_work(plan: &Plan) -> String {
    let p = plan;
    let deciding = (
        (&p.measurement_sets, &p.rounds, &p.acceptance, &p.solint, &p.stop),
        (&p.imager, &p.calibrator, &p.executables, &p.reference_antenna, &p.work_on, &p.start_column),
    );
    plan::hash(&deciding)[..16].to_string()
}

impl<'a> Batch<'a> {
    /// Nothing is asked or written yet.
    pub fn new(
        plan: &'a Plan,
        settings: &'a RunSettings<'a>,
        events: &'a Emitter,
        system: &'a dyn BatchSystem,
    ) -> Self {
        Self {
            plan,
            settings,
            events,
            system,
            ledger: Ledger::new(&plan.output),
            hash: hash_of_work(plan),
            hashes: plan_hashes(plan),
            journals: HashMap::new(),
            records: HashMap::new(),
            told: HashMap::new(),
            polls: 0,
        }
    }

    /// Begins a new generation: what failed in earlier ones is tried again; jobs that are still queued are kept.
    ///
    /// # Errors
    /// Jobs of another plan are still queued; Slurm does not answer; the folder cannot be written.
    pub fn begin(&mut self) -> Result<()> {
        let submissions = of_latest_waves(&self.adopt()?);
        let states = self.states(&submissions)?;
        let live = |s: &Submission| states.iter().any(|((n, _), state)| *n == s.number && state.is_live());
        if let Some(other) = submissions.iter().find(|s| s.plan != self.hash && s.work != Work::Steward && live(s)) {
            return Err(Error::bad_input(format!(
                "{}: jobs of an earlier plan of this campaign are still queued (job {}, {}); wait for them, or cancel them \
                 with `cleanloop cancel {}`",
                self.plan.output.display(),
                other.job.unwrap_or_default(),
                other.name,
                self.plan.output.display()
            )));
        }
        let generation = self.ledger.state().generation + 1;
        Ok(self.ledger.set_state(LedgerState { generation, cancelled: false })?)
    }

    /// Submissions with their job numbers; those that were cut off are looked for by name, or taken back.
    fn adopt(&self) -> Result<Vec<Submission>> {
        let mut all = Vec::new();
        for mut submission in self.ledger.submissions()? {
            if submission.job.is_none() {
                match self.system.job_named(&submission.name)? {
                    Some(job) => {
                        submission.job = Some(job);
                        self.ledger.submitted(&submission)?;
                        let text = format!("found job {job} ({}), which an earlier run submitted", submission.name);
                        self.events.message(None, Level::Info, text);
                    }
                    None => {
                        self.ledger.withdraw(submission.number)?;
                        continue;
                    }
                }
            }
            all.push(submission);
        }
        Ok(all)
    }

    /// Slurm's states by number of submission and index (0 for single jobs).
    fn states(&self, submissions: &[Submission]) -> Result<HashMap<(u32, usize), TaskState>> {
        // Only the last jobs of each measurement set matter, and they are of the latest waves.
        let jobs: Vec<u64> = submissions.iter().filter_map(|s| s.job).collect();
        let number: HashMap<u64, u32> = submissions.iter().filter_map(|s| Some((s.job?, s.number))).collect();
        let tasks = self.system.tasks(&jobs)?;
        Ok(tasks.into_iter().filter_map(|t| Some(((*number.get(&t.job)?, t.index.unwrap_or(0)), t.state))).collect())
    }

    fn last_jobs(submissions: &[Submission], states: &HashMap<(u32, usize), TaskState>) -> HashMap<String, LastJobs> {
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

    fn progress(&mut self, index: usize) -> Result<Progress> {
        let set = &self.plan.measurement_sets[index];
        let path = self.plan.layout_of(set).journal();
        let Ok(length) = path.metadata().map(|m| m.len()) else { return Ok(Progress::NOTHING) };
        if let Some((_, progress)) = self.journals.get(&set.name).filter(|(then, _)| *then == length) {
            return Ok(*progress);
        }
        let progress = Progress::of(&Journal::read(&path)?, &self.hashes);
        self.journals.insert(set.name.clone(), (length, progress));
        Ok(progress)
    }

    /// Looks at everything and submits what is due. The campaign's lock must be held.
    ///
    /// # Errors
    /// Slurm does not answer or refuses; the folder cannot be written.
    pub fn advance(&mut self) -> Result<Outlook> {
        let ledger_state = self.ledger.state();
        let generation = ledger_state.generation;
        let submissions = self.adopt()?;
        let recent = of_latest_waves(&submissions);
        let states = self.states(&recent)?;
        let last = Self::last_jobs(&recent, &states);
        let scheduler = &self.plan.scheduler;
        let mut next = Vec::with_capacity(self.plan.measurement_sets.len());
        for index in 0..self.plan.measurement_sets.len() {
            let jobs = last.get(&self.plan.measurement_sets[index].name);
            // Journals of sets at work are left alone.
            let progress = match jobs.and_then(LastJobs::live) {
                Some(_) => Progress::NOTHING,
                None => self.progress(index)?,
            };
            let mut decided = next_of(progress, jobs, generation, &scheduler.resubmit, scheduler.retries);
            if let Next::GiveUp { why } = &decided {
                decided = self.give_up(index, why)?;
            }
            next.push(decided);
        }
        let going = |n: &Next| matches!(n, Next::Wait(_) | Next::Submit { .. });
        let stopped = next.contains(&Next::Failed) && self.plan.on_failure == OnFailure::Stop;
        let mut outlook = Outlook {
            going_on: next.iter().any(going),
            // Those that we cancel ourselves because another one failed are not meant.
            cancelled: ledger_state.cancelled || (!stopped && next.contains(&Next::Cancelled)),
            trouble: None,
            next,
        };
        if ledger_state.cancelled || stopped {
            if outlook.next.iter().any(|n| matches!(n, Next::Wait(_))) {
                self.cancel_all(&recent)?;
            }
            outlook.going_on = outlook.next.iter().any(|n| matches!(n, Next::Wait(_)));
            return Ok(outlook);
        }
        self.submit_due(&mut outlook, &recent, &states, generation)?;
        Ok(outlook)
    }

    fn cancel_all(&self, submissions: &[Submission]) -> Result<()> {
        let jobs: Vec<u64> = submissions.iter().filter_map(|s| s.job).collect();
        Ok(self.system.cancel(&jobs)?)
    }

    /// Submits chains of rounds for all that are ready, with a steward behind them; at a barrier, its job.
    fn submit_due(
        &mut self,
        outlook: &mut Outlook,
        recent: &[Submission],
        states: &HashMap<(u32, usize), TaskState>,
        generation: u32,
    ) -> Result<()> {
        let mut due: BTreeMap<usize, Vec<(usize, u32)>> = BTreeMap::new();
        for (index, next) in outlook.next.iter().enumerate() {
            if let Next::Submit { round, attempt } = next {
                due.entry(*round).or_default().push((index, *attempt));
            }
        }
        if due.is_empty() {
            return Ok(());
        }
        // While others are at work, lost ones wait a little for each other.
        let waiting = outlook.next.iter().any(|n| matches!(n, Next::Wait(_)));
        self.polls += 1;
        if waiting && !self.polls.is_multiple_of(RESUBMIT_POLLS) {
            return Ok(());
        }
        let mut wave = Wave {
            number: self.ledger.submissions()?.iter().map(|s| s.wave).max().unwrap_or(0) + 1,
            generation,
            room: self.room(states),
            last: Vec::new(),
            full: None,
        };
        for (first, members) in due {
            let (last, barrier) = self.segment(first);
            if barrier && !self.barrier_is_done(outlook, first, recent, states, &mut wave)? {
                continue;
            }
            for chunk in self.chunks(&members) {
                self.submit_chain(&mut wave, first, last, &chunk)?;
            }
        }
        match (&wave.full, wave.last.is_empty()) {
            (Some(words), true) if !waiting && states.values().all(|s| !s.is_live()) => {
                return Err(Error::external(format!("no job could be submitted: {words}")));
            }
            (_, true) => {}
            (full, false) => {
                if let Some(words) = full {
                    let text = format!("the queue is full; the rest is submitted later ({words})");
                    self.events.message(None, Level::Info, text);
                }
                self.submit_steward(&wave)?;
            }
        }
        Ok(())
    }

    /// Jobs that may still be put into the queue.
    fn room(&self, states: &HashMap<(u32, usize), TaskState>) -> usize {
        let live = states.values().filter(|s| s.is_live()).count();
        self.plan.scheduler.max_queued.map_or(usize::MAX, |most| most.saturating_sub(live))
    }

    /// The last round that follows `first` without waiting, and whether a barrier stands before `first`.
    fn segment(&self, first: usize) -> (usize, bool) {
        let stages = barriers::of(self.plan);
        let last = stages.iter().find_map(|s| match s {
            Stage::Rounds { first: from, last } if (*from..=*last).contains(&first) => Some(*last),
            _ => None,
        });
        (last.unwrap_or(first), stages.contains(&Stage::Barrier { round: first }))
    }

    /// Measurement sets by index in their array: equal in all rounds, and below Slurm's limit.
    fn chunks(&self, members: &[(usize, u32)]) -> Vec<Chunk> {
        let size = (self.system.max_array_size() - 1).max(1);
        let mut chunks: BTreeMap<usize, Vec<Member>> = BTreeMap::new();
        for (index, attempt) in members {
            let set = self.plan.measurement_sets[*index].name.clone();
            chunks.entry(index / size).or_default().push(Member { index: index % size, set, attempt: *attempt });
        }
        chunks.into_iter().map(|(chunk, members)| Chunk { offset: chunk * size, members }).collect()
    }

    fn submit_chain(&self, wave: &mut Wave, first: usize, last: usize, chunk: &Chunk) -> Result<()> {
        let mut before: Option<u64> = None;
        let mut members = chunk.members.clone();
        for round in first..=last {
            match before {
                None => members.truncate(wave.room),
                // What was lost before is a matter of the first round.
                Some(_) => members.iter_mut().for_each(|m| m.attempt = 0),
            }
            if wave.full.is_some() || members.is_empty() || wave.room < members.len() {
                wave.full.get_or_insert_with(|| "scheduler.max_queued".into());
                break;
            }
            let indices = members.iter().map(|m| m.index).collect();
            let words = ["--round".to_string(), round.to_string(), "--offset".into(), chunk.offset.to_string()];
            let words = words.into_iter().chain(["--index".into(), "$SLURM_ARRAY_TASK_ID".into()]).collect();
            let job = JobSpec {
                indices: Some(indices),
                dependency: before.map(|job| format!("aftercorr:{job}")),
                resources: self.plan.scheduler.of_round(round),
                words,
            };
            wave.room = wave.room.saturating_sub(members.len());
            match self.submit(wave, Work::Round { round }, members.clone(), job)? {
                Some(number) => before = Some(number),
                None => break,
            }
        }
        wave.last.extend(before);
        Ok(())
    }

    /// True once the work before `round` is done in this generation; submits its job when all have arrived.
    fn barrier_is_done(
        &self,
        outlook: &mut Outlook,
        round: usize,
        recent: &[Submission],
        states: &HashMap<(u32, usize), TaskState>,
        wave: &mut Wave,
    ) -> Result<bool> {
        let late = |n: &Next| match n {
            Next::Wait(_) => true,
            Next::Submit { round: theirs, .. } => *theirs < round,
            _ => false,
        };
        if outlook.next.iter().any(late) {
            return Ok(false);
        }
        let marker = barrier_file(&self.plan.output, wave.generation, round);
        if let Ok(text) = std::fs::read(&marker) {
            let done: BarrierDone = serde_json::from_slice(&text).map_err(Error::internal)?;
            if let Some(error) = done.error {
                outlook.trouble = Some(format!("what round {round} needs of all measurement sets failed: {error}"));
                outlook.going_on = false;
                return Ok(false);
            }
            return Ok(true);
        }
        let mine = |s: &&Submission| s.work == Work::Barrier { round } && s.generation == wave.generation;
        let earlier: Vec<&Submission> = recent.iter().filter(mine).collect();
        if earlier.iter().any(|s| states.get(&(s.number, 0)).is_some_and(|s| s.is_live())) {
            return Ok(false);
        }
        if earlier.len() > self.plan.scheduler.retries as usize {
            outlook.trouble = Some(format!("the job before round {round} was lost {} time(s)", earlier.len()));
            outlook.going_on = false;
            return Ok(false);
        }
        let job = JobSpec {
            indices: None,
            dependency: None,
            resources: self.plan.scheduler.of_barrier(),
            words: vec!["--barrier".into(), round.to_string(), "--generation".into(), wave.generation.to_string()],
        };
        let number = self.submit(wave, Work::Barrier { round }, Vec::new(), job)?;
        wave.last.extend(number);
        Ok(false)
    }

    fn submit_steward(&self, wave: &Wave) -> Result<()> {
        let after: Vec<String> = wave.last.iter().map(ToString::to_string).collect();
        let job = JobSpec {
            indices: None,
            dependency: Some(format!("afterany:{}", after.join(":"))),
            resources: self.plan.scheduler.of_steward(),
            words: vec!["--steward".into()],
        };
        let mut own = Wave { full: None, last: Vec::new(), ..*wave };
        // Without one, a run that follows or is started again does its work.
        if let Err(error) = self.submit(&mut own, Work::Steward, Vec::new(), job) {
            let text = format!("the job that looks after the others could not be submitted: {error}");
            self.events.message(None, Level::Warning, text);
        }
        Ok(())
    }

    /// Announces, submits and takes down one job; `None` when there is no room.
    fn submit(&self, wave: &mut Wave, work: Work, members: Vec<Member>, spec: JobSpec) -> Result<Option<u64>> {
        // `cleanloop cancel` may have come between two submissions.
        if self.ledger.state().cancelled {
            return Ok(None);
        }
        let number = self.ledger.next_number()?;
        let name = format!("cl-{}-{}-{number}", &plan::hash(&self.plan.output)[..8], self.plan.name);
        let mut submission = Submission {
            number,
            generation: wave.generation,
            wave: wave.number,
            name,
            work,
            plan: self.hash.clone(),
            members,
            job: None,
        };
        self.ledger.announce(&submission)?;
        let logs = self.ledger.folder().join("logs").join(format!("{number:05}"));
        fs::make(&logs)?;
        let program = crate::process::own::executable().map_err(Error::internal)?;
        let mut words = vec![program.to_string_lossy().into_owned(), "task".into()];
        words.push(self.plan.output.to_string_lossy().into_owned());
        words.extend(["--plan".to_string(), self.hash.clone()]);
        words.extend(spec.words);
        let job = Job {
            name: submission.name.clone(),
            at_once: spec.indices.as_ref().and(self.plan.scheduler.at_once),
            log: logs.join(if spec.indices.is_some() { "%a.log" } else { "job.log" }),
            indices: spec.indices,
            dependency: spec.dependency,
            resources: spec.resources,
            setup: self.plan.scheduler.setup.clone(),
            words,
            script: self.ledger.folder().join(format!("{number:05}.sh")),
        };
        match self.system.submit(&job) {
            Ok(job) => {
                submission.job = Some(job);
                self.ledger.submitted(&submission)?;
                Ok(Some(job))
            }
            Err(SlurmError::Full { words }) => {
                self.ledger.withdraw(number)?;
                wave.full = Some(words);
                Ok(None)
            }
            Err(error) => {
                // Refused for sure; where there was no answer, the next look finds out by name.
                if matches!(error, SlurmError::Refused { .. }) && self.system.job_named(&submission.name)?.is_none() {
                    self.ledger.withdraw(number)?;
                }
                Err(error.into())
            }
        }
    }

    /// Writes into the journal that a measurement set is given up, unless somebody still works on it.
    fn give_up(&mut self, index: usize, why: &str) -> Result<Next> {
        let set = &self.plan.measurement_sets[index];
        let layout = self.plan.layout_of(set);
        let Ok(_lock) = Lock::take_named(layout.root(), DATASET_LOCK) else {
            return Ok(Next::Wait(TaskState::Running));
        };
        write_given_up(self.plan, set, why)?;
        self.events.message(Some(&set.name), Level::Error, why);
        Ok(Next::Failed)
    }

    /// Puts the campaign's record together, and tells what is new in it.
    pub fn collect(&mut self, record: &mut CampaignRecord, outlook: &Outlook) {
        for (index, next) in outlook.next.iter().enumerate() {
            let set = &self.plan.measurement_sets[index];
            let layout = self.plan.layout_of(set);
            let inode = layout.root().join(DATASET_RECORD).metadata().map(|m| std::os::unix::fs::MetadataExt::ino(&m));
            if let Ok(inode) = inode {
                let known = self.records.get(&set.name).is_some_and(|(then, _)| *then == inode);
                if !known && let Some(file) = read_dataset(&layout) {
                    self.tell(&file.dataset);
                    self.records.insert(set.name.clone(), (inode, file));
                }
            }
            if let Some((_, file)) = self.records.get(&set.name) {
                record.datasets[index] = file.dataset.clone();
                record.datasets[index].sources = vec![set.path.clone()];
                note_tools(record, &file.tools);
            }
            let dataset = &mut record.datasets[index];
            dataset.state = match next {
                Next::Wait(TaskState::Running) => State::Running,
                Next::Submit { .. } if outlook.cancelled => State::Interrupted,
                Next::Wait(_) | Next::Submit { .. } => State::Waiting,
                Next::Over(state) => *state,
                Next::Failed | Next::GiveUp { .. } => State::Failed,
                Next::Cancelled => State::Interrupted,
            };
        }
    }

    fn tell(&mut self, dataset: &DatasetRecord) {
        let told = self.told.entry(dataset.name.clone()).or_default();
        for round in dataset.rounds.iter().skip(*told) {
            let Some(decision) = &round.decision else { break };
            *told += 1;
            let place = Place { dataset: dataset.name.clone(), round: round.round, attempt: round.attempt };
            self.events.emit(Event::RoundFinished {
                place,
                verdict: decision.verdict,
                why: decision.summary.clone(),
                rms: round.metrics.as_ref().map(|m| m.rms),
                peak: round.metrics.as_ref().map(|m| m.peak),
                dynamic_range: round.metrics.as_ref().map(|m| m.dynamic_range),
            });
        }
        if dataset.state.is_final() {
            self.events.emit(Event::DatasetFinished {
                dataset: dataset.name.clone(),
                state: dataset.state,
                best_round: dataset.best_round().map(|r| r.round),
            });
        }
    }

    /// The end of a campaign in the words of a local run.
    fn outcomes(&self, record: &CampaignRecord, outlook: &Outlook) -> Vec<Option<Result<State>>> {
        let outcome = |(index, next): (usize, &Next)| match next {
            Next::Over(state) => Some(Ok(*state)),
            Next::Failed => {
                let messages = &record.datasets[index].messages;
                let why = messages.iter().rev().find(|m| m.level == Level::Error).map(|m| m.text.clone());
                Some(Err(Error::external(why.unwrap_or_else(|| "it failed; see its log".into()))))
            }
            Next::Cancelled if outlook.cancelled => Some(Err(Error::Interrupted)),
            _ => None,
        };
        outlook.next.iter().enumerate().map(outcome).collect()
    }
}

/// Everything that may still be live or counts for the present: whole ledgers grow with the years.
fn of_latest_waves(submissions: &[Submission]) -> Vec<Submission> {
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

/// Submissions that are made together.
#[derive(Debug, Clone)]
struct Wave {
    number: u32,
    generation: u32,
    room: usize,
    /// The last job of each chain.
    last: Vec<u64>,
    /// Why nothing more goes into the queue.
    full: Option<String>,
}

struct Chunk {
    offset: usize,
    members: Vec<Member>,
}

/// What differs from job to job.
struct JobSpec {
    indices: Option<Vec<usize>>,
    dependency: Option<String>,
    resources: crate::campaign::file::JobOptions,
    words: Vec<String>,
}

/// What the job at a barrier leaves.
#[derive(Debug, Serialize, Deserialize)]
struct BarrierDone {
    error: Option<String>,
}

fn barrier_file(output: &Path, generation: u32, round: usize) -> PathBuf {
    Ledger::new(output).folder().join(format!("barrier-{generation}-{round}.done"))
}

fn read_dataset(layout: &Layout) -> Option<DatasetFile> {
    serde_json::from_slice(&std::fs::read(layout.root().join(DATASET_RECORD)).ok()?).ok()
}

fn write_dataset(layout: &Layout, file: &DatasetFile) -> Result<()> {
    let json = serde_json::to_vec(file).expect("records are plain data");
    Ok(fs::write_atomically(&layout.root().join(DATASET_RECORD), &json)?)
}

/// Writes into journal and record of a measurement set that it is given up. Its lock must be held.
fn write_given_up(plan: &Plan, set: &MeasurementSetPlan, why: &str) -> Result<()> {
    let layout = plan.layout_of(set);
    let mut journal = Journal::open(layout.journal())?;
    journal.append(journal::Event::Ended { state: State::Failed.word().into(), reason: why.to_string() })?;
    let mut file = read_dataset(&layout).unwrap_or_else(|| DatasetFile {
        dataset: DatasetRecord {
            name: set.name.clone(),
            sources: vec![set.path.clone()],
            folder: layout.root().to_path_buf(),
            planned_rounds: plan.rounds.len(),
            ..DatasetRecord::default()
        },
        tools: Vec::new(),
    });
    file.dataset.state = State::Failed;
    let message = MessageRecord { at: Some(jiff::Timestamp::now()), level: Level::Error, text: why.to_string() };
    file.dataset.messages.push(message);
    write_dataset(&layout, &file)
}

/// Submits the campaign's jobs and follows them as `follow` says. The caller holds the campaign's lock.
///
/// # Errors
/// As [`run::run`]; also a Slurm that does not answer or refuses.
pub fn run(
    plan: &Plan,
    mut record: CampaignRecord,
    settings: &RunSettings<'_>,
    events: &Emitter,
    system: &dyn BatchSystem,
    follow: Follow,
) -> Result<ExitStatus> {
    let mut batch = Batch::new(plan, settings, events, system);
    batch.begin()?;
    run::freeze(plan, settings)?;
    run::announce(plan, events);
    let TimeLimit(poll) = plan.scheduler.poll;
    let mut due = Instant::now();
    loop {
        let outlook = batch.advance()?;
        batch.collect(&mut record, &outlook);
        if !outlook.going_on {
            return finish(&batch, record, &outlook);
        }
        if follow == Follow::Detach || Instant::now() >= due {
            let clock = Instant::now();
            // What people look at must not stop the jobs.
            if let Err(error) = run::show(record.clone(), plan, settings) {
                events.message(None, Level::Warning, format!("the report could not be renewed: {error}"));
            }
            due = Instant::now() + clock.elapsed() * 9;
        }
        if follow == Follow::Detach {
            let text = format!(
                "the jobs are submitted and go on without this program; `cleanloop status {0}` shows where they stand, \
                 `cleanloop cancel {0}` ends them",
                plan.output.display()
            );
            events.message(None, Level::Info, text);
            return Ok(ExitStatus::Done);
        }
        let waiting = Instant::now();
        while waiting.elapsed() < poll && !interrupt::requested() {
            std::thread::sleep(Duration::from_millis(50).min(poll));
        }
        if interrupt::requested() {
            return interrupted(&mut batch, record, follow);
        }
    }
}

fn interrupted(batch: &mut Batch<'_>, mut record: CampaignRecord, follow: Follow) -> Result<ExitStatus> {
    let output = &batch.plan.output;
    if follow == Follow::CancelOnInterrupt {
        cancel(output, batch.system)?;
        let outlook = batch.advance()?;
        batch.collect(&mut record, &outlook);
        record.state = State::Interrupted;
        run::show(record, batch.plan, batch.settings)?;
    } else {
        let text = format!(
            "the jobs go on; the same command follows them again, `cleanloop cancel {}` ends them",
            output.display()
        );
        batch.events.message(None, Level::Info, text);
    }
    Err(Error::Interrupted)
}

fn finish(batch: &Batch<'_>, mut record: CampaignRecord, outlook: &Outlook) -> Result<ExitStatus> {
    let (state, result) = match (&outlook.trouble, outlook.cancelled) {
        (Some(trouble), _) => (State::Failed, Err(Error::external(trouble.clone()))),
        (None, true) => (State::Interrupted, Err(Error::Interrupted)),
        (None, false) => run::summarise(batch.plan, batch.outcomes(&record, outlook)),
    };
    record.state = state;
    record.finished = Some(jiff::Timestamp::now());
    let mut shown = run::show(record, batch.plan, batch.settings);
    if state != State::Interrupted {
        shown = shown.and_then(|()| run::collect(batch.plan, batch.events));
    }
    batch.events.emit(Event::CampaignFinished { state });
    result.and_then(|status| shown.map(|()| status))
}

/// Refuses where jobs of this campaign are in the queue: they would work on what another run changes.
///
/// # Errors
/// There are such jobs.
pub fn refuse_if_queued(output: &Path, system: &dyn BatchSystem, why: &str) -> Result<()> {
    let ledger = Ledger::new(output);
    if !ledger.exists() {
        return Ok(());
    }
    let jobs: Vec<u64> = of_latest_waves(&ledger.submissions()?).iter().filter_map(|s| s.job).collect();
    // Where Slurm does not answer, the locks of the measurement sets still protect them.
    let tasks = system.tasks(&jobs).unwrap_or_default();
    match tasks.iter().find(|t| t.state.is_live()) {
        None => Ok(()),
        Some(task) => Err(Error::bad_input(format!(
            "{}: job {} of this campaign is still in Slurm's queue, {why}; wait for it, or end it with `cleanloop cancel {}`",
            output.display(),
            task.job,
            output.display()
        ))),
    }
}

/// The plan that the jobs of a campaign folder work from.
///
/// # Errors
/// No campaign has run there.
pub fn frozen_plan(output: &Path) -> Result<Plan> {
    let path = output.join(FROZEN_PLAN);
    let told = |e: &dyn std::fmt::Display| {
        Error::bad_input(format!(
            "{}: cannot be read: {e}; is this the folder of a campaign that has run?",
            path.display()
        ))
    };
    let text = std::fs::read(&path).map_err(|e| told(&e))?;
    let mut plan: Plan = serde_json::from_slice(&text).map_err(|e| told(&e))?;
    // The folder may have been moved since.
    plan.output = std::path::absolute(output).map_err(|e| told(&e))?;
    Ok(plan)
}

/// One round of one measurement set, as a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TaskOf {
    /// The round.
    pub round: usize,
    /// Index of the measurement set in the plan.
    pub index: usize,
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
pub fn task(plan: &Plan, hash: &str, of: TaskOf, settings: &RunSettings<'_>, events: &Emitter) -> Result<State> {
    check_plan(plan, hash)?;
    let set = plan.measurement_sets.get(of.index).ok_or_else(|| Error::bad_input("no such measurement set"))?;
    let layout = plan.layout_of(set);
    let hashes = plan_hashes(plan);
    // It may have ended early, or an earlier start of this job may have done it.
    let before = match Journal::read(&layout.journal()) {
        Ok(entries) => Progress::of(&entries, &hashes),
        Err(_) => Progress::NOTHING,
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
    run::run_one(plan, of.index, Some(of.round), share(plan, of.round), settings, events, &mut on_record)
}

/// What a job may use: what it asked for.
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
pub fn barrier(
    plan: &Plan,
    hash: &str,
    round: usize,
    generation: u32,
    settings: &RunSettings<'_>,
    events: &Emitter,
) -> Result<()> {
    check_plan(plan, hash)?;
    let datasets: Vec<DatasetRecord> =
        plan.measurement_sets.iter().filter_map(|set| Some(read_dataset(&plan.layout_of(set))?.dataset)).collect();
    let done = (settings.at_barrier)(plan, round, &datasets, events);
    if matches!(done, Err(Error::Interrupted)) {
        return done;
    }
    let word = BarrierDone { error: done.as_ref().err().map(ToString::to_string) };
    let json = serde_json::to_vec(&word).expect("plain data");
    fs::write_atomically(&barrier_file(&plan.output, generation, round), &json)?;
    done
}

/// Looks after the campaign once, unless a run that follows its jobs does so.
///
/// # Errors
/// As [`Batch::advance`].
pub fn steward(
    plan: &Plan,
    settings: &RunSettings<'_>,
    events: &Emitter,
    system: &dyn BatchSystem,
) -> Result<ExitStatus> {
    let Ok(_lock) = Lock::take_in_role(&plan.output, CAMPAIGN_LOCK, STEWARD) else {
        events.message(None, Level::Info, "a run follows these jobs; nothing to do");
        return Ok(ExitStatus::Done);
    };
    let mut record = CampaignRecord::load(&plan.output)?;
    let mut batch = Batch::new(plan, settings, events, system);
    let outlook = batch.advance()?;
    batch.collect(&mut record, &outlook);
    if outlook.going_on {
        run::show(record, plan, settings)?;
        return Ok(ExitStatus::Done);
    }
    // Failed measurement sets are told in the record; the steward itself did its work.
    let _ = finish(&batch, record, &outlook);
    Ok(ExitStatus::Done)
}

/// Cancels all jobs of a campaign and waits until they have ended; returns how many were live.
///
/// # Errors
/// Slurm does not answer, or a job does not end.
pub fn cancel(output: &Path, system: &dyn BatchSystem) -> Result<usize> {
    let ledger = Ledger::new(output);
    let state = ledger.state();
    // First of all nobody must submit them again.
    ledger.set_state(LedgerState { cancelled: true, ..state })?;
    let waiting = Instant::now();
    let mut asked: Option<Instant> = None;
    let mut ended: BTreeSet<(u64, Option<usize>)> = BTreeSet::new();
    loop {
        // Anew each time: a run may be submitting at this very moment.
        let (mut jobs, mut on_the_way) = (Vec::new(), 0);
        for submission in ledger.submissions()? {
            match submission.job.map_or_else(|| system.job_named(&submission.name), |job| Ok(Some(job)))? {
                Some(job) => jobs.push(job),
                None => on_the_way += 1,
            }
        }
        let live: Vec<_> = system.tasks(&jobs)?.into_iter().filter(|t| t.state.is_live()).collect();
        if live.is_empty() && (on_the_way == 0 || waiting.elapsed() > SUBMIT_PATIENCE) {
            return Ok(ended.len());
        }
        ended.extend(live.iter().map(|t| (t.job, t.index)));
        if !live.is_empty() && asked.is_none_or(|then| then.elapsed() > CANCEL_AGAIN) {
            let numbers: BTreeSet<u64> = live.iter().map(|t| t.job).collect();
            system.cancel(&numbers.into_iter().collect::<Vec<_>>())?;
            asked = Some(Instant::now());
        }
        if waiting.elapsed() > CANCEL_PATIENCE {
            return Err(Error::external(format!("{} job(s) have not ended yet; `squeue --me` shows them", live.len())));
        }
        std::thread::sleep(Duration::from_millis(500));
    }
}

/// Where the jobs of a campaign stand.
#[derive(Debug, Clone, PartialEq)]
pub struct JobsStatus {
    /// Jobs by what they do and their state.
    pub counts: BTreeMap<(String, TaskState), usize>,
    /// Somebody cancelled them.
    pub cancelled: bool,
}

/// Brings a record up to date from the measurement sets' own files and journals, and asks Slurm for the jobs; `None`
/// where the campaign has none. Changes nothing on the disk.
///
/// # Errors
/// The ledger cannot be read. A Slurm that does not answer is the inner error.
pub fn status(
    output: &Path,
    record: &mut CampaignRecord,
    system: &dyn BatchSystem,
) -> Result<Option<std::result::Result<JobsStatus, SlurmError>>> {
    let ledger = Ledger::new(output);
    if !ledger.exists() {
        return Ok(None);
    }
    let plan = frozen_plan(output)?;
    let hashes = plan_hashes(&plan);
    for (index, set) in plan.measurement_sets.iter().enumerate() {
        let layout = plan.layout_of(set);
        if let Some(dataset) = record.datasets.get_mut(index)
            && let Some(file) = read_dataset(&layout)
        {
            let state = dataset.state;
            *dataset = file.dataset;
            // A job that died could not take its own end down.
            if dataset.state == State::Running {
                dataset.state = state;
            }
            if let Some(over) = Journal::read(&layout.journal()).ok().and_then(|e| Progress::of(&e, &hashes).over()) {
                dataset.state = over;
            }
        }
    }
    let submissions = of_latest_waves(&ledger.submissions()?);
    let jobs: Vec<u64> = submissions.iter().filter_map(|s| s.job).collect();
    let what: HashMap<u64, String> = submissions
        .iter()
        .filter_map(|s| {
            let words = match s.work {
                Work::Round { round } => format!("round {round}"),
                Work::Barrier { round } => format!("before round {round}"),
                Work::Steward => "steward".to_string(),
            };
            Some((s.job?, words))
        })
        .collect();
    let states = system.tasks(&jobs).map(|tasks| {
        let mut counts: BTreeMap<(String, TaskState), usize> = BTreeMap::new();
        for task in tasks {
            let words = what.get(&task.job).cloned().unwrap_or_default();
            *counts.entry((words, task.state)).or_default() += 1;
        }
        JobsStatus { counts, cancelled: ledger.state().cancelled }
    });
    Ok(Some(states))
}

#[cfg(test)]
mod tests;
