//! `campaign.archive`: what is collected at the end.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Files that are collected once a measurement set is done. Patterns are those of a shell (`*`, `?`, `[ab]`, `**`),
/// relative to the measurement set's folder.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ArchiveOptions {
    /// Files that are copied into `archive/`.
    pub copy: Vec<String>,
    /// Files and tables that go into `archive/<name>.tar.gz`.
    pub compress: Vec<String>,
}
