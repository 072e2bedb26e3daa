//! Pieces of one work as job arrays that are followed to their end: what is lost is submitted again, what is done is not, and
//! whoever follows may be killed and start again.
//!
//! A piece is done when its file says so, whatever Slurm says; the ledger tells which jobs were submitted for the rest.

use super::JobOptions;
use super::ledger::{Ledger, LedgerState, Member, Room, Submission, Work};
use super::slurm::{BatchSystem, Job, TaskState};
use crate::process::interrupt;
use crate::util::fs;
use crate::{Error, Result};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long the file of a piece whose job has ended may take to show up on a network's disk.
const FILES_PATIENCE: Duration = Duration::from_secs(60);
/// Lines of a failed job's log that are shown.
const LOG_LINES: usize = 3;

/// Work in pieces, numbered from 0.
#[derive(Debug)]
pub(crate) struct ArrayWork<'a> {
    /// Where ledger, scripts and logs are kept: `slurm/` in this folder.
    pub folder: &'a Path,
    /// Name of the work, for people who look at the queue.
    pub name: &'a str,
    /// What decides the result: jobs of another one do not count.
    pub key: &'a str,
    /// Most jobs that run at the same time.
    pub at_once: Option<usize>,
    /// Times that a lost piece is submitted again.
    pub retries: u32,
    /// Resources of a job.
    pub resources: JobOptions,
    /// Shell lines before the command.
    pub setup: Vec<String>,
    /// The command. A piece's number is the sum of what follows `--offset` and `--index`, which are put behind it.
    pub words: Vec<String>,
    /// Interval between two questions.
    pub poll: Duration,
}

/// Where the work stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Pieces that are done.
    pub done: usize,
    /// All pieces.
    pub all: usize,
    /// Jobs at work.
    pub running: usize,
    /// Jobs that wait.
    pub pending: usize,
}

/// What is to become of a piece that is not done.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Next {
    Submit {
        attempt: u32,
    },
    Wait(TaskState),
    /// Its job has ended well, and there is no file.
    Late {
        attempt: u32,
    },
    Failed {
        why: String,
    },
}

/// Submits what is not done and follows it to its end.
///
/// # Errors
/// Pieces that failed, with the last words of the first; Slurm refuses or does not answer; the folder cannot be written.
pub(crate) fn follow(
    system: &dyn BatchSystem,
    work: &ArrayWork<'_>,
    pieces: usize,
    is_done: &dyn Fn(usize) -> bool,
    told: &mut dyn FnMut(Progress),
) -> Result<()> {
    let ledger = Ledger::new(work.folder);
    let generation = ledger.state().generation + 1;
    ledger.set_state(LedgerState { generation, cancelled: false })?;
    let mut following = Following { system, work, ledger, generation, late: HashMap::new() };
    let mut undone: BTreeSet<usize> = (0..pieces).collect();
    loop {
        undone.retain(|piece| !is_done(*piece));
        let next = following.look(&undone)?;
        let count = |state: TaskState| next.values().filter(|n| **n == Next::Wait(state)).count();
        let (running, pending) = (count(TaskState::Running), count(TaskState::Pending));
        told(Progress { done: pieces - undone.len(), all: pieces, running, pending });
        if undone.is_empty() {
            return Ok(());
        }
        let failed: Vec<(usize, &String)> = next
            .iter()
            .filter_map(|(piece, next)| match next {
                Next::Failed { why } => Some((*piece, why)),
                _ => None,
            })
            .collect();
        let due: Vec<(usize, u32)> = next
            .iter()
            .filter_map(|(piece, next)| match next {
                Next::Submit { attempt } => Some((*piece, *attempt)),
                _ => None,
            })
            .collect();
        if let Some((first, why)) = failed.first()
            && failed.len() + due.len() == undone.len()
        {
            let of = failed.len();
            return Err(Error::external(format!(
                "{of} of {pieces} groups failed, the first is group {first}: {why}; the same command begins with what is \
                 not done"
            )));
        }
        // Nothing new is begun once a piece has failed.
        if failed.is_empty() {
            following.submit(&due, running + pending > 0)?;
        }
        let waiting = Instant::now();
        while waiting.elapsed() < work.poll {
            interrupt::check()?;
            std::thread::sleep(Duration::from_millis(50).min(work.poll));
        }
    }
}

