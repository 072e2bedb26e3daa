//! Whether the automatic schedule ends with rounds that solve by direction.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Rounds by direction at the end of the automatic schedule.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FacetStage {
    /// None but those that `selfcal` lists.
    #[default]
    None,
    /// Where the residual shows errors that depend on direction.
    Auto,
}
