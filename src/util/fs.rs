//! Files and folders that appear at once or not at all, with the permissions that the umask grants.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Mode of a new file before the umask takes its bits away.
const NEW_FILE: u32 = 0o666;

/// A file or folder that the operating system refuses.
#[derive(Debug, thiserror::Error)]
#[error("{}: cannot be {action}: {source}", path.display())]
pub struct FileError {
    /// File or folder.
    pub path: PathBuf,
    /// The attempt, as a participle: `read`, `written`.
    pub action: &'static str,
    /// The operating system's reason.
    pub source: std::io::Error,
}

impl From<FileError> for crate::Error {
    fn from(e: FileError) -> Self {
        Self::bad_input(e)
    }
}

pub(super) fn io(path: &Path, action: &'static str) -> impl FnOnce(std::io::Error) -> FileError {
    let path = path.to_path_buf();
    move |source| FileError { path, action, source }
}

/// Makes a folder and its parents.
///
/// # Errors
/// The operating system's refusal, with the path.
pub(crate) fn make(folder: &Path) -> Result<(), FileError> {
    std::fs::create_dir_all(folder).map_err(io(folder, "made"))
}

/// Removes a file or folder if it is there.
///
/// # Errors
/// The operating system's refusal, with the path.
pub(crate) fn remove(path: &Path) -> Result<(), FileError> {
    let result = match path.symlink_metadata() {
        Err(_) => return Ok(()),
        Ok(m) if m.is_dir() => std::fs::remove_dir_all(path),
        Ok(_) => std::fs::remove_file(path),
    };
    result.map_err(io(path, "removed"))
}

/// Writes a file so that it is either the old one or the new one, never a part. Its mode follows the umask.
///
/// # Errors
/// The operating system's refusal, with the path.
pub(crate) fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let write = || {
        let folder = folder_of(path);
        if !folder.is_dir() {
            let reason = format!("the folder {} does not exist", folder.display());
            return Err(std::io::Error::new(std::io::ErrorKind::NotFound, reason));
        }
        let mut builder = tempfile::Builder::new();
        builder.permissions(std::fs::Permissions::from_mode(NEW_FILE));
        let mut file = builder.tempfile_in(folder)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        Ok(())
    };
    write().map_err(io(path, "written"))
}

/// The folder that holds a file: `.` for a bare name.
pub(crate) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Whether two paths lead to the same existing file or folder.
pub(crate) fn same_file(a: &Path, b: &Path) -> bool {
    matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}

/// Replaces the folder `target` by `fresh` (a finished sibling) in one step of the file system.
///
/// # Errors
/// The operating system's refusal, with the path.
pub(crate) fn swap_in(fresh: &Path, target: &Path) -> Result<(), FileError> {
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
pub(crate) fn link_or_copy(from: &Path, to: &Path) -> Result<(), FileError> {
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
    fn one_file_has_many_names() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("a"), folder.path().join("b"));
        std::fs::write(&file, "").unwrap();
        std::os::unix::fs::symlink("a", &link).unwrap();
        assert!(same_file(&file, &link) && !same_file(&file, folder.path()));
        assert!(!same_file(&folder.path().join("c"), &folder.path().join("c")), "a missing file is not the same");
        assert_eq!((folder_of(Path::new("a")), folder_of(Path::new("b/a"))), (Path::new("."), Path::new("b")));
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
