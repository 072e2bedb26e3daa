//! The campaign folder: names of everything in it, the lock, and changes that appear at once or not at all.

use super::lock::{NAMELESS, STEWARD};
use std::io::Write;
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

pub(super) fn io(path: &Path, action: &'static str) -> impl FnOnce(std::io::Error) -> FolderError {
    let path = path.to_path_buf();
    move |source| FolderError::Io { path, action, source }
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
