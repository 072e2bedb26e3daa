//! Submissions to a batch system: one small file each, written before and after, so that no job is ever
//! submitted twice or forgotten, whoever dies when.
//!
//! `slurm/00007.json` is made (exclusively: two submitters cannot both make it) before sbatch is called, and gets the
//! job's number after. One that has no number belongs to a submission that was cut off between: Slurm is asked whether
//! it knows a job of that name.

use super::slurm::{BatchSystem, Job, SlurmError};
use crate::Result;
use crate::util::fs::write_atomically;
use serde::{Deserialize, Serialize};
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Folder inside the campaign's.
pub(crate) const FOLDER: &str = "slurm";
const STATE: &str = "state.json";

/// Why the ledger cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// A file or folder cannot be read or written.
    #[error("{}: cannot be {action}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The attempted action.
        action: &'static str,
        /// The operating system's words.
        source: std::io::Error,
    },
    /// Somebody else made the submission that we were about to make.
    #[error("{}: another process is submitting jobs of this campaign; try again", path.display())]
    Taken {
        /// The file.
        path: PathBuf,
    },
}

impl From<LedgerError> for crate::Error {
    fn from(e: LedgerError) -> Self {
        Self::internal(e)
    }
}

/// The work of a submission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "work")]
pub(crate) enum Work {
    /// A round of several measurement sets.
    Round {
        /// The round.
        round: usize,
    },
    /// The product of all measurement sets before a round.
    Barrier {
        /// The round that waits.
        round: usize,
    },
    /// Looking after the others.
    Steward,
    /// Pieces of a work that is no campaign ([`array`](super::array)); members are their numbers.
    Pieces,
}

/// One measurement set, or piece of work, in a submission.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Member {
    /// Index in the array.
    pub index: usize,
    /// Name of the measurement set, or number of the piece.
    pub set: String,
    /// Number of times that its round, or it, was lost before.
    pub attempt: u32,
}

/// A job array, or a single job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Submission {
    /// Its number in this campaign, from 1.
    pub number: u32,
    /// The `cleanloop run` that it belongs to, counted from 1.
    pub generation: u32,
    /// Submissions that were made together.
    pub wave: u32,
    /// The job's name.
    pub name: String,
    /// Its work.
    #[serde(flatten)]
    pub work: Work,
    /// Hash of the plan.
    pub plan: String,
    /// Its measurement sets; none for a barrier or a steward.
    pub members: Vec<Member>,
    /// Slurm's number, once it is known.
    pub job: Option<u64>,
}

/// State of the ledger as a whole.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LedgerState {
    /// Times that `cleanloop run` was called.
    pub generation: u32,
    /// Somebody cancelled the jobs of this generation.
    pub cancelled: bool,
}

/// The queue's answer to a submission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Room {
    /// The job's number.
    Taken(u64),
    /// It is full: the batch system's words.
    Full(String),
}

/// The ledger of a campaign.
#[derive(Debug, Clone)]
pub(crate) struct Ledger {
    folder: PathBuf,
}

impl Ledger {
    /// The ledger below the campaign folder `output`; it need not exist.
    pub(crate) fn new(output: &Path) -> Self {
        Self { folder: output.join(FOLDER) }
    }

    /// Its folder.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// There is one.
    pub(crate) fn exists(&self) -> bool {
        self.folder.join(STATE).exists()
    }

