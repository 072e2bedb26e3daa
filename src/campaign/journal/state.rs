//! Where a campaign, a measurement set or a round stands.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where a campaign, a dataset or a round stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Nothing was done yet.
    #[default]
    Waiting,
    /// Under way.
    Running,
    /// All that was asked for is done.
    Done,
    /// Ended early, as further rounds gained nothing.
    Converged,
    /// Stopped, as rounds made the image worse; the best one was kept.
    Diverged,
    /// Ended by an error.
    Failed,
    /// Ended by a signal; can be resumed.
    Interrupted,
}

impl State {
    /// It will not change any more without another run.
    pub fn is_final(self) -> bool {
        !matches!(self, Self::Waiting | Self::Running)
    }
}
