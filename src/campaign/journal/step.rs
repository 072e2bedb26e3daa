//! Names of steps, and of what they change outside the campaign folder.

use crate::campaign::layout::AttemptId;
use serde::de::{Error as _, IntoDeserializer};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// A kind of step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Step {
    /// Options, data, programs and disk are checked, and the measurement set is copied.
    Prepare,
    /// A model to start from is made, and gains are solved for against it.
    StartModel,
    /// Gains are solved for.
    Solve,
    /// Tables are applied.
    Apply,
    /// A mask is made.
    Mask,
    /// The imager works (all its stages).
    Image,
    /// The images are measured.
    Metrics,
    /// The round is judged.
    Decide,
    /// The model of an earlier round is put back.
    Revert,
    /// The best round's products are collected.
    Finish,
    /// Files of the archive are copied and packed.
    Archive,
}

impl fmt::Display for Step {
    /// The name, as in the journal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// A step of an attempt (`round-02/image`), or one of the measurement set as a whole (`prepare`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct StepId {
    /// The attempt; `None`: the measurement set as a whole.
    pub attempt: Option<AttemptId>,
    /// The kind.
    pub step: Step,
}

impl StepId {
    /// The step that makes the working copy.
    pub(crate) const PREPARE: Self = Self::whole(Step::Prepare);
    /// The step that collects the best round's products.
    pub(crate) const FINISH: Self = Self::whole(Step::Finish);
    /// The step that collects the archive.
    pub(crate) const ARCHIVE: Self = Self::whole(Step::Archive);

    const fn whole(step: Step) -> Self {
        Self { attempt: None, step }
    }

    /// A step of an attempt.
    pub(crate) fn of(attempt: AttemptId, step: Step) -> Self {
        Self { attempt: Some(attempt), step }
    }
}

impl fmt::Display for StepId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(attempt) = self.attempt {
            write!(f, "{attempt}/")?;
        }
        self.step.fmt(f)
    }
}

impl FromStr for StepId {
    type Err = serde::de::value::Error;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let (attempt, step) = match name.split_once('/') {
            None => (None, name),
            Some((attempt, step)) => {
                let unknown = || Self::Err::custom(format!("`{attempt}` is not the name of an attempt"));
                (Some(AttemptId::from_name(attempt).ok_or_else(unknown)?), step)
            }
        };
        Ok(Self { attempt, step: Step::deserialize(step.into_deserializer())? })
    }
}

impl Serialize for StepId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for StepId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// A column of the measurement set that steps change: it lies outside the campaign folder, and a crash can leave it
/// half-written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Column {
    /// `MODEL_DATA`.
    Model,
    /// `CORRECTED_DATA`.
    Corrected,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_written_as_attempt_and_kind() {
        let retry = AttemptId::first(2).retry();
        for (id, name) in [
            (StepId::PREPARE, "prepare"),
            (StepId::of(AttemptId::first(0), Step::Image), "round-00/image"),
            (StepId::of(retry, Step::Revert), "round-02-retry/revert"),
        ] {
            assert_eq!(id.to_string(), name);
            assert_eq!(serde_json::to_string(&id).unwrap(), format!("\"{name}\""));
            assert_eq!(name.parse::<StepId>().unwrap(), id);
        }
        assert!("round-00/polish".parse::<StepId>().is_err());
        assert!("round/image".parse::<StepId>().is_err());
    }
}
