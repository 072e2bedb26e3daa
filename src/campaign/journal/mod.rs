//! Record of finished steps: an append-only file of JSON lines, each made durable before the next step begins.
//!
//! A step has an identity (`round-02/image`), a key (a digest of everything that decides its result: its own options and
//! the keys of the steps it builds on) and, once done, a result. A step that is done with the same key is not repeated.
//! A line that a crash or a full disk cut short is dropped when the journal is opened; all earlier lines count.
//!
//! The first line holds the version of the format; the journal of another version is refused.

mod entry;
mod key;
mod lines;
mod state;
mod step;

pub(crate) use entry::{Entry, JournalEvent};
pub(crate) use key::StepKey;
pub(crate) use lines::{JournalError, JournalLine};
pub use state::State;
pub use step::Step;
pub(crate) use step::{Column, StepId};

use serde::de::DeserializeOwned;
use std::collections::{HashMap, HashSet};
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// A finished step.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct DoneStep {
    /// Its key.
    pub key: StepKey,
    /// Its result.
    pub result: serde_json::Value,
    /// Seconds it took.
    pub seconds: f64,
}

/// The journal of one measurement set, open for appending.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    file: File,
    next: u64,
    entries: Vec<Entry>,
    done: HashMap<(StepId, StepKey), DoneStep>,
    last_key: HashMap<StepId, StepKey>,
    holders: HashMap<Column, Option<StepKey>>,
    removed: HashSet<PathBuf>,
}

impl Journal {
    /// Opens or makes the journal; cuts off an incomplete last line.
    ///
    /// # Errors
    /// The file cannot be read or written, a line before the last is damaged, or another version wrote it.
    pub(crate) fn open(path: impl AsRef<Path>) -> Result<Self, JournalError> {
        let path = path.as_ref().to_path_buf();
        let io = |action| {
            let path = path.clone();
            move |source| JournalError::Io { path, action, source }
        };
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(&path).map_err(io("opened"))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(io("read"))?;
        let (entries, good) = lines::parse(&path, &bytes)?;
        if good < bytes.len() {
            file.set_len(good as u64).and_then(|()| file.sync_all()).map_err(io("repaired"))?;
            file.seek(SeekFrom::End(0)).map_err(io("read"))?;
        }
        if good == 0 {
            file.write_all(&lines::header()).and_then(|()| file.sync_data()).map_err(io("written"))?;
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
    pub(crate) fn read(path: &Path) -> Result<Vec<Entry>, JournalError> {
        let bytes = std::fs::read(path).map_err(|source| JournalError::Io {
            path: path.to_path_buf(),
            action: "read",
            source,
        })?;
        Ok(lines::parse(path, &bytes)?.0)
    }

    /// The key with which a step was last done, from a journal that is only looked at; `None` also where there is none.
    pub(crate) fn last_done_key(path: &Path, step: StepId) -> Option<StepKey> {
        let entries = Self::read(path).ok()?;
        entries.into_iter().rev().find_map(|entry| match entry.event {
            JournalEvent::Done { step: done, key, .. } if done == step => Some(key),
            _ => None,
        })
    }

    fn take_in(&mut self, entry: Entry) {
        self.next = entry.seq + 1;
        match &entry.event {
            JournalEvent::Started { touches, .. } => {
                self.holders.extend(touches.iter().map(|column| (*column, None)));
            }
            JournalEvent::Done { step, key, touches, seconds, result } => {
                let done = DoneStep { key: key.clone(), result: result.clone(), seconds: *seconds };
                self.done.insert((*step, key.clone()), done);
                self.last_key.insert(*step, key.clone());
                self.holders.extend(touches.iter().map(|column| (*column, Some(key.clone()))));
            }
            JournalEvent::Removed { files } => self.removed.extend(files.iter().cloned()),
            _ => {}
        }
        self.entries.push(entry);
    }

    /// Appends one event and makes it durable.
    ///
    /// # Errors
    /// The line could not be written (disk full): nothing of it counts.
    pub(crate) fn append(&mut self, event: JournalEvent) -> Result<(), JournalError> {
        let entry = Entry { seq: self.next, time: jiff::Timestamp::now(), event };
        let line = lines::line_of(&entry);
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
    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The step, if it is done with exactly this key.
    pub(crate) fn done(&self, step: StepId, key: &StepKey) -> Option<&DoneStep> {
        self.done.get(&(step, key.clone()))
    }

    /// The typed result of a step that is done with this key.
    pub(crate) fn result<T: DeserializeOwned>(&self, step: StepId, key: &StepKey) -> Option<T> {
        serde_json::from_value(self.done(step, key)?.result.clone()).ok()
    }

    /// The key with which the step was last done.
    pub(crate) fn last_key(&self, step: StepId) -> Option<&StepKey> {
        self.last_key.get(&step)
    }

    /// The key with which the step was last begun, whether or not it was done.
    pub(crate) fn last_begun_key(&self, step: StepId) -> Option<&StepKey> {
        self.entries.iter().rev().find_map(|entry| match &entry.event {
            JournalEvent::Started { step: begun, key, .. } if *begun == step => Some(key),
            _ => None,
        })
    }

    /// The files that were removed on purpose (some may have been made again since).
    pub(crate) fn removed_files(&self) -> HashSet<PathBuf> {
        self.removed.clone()
    }

    /// The key of the step whose output a column holds; `None` while that is not known.
    pub(crate) fn holder(&self, column: Column) -> Option<&StepKey> {
        self.holders.get(&column)?.as_ref()
    }
}

#[cfg(test)]
mod tests;
