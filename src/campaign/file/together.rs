//! Which measurement sets are imaged together (`campaign.together`).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
