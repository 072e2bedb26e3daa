//! Which measurement set it is, without opening it: so that a campaign knows its data again after a move.

use crate::{Error, Result};
use sha2::{Digest, Sha256};
use std::path::Path;

/// Subtables that say what was observed and that neither imagers nor calibrators change.
const STABLE_SUBTABLES: [&str; 5] = ["ANTENNA", "SPECTRAL_WINDOW", "FIELD", "OBSERVATION", "POLARIZATION"];

/// A hash of what was observed. `whole` also counts names and sizes of the main table's files: right where nobody is
/// to change the measurement set, wrong where a campaign adds columns to it.
///
/// # Errors
/// No such folder, or not a measurement set.
pub fn identity(measurement_set: &Path, whole: bool) -> Result<String> {
    let refused = |why: String| Error::bad_input(format!("{}: {why}", measurement_set.display()));
    match std::fs::metadata(measurement_set) {
        Err(e) => return Err(refused(format!("the measurement set cannot be read: {e}"))),
        Ok(m) if !m.is_dir() => return Err(refused("is a file; a measurement set is a folder".into())),
        Ok(_) => {}
    }
    if !measurement_set.join("table.dat").is_file() {
        return Err(refused("is not a measurement set (it holds no table.dat)".into()));
    }
    let mut hash = Sha256::new();
    for name in STABLE_SUBTABLES {
        let folder = measurement_set.join(name);
        if !folder.is_dir() {
            return Err(refused(format!("is not a measurement set (it has no subtable {name})")));
        }
        for file in files(&folder)? {
            // Lock files change whenever somebody looks.
            if file.0 != "table.lock" {
                hash.update(file.0.as_bytes());
                hash.update(std::fs::read(folder.join(&file.0)).map_err(|e| refused(e.to_string()))?);
            }
        }
    }
    if whole {
        for (name, size) in files(measurement_set)? {
            if name != "table.lock" {
                hash.update(format!("{name} {size}\n"));
            }
        }
    }
    Ok(hash.finalize().iter().take(16).map(|b| format!("{b:02x}")).collect())
}

/// Names and sizes of the files directly in a folder, sorted.
fn files(folder: &Path) -> Result<Vec<(String, u64)>> {
    let unreadable = |e: std::io::Error| Error::bad_input(format!("{}: cannot be read: {e}", folder.display()));
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let metadata = entry.metadata().map_err(unreadable)?;
        if metadata.is_file() {
            all.push((entry.file_name().to_string_lossy().into_owned(), metadata.len()));
        }
    }
    all.sort();
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::util::testing::words;
    use std::fs;

    fn fake(folder: &Path) {
        for name in STABLE_SUBTABLES {
            fs::create_dir_all(folder.join(name)).unwrap();
            fs::write(folder.join(name).join("table.f0"), name).unwrap();
        }
        fs::write(folder.join("table.dat"), "main").unwrap();
        fs::write(folder.join("table.f1"), "data").unwrap();
    }

    #[test]
    fn a_moved_set_is_the_same_and_a_changed_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (folder.path().join("a.ms"), folder.path().join("b.ms"));
        fake(&a);
        let before = (identity(&a, true).unwrap(), identity(&a, false).unwrap());
        fs::rename(&a, &b).unwrap();
        fs::write(b.join("table.lock"), "somebody looked").unwrap();
        assert_eq!((identity(&b, true).unwrap(), identity(&b, false).unwrap()), before);
        fs::write(b.join("table.f2"), "a new column").unwrap();
        assert_ne!(identity(&b, true).unwrap(), before.0);
        assert_eq!(identity(&b, false).unwrap(), before.1);
        fs::write(b.join("ANTENNA/table.f0"), "another array").unwrap();
        assert_ne!(identity(&b, false).unwrap(), before.1);
    }

    #[test]
    fn what_is_none_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let missing = identity(&folder.path().join("x.ms"), true).unwrap_err();
        assert!(matches!(missing, Error::BadInput(_)), "{missing:?}");
        insta::assert_snapshot!(words(missing, folder.path()), @"<folder>/x.ms: the measurement set cannot be read: No such file or directory (os error 2)");
        let empty = identity(folder.path(), true).unwrap_err();
        assert!(matches!(empty, Error::BadInput(_)), "{empty:?}");
        insta::assert_snapshot!(words(empty, folder.path()), @"<folder>: is not a measurement set (it holds no table.dat)");
    }
}
