//! Continuum and lines in the visibilities.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::path::PathBuf;

/// Channels of a spectral window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct WindowChannels {
    /// Number of the window.
    pub window: usize,
    /// Numbers of the channels, 0 first.
    pub channels: Vec<usize>,
}

/// Median amplitude of the visibilities of each channel.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ChannelAmplitudes {
    /// The measurement set.
    pub ms: PathBuf,
    /// The column.
    pub column: String,
    /// Number of the field; `None`: all.
    pub field: Option<usize>,
    /// Line-free channels: with some, it is the amplitude of what a fit to them leaves.
    pub line_free: Vec<WindowChannels>,
    /// Order of the polynomial that is fitted to them.
    pub fitorder: usize,
}

/// Answer to [`ChannelAmplitudes`], for one spectral window.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WindowAmplitudes {
    /// Number of the window.
    pub window: usize,
    /// Centre of each channel, Hz.
    pub frequencies_hz: Vec<f64>,
    /// Median amplitude of each channel, Jy; `None`: it has no data.
    pub amplitudes_jy: Vec<Option<f64>>,
}

/// CASA's uvcontsub into a new measurement set, whose `DATA` have no continuum.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Uvcontsub {
    /// The measurement set.
    pub ms: PathBuf,
    /// The column that is read: `DATA` or `CORRECTED_DATA`.
    pub column: String,
    /// Number of the field; `None`: all.
    pub field: Option<usize>,
    /// The new one.
    pub output: PathBuf,
    /// Parameters under the task's own names.
    pub parameters: Map<String, Value>,
}

/// `CORRECTED_DATA` becomes a column without `MODEL_DATA`.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct SubtractModel {
    /// The measurement set, a copy.
    pub ms: PathBuf,
    /// The column that the model is taken from.
    pub source: String,
}
