//! `campaign.field`, `spw`, `average`, `apply_to`: the part of the data that is worked on, and the data that get the
//! solutions in the end.

use super::programs::Word;
use super::reading::findings::Findings;
use crate::measurement_set::windows_of;
use crate::util::duration::TimeLimit;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::path::PathBuf;

/// Which measurement sets are imaged together, each with tables of its own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Together {
    /// Each is imaged by itself.
    #[default]
    None,
    /// Those whose phase centres agree within a tenth of the primary beam.
    Pointing,
    /// All of them.
    All,
}

/// The word that stands for each field by itself.
const EACH: &str = "each";

/// The fields that are imaged, each by itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum FieldChoice {
    /// The only field with data, or the only one with the intent `OBSERVE_TARGET`.
    #[default]
    Target,
    /// Each field with unflagged data.
    Each,
    /// One by name or number.
    One(String),
    /// These, by names or numbers.
    Several(Vec<String>),
}

impl FieldChoice {
    /// The fields were left to the program.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// A field, or a list of fields, as it is written.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum FieldInput {
    One(Word),
    Several(Vec<Word>),
}

impl<'de> Deserialize<'de> for FieldChoice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match Option::<FieldInput>::deserialize(deserializer)? {
            None => Self::Target,
            Some(FieldInput::Several(fields)) => Self::Several(fields.into_iter().map(Word::into_text).collect()),
            Some(FieldInput::One(field)) => match field.into_text() {
                each if each == EACH => Self::Each,
                name => Self::One(name),
            },
        })
    }
}

impl Serialize for FieldChoice {
    /// As it is written.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Target => serializer.serialize_none(),
            Self::Each => serializer.serialize_str(EACH),
            Self::One(field) => serializer.serialize_str(field),
            Self::Several(fields) => fields.serialize(serializer),
        }
    }
}

/// The data that get the best solutions at the end: the `original`, or another measurement set like it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(from = "String", into = "String")]
#[schemars(with = "String")]
pub enum ApplyTo {
    /// The user's measurement sets.
    Original,
    /// This one.
    File(PathBuf),
}

impl From<String> for ApplyTo {
    fn from(word: String) -> Self {
        if word == "original" { Self::Original } else { Self::File(word.into()) }
    }
}

impl From<ApplyTo> for String {
    fn from(to: ApplyTo) -> Self {
        match to {
            ApplyTo::Original => "original".to_owned(),
            ApplyTo::File(path) => path.to_string_lossy().into_owned(),
        }
    }
}

/// Averaging of the working copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AverageOptions {
    /// Length of a bin in time (`10s`, or seconds), within scans. Default: times are not averaged.
    pub time: Option<TimeLimit>,
    /// Channels of a bin, counted from the first selected channel of each window. Channels at the end that do not fill a
    /// bin are left out.
    #[schemars(range(min = 1))]
    pub channels: usize,
}

impl Default for AverageOptions {
    fn default() -> Self {
        Self { time: None, channels: 1 }
    }
}

impl AverageOptions {
    /// Nothing is averaged.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Windows are written as they can be read, and a list of fields names some.
pub(super) fn check(found: &mut Findings<'_>) {
    let block = &found.campaign.block;
    if let Err(why) = windows_of(&block.spw) {
        found.problem(
            &["spw"],
            format!("`campaign.spw` is `{}`: {why}", block.spw),
            "write windows by number, each with one range of channels at most: `0,2:4~60`",
        );
    }
    if let FieldChoice::Several(fields) = &block.field
        && fields.is_empty()
    {
        found.problem(&["field"], "`campaign.field` is an empty list", "name fields, or leave it out");
    }
}