struct Following<'a> {
    system: &'a dyn BatchSystem,
    work: &'a ArrayWork<'a>,
    ledger: Ledger,
    generation: u32,
    /// Since when the file of a piece is missed.
    late: HashMap<usize, Instant>,
}

/// The last job of a piece.
struct Last {
    submission: u32,
    index: usize,
    attempt: u32,
    generation: u32,
    state: Option<TaskState>,
}

impl Following<'_> {
    /// What is to become of each piece that is not done.
    fn look(&mut self, undone: &BTreeSet<usize>) -> Result<BTreeMap<usize, Next>> {
        let last = self.last_jobs(undone)?;
        let next = undone.iter().map(|piece| {
            let next = match last.get(piece) {
                None => Next::Submit { attempt: 0 },
                Some(last) => self.next_of(last),
            };
            let next = match next {
                Next::Late { attempt } => {
                    let since = *self.late.entry(*piece).or_insert_with(Instant::now);
                    match since.elapsed() < FILES_PATIENCE {
                        true => Next::Wait(TaskState::Completed),
                        false => self.again(attempt, "it ended well and left no file"),
                    }
                }
                other => {
                    self.late.remove(piece);
                    other
                }
            };
            (*piece, next)
        });
        Ok(next.collect())
    }

    fn next_of(&self, last: &Last) -> Next {
        let log = self.log(last.submission, last.index);
        match last.state {
            Some(state) if state.is_live() => Next::Wait(state),
            // What an earlier run of the command saw failing is tried anew.
            _ if last.generation < self.generation => Next::Submit { attempt: 0 },
            Some(TaskState::Completed) => Next::Late { attempt: last.attempt },
            None => self.again(last.attempt, "Slurm does not know its job any more"),
            Some(state @ (TaskState::NodeFail | TaskState::Preempted | TaskState::NeverRan)) => {
                self.again(last.attempt, state.word())
            }
            Some(TaskState::OutOfMemory) => {
                Next::Failed { why: "it took more memory than it had asked for; raise --memory-gb".into() }
            }
            Some(TaskState::Timeout) => Next::Failed {
                why: "it reached its time limit; raise --time-limit, or put fewer channels into a job".into(),
            },
            Some(TaskState::Cancelled) => Next::Failed { why: "its job was cancelled".into() },
            Some(state) => Next::Failed {
                why: last_words(&log).unwrap_or_else(|| format!("{}; see {}", state.word(), log.display())),
            },
        }
    }

    fn again(&self, attempt: u32, why: &str) -> Next {
        match attempt < self.work.retries {
            true => Next::Submit { attempt: attempt + 1 },
            false => Next::Failed { why: format!("its job was lost {} time(s): {why}", attempt + 1) },
        }
    }

    /// The last job of each piece, with its state. Submissions that were cut off are looked for by name, or taken back.
    fn last_jobs(&self, undone: &BTreeSet<usize>) -> Result<HashMap<usize, Last>> {
        let mut last: HashMap<usize, Last> = HashMap::new();
        let mut jobs: HashMap<u32, u64> = HashMap::new();
        let all = self.ledger.adopt(self.system, &mut |_, _| {})?;
        for submission in all.into_iter().filter(|s| s.plan == self.work.key) {
            jobs.extend(submission.job.map(|job| (submission.number, job)));
            for Member { index, set, attempt } in &submission.members {
                let Ok(piece) = set.parse() else { continue };
                if undone.contains(&piece) {
                    let (submission, generation) = (submission.number, submission.generation);
                    last.insert(piece, Last { submission, index: *index, attempt: *attempt, generation, state: None });
                }
            }
        }
        let asked: BTreeSet<u64> = last.values().filter_map(|l| jobs.get(&l.submission).copied()).collect();
        let tasks = self.system.tasks(&asked.into_iter().collect::<Vec<_>>())?;
        let states: HashMap<(u64, usize), TaskState> =
            tasks.into_iter().map(|t| ((t.job, t.index.unwrap_or(0)), t.state)).collect();
        for one in last.values_mut() {
            one.state = jobs.get(&one.submission).and_then(|job| states.get(&(*job, one.index)).copied());
        }
        Ok(last)
    }

    /// Submits pieces, in arrays below Slurm's limit.
    fn submit(&self, due: &[(usize, u32)], others: bool) -> Result<()> {
        let size = (self.system.max_array_size() - 1).max(1);
        let mut arrays: BTreeMap<usize, Vec<Member>> = BTreeMap::new();
        for (piece, attempt) in due {
            let member = Member { index: piece % size, set: piece.to_string(), attempt: *attempt };
            arrays.entry(piece / size).or_default().push(member);
        }
        let mut submitted = others;
        for (array, members) in arrays {
            match self.submit_array(array * size, members)? {
                None => submitted = true,
                // The rest is submitted as these end.
                Some(_) if submitted => break,
                Some(full) => return Err(Error::external(format!("no job could be submitted: {full}"))),
            }
        }
        Ok(())
    }

    /// Announces, submits and records one array; the reason if there is no room for it.
    fn submit_array(&self, offset: usize, members: Vec<Member>) -> Result<Option<String>> {
        let number = self.ledger.next_number()?;
        let submission = Submission {
            number,
            generation: self.generation,
            wave: self.generation,
            name: format!("cl-{}-{}-{number}", &self.work.key[..self.work.key.len().min(8)], self.work.name),
            work: Work::Pieces,
            plan: self.work.key.to_string(),
            members,
            job: None,
        };
        self.ledger.announce(&submission)?;
        let log = self.log_folder(number);
        fs::make(&log)?;
        let mut words = self.work.words.clone();
        words.extend(["--offset".to_string(), offset.to_string(), "--index".into(), "$SLURM_ARRAY_TASK_ID".into()]);
        let job = Job {
            name: submission.name.clone(),
            indices: Some(submission.members.iter().map(|m| m.index).collect()),
            at_once: self.work.at_once,
            dependency: None,
            resources: self.work.resources.clone(),
            setup: self.work.setup.clone(),
            words,
            log: log.join("%a.log"),
            script: self.ledger.folder().join(format!("{number:05}.sh")),
        };
        match self.ledger.submit(self.system, submission, &job)? {
            Room::Taken(_) => Ok(None),
            Room::Full(words) => Ok(Some(words)),
        }
    }

    fn log_folder(&self, number: u32) -> PathBuf {
        self.ledger.folder().join("logs").join(format!("{number:05}"))
    }

    fn log(&self, number: u32, index: usize) -> PathBuf {
        self.log_folder(number).join(format!("{index}.log"))
    }
}

