//! Paths and names of folders.

use super::PlanError;
use std::path::{Path, PathBuf};

/// An absolute path without `.`; the file itself need not exist.
pub(super) fn absolute(path: &Path) -> Result<PathBuf, PlanError> {
    let absolute =
        std::path::absolute(path).map_err(|source| PlanError::NoAbsolutePath { path: path.to_path_buf(), source })?;
    Ok(absolute.components().collect())
}

/// A name without characters that make trouble in paths and scripts.
pub(super) fn folder_name(name: &str) -> String {
    let safe = |c: char| if c.is_alphanumeric() || "._-+".contains(c) { c } else { '_' };
    let name: String = name.chars().map(safe).collect();
    if name.trim_matches('.').is_empty() { "campaign".to_owned() } else { name }
}
