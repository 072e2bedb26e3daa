//! Room on disks: what files take, what is free, and the refusal to begin what cannot end.

use std::path::{Path, PathBuf};

const GB: f64 = 1e9;

/// Why a disk cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DiskError {
    /// There is not enough room for what will be written.
    #[error(
        "{}: {available_gb:.2} GB are free on this disk, but about {needed_gb:.2} GB are needed ({what}). Free some \
         space, or {cure}",
        folder.display()
    )]
    NoRoom {
        /// Where.
        folder: PathBuf,
        /// Needed space, GB.
        needed_gb: f64,
        /// Available space, GB.
        available_gb: f64,
        /// The user of the space, in words.
        what: String,
        /// The remedy.
        cure: &'static str,
    },
    /// The system does not tell.
    #[error("{}: the free space cannot be measured: {source}", path.display())]
    Unknown {
        /// File or folder.
        path: PathBuf,
        /// The system's words.
        source: std::io::Error,
    },
}

impl From<DiskError> for crate::Error {
    fn from(e: DiskError) -> Self {
        Self::bad_input(e)
    }
}

/// Bytes that an unprivileged user may still write to the file system of `path` (which must exist).
///
/// # Errors
/// The system's own.
pub(crate) fn available(path: &Path) -> Result<u64, DiskError> {
    let status =
        nix::sys::statvfs::statvfs(path).map_err(|e| DiskError::Unknown { path: path.to_owned(), source: e.into() })?;
    Ok(status.blocks_available() as u64 * status.fragment_size() as u64)
}

/// Bytes of a file, or of all files below a folder (as written, not as allocated). Links are not followed; what cannot
/// be read counts as nothing.
pub(crate) fn size_of(path: &Path) -> u64 {
    match path.symlink_metadata() {
        Ok(m) if m.is_dir() => {
            std::fs::read_dir(path).map(|entries| entries.flatten().map(|e| size_of(&e.path())).sum()).unwrap_or(0)
        }
        Ok(m) => m.len(),
        Err(_) => 0,
    }
}

/// Refuses to begin when the disk of `folder` has less than `needed` bytes. `what` needs them; `cure` says, after
/// "Free some space, or", what else can be done.
///
/// # Errors
/// [`DiskError::NoRoom`], or the folder cannot be looked at.
pub(crate) fn check_room(folder: &Path, needed: u64, what: &str, cure: &'static str) -> Result<(), DiskError> {
    let available = available(folder)?;
    if available < needed {
        let (needed_gb, available_gb) = (needed as f64 / GB, available as f64 / GB);
        let (folder, what) = (folder.to_path_buf(), what.into());
        return Err(DiskError::NoRoom { folder, needed_gb, available_gb, what, cure });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_little_room_is_said_before_anything_is_written() {
        let folder = tempfile::tempdir().unwrap();
        check_room(folder.path(), 1, "nothing", "").unwrap();
        let error = check_room(folder.path(), u64::MAX, "the working copy", "wait").unwrap_err();
        assert!(
            matches!(&error, DiskError::NoRoom { what, cure: "wait", .. } if what == "the working copy"),
            "{error:?}"
        );
        assert_eq!(crate::Error::from(error).exit_status(), crate::ExitStatus::BadInput);
        let (folder, what) = ("/data".into(), "the working copy".into());
        let error = DiskError::NoRoom { folder, needed_gb: 2.5, available_gb: 1.0, what, cure: "wait" };
        insta::assert_snapshot!(error, @"/data: 1.00 GB are free on this disk, but about 2.50 GB are needed (the working copy). Free some space, or wait");
        let error = check_room(Path::new("/no/such/folder"), 1, "nothing", "").unwrap_err();
        let DiskError::Unknown { path, source } = error else { panic!("{error:?}") };
        assert_eq!((path.as_path(), source.kind()), (Path::new("/no/such/folder"), std::io::ErrorKind::NotFound));
    }

    #[test]
    fn sizes_are_those_of_all_files_below() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("a")).unwrap();
        std::fs::write(folder.path().join("a/b"), "12345").unwrap();
        std::fs::write(folder.path().join("c"), "678").unwrap();
        std::os::unix::fs::symlink("/", folder.path().join("elsewhere")).unwrap();
        assert_eq!(size_of(&folder.path().join("a/b")), 5);
        assert_eq!(size_of(&folder.path().join("nothing")), 0);
        assert_eq!(size_of(&folder.path().join("a")) + size_of(&folder.path().join("c")), 8);
    }
}