/// The last lines of a job's log, in one.
fn last_words(log: &Path) -> Option<String> {
    let text = String::from_utf8_lossy(&std::fs::read(log).ok()?).into_owned();
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let last = &lines[lines.len().saturating_sub(LOG_LINES)..];
    if last.is_empty() { None } else { Some(last.join(" ")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch_system::slurm::{SlurmError, Task};
    use std::cell::{Cell, RefCell};

    /// A batch system whose jobs end at once, as the test says.
    struct Said<'a> {
        /// State of a piece's job, by piece and number of its earlier jobs; and whether its file is written.
        ends: &'a dyn Fn(usize, usize) -> (TaskState, bool),
        jobs: RefCell<Vec<(usize, Vec<usize>)>>,
        files: RefCell<BTreeSet<usize>>,
        most: usize,
        full_once: Cell<bool>,
    }

    impl<'a> Said<'a> {
        fn new(ends: &'a dyn Fn(usize, usize) -> (TaskState, bool)) -> Self {
            let (jobs, files, full_once) = (RefCell::default(), RefCell::default(), Cell::new(false));
            Self { ends, jobs, files, most: 1001, full_once }
        }

        /// Pieces in the order in which they were submitted.
        fn pieces(&self) -> Vec<usize> {
            let jobs = self.jobs.borrow();
            jobs.iter().flat_map(|(offset, indices)| indices.iter().map(move |index| offset + index)).collect()
        }

        fn run(&self, folder: &Path, pieces: usize) -> Result<()> {
            let work = ArrayWork {
                folder,
                name: "test",
                key: "0123456789",
                at_once: None,
                retries: 1,
                resources: JobOptions::default(),
                setup: Vec::new(),
                words: vec!["cleanloop".into()],
                poll: Duration::from_millis(1),
            };
            follow(self, &work, pieces, &|piece| self.files.borrow().contains(&piece), &mut |_| {})
        }
    }

    impl BatchSystem for Said<'_> {
        fn submit(&self, job: &Job) -> Result<u64, SlurmError> {
            if self.full_once.take() {
                return Err(SlurmError::Full { words: "AssocMaxSubmitJobLimit".into() });
            }
            let offset = job.words.iter().position(|w| w == "--offset").map(|i| job.words[i + 1].parse().unwrap());
            let indices = job.indices.clone().unwrap();
            let before = self.pieces();
            for piece in indices.iter().map(|index| offset.unwrap() + index) {
                let earlier = before.iter().filter(|p| **p == piece).count();
                if (self.ends)(piece, earlier).1 {
                    self.files.borrow_mut().insert(piece);
                }
            }
            self.jobs.borrow_mut().push((offset.unwrap(), indices));
            Ok(self.jobs.borrow().len() as u64)
        }

        fn tasks(&self, jobs: &[u64]) -> Result<Vec<Task>, SlurmError> {
            let all = self.jobs.borrow();
            let of_job = |job: &u64| {
                let (offset, indices) = &all[*job as usize - 1];
                let before: Vec<usize> = all[..*job as usize - 1]
                    .iter()
                    .flat_map(|(offset, indices)| indices.iter().map(move |index| offset + index))
                    .collect();
                let task = |index: &usize| {
                    let earlier = before.iter().filter(|p| **p == offset + index).count();
                    Task { job: *job, index: Some(*index), state: (self.ends)(offset + index, earlier).0 }
                };
                indices.iter().map(task).collect::<Vec<_>>()
            };
            Ok(jobs.iter().flat_map(of_job).collect())
        }

        fn job_named(&self, _: &str) -> Result<Option<u64>, SlurmError> {
            Ok(None)
        }

        fn cancel(&self, _: &[u64]) -> Result<(), SlurmError> {
            Ok(())
        }

        fn max_array_size(&self) -> usize {
            self.most
        }
    }

    #[test]
    fn a_lost_piece_is_submitted_again_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let ends = |piece: usize, earlier: usize| match (piece, earlier) {
            (2, 0) => (TaskState::NodeFail, false),
            _ => (TaskState::Completed, true),
        };
        let said = Said::new(&ends);
        said.run(folder.path(), 5).unwrap();
        assert_eq!(said.pieces(), [0, 1, 2, 3, 4, 2]);
        // All is done: nothing is submitted.
        said.run(folder.path(), 5).unwrap();
        assert_eq!(said.pieces().len(), 6);
    }

    #[test]
    fn a_piece_that_is_lost_too_often_or_fails_is_an_error_and_tried_again_by_the_next_run() {
        let folder = tempfile::tempdir().unwrap();
        let ends = |piece: usize, earlier: usize| match (piece, earlier) {
            (1, 0 | 1) => (TaskState::Preempted, false),
            (3, 0) => (TaskState::OutOfMemory, false),
            _ => (TaskState::Completed, true),
        };
        let said = Said::new(&ends);
        let error = said.run(folder.path(), 4).unwrap_err().to_string();
        assert!(error.contains("2 of 4 groups failed") || error.contains("1 of 4 groups failed"), "{error}");
        said.run(folder.path(), 4).unwrap();
        assert_eq!(said.files.borrow().len(), 4);
    }

    #[test]
    fn arrays_stay_below_the_limit_and_a_full_queue_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let ends = |_: usize, _: usize| (TaskState::Completed, true);
        let said = Said { most: 4, ..Said::new(&ends) };
        said.run(folder.path(), 8).unwrap();
        assert_eq!(*said.jobs.borrow(), [(0, vec![0, 1, 2]), (3, vec![0, 1, 2]), (6, vec![0, 1])]);
        let full = Said { full_once: Cell::new(true), ..Said::new(&ends) };
        let error = full.run(tempfile::tempdir().unwrap().path(), 2).unwrap_err().to_string();
        assert!(error.contains("no job could be submitted") && error.contains("AssocMaxSubmit"), "{error}");
    }
}
