//! Files that exist only until they are renamed: known by name, so that a signal can remove them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

static FILES: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

fn files() -> MutexGuard<'static, BTreeSet<PathBuf>> {
    FILES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The hidden name of this process beside a lasting one.
pub(crate) fn beside(lasting: &Path) -> PathBuf {
    let name = lasting.file_name().unwrap_or_default().to_string_lossy();
    lasting.with_file_name(format!(".{}.{name}", std::process::id()))
}

/// A temporary file; removed on drop unless it was renamed.
#[derive(Debug)]
pub(crate) struct Temporary(PathBuf);

impl Temporary {
    /// Takes over a file that is about to be made.
    pub(crate) fn at(path: PathBuf) -> Self {
        files().insert(path.clone());
        Self(path)
    }

    /// A file beside the lasting one, hidden and of this process; its name ends as that one's.
    pub(crate) fn beside(lasting: &Path) -> Self {
        Self::at(beside(lasting))
    }

    /// Its name.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Gives it its lasting name.
    ///
    /// # Errors
    /// The operating system's refusal; the file is gone then.
    pub(crate) fn rename(self, to: &Path) -> std::io::Result<()> {
        std::fs::rename(&self.0, to)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // After a rename there is nothing to remove.
        let _ = std::fs::remove_file(&self.0);
        files().remove(&self.0);
    }
}

/// Removes all of them and calls `end`, which ends the program; no new one begins meanwhile.
pub(crate) fn remove_all_and(end: impl FnOnce()) {
    let files = files();
    for path in files.iter() {
        let _ = std::fs::remove_file(path);
    }
    end();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renamed_files_stay_and_others_go() {
        let folder = tempfile::tempdir().unwrap();
        let (a, b, lasting) = (folder.path().join(".a"), folder.path().join(".b"), folder.path().join("a"));
        for path in [&a, &b] {
            std::fs::write(path, "x").unwrap();
        }
        let (first, second) = (Temporary::at(a.clone()), Temporary::at(b.clone()));
        assert!(files().contains(&a) && files().contains(&b));
        first.rename(&lasting).unwrap();
        drop(second);
        assert!(lasting.exists() && !a.exists() && !b.exists());
        assert!(!files().contains(&a) && !files().contains(&b));
    }
}
