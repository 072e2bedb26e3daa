//! Reference results of other programs. The repository holds a selection, which is always compared; the full set is
//! compared as well where it is at hand, in `../shared/golden` or where `CLEANLOOP_GOLDEN` names it.

use std::path::{Path, PathBuf};

/// A folder of the full set: `flint`, `casa`, `bane`; `None` where the full set is not at hand.
pub(crate) fn full(kind: &str) -> Option<PathBuf> {
    let root = std::env::var_os("CLEANLOOP_GOLDEN")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/golden"), PathBuf::from);
    Some(root.join(kind)).filter(|folder| folder.is_dir())
}

/// A file or folder of the selection in the repository.
pub(crate) fn selected(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}
