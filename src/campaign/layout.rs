//! Names of the folders and files below a measurement set's folder.

use std::path::{Path, PathBuf};

/// Paths inside one measurement set's folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    root: PathBuf,
}

impl Layout {
    /// The layout below `root`.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Append-only record of steps.
    pub fn journal(&self) -> PathBuf {
        self.root.join("journal.jsonl")
    }

    /// The working copy of the measurement set.
    pub fn working_copy(&self, name: &str) -> PathBuf {
        self.root.join("data").join(format!("{name}.ms"))
    }

    /// Name of a round's attempt: `round-02`, and `round-02-retry` for the gentler second try.
    pub fn attempt_name(round: usize, attempt: usize) -> String {
        match attempt {
            0 => format!("round-{round:02}"),
            1 => format!("round-{round:02}-retry"),
            n => format!("round-{round:02}-retry{n}"),
        }
    }

    /// Folder of a part (`image`, `mask`, `calibration`, `logs`) of a round's attempt.
    pub fn part(&self, round: usize, attempt: usize, part: &str) -> PathBuf {
        self.root.join(Self::attempt_name(round, attempt)).join(part)
    }

    /// The best round's products.
    pub fn final_folder(&self) -> PathBuf {
        self.root.join("final")
    }
}
