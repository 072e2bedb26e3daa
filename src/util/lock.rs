//! Lock files that die with the process that holds them.

use super::fs::{FileError, io};
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

/// Why a lock cannot be taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LockError {
    /// Another process holds it.
    #[error("{}: another cleanloop is at work here ({holder}). Wait for it, or stop it; two cannot share a folder", folder.display())]
    Held {
        /// The folder.
        folder: PathBuf,
        /// Process, host and start of the holder.
        holder: String,
    },
    /// The lock file cannot be written.
    #[error(transparent)]
    File(#[from] FileError),
}

impl From<LockError> for crate::Error {
    fn from(e: LockError) -> Self {
        Self::bad_input(e)
    }
}

impl LockError {
    /// Whether the holder soon lets go: it is the steward, or has not written its name yet.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Held { holder, .. } if holder.starts_with(STEWARD) || holder == NAMELESS)
    }
}

/// Holds the folder's lock until dropped. The lock dies with the process, so a crash never leaves it behind.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

/// Lock file of a campaign: held by the run, or by whoever submits its jobs.
pub const CAMPAIGN_LOCK: &str = "lock";
/// Lock file of a measurement set's folder: held by whoever works on it, on any node that shares the file system.
pub const DATASET_LOCK: &str = "dataset.lock";

/// Name of the steward of a campaign's jobs in the lock file; it looks after them and is gone.
pub const STEWARD: &str = "the steward of its jobs, ";
/// A holder that has not written its name, or is just letting go.
const NAMELESS: &str = "its name is not known";

impl Lock {
    /// Makes the folder if need be and takes the campaign's lock.
    ///
    /// # Errors
    /// Another process holds it (the error names it), or the folder cannot be written.
    pub fn take(folder: &Path) -> Result<Self, LockError> {
        Self::take_named(folder, CAMPAIGN_LOCK)
    }

    /// As [`Lock::take`], with the lock file's name ([`CAMPAIGN_LOCK`] or [`DATASET_LOCK`]).
    ///
    /// # Errors
    /// As [`Lock::take`].
    pub fn take_named(folder: &Path, name: &str) -> Result<Self, LockError> {
        Self::take_in_role(folder, name, "")
    }

    /// As [`Lock::take_named`]; `role` goes before the words by which others know the holder ([`STEWARD`]).
    ///
    /// # Errors
    /// As [`Lock::take`].
    pub fn take_in_role(folder: &Path, name: &str, role: &str) -> Result<Self, LockError> {
        std::fs::create_dir_all(folder).map_err(io(folder, "made"))?;
        let path = folder.join(name);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(io(folder, "written"))?;
        if file.try_lock().is_err() {
            let mut holder = String::new();
            let _ = file.read_to_string(&mut holder);
            let holder = if holder.trim().is_empty() { NAMELESS.into() } else { holder.trim().into() };
            return Err(LockError::Held { folder: folder.to_path_buf(), holder });
        }
        let host = nix::unistd::gethostname().map(|h| h.to_string_lossy().into_owned()).unwrap_or_default();
        let words = format!("{role}process {} on {host}, since {:.0}\n", std::process::id(), jiff::Timestamp::now());
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(words.as_bytes()))
            .map_err(io(&path, "written"))?;
        Ok(Self { file })
    }
}

/// The holder of a lock in its own words, as far as it wrote them; `None` for a free lock.
pub fn holder(folder: &Path, name: &str) -> Option<String> {
    let path = folder.join(name);
    let file = OpenOptions::new().read(true).write(true).open(&path).ok()?;
    if file.try_lock().is_ok() {
        return None;
    }
    Some(std::fs::read_to_string(&path).unwrap_or_default().trim().to_string())
}

impl Drop for Lock {
    fn drop(&mut self) {
        let _ = self.file.set_len(0);
        let _ = self.file.unlock();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_lock_is_refused_and_names_the_holder() {
        let folder = tempfile::tempdir().unwrap();
        let held = Lock::take(folder.path()).unwrap();
        let error = Lock::take(folder.path()).unwrap_err();
        assert!(!error.is_passing(), "{error}");
        let this_process = format!("process {}", std::process::id());
        assert!(matches!(error, LockError::Held { holder, .. } if holder.contains(&this_process)));
        drop(held);
        Lock::take(folder.path()).unwrap();
    }
}
