//! Temporary files in memory: wsclean's reordered visibilities are read once an iteration and thrown away.

use crate::util::{disk, memory};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// A file system in memory, on every Linux.
const MEMORY: &str = "/dev/shm";
/// The temporary files (at most as large as the data) may take this part of what is free in memory.
const PART_OF_FREE: u64 = 8;
/// A folder without its process is left alone for this long: its clock or its machine may not be ours.
const STALE: Duration = Duration::from_secs(600);

/// The folder in memory, where the data are small beside what is free there.
///
/// A program behind a list of words (container, `mpirun`) may not see our memory: it gets none.
pub(crate) fn folder(data: &[PathBuf], executable: &[String]) -> Option<PathBuf> {
    if executable.len() != 1 {
        return None;
    }
    if !data.iter().all(|p| p.exists()) {
        return None;
    }
    let needed: u64 = data.iter().map(|p| disk::size_of(p)).sum();
    let free = disk::available(Path::new(MEMORY)).ok()?.min(memory::available()?);
    (needed < free / PART_OF_FREE).then(|| PathBuf::from(MEMORY))
}

/// Start of the names of our folders outside of the job's own: it identifies the owner.
pub(crate) fn prefix() -> String {
    format!("cleanloop-{}-", std::process::id())
}

/// Removes the folders in memory of processes that are gone.
pub(crate) fn remove_stale() {
    for entry in std::fs::read_dir(MEMORY).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let process =
            name.strip_prefix("cleanloop-").and_then(|n| n.split('-').next()).and_then(|n| n.parse::<u32>().ok());
        let gone = process.is_some_and(|p| !Path::new("/proc").join(p.to_string()).exists());
        let modified = entry.metadata().and_then(|m| m.modified()).unwrap_or_else(|_| SystemTime::now());
        if gone && modified.elapsed().is_ok_and(|age| age > STALE) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_data_of_a_plain_program_go_to_memory() {
        let data = tempfile::tempdir().expect("folder");
        std::fs::write(data.path().join("table.dat"), [0; 100]).expect("written");
        let paths = [data.path().to_owned()];
        assert_eq!(folder(&paths, &["wsclean".to_owned()]), Some(PathBuf::from(MEMORY)));
        assert_eq!(folder(&paths, &["mpirun".to_owned(), "wsclean-mp".to_owned()]), None);
        assert_eq!(folder(&[PathBuf::from("/no/such/data")], &["wsclean".to_owned()]), None);
    }
}
