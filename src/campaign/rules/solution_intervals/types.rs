//! Observation, signal, intervals, and their limits.

use crate::quality::solutions::SolutionStats;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Limits of the automatic intervals.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SolintOptions {
    /// Least estimated S/N of an antenna's phase in an interval (auto_selfcal's 3).
    pub min_snr: f64,
    /// S/N that the first interval aims at; a high one, as the first model is the worst.
    pub start_snr: f64,
    /// Least estimated S/N of an antenna when amplitudes are solved for.
    pub amplitude_snr: f64,
    /// Largest factor by which the next interval is shorter.
    pub max_step: f64,
    /// A shorter interval is worth it when the dynamic range gains at least this fraction.
    pub min_gain: f64,
    /// Phases have settled when they change by less than this from one round's tables to the next, degrees.
    pub settled_deg: f64,
    /// Least interval of amplitudes, as a multiple of the last phase interval.
    pub amplitude_factor: f64,
    /// Never solve for amplitudes.
    pub phase_only: bool,
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
            amplitude_snr: 10.0,
            max_step: 4.0,
            min_gain: 0.02,
            settled_deg: 10.0,
            amplitude_factor: 2.0,
            phase_only: false,
            flagged_solutions: 0.3,
            hopeless_flagged: 0.7,
        }
    }
}

/// The observation, as far as intervals depend on it. Times in seconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    /// Antennas with unflagged data.
    pub antennas: usize,
    /// Integration time.
    pub integration_s: f64,
    /// Length of each scan on the target.
    pub scans_s: Vec<f64>,
}

impl Observation {
    /// Time on source.
    pub fn total_s(&self) -> f64 {
        self.scans_s.iter().sum()
    }

    /// The median scan (the longer of the two middle ones).
    pub(super) fn scan_s(&self) -> f64 {
        let mut scans = self.scans_s.clone();
        scans.sort_unstable_by(f64::total_cmp);
        scans.get(scans.len() / 2).copied().unwrap_or(0.0)
    }
}

/// The image's signal and noise.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ImageSignal {
    /// Peak, Jy/beam.
    pub peak: f64,
    /// Flux that the array sees at once, Jy: e.g. the root of the summed squares of the islands' CLEAN fluxes. Taken
    /// where it exceeds the peak.
    pub flux: Option<f64>,
    /// Noise, Jy/beam.
    pub rms: f64,
}

impl ImageSignal {
    /// S/N of the image; 0 without signal or noise.
    pub fn snr(&self) -> f64 {
        let signal = self.flux.unwrap_or(0.0).max(self.peak);
        if signal > 0.0 && self.rms > 0.0 { signal / self.rms } else { 0.0 }
    }
}

/// A solution interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Interval {
    /// All scans together (`solint='inf'`, `combine='scan'`).
    Everything,
    /// One solution a scan (`solint='inf'`).
    Scan,
    /// Seconds, a whole number of integrations.
    Seconds(f64),
}

impl Interval {
    /// Its length in this observation, seconds.
    pub fn seconds(self, observation: &Observation) -> f64 {
        match self {
            Self::Everything => observation.total_s(),
            Self::Scan => observation.scan_s(),
            Self::Seconds(s) => s,
        }
    }

    /// gaincal's `solint`.
    pub fn solint(self) -> String {
        match self {
            Self::Everything | Self::Scan => "inf".to_string(),
            Self::Seconds(s) => format!("{s}s"),
        }
    }

    /// gaincal's `combine`.
    pub fn combine(self) -> &'static str {
        if self == Self::Everything { "scan" } else { "" }
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Everything => f.write_str("all scans together"),
            Self::Scan => f.write_str("one scan"),
            Self::Seconds(s) => write!(f, "{s} s"),
        }
    }
}

/// Quantities that a calibration solves for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SolveMode {
    /// Phases (`calmode='p'`).
    Phase,
    /// Amplitudes and phases (`calmode='ap'`).
    AmplitudePhase,
}

impl SolveMode {
    /// gaincal's `calmode`.
    pub fn calmode(self) -> &'static str {
        match self {
            Self::Phase => "p",
            Self::AmplitudePhase => "ap",
        }
    }
}

/// An interval that was tried, oldest first in a history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tried {
    /// The interval.
    pub interval: Interval,
    /// The mode.
    pub mode: SolveMode,
    /// The round was accepted.
    pub accepted: bool,
    /// Gain in dynamic range over the accepted round before it, a fraction.
    pub gain: f64,
    /// Its tables.
    pub solutions: SolutionStats,
}

/// The next interval and mode, or why none is worth it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Choice {
    /// Solve.
    Solve {
        /// The interval.
        interval: Interval,
        /// The mode.
        mode: SolveMode,
        /// Estimated S/N of an antenna in the interval.
        snr: f64,
        /// Why this one.
        why: String,
    },
    /// There is nothing worth trying.
    Stop {
        /// Why.
        why: String,
    },
}
