//! What was done: an append-only file of JSON lines, each made durable before the next step begins.
//!
//! A step is a name (`round-02/image`), a key (a hash of everything that decides its result: its own options and the
//! keys of the steps it builds on) and, once done, a result. A step that is done with the same key is not repeated.
//! A line that a crash or a full disk cut short is dropped when the journal is opened; all earlier lines count.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::{HashMap, HashSet};
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Why the journal cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// The file cannot be read or written.
    #[error("{}: the journal cannot be {action}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// `read`, `written`, ...
        action: &'static str,
        /// The operating system's words.
        source: std::io::Error,
    },
    /// A line before the last one is not what cleanloop writes.
    #[error(
        "{}: line {line} is not a journal entry ({reason}); the file was changed by something else. Restore it, or start anew with --restart",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Line number, from 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
}

impl From<JournalError> for crate::Error {
    fn from(e: JournalError) -> Self {
        match e {
            JournalError::Damaged { .. } => Self::bad_input(e),
            JournalError::Io { .. } => Self::internal(e),
        }
    }
}

/// One line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Number of the line, from 0: a clock that jumps does not change the order.
    pub seq: u64,
    /// Wall clock, for people; nothing is decided by it.
    pub time: jiff::Timestamp,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// What a line says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Event {
    /// A run began (also after a resume), with the version and the plan's hash by round.
    Run {
        /// cleanloop's version.
        version: String,
        /// `round-NN` to the hash of its resolved options.
        plan: indexmap::IndexMap<String, String>,
    },
    /// A step began; while it is not done, whatever it writes is of unknown state.
    Started {
        /// Step name.
        step: String,
        /// Its key.
        key: String,
        /// State outside the campaign folder that it changes (`model`, `corrected`).
        touches: Vec<String>,
    },
    /// A step is done.
    Done {
        /// Step name.
        step: String,
        /// Its key.
        key: String,
        /// State outside the campaign folder that now belongs to this key.
        touches: Vec<String>,
        /// Seconds it took.
        seconds: f64,
        /// Its result.
        result: serde_json::Value,
    },
    /// A step failed (the run may go on or end).
    Failed {
        /// Step name.
        step: String,
        /// The error's words.
        error: String,
    },
    /// A signal ended the run.
    Interrupted,
    /// The rounds that were asked for are done; another run (another job) does the further ones.
    Paused {
        /// The last round that is done.
        round: usize,
    },
    /// Files of old rounds that were removed to keep the disk budget.
    Removed {
        /// The files.
        files: Vec<PathBuf>,
    },
    /// A message worth keeping.
    Note {
        /// Words.
        text: String,
    },
    /// The run ended by itself.
    Ended {
        /// `done`, `diverged`, `failed`.
        state: String,
        /// Why, in words.
        reason: String,
    },
}

/// A finished step.
#[derive(Debug, Clone, PartialEq)]
pub struct DoneStep {
    /// Its key.
    pub key: String,
    /// Its result.
    pub result: serde_json::Value,
    /// Seconds it took.
    pub seconds: f64,
}

/// The journal of one measurement set, open for appending.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    next: u64,
    entries: Vec<Entry>,
    done: HashMap<(String, String), DoneStep>,
    last_key: HashMap<String, String>,
    holders: HashMap<String, Option<String>>,
    removed: HashSet<PathBuf>,
}

