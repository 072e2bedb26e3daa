//! What a campaign may come to by itself: rounds by direction, multi-scale.

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

/// Multi-scale deconvolution beyond what the imager's options say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Multiscale {
    /// As the imager's options say.
    #[default]
    None,
    /// From the round on that follows two accepted ones with resolved sources.
    Auto,
}

impl Multiscale {
    /// It is not said.
    pub(crate) fn is_none(&self) -> bool {
        *self == Self::None
    }
}
