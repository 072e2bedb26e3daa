//! The disk budget: which files of old rounds go first.
//!
//! Never touched: the working copy, tables, logs, the journal, `final/`, the masks that rounds were cleaned with, what
//! the archive wants, and all images of the rounds that are needed: the last accepted one (the next round builds on
//! it, a rejected round reverts to it) and the best one (the product). What else there is goes in this order, the
//! oldest rounds first:
//!
//! 1. masks, residuals and states of single major cycles;
//! 2. what the imager left besides restored image and model: residual, PSF, dirty image, single channels;
//! 3. restored image and model.

use std::collections::HashSet;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Files of an attempt that was judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AttemptFiles {
    /// Its folder (`round-NN`).
    pub folder: PathBuf,
    /// Its images must stay.
    pub needed: bool,
    /// The masks that it was cleaned with.
    pub masks: Vec<PathBuf>,
    /// Restored image and model.
    pub images: Vec<PathBuf>,
}

/// Files that are to be removed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Chosen {
    /// The files.
    pub files: Vec<PathBuf>,
    /// Room that they take, bytes.
    pub bytes: u64,
    /// Room that the folder will then take, bytes.
    pub left: u64,
}

/// Files that may go, in the order in which they go.
fn expendable(attempts: &[AttemptFiles]) -> Vec<PathBuf> {
    let mut order = Vec::new();
    for attempt in attempts {
        order.extend(files_in(&attempt.folder.join("mask")).into_iter().filter(|f| !attempt.masks.contains(f)));
    }
    let old = || attempts.iter().filter(|attempt| !attempt.needed);
    for attempt in old() {
        order.extend(files_in(&attempt.folder.join("image")).into_iter().filter(|f| !attempt.images.contains(f)));
    }
    for attempt in old() {
        order.extend(attempt.images.iter().filter(|image| image.starts_with(&attempt.folder)).cloned());
    }
    order
}

/// All files below a folder, sorted; links are not followed.
fn files_in(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => files.extend(files_in(&entry.path())),
            Ok(_) => files.push(entry.path()),
            Err(_) => {}
        }
    }
    files.sort();
    files
}

/// Bytes below a folder; a file with several names (`final/` holds links) counts once.
pub(crate) fn usage(folder: &Path) -> u64 {
    let mut seen = HashSet::new();
    files_in(folder)
        .iter()
        .filter_map(|file| file.symlink_metadata().ok())
        .filter(|m| m.nlink() < 2 || seen.insert((m.dev(), m.ino())))
        .map(|m| m.len())
        .sum()
}

/// Files of old rounds that must go for the folder `root` to take at most `budget` bytes, or all that may go; never those
/// that are `wanted` otherwise.
pub(crate) fn choose(budget: u64, root: &Path, attempts: &[AttemptFiles], wanted: &dyn Fn(&Path) -> bool) -> Chosen {
    let mut chosen = Chosen { left: usage(root), ..Chosen::default() };
    if chosen.left <= budget {
        return chosen;
    }
    for file in expendable(attempts) {
        if chosen.left <= budget {
            break;
        }
        let Ok(metadata) = file.symlink_metadata() else { continue };
        if wanted(&file) {
            continue;
        }
        // Another name of it stays: its room is not won.
        let bytes = if metadata.nlink() < 2 { metadata.len() } else { 0 };
        chosen.left -= bytes.min(chosen.left);
        chosen.bytes += bytes;
        chosen.files.push(file);
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: u64 = 1000;

    fn put(folder: &Path, name: &str) -> PathBuf {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, vec![0; SIZE as usize]).unwrap();
        path
    }

    /// Round 0 is old, round 1 needed; 2 x 7 files and a working copy.
    fn campaign(folder: &Path) -> Vec<AttemptFiles> {
        put(folder, "data/field.ms/table.dat");
        ["round-00", "round-01"]
            .iter()
            .map(|round| {
                let at = folder.join(round);
                let masks = vec![put(&at, "mask/mask.fits")];
                let images = vec![put(&at, "image/image.fits"), put(&at, "image/model.fits")];
                put(&at, "mask/cycle-000.residual.fits");
                put(&at, "image/psf.fits");
                put(&at, "image/deeper/channel.fits");
                put(&at, "calibration/gains.cal/table.dat");
                AttemptFiles { folder: at, needed: *round == "round-01", masks, images }
            })
            .collect()
    }

    fn keep_within(budget: u64, folder: &Path, attempts: &[AttemptFiles], wanted: &dyn Fn(&Path) -> bool) -> Chosen {
        let chosen = choose(budget, folder, attempts, wanted);
        chosen.files.iter().for_each(|file| std::fs::remove_file(file).unwrap());
        chosen
    }

    fn names(folder: &Path, chosen: &Chosen) -> Vec<String> {
        chosen.files.iter().map(|f| f.strip_prefix(folder).unwrap().display().to_string()).collect()
    }

    #[test]
    fn old_files_go_in_order_and_only_as_many_as_must() {
        let order = [
            "round-00/mask/cycle-000.residual.fits",
            "round-01/mask/cycle-000.residual.fits",
            "round-00/image/deeper/channel.fits",
            "round-00/image/psf.fits",
            "round-00/image/image.fits",
            "round-00/image/model.fits",
        ];
        for count in 0..=order.len() {
            let folder = tempfile::tempdir().unwrap();
            let attempts = campaign(folder.path());
            assert_eq!(usage(folder.path()), 15 * SIZE);
            let budget = (15 - count as u64) * SIZE;
            let chosen = keep_within(budget, folder.path(), &attempts, &|_| false);
            assert_eq!(names(folder.path(), &chosen), order[..count]);
            assert_eq!((chosen.left, chosen.bytes), (budget, count as u64 * SIZE));
            assert_eq!(usage(folder.path()), chosen.left);
        }
    }

    #[test]
    fn what_is_needed_stays_though_the_budget_is_missed() {
        let folder = tempfile::tempdir().unwrap();
        let attempts = campaign(folder.path());
        let chosen = keep_within(0, folder.path(), &attempts, &|_| false);
        assert_eq!((chosen.files.len(), chosen.left), (6, 9 * SIZE));
        for kept in ["round-01/image/psf.fits", "round-00/mask/mask.fits", "round-00/calibration/gains.cal/table.dat"] {
            assert!(folder.path().join(kept).exists(), "{kept}");
        }
        assert!(folder.path().join("data/field.ms/table.dat").exists());
    }

    #[test]
    fn what_the_archive_wants_stays() {
        let folder = tempfile::tempdir().unwrap();
        let attempts = campaign(folder.path());
        keep_within(0, folder.path(), &attempts, &|file| file.ends_with("image/image.fits"));
        assert!(folder.path().join("round-00/image/image.fits").exists());
        assert!(!folder.path().join("round-00/image/model.fits").exists());
    }

    #[test]
    fn a_file_with_two_names_counts_once() {
        let folder = tempfile::tempdir().unwrap();
        let one = put(folder.path(), "round-00/image/image.fits");
        std::fs::create_dir(folder.path().join("final")).unwrap();
        std::fs::hard_link(&one, folder.path().join("final/image.fits")).unwrap();
        assert_eq!(usage(folder.path()), SIZE);
    }
}
