//! The campaign folder: names of everything in it, the lock, and changes that appear at once or not at all.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

/// Why a folder cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FolderError {
    /// Another process holds the lock.
    #[error("{}: another cleanloop is at work here ({holder}). Wait for it, or stop it; two cannot share a folder", folder.display())]
    Locked {
        /// The folder.
        folder: PathBuf,
        /// Process, host and start of the holder.
        holder: String,
    },
    /// It cannot be made or written.
    #[error("{}: cannot be {action}: {source}", path.display())]
    Io {
        /// File or folder.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// The operating system's words.
        source: std::io::Error,
    },
}

impl From<FolderError> for crate::Error {
    fn from(e: FolderError) -> Self {
        Self::bad_input(e)
    }
}

impl FolderError {
    /// The lock is held by somebody who soon lets go of it: the steward, or one who has not written its name yet.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Locked { holder, .. } if holder.starts_with(STEWARD) || holder == NAMELESS)
    }
}

fn io(path: &Path, action: &'static str) -> impl FnOnce(std::io::Error) -> FolderError {
    let path = path.to_path_buf();
    move |source| FolderError::Io { path, action, source }
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

/// How the steward of a campaign's jobs calls itself in the lock file: it looks after them and is gone.
pub const STEWARD: &str = "the steward of its jobs, ";
/// A holder that has not written its name, or is just letting go.
const NAMELESS: &str = "its name is not known";

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

/// Paths inside one measurement set's folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    root: PathBuf,
}

impl Layout {
    /// The layout below `root`.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Append-only record of steps.
    pub fn journal(&self) -> PathBuf {
        self.root.join("journal.jsonl")
    }

    /// The working copy of the measurement set.
    pub fn working_copy(&self, name: &str) -> PathBuf {
        self.root.join("data").join(format!("{name}.ms"))
    }

    /// Name of a round's attempt: `round-02`, and `round-02-retry` for the gentler second try.
    pub fn attempt_name(round: usize, attempt: usize) -> String {
        match attempt {
            0 => format!("round-{round:02}"),
            1 => format!("round-{round:02}-retry"),
            n => format!("round-{round:02}-retry{n}"),
        }
    }

    /// Folder of a part (`image`, `mask`, `calibration`, `logs`) of a round's attempt.
    pub fn part(&self, round: usize, attempt: usize, part: &str) -> PathBuf {
        self.root.join(Self::attempt_name(round, attempt)).join(part)
    }

    /// The best round's products.
    pub fn final_folder(&self) -> PathBuf {
        self.root.join("final")
    }
}

/// Makes a folder and its parents.
///
/// # Errors
/// The operating system's refusal, with the path.
pub fn make(folder: &Path) -> Result<(), FolderError> {
    std::fs::create_dir_all(folder).map_err(io(folder, "made"))
}

/// Removes a file or folder if it is there.
///
/// # Errors
/// The operating system's refusal, with the path.
pub fn remove(path: &Path) -> Result<(), FolderError> {
    let result = match path.symlink_metadata() {
        Err(_) => return Ok(()),
        Ok(m) if m.is_dir() => std::fs::remove_dir_all(path),
        Ok(_) => std::fs::remove_file(path),
    };
    result.map_err(io(path, "removed"))
}

/// Writes a file so that it is either the old one or the new one, never a part.
///
/// # Errors
/// The operating system's refusal, with the path.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), FolderError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(io(path, "written"))?;
    file.write_all(bytes).and_then(|()| file.as_file().sync_all()).map_err(io(path, "written"))?;
    let readable = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    std::fs::set_permissions(file.path(), readable).map_err(io(path, "written"))?;
    file.persist(path).map_err(|e| io(path, "written")(e.error))?;
    Ok(())
}

/// Replaces the folder `target` by `fresh` (a finished sibling) in one step of the file system.
///
/// # Errors
/// The operating system's refusal, with the path.
pub fn swap_in(fresh: &Path, target: &Path) -> Result<(), FolderError> {
    use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
    if !target.exists() {
        return std::fs::rename(fresh, target).map_err(io(target, "made"));
    }
    if renameat2(AT_FDCWD, fresh, AT_FDCWD, target, RenameFlags::RENAME_EXCHANGE).is_ok() {
        return remove(fresh);
    }
    // Some network file systems cannot exchange: two renames, and the old one stays until the new one is there.
    let old = target.with_extension("old");
    remove(&old)?;
    std::fs::rename(target, &old).and_then(|()| std::fs::rename(fresh, target)).map_err(io(target, "replaced"))?;
    remove(&old)
}

/// Hard link where the file system can, copy where it cannot; folders (CASA tables) recursively.
///
/// # Errors
/// The operating system's refusal, with the path.
pub fn link_or_copy(from: &Path, to: &Path) -> Result<(), FolderError> {
    if from.is_dir() {
        make(to)?;
        for entry in std::fs::read_dir(from).map_err(io(from, "read"))? {
            let entry = entry.map_err(io(from, "read"))?;
            link_or_copy(&entry.path(), &to.join(entry.file_name()))?;
        }
        return Ok(());
    }
    if std::fs::hard_link(from, to).is_err() {
        std::fs::copy(from, to).map_err(io(to, "written"))?;
    }
    Ok(())
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

    #[test]
    fn folders_are_swapped_whole() {
        let folder = tempfile::tempdir().unwrap();
        let (fresh, target) = (folder.path().join("fresh"), folder.path().join("final"));
        for text in ["one", "two"] {
            make(&fresh).unwrap();
            write_atomically(&fresh.join("a"), text.as_bytes()).unwrap();
            swap_in(&fresh, &target).unwrap();
            assert_eq!(std::fs::read_to_string(target.join("a")).unwrap(), text);
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