impl Journal {
    /// Opens or makes the journal; cuts off an incomplete last line.
    ///
    /// # Errors
    /// The file cannot be read or written, or a line before the last is damaged.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, JournalError> {
        let path = path.as_ref().to_path_buf();
        let io = |action| {
            let path = path.clone();
            move |source| JournalError::Io { path, action, source }
        };
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(&path).map_err(io("opened"))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(io("read"))?;
        let (entries, good) = parse(&path, &bytes)?;
        if good < bytes.len() {
            file.set_len(good as u64).and_then(|()| file.sync_all()).map_err(io("repaired"))?;
            file.seek(SeekFrom::End(0)).map_err(io("read"))?;
        }
        let mut journal = Self {
            path,
            file,
            next: 0,
            entries: Vec::new(),
            done: HashMap::new(),
            last_key: HashMap::new(),
            holders: HashMap::new(),
            removed: HashSet::new(),
        };
        for entry in entries {
            journal.take_in(entry);
        }
        Ok(journal)
    }

    /// Reads the entries of a journal without locking or changing it (for `status` and `report`).
    ///
    /// # Errors
    /// As [`Journal::open`].
    pub fn read(path: &Path) -> Result<Vec<Entry>, JournalError> {
        let bytes = std::fs::read(path).map_err(|source| JournalError::Io {
            path: path.to_path_buf(),
            action: "read",
            source,
        })?;
        Ok(parse(path, &bytes)?.0)
    }

    /// The key with which a step was last done, from a journal that is only looked at; `None` also where there is none.
    pub fn last_done_key(path: &Path, step: &str) -> Option<String> {
        let entries = Self::read(path).ok()?;
        entries.into_iter().rev().find_map(|entry| match entry.event {
            Event::Done { step: done, key, .. } if done == step => Some(key),
            _ => None,
        })
    }

    fn take_in(&mut self, entry: Entry) {
        self.next = entry.seq + 1;
        match &entry.event {
            Event::Started { touches, .. } => {
                for what in touches {
                    self.holders.insert(what.clone(), None);
                }
            }
            Event::Done { step, key, touches, seconds, result } => {
                let done = DoneStep { key: key.clone(), result: result.clone(), seconds: *seconds };
                self.done.insert((step.clone(), key.clone()), done);
                self.last_key.insert(step.clone(), key.clone());
                for what in touches {
                    self.holders.insert(what.clone(), Some(key.clone()));
                }
            }
            Event::Removed { files } => self.removed.extend(files.iter().cloned()),
            _ => {}
        }
        self.entries.push(entry);
    }

    /// Appends one event and makes it durable.
    ///
    /// # Errors
    /// The line could not be written (disk full): nothing of it counts.
    pub fn append(&mut self, event: Event) -> Result<(), JournalError> {
        let entry = Entry { seq: self.next, time: jiff::Timestamp::now(), event };
        let mut line = serde_json::to_vec(&entry).expect("entries are plain data");
        line.push(b'\n');
        let length = self.file.metadata().map(|m| m.len());
        let written = self.file.write_all(&line).and_then(|()| self.file.sync_data());
        if let Err(source) = written {
            // Cut off what a full disk let through, so that the next line starts clean.
            if let Ok(length) = length {
                let _ = self.file.set_len(length);
            }
            return Err(JournalError::Io { path: self.path.clone(), action: "written", source });
        }
        self.take_in(entry);
        Ok(())
    }

    /// All lines.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The step, if it is done with exactly this key.
    pub fn done(&self, step: &str, key: &str) -> Option<&DoneStep> {
        self.done.get(&(step.to_string(), key.to_string()))
    }

    /// The typed result of a step that is done with this key.
    pub fn result<T: DeserializeOwned>(&self, step: &str, key: &str) -> Option<T> {
        serde_json::from_value(self.done(step, key)?.result.clone()).ok()
    }

    /// The key with which the step was last done.
    pub fn last_key(&self, step: &str) -> Option<&str> {
        self.last_key.get(step).map(String::as_str)
    }

    /// The files that were removed on purpose (some may have been made again since).
    pub fn removed_files(&self) -> HashSet<PathBuf> {
        self.removed.clone()
    }

    /// The key of the step whose output `what` (`model`, `corrected`) holds; `None` while that is not known.
    pub fn holder(&self, what: &str) -> Option<&str> {
        self.holders.get(what)?.as_deref()
    }
}

