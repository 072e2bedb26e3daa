//! Lock files that die with the process that holds them.

use super::fs::{FolderError, io};
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::path::Path;

/// Holds the folder's lock until dropped. The lock dies with the process, so a crash never leaves it behind.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

/// Lock file of a campaign: held by the run, or by whoever submits its jobs.
pub const CAMPAIGN_LOCK: &str = "lock";
/// Lock file of a measurement set's folder: held by whoever works on it, on any node that shares the file system.
pub const DATASET_LOCK: &str = "dataset.lock";

/// How the steward of a campaign's jobs calls itself in the lock file: it looks after them and is gone.
pub const STEWARD: &str = "the steward of its jobs, ";
/// A holder that has not written its name, or is just letting go.
pub(super) const NAMELESS: &str = "its name is not known";

impl Lock {
    /// Makes the folder if need be and takes the campaign's lock.
    ///
    /// # Errors
    /// Another process holds it (the error names it), or the folder cannot be written.
    pub fn take(folder: &Path) -> Result<Self, FolderError> {
        Self::take_named(folder, CAMPAIGN_LOCK)
    }

    /// As [`Lock::take`], with the lock file's name ([`CAMPAIGN_LOCK`] or [`DATASET_LOCK`]).
    ///
    /// # Errors
    /// As [`Lock::take`].
    pub fn take_named(folder: &Path, name: &str) -> Result<Self, FolderError> {
        Self::take_in_role(folder, name, "")
    }

    /// As [`Lock::take_named`]; `role` goes before the words by which others know the holder ([`STEWARD`]).
    ///
    /// # Errors
    /// As [`Lock::take`].
    pub fn take_in_role(folder: &Path, name: &str, role: &str) -> Result<Self, FolderError> {
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
            return Err(FolderError::Locked { folder: folder.to_path_buf(), holder });
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

/// Who holds a lock that was not to be had: its words, as far as the holder wrote them.
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
        let error = Lock::take(folder.path()).unwrap_err().to_string();
        assert!(error.contains(&format!("process {}", std::process::id())), "{error}");
        drop(held);
        Lock::take(folder.path()).unwrap();
    }
}
