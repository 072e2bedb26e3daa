//! Folders of our own: links instead of copies, renames instead of half a file.

use crate::imager::wsclean::error::WscleanError;
use std::path::Path;

/// A hard link, or a copy where the file system has none; an older file of that name goes.
pub(crate) fn link(from: &Path, to: &Path) -> Result<(), WscleanError> {
    let fail = |reason| WscleanError::Files { path: to.to_owned(), action: "linked", reason };
    match std::fs::remove_file(to) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(fail(e)),
        _ => {}
    }
    std::fs::hard_link(from, to).or_else(|_| std::fs::copy(from, to).map(drop)).map_err(fail)
}

/// Makes the folder and its parents.
pub(crate) fn make_folder(path: &Path) -> Result<(), WscleanError> {
    std::fs::create_dir_all(path).map_err(|reason| WscleanError::Files {
        path: path.to_owned(),
        action: "made",
        reason,
    })
}

/// Makes the folder afresh.
pub(crate) fn fresh_folder(path: &Path) -> Result<(), WscleanError> {
    remove_folder(path)?;
    make_folder(path)
}

/// Removes the folder with everything in it, if it is there.
pub(crate) fn remove_folder(path: &Path) -> Result<(), WscleanError> {
    match std::fs::remove_dir_all(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(WscleanError::Files { path: path.to_owned(), action: "removed", reason: e })
        }
        _ => Ok(()),
    }
}

/// Renames a file or folder.
pub(crate) fn rename(from: &Path, to: &Path) -> Result<(), WscleanError> {
    std::fs::rename(from, to).map_err(|reason| WscleanError::Files { path: to.to_owned(), action: "renamed", reason })
}

/// A copy, whole at once.
///
/// # Errors
/// The file cannot be read or the copy not written.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<(), WscleanError> {
    let aside = crate::util::temporary::beside(to);
    std::fs::copy(from, &aside).map_err(|reason| WscleanError::Files {
        path: from.to_owned(),
        action: "copied",
        reason,
    })?;
    rename(&aside, to)
}
