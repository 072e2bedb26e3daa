//! Names of steps, and of what they change outside the campaign folder.

use crate::campaign::layout::AttemptId;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error as _, IntoDeserializer};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// A kind of step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
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
    /// Gains are solved for by direction.
    Facets,
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
    /// An image or cube is made after the best round.
    FinalImaging,
    /// The best solutions are applied to the original data.
    ApplyTo,
    /// Files of the archive are copied and packed.
    Archive,
}

impl fmt::Display for Step {
    /// The name, as in the journal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// A step of an attempt (`round-02/image`), one of a single measurement set of several (`round-02/solve#2`, 1 the first),
/// or one of the target as a whole (`prepare`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct StepId {
    /// The attempt; `None`: the target as a whole.
    pub attempt: Option<AttemptId>,
    /// The kind.
    pub step: Step,
    /// Index of the measurement set among those that are imaged together; 0 also where it is the only one, and in steps of
    /// all of them.
    pub member: usize,
}

impl StepId {
    /// The step that makes the working copy.
    pub(crate) const PREPARE: Self = Self::whole(Step::Prepare);
    /// The step that collects the best round's products.
    pub(crate) const FINISH: Self = Self::whole(Step::Finish);
    /// An imaging after the best round.
    pub(crate) const FINAL_IMAGING: Self = Self::whole(Step::FinalImaging);
    /// The step that applies the best solutions to the original data.
    pub(crate) const APPLY_TO: Self = Self::whole(Step::ApplyTo);
    /// The step that collects the archive.
    pub(crate) const ARCHIVE: Self = Self::whole(Step::Archive);

    const fn whole(step: Step) -> Self {
        Self { attempt: None, step, member: 0 }
    }

    /// A step of an attempt.
    pub(crate) fn of(attempt: AttemptId, step: Step) -> Self {
        Self { attempt: Some(attempt), step, member: 0 }
    }

    /// The same step of a measurement set of several.
    pub(crate) fn member(self, member: usize) -> Self {
        Self { member, ..self }
    }
}

/// Stands between a name and the number of a measurement set, 1 the first, which has none.
const MEMBER: char = '#';

/// Writes the number of a measurement set behind a name.
fn write_member(f: &mut fmt::Formatter<'_>, member: usize) -> fmt::Result {
    if member == 0 { Ok(()) } else { write!(f, "{MEMBER}{}", member + 1) }
}

/// Takes the number of a measurement set off a name; `None`: it is no number.
fn split_member(name: &str) -> Option<(&str, usize)> {
    match name.split_once(MEMBER) {
        None => Some((name, 0)),
        Some((name, number)) => Some((name, number.parse::<usize>().ok()?.checked_sub(1)?)),
    }
}

impl fmt::Display for StepId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(attempt) = self.attempt {
            write!(f, "{attempt}/")?;
        }
        self.step.fmt(f)?;
        write_member(f, self.member)
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
        let unknown = || Self::Err::custom(format!("`{step}` is not the name of a step"));
        let (step, member) = split_member(step).ok_or_else(unknown)?;
        Ok(Self { attempt, step: Step::deserialize(step.into_deserializer())?, member })
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

impl JsonSchema for StepId {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "StepId".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "pattern": "^(round-[0-9]{2,}(-retry[0-9]*)?/)?[a-z-]+(#[1-9][0-9]*)?$"})
    }
}

/// A column that steps change: it lies outside the campaign folder, and a crash can leave it half-written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Column {
    /// `MODEL_DATA` of all measurement sets that are imaged together: imagers write it in all of them.
    Model,
    /// `CORRECTED_DATA` of the measurement set with this index.
    Corrected(usize),
}

/// Names of the columns in a journal.
const MODEL: &str = "model";
const CORRECTED: &str = "corrected";

impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Model => f.write_str(MODEL),
            Self::Corrected(member) => {
                f.write_str(CORRECTED)?;
                write_member(f, *member)
            }
        }
    }
}

impl Serialize for Column {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Column {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        match split_member(&name) {
            Some((MODEL, 0)) => Ok(Self::Model),
            Some((CORRECTED, member)) => Ok(Self::Corrected(member)),
            _ => Err(D::Error::custom(format!("`{name}` is not the name of a column"))),
        }
    }
}

impl JsonSchema for Column {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Column".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "pattern": "^(model|corrected(#[1-9][0-9]*)?)$"})
    }
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
            (StepId::of(retry, Step::Solve).member(2), "round-02-retry/solve#3"),
        ] {
            assert_eq!(id.to_string(), name);
            assert_eq!(serde_json::to_string(&id).unwrap(), format!("\"{name}\""));
            assert_eq!(name.parse::<StepId>().unwrap(), id);
        }
        assert!("round-00/polish".parse::<StepId>().is_err());
        assert!("round/image".parse::<StepId>().is_err());
        for wrong in ["round-02/solve#", "round-02/solve#0", "round-02/solve#x"] {
            assert!(wrong.parse::<StepId>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn columns_are_written_with_the_number_of_their_measurement_set() {
        for (column, name) in
            [(Column::Model, "model"), (Column::Corrected(0), "corrected"), (Column::Corrected(1), "corrected#2")]
        {
            let written = format!("\"{name}\"");
            assert_eq!(serde_json::to_string(&column).unwrap(), written);
            assert_eq!(serde_json::from_str::<Column>(&written).unwrap(), column);
        }
        assert!(serde_json::from_str::<Column>("\"model#2\"").is_err());
    }
}
