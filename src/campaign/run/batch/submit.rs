//! Submitting what is due: chains of job arrays, barriers, and the steward behind them.

use super::Batch;
use super::decide::{NextJob, Outlook};
use super::job::{BarrierDone, barrier_file};
use crate::batch_system::ledger::{Member, Room, Submission, Work};
use crate::batch_system::slurm::{Job, TaskState};
use crate::batch_system::{JobOptions, job_words};
use crate::campaign::plan;
use crate::campaign::record::Level;
use crate::campaign::run::barriers::{self, Stage};
use crate::util::fs;
use crate::{Error, Result};
use std::collections::{BTreeMap, HashMap};

/// A following run submits lost jobs again at most once in this many polls: few arrays instead of many.
const RESUBMIT_POLLS: u32 = 4;
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

/// Settings that differ from job to job.
struct JobSpec {
    indices: Option<Vec<usize>>,
    dependency: Option<String>,
    resources: JobOptions,
    words: Vec<String>,
}

impl Batch<'_> {
    /// Submits chains of rounds for all that are ready, with a steward behind them; at a barrier, its job.
    pub(super) fn submit_due(
        &mut self,
        outlook: &mut Outlook,
        recent: &[Submission],
        states: &HashMap<(u32, usize), TaskState>,
        generation: u32,
    ) -> Result<()> {
        let mut due: BTreeMap<usize, Vec<(usize, u32)>> = BTreeMap::new();
        for (index, next) in outlook.next.iter().enumerate() {
            if let NextJob::Submit { round, attempt } = next {
                due.entry(*round).or_default().push((index, *attempt));
            }
        }
        if due.is_empty() {
            return Ok(());
        }
        // While others are at work, lost ones wait a little for each other.
        let waiting = outlook.next.iter().any(|n| matches!(n, NextJob::Wait(_)));
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
                    self.campaign.events.message(None, Level::Info, text);
                }
                self.submit_steward(&wave)?;
            }
        }
        Ok(())
    }

    /// Jobs that may still be put into the queue.
    fn room(&self, states: &HashMap<(u32, usize), TaskState>) -> usize {
        let live = states.values().filter(|s| s.is_live()).count();
        self.campaign.plan.scheduler.max_queued.map_or(usize::MAX, |most| most.saturating_sub(live))
    }

    /// The last round that follows `first` without waiting, and whether a barrier stands before `first`.
    fn segment(&self, first: usize) -> (usize, bool) {
        let stages = barriers::of(self.campaign.plan);
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
            let set = self.campaign.plan.targets[*index].name.clone();
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
                resources: self.campaign.plan.scheduler.of_round(round),
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
        let late = |n: &NextJob| match n {
            NextJob::Wait(_) => true,
            NextJob::Submit { round: theirs, .. } => *theirs < round,
            _ => false,
        };
        if outlook.next.iter().any(late) {
            return Ok(false);
        }
        let marker = barrier_file(&self.campaign.plan.output, wave.generation, round);
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
        if earlier.len() > self.campaign.plan.scheduler.retries as usize {
            outlook.trouble = Some(format!("the job before round {round} was lost {} time(s)", earlier.len()));
            outlook.going_on = false;
            return Ok(false);
        }
        let job = JobSpec {
            indices: None,
            dependency: None,
            resources: self.campaign.plan.scheduler.of_barrier(),
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
            resources: self.campaign.plan.scheduler.of_steward(),
            words: vec!["--steward".into()],
        };
        let mut own = Wave { full: None, last: Vec::new(), ..*wave };
        // Without one, a run that follows or is started again does its work.
        if let Err(error) = self.submit(&mut own, Work::Steward, Vec::new(), job) {
            let text = format!("the job that looks after the others could not be submitted: {error}");
            self.campaign.events.message(None, Level::Warning, text);
        }
        Ok(())
    }

    /// Announces, submits and records one job; `None` when there is no room.
    fn submit(&self, wave: &mut Wave, work: Work, members: Vec<Member>, spec: JobSpec) -> Result<Option<u64>> {
        // `cleanloop cancel` may have come between two submissions.
        if self.ledger.state().cancelled {
            return Ok(None);
        }
        let number = self.ledger.next_number()?;
        let folder = plan::hash(&self.campaign.plan.output);
        let name = format!("cl-{}-{}-{number}", &folder[..8], job_words(&self.campaign.plan.name));
        let submission = Submission {
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
        words.push(self.campaign.plan.output.to_string_lossy().into_owned());
        words.extend(["--plan".to_string(), self.hash.clone()]);
        words.extend(spec.words);
        let job = Job {
            name: submission.name.clone(),
            at_once: spec.indices.as_ref().and(self.campaign.plan.scheduler.at_once),
            log: logs.join(if spec.indices.is_some() { "%a.log" } else { "job.log" }),
            indices: spec.indices,
            dependency: spec.dependency,
            resources: spec.resources,
            setup: self.campaign.plan.scheduler.setup.clone(),
            words,
            script: self.ledger.folder().join(format!("{number:05}.sh")),
        };
        match self.ledger.submit(self.system, submission, &job)? {
            Room::Taken(job) => Ok(Some(job)),
            Room::Full(words) => {
                wave.full = Some(words);
                Ok(None)
            }
        }
    }
}
