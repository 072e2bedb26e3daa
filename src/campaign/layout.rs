//! Attempts, and names of the folders and files below a measurement set's folder.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::{Path, PathBuf};

/// One attempt at one round.
///
/// Attempts are counted from 1, for people and for programs alike; attempt 1 has the settings of the plan, each further
/// one relaxed settings. Its name is that of its folder: `round-02`, `round-02-retry`, `round-02-retry2`, ...
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AttemptId {
    /// Round, 0 first.
    pub round: usize,
    /// Attempt at this round, 1 first.
    pub attempt: usize,
}

impl AttemptId {
    /// The first attempt at a round.
    pub fn first(round: usize) -> Self {
        Self { round, attempt: 1 }
    }

    /// The attempt after this one, at the same round.
    #[must_use]
    pub fn retry(self) -> Self {
        Self { attempt: self.attempt + 1, ..self }
    }

    /// It follows a rejected attempt at the same round.
    pub fn is_retry(self) -> bool {
        self.attempt > 1
    }

    /// The attempt of this name.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        let (round, retry) = match name.strip_prefix("round-")?.split_once("-retry") {
            None => (name.strip_prefix("round-")?, None),
            Some((round, retry)) => (round, Some(retry)),
        };
        let attempt = match retry {
            None => 1,
            Some("") => 2,
            Some(number) => number.parse::<usize>().ok()?.checked_add(1)?,
        };
        Some(Self { round: round.parse().ok()?, attempt })
    }
}

impl Default for AttemptId {
    fn default() -> Self {
        Self::first(0)
    }
}

impl fmt::Display for AttemptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "round-{:02}", self.round)?;
        match self.attempt {
            0 | 1 => Ok(()),
            2 => f.write_str("-retry"),
            n => write!(f, "-retry{}", n - 1),
        }
    }
}

/// The part of an attempt that belongs to one measurement set of several; `None`: there is one.
pub(crate) fn part_of_member(part: &str, member: Option<&str>) -> String {
    member.map_or_else(|| part.to_owned(), |name| format!("{part}/{name}"))
}

/// Folder of the field image that a round's masks are made from, in the campaign folder `output`.
pub(crate) fn field_folder(output: &Path, round: usize) -> PathBuf {
    output.join("field").join(format!("round-{round:02}"))
}

/// Name of the frozen plan in a campaign folder.
pub(crate) const FROZEN_PLAN: &str = "plan.json";

/// Folder of a final imaging in the campaign folder `output`.
pub(crate) fn final_imaging_folder(output: &Path, name: &str) -> PathBuf {
    output.join(FINAL).join(name)
}

/// Name of the folder of products.
const FINAL: &str = "final";

/// Paths inside one target's folder.
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

    /// Folder of an attempt.
    pub fn attempt(&self, attempt: AttemptId) -> PathBuf {
        self.root.join(attempt.to_string())
    }

    /// Folder of a part (`image`, `mask`, `calibration`, `logs`) of an attempt.
    pub fn part(&self, attempt: AttemptId, part: &str) -> PathBuf {
        self.attempt(attempt).join(part)
    }

    /// Folder of the tables of an attempt; `member`: of this measurement set of several that are imaged together.
    pub(crate) fn calibration(&self, attempt: AttemptId, member: Option<&str>) -> PathBuf {
        self.part(attempt, &part_of_member("calibration", member))
    }

    /// The best round's products.
    pub fn final_folder(&self) -> PathBuf {
        self.root.join(FINAL)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_are_counted_from_one_and_named_by_their_folders() {
        let mut id = AttemptId::first(2);
        for name in ["round-02", "round-02-retry", "round-02-retry2", "round-02-retry3"] {
            assert_eq!(id.to_string(), name);
            assert_eq!(AttemptId::from_name(name), Some(id));
            id = id.retry();
        }
        assert_eq!(id.attempt, 5);
        assert!(id.is_retry() && !AttemptId::first(2).is_retry());
        assert_eq!(AttemptId::from_name("round-100").unwrap().to_string(), "round-100");
        for other in ["final", "round-", "round-x", "round-01-retryx", "round-01-again"] {
            assert_eq!(AttemptId::from_name(other), None, "{other}");
        }
    }
}
