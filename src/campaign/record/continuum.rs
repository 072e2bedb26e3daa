//! The continuum that was subtracted from the data of a final imaging.

use crate::measurement_set::continuum::ContinuumFit;
use crate::util::fs::{self, FileError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// End of the names of the files.
const ENDING: &str = ".continuum.json";

/// What the continuum of one measurement set was fitted to.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ContinuumRecord {
    /// The measurement set.
    pub name: String,
    /// Channels, and the spectra that they were found in.
    #[serde(flatten)]
    pub fit: ContinuumFit,
}

impl ContinuumRecord {
    /// The file of a measurement set in the folder of the data.
    fn path(folder: &Path, name: &str) -> PathBuf {
        folder.join(format!("{name}{ENDING}"))
    }

    /// Keeps it beside the data.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub(crate) fn save(&self, folder: &Path) -> Result<(), FileError> {
        let json = serde_json::to_vec(self).unwrap_or_default();
        fs::write_atomically(&Self::path(folder, &self.name), &json)
    }

    /// Those in a folder of data, in the order of their names; none where nothing was fitted.
    pub(crate) fn load_all(folder: &Path) -> Vec<Self> {
        let files = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
        let mut files: Vec<PathBuf> = files.filter(|path| path.to_string_lossy().ends_with(ENDING)).collect();
        files.sort();
        let read = |path: &PathBuf| serde_json::from_slice(&std::fs::read(path).ok()?).ok();
        files.iter().filter_map(read).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measurement_set::continuum::{ContinuumSpectrum, FitSpec};

    #[test]
    fn what_was_found_is_kept_beside_the_data() {
        let folder = tempfile::tempdir().unwrap();
        assert!(ContinuumRecord::load_all(folder.path()).is_empty());
        let record = |name: &str| {
            let spectrum = ContinuumSpectrum { window: 1, line_free: vec![(0, 4)], ..ContinuumSpectrum::default() };
            let fit = ContinuumFit { fitspec: FitSpec::Channels("1:0~4".to_owned()), spectra: vec![spectrum] };
            ContinuumRecord { name: name.to_owned(), fit }
        };
        record("b").save(folder.path()).unwrap();
        record("a").save(folder.path()).unwrap();
        assert_eq!(ContinuumRecord::load_all(folder.path()), [record("a"), record("b")]);
    }
}
