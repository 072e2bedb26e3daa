//! The worker's Python sources, embedded into the binary, and the folder that they are written to.

use crate::Result;
use crate::programs::setup;
use sha2::{Digest, Sha256};
use std::path::PathBuf;

/// The package that is started.
pub(super) const PACKAGE: &str = "cleanloop_worker";
/// Script that runs in QuartiCal's Python, below the folder of the sources.
pub(crate) const QUARTICAL_SCRIPT: &str = "cleanloop_worker/quartical_gains.py";

/// Script that runs in DP3's Python, below the folder of the sources.
pub(crate) const DP3_SCRIPT: &str = "cleanloop_worker/dp3_gains.py";

/// Path and text of files below `workers/`.
macro_rules! embedded {
    ($($path:literal,)*) => {
        [$(($path, include_str!(concat!("../../../workers/", $path))),)*]
    };
}

/// All files of the package; a test compares the list with the folder.
const SOURCES: &[(&str, &str)] = &embedded![
    "cleanloop_worker/__init__.py",
    "cleanloop_worker/__main__.py",
    "cleanloop_worker/casa_tasks.py",
    "cleanloop_worker/deconvolution.py",
    "cleanloop_worker/dp3_gains.py",
    "cleanloop_worker/fits.py",
    "cleanloop_worker/gains/__init__.py",
    "cleanloop_worker/gains/apply.py",
    "cleanloop_worker/gains/differences.py",
    "cleanloop_worker/gains/onto.py",
    "cleanloop_worker/gains/quality.py",
    "cleanloop_worker/gains/solve.py",
    "cleanloop_worker/gains/tables.py",
    "cleanloop_worker/images.py",
    "cleanloop_worker/ms/__init__.py",
    "cleanloop_worker/ms/columns.py",
    "cleanloop_worker/ms/continuum.py",
    "cleanloop_worker/ms/counting.py",
    "cleanloop_worker/ms/flags.py",
    "cleanloop_worker/ms/flux.py",
    "cleanloop_worker/ms/four.py",
    "cleanloop_worker/ms/inspection.py",
    "cleanloop_worker/ms/noise.py",
    "cleanloop_worker/ms/phase_centre.py",
    "cleanloop_worker/ms/rows.py",
    "cleanloop_worker/ms/select.py",
    "cleanloop_worker/ms/summary.py",
    "cleanloop_worker/ms/tables.py",
    "cleanloop_worker/ms/weights.py",
    "cleanloop_worker/problems.py",
    "cleanloop_worker/protocol.py",
    "cleanloop_worker/quartical_gains.py",
    "cleanloop_worker/registry.py",
    "cleanloop_worker/requests.py",
    "cleanloop_worker/simulation/__init__.py",
    "cleanloop_worker/simulation/gains.py",
    "cleanloop_worker/simulation/observe.py",
    "cleanloop_worker/simulation/presets.py",
    "cleanloop_worker/simulation/sky.py",
    "cleanloop_worker/tclean/__init__.py",
    "cleanloop_worker/tclean/controller.py",
    "cleanloop_worker/tclean/files.py",
    "cleanloop_worker/tclean/parameters.py",
    "cleanloop_worker/tclean/session.py",
    "cleanloop_worker/tclean/steps.py",
];

/// A source for programs other than the worker, by its path in `workers/`.
///
/// # Errors
/// The sources cannot be written.
pub(crate) fn source(path: &str) -> Result<PathBuf> {
    Ok(write_sources()?.join(path))
}

/// Puts the sources into a folder named by their hash, and returns the folder.
///
/// # Errors
/// There is no place for it, or it cannot be written.
pub(super) fn write_sources() -> Result<PathBuf> {
    let mut hash = Sha256::new();
    for (path, text) in SOURCES {
        hash.update(path.as_bytes());
        hash.update(text.as_bytes());
    }
    let name: String = hash.finalize().iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    let folder = setup::home()?.join("workers").join(name);
    for (name, text) in SOURCES.iter().copied() {
        let path = folder.join(name);
        let parent = path.parent().unwrap_or(&folder);
        std::fs::create_dir_all(parent).map_err(|reason| setup::SetupError::Io { path: parent.to_owned(), reason })?;
        if std::fs::read_to_string(&path).ok().as_deref() != Some(text) {
            setup::write_text(&path, text)?;
        }
    }
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn python_files(folder: &Path, root: &Path, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                python_files(&path, root, found);
            } else if path.extension().is_some_and(|end| end == "py") {
                found.push(path.strip_prefix(root).expect("below it").to_string_lossy().into_owned());
            }
        }
    }

    #[test]
    fn every_file_of_the_package_is_embedded() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("workers");
        let mut found = Vec::new();
        python_files(&root.join(PACKAGE), &root, &mut found);
        found.sort();
        let mut embedded: Vec<&str> = SOURCES.iter().map(|(path, _)| *path).collect();
        embedded.sort_unstable();
        assert_eq!(embedded, found);
        assert!(embedded.contains(&QUARTICAL_SCRIPT) && embedded.contains(&DP3_SCRIPT));
    }
}