/// Entries, and the number of bytes that hold complete lines.
fn parse(path: &Path, bytes: &[u8]) -> Result<(Vec<Entry>, usize), JournalError> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut good = 0;
    let mut lines = bytes.split_inclusive(|&b| b == b'\n').enumerate().peekable();
    while let Some((i, line)) = lines.next() {
        let damaged = |reason: String| JournalError::Damaged { path: path.to_path_buf(), line: i + 1, reason };
        match serde_json::from_slice::<Entry>(line) {
            Ok(entry) if line.ends_with(b"\n") => {
                if entry.seq != entries.len() as u64 {
                    return Err(damaged(format!("entry number {} where {} was expected", entry.seq, entries.len())));
                }
                entries.push(entry);
                good += line.len();
            }
            // The last line may be cut short.
            _ if lines.peek().is_none() => break,
            Ok(_) => unreachable!("only the last line has no line end"),
            Err(e) => return Err(damaged(e.to_string())),
        }
    }
    Ok((entries, good))
}

/// SHA-256 of the parts' canonical JSON, hexadecimal: the key of a step.
pub fn key_of(parts: &impl Serialize) -> String {
    // Maps of serde_json keep their order, and structs serialise in the order of their fields.
    let json = serde_json::to_vec(parts).expect("keys are made of plain data");
    let digest = Sha256::digest(&json);
    digest.iter().take(16).map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn done(step: &str, key: &str, result: serde_json::Value) -> Event {
        let touches = vec!["model".to_string()];
        Event::Done { step: step.into(), key: key.into(), touches, seconds: 1.0, result }
    }

    #[test]
    fn what_was_done_is_found_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.jsonl");
        {
            let mut journal = Journal::open(&path).unwrap();
            journal.append(done("round-00/image", "k0", serde_json::json!({"rms": 0.5}))).unwrap();
            journal
                .append(Event::Started {
                    step: "round-01/image".into(),
                    key: "k1".into(),
                    touches: vec!["model".into()],
                })
                .unwrap();
        }
        let journal = Journal::open(&path).unwrap();
        assert_eq!(journal.result::<serde_json::Value>("round-00/image", "k0").unwrap()["rms"], 0.5);
        assert!(journal.done("round-00/image", "other").is_none());
        assert_eq!(journal.last_key("round-00/image"), Some("k0"));
        assert_eq!(journal.holder("model"), None, "an unfinished step leaves the model column unknown");
    }

    #[test]
    fn a_cut_last_line_is_dropped_and_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.jsonl");
        let mut journal = Journal::open(&path).unwrap();
        for i in 0..3 {
            journal.append(done("s", &format!("k{i}"), i.into())).unwrap();
        }
        drop(journal);
        let whole = std::fs::read(&path).unwrap();
        let second_end = whole.iter().enumerate().filter(|(_, b)| **b == b'\n').nth(1).unwrap().0 + 1;
        for cut in second_end..whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let mut journal = Journal::open(&path).unwrap();
            assert_eq!(journal.entries().len(), 2, "cut at {cut}");
            assert!(journal.done("s", "k2").is_none());
            journal.append(done("s", "again", 9.into())).unwrap();
            assert_eq!(Journal::open(&path).unwrap().entries().len(), 3);
        }
    }

    #[test]
    fn damage_in_the_middle_is_an_error_with_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.jsonl");
        let mut journal = Journal::open(&path).unwrap();
        for i in 0..3 {
            journal.append(done("s", &format!("k{i}"), i.into())).unwrap();
        }
        let text = std::fs::read_to_string(&path).unwrap().replacen("\"seq\":1", "\"seq\":x", 1);
        std::fs::write(&path, text).unwrap();
        let error = Journal::open(&path).unwrap_err().to_string();
        assert!(error.contains("line 2"), "{error}");
    }

    #[test]
    fn keys_differ_when_anything_differs() {
        assert_eq!(key_of(&("a", 1)), key_of(&("a", 1)));
        assert_ne!(key_of(&("a", 1)), key_of(&("a", 2)));
    }
}
