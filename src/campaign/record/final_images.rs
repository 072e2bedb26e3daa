//! Images and cubes that were made after the best round.

use crate::campaign::journal::State;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// A cube that was put together from groups of channels.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct CubeRecord {
    /// What it is of: the target.
    pub name: String,
    /// Its channels.
    pub channels: usize,
    /// The cube of restored images, Jy/beam.
    pub image: PathBuf,
    /// Its sum over the channels.
    pub moment0: PathBuf,
    /// Its brightest channel at each pixel.
    pub peak: PathBuf,
    /// Its masks, where there is one for each channel.
    pub mask: Option<PathBuf>,
    /// Channels at the borders of groups that were imaged again, without confetti.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub imaged_again: Vec<usize>,
}

/// One final imaging; its own record is in its folder.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct FinalRecord {
    /// Its name.
    pub name: String,
    /// Its folder, with a record and a report of its own.
    pub folder: PathBuf,
    /// Where it stands.
    pub state: State,
    /// Wall time of the last run of it, seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
    /// Why it failed; empty: it did not.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub error: String,
}
