//! Limits of the schedule.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Limits of the automatic schedule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SolintOptions {
    /// Least S/N of an antenna's phase in an interval (auto_selfcal's 3).
    pub min_snr: f64,
    /// S/N that the first interval aims at; a high one, as the first model is the worst.
    pub start_snr: f64,
    /// Least S/N of an antenna where amplitudes are solved for.
    pub amplitude_snr: f64,
    /// Where an antenna has this S/N in a shorter interval, that is tried whatever the last step gained; amplitudes begin
    /// there.
    pub ample_snr: f64,
    /// Largest factor by which the next interval is shorter.
    pub max_step: f64,
    /// A further step of the same kind is worth it when the last one gained at least this fraction of the dynamic range.
    pub min_gain: f64,
    /// The same chain is solved again with the last model when the last accepted round gained at least this fraction. A
    /// negative value goes on to the limit of rounds.
    pub repeat_gain: f64,
    /// It is also solved again when the last accepted image differs from the one before by at least this part of its noise.
    pub repeat_change: f64,
    /// Longest interval of the first amplitudes, as a multiple of that of the phases below them; shorter where the S/N of an
    /// antenna is `ample_snr`.
    pub amplitude_factor: f64,
    /// Never solve for amplitudes.
    pub phase_only: bool,
    /// Fewest channels of a spectral window with which delays, and gains of each channel, are tried.
    pub delay_channels: usize,
    /// Rejected attempts in a row after which the schedule ends.
    pub rejected_in_a_row: usize,
    /// Rejected attempts of the whole campaign after which the schedule ends.
    pub rejected_in_all: usize,
    /// Tables with a larger fraction of flagged solutions are refused, and so are intervals that short.
    pub flagged_solutions: f64,
    /// An antenna with a larger fraction of flagged solutions gets identity gains: its data stay as they are.
    pub hopeless_flagged: f64,
}

impl Default for SolintOptions {
    fn default() -> Self {
        Self {
            min_snr: 3.0,
            start_snr: 6.0,
            amplitude_snr: 6.0,
            ample_snr: 15.0,
            max_step: 4.0,
            min_gain: 0.02,
            repeat_gain: 0.01,
            repeat_change: 0.05,
            amplitude_factor: 8.0,
            phase_only: false,
            delay_channels: 8,
            rejected_in_a_row: 3,
            rejected_in_all: 8,
            flagged_solutions: 0.3,
            hopeless_flagged: 0.7,
        }
    }
}