    /// All submissions, oldest first.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub(crate) fn submissions(&self) -> Result<Vec<Submission>, LedgerError> {
        let entries = match std::fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(self.io("read")(source)),
        };
        let mut all = Vec::new();
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let Some(number) = name.strip_suffix(".json").and_then(|n| n.parse::<u32>().ok()) else { continue };
            let text = std::fs::read(entry.path()).map_err(self.io("read"))?;
            // One that a crash or a full disk cut short was never followed by sbatch.
            if let Ok(submission) = serde_json::from_slice::<Submission>(&text) {
                debug_assert_eq!(submission.number, number);
                all.push(submission);
            }
        }
        all.sort_by_key(|s| s.number);
        Ok(all)
    }

    /// The state; that of a fresh ledger where there is none.
    pub(crate) fn state(&self) -> LedgerState {
        let text = std::fs::read(self.folder.join(STATE)).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    /// Writes the state.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub(crate) fn set_state(&self, state: LedgerState) -> Result<(), LedgerError> {
        std::fs::create_dir_all(&self.folder).map_err(self.io("made"))?;
        self.replace(STATE, &serde_json::to_vec(&state).expect("plain data"))
    }

    /// A number that is free.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub(crate) fn next_number(&self) -> Result<u32, LedgerError> {
        let names = match std::fs::read_dir(&self.folder) {
            Ok(entries) => entries.flatten().map(|e| e.file_name().to_string_lossy().into_owned()).collect(),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(source) => return Err(self.io("read")(source)),
        };
        let last = names.iter().filter_map(|n| n.strip_suffix(".json")?.parse::<u32>().ok()).max();
        Ok(last.unwrap_or(0) + 1)
    }

    /// Writes down what is about to be submitted.
    ///
    /// # Errors
    /// [`LedgerError::Taken`] if its number was taken meanwhile; the folder cannot be written.
    pub(crate) fn announce(&self, submission: &Submission) -> Result<(), LedgerError> {
        std::fs::create_dir_all(&self.folder).map_err(self.io("made"))?;
        let path = self.file(submission.number);
        let mut file = match OpenOptions::new().write(true).create_new(true).open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => return Err(LedgerError::Taken { path }),
            Err(source) => return Err(self.io("written")(source)),
        };
        let bytes = serde_json::to_vec(submission).expect("plain data");
        let written = file.write_all(&bytes).and_then(|()| file.sync_all());
        written.inspect_err(|_| drop(std::fs::remove_file(&path))).map_err(self.io("written"))
    }

    /// Writes down the number that Slurm gave.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub(crate) fn submitted(&self, submission: &Submission) -> Result<(), LedgerError> {
        let name = format!("{:05}.json", submission.number);
        self.replace(&name, &serde_json::to_vec(submission).expect("plain data"))
    }

    /// All submissions with their job numbers, oldest first: those that were cut off are looked for by name, or taken back.
    /// `found` hears of those whose job was there.
    ///
    /// # Errors
    /// The batch system does not answer; the folder cannot be read or written.
    pub(crate) fn adopt(&self, system: &dyn BatchSystem, found: &mut dyn FnMut(u64, &str)) -> Result<Vec<Submission>> {
        let mut all = Vec::new();
        for mut submission in self.submissions()? {
            if submission.job.is_none() {
                let Some(job) = system.job_named(&submission.name)? else {
                    self.withdraw(submission.number)?;
                    continue;
                };
                submission.job = Some(job);
                self.submitted(&submission)?;
                found(job, &submission.name);
            }
            all.push(submission);
        }
        Ok(all)
    }

    /// Submits what was announced and writes down its number, or takes it back where the queue is full.
    ///
    /// # Errors
    /// The batch system refuses or does not answer; the folder cannot be written.
    pub(crate) fn submit(&self, system: &dyn BatchSystem, mut submission: Submission, job: &Job) -> Result<Room> {
        match system.submit(job) {
            Ok(job) => {
                submission.job = Some(job);
                self.submitted(&submission)?;
                Ok(Room::Taken(job))
            }
            Err(SlurmError::Full { words }) => {
                self.withdraw(submission.number)?;
                Ok(Room::Full(words))
            }
            Err(error) => {
                // Refused for sure; where there was no answer, the next look finds out by name.
                if matches!(error, SlurmError::Refused { .. }) && system.job_named(&submission.name)?.is_none() {
                    self.withdraw(submission.number)?;
                }
                Err(error.into())
            }
        }
    }

    /// Takes back what was announced and not submitted.
    ///
    /// # Errors
    /// The file cannot be removed.
    pub(crate) fn withdraw(&self, number: u32) -> Result<(), LedgerError> {
        std::fs::remove_file(self.file(number)).map_err(self.io("removed"))
    }

    fn file(&self, number: u32) -> PathBuf {
        self.folder.join(format!("{number:05}.json"))
    }

    fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), LedgerError> {
        write_atomically(&self.folder.join(name), bytes).map_err(|e| self.io("written")(e.source))
    }

    fn io(&self, action: &'static str) -> impl Fn(std::io::Error) -> LedgerError + use<> {
        let path = self.folder.clone();
        move |source| LedgerError::Io { path: path.clone(), action, source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn submission(number: u32) -> Submission {
        Submission {
            number,
            generation: 1,
            wave: 1,
            name: format!("cl-{number}"),
            work: Work::Round { round: 2 },
            plan: "p".into(),
            members: vec![Member { index: 3, set: "beam03".into(), attempt: 0 }],
            job: None,
        }
    }

    #[test]
    fn a_submission_is_announced_once_and_survives() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::new(folder.path());
        assert!(!ledger.exists() && ledger.submissions().unwrap().is_empty() && ledger.next_number().unwrap() == 1);
        ledger.announce(&submission(1)).unwrap();
        assert!(matches!(ledger.announce(&submission(1)), Err(LedgerError::Taken { .. })));
        let with_number = Submission { job: Some(77), ..submission(1) };
        ledger.submitted(&with_number).unwrap();
        ledger.announce(&submission(2)).unwrap();
        assert_eq!(ledger.submissions().unwrap(), [with_number, submission(2)]);
        ledger.withdraw(2).unwrap();
        assert_eq!(ledger.next_number().unwrap(), 2);
        ledger.set_state(LedgerState { generation: 4, cancelled: true }).unwrap();
        assert_eq!(ledger.state(), LedgerState { generation: 4, cancelled: true });
    }

    #[test]
    fn half_a_file_is_no_submission_and_its_number_is_not_used_again() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::new(folder.path());
        ledger.announce(&submission(1)).unwrap();
        std::fs::write(ledger.folder().join("00002.json"), "{\"number\": 2, \"gen").unwrap();
        assert_eq!(ledger.submissions().unwrap().len(), 1);
        assert_eq!(ledger.next_number().unwrap(), 3);
    }
}
