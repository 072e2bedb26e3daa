//! Messages to people.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Level of a message.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Good to know.
    #[default]
    Info,
    /// Someone should look.
    Warning,
    /// Something failed.
    Error,
}

/// A message to people.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct MessageRecord {
    /// When.
    pub at: Option<Timestamp>,
    /// Its level.
    pub level: Level,
    /// The words.
    pub text: String,
}
