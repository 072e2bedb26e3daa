//! Observation, signal, terms and choices.

use crate::quality::solutions::{SolutionStats, TermKind};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The observation and the calibrator, as far as the schedule depends on them. Times in seconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    /// Antennas with unflagged data.
    pub antennas: usize,
    /// Integration time.
    pub integration_s: f64,
    /// Length of each scan on the target.
    pub scans_s: Vec<f64>,
    /// Parallel hands that may be solved by themselves; 1: they are always solved together (or there is one only).
    pub polarisations: usize,
    /// Spectral windows that may be solved by themselves; 1: they are always solved together (or there is one only).
    pub windows: usize,
    /// Windows may be solved together.
    pub windows_combine: bool,
    /// Channels of the window that has most.
    pub channels: usize,
    /// The calibrator solves chains; otherwise one term a round.
    pub chains: bool,
    /// It solves delays.
    pub delays: bool,
    /// It solves gains of each channel.
    pub bandpass: bool,
    /// Of several measurement sets, by how much the squared S/N that an antenna of the best gathers in a second exceeds the
    /// mean: the chain is chosen for the best. 1: there is one, or all are alike.
    pub best_over_mean: f64,
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
    /// Theoretical noise, Jy/beam, where it is known.
    pub theoretical: Option<f64>,
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
            Self::Seconds(s) => format!("{}s", whole_milliseconds(s)),
        }
    }
}

/// Seconds to read, never shorter: spacings of times are not exact.
fn whole_milliseconds(seconds: f64) -> f64 {
    (1e3 * seconds - 1e-6).ceil() / 1e3
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Everything => f.write_str("all scans together"),
            Self::Scan => f.write_str("one scan"),
            Self::Seconds(s) => write!(f, "{} s", whole_milliseconds(*s)),
        }
    }
}

/// Whether polarisations, or windows, share their solutions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Sharing {
    /// Each has its own.
    #[default]
    Each,
    /// One for all of them (`gaintype='T'`, `combine='spw'`).
    Together,
}

/// One term of a chain.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TermChoice {
    /// What is solved for.
    pub kind: TermKind,
    /// Over which interval.
    pub interval: Interval,
    /// The parallel hands.
    pub polarisations: Sharing,
    /// The spectral windows.
    pub windows: Sharing,
}

impl fmt::Display for TermChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            TermKind::Delay => "delays",
            TermKind::Bandpass => "bandpass",
            TermKind::Phase => "phases",
            TermKind::Amplitude => "amplitudes",
            TermKind::Gains => "amplitudes and phases",
        };
        write!(f, "{kind} {}", self.interval)?;
        if self.polarisations == Sharing::Together {
            f.write_str(", both polarisations together")?;
        }
        if self.windows == Sharing::Together {
            f.write_str(", all windows together")?;
        }
        Ok(())
    }
}

/// A chain that was tried, oldest first in a history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tried {
    /// Its terms; empty where the program cannot tell them from the options.
    pub chain: Vec<TermChoice>,
    /// The round was accepted.
    pub accepted: bool,
    /// Dynamic range of the accepted image that it was solved against.
    pub before: f64,
    /// Gain in dynamic range over that, a fraction; -1 where the tables were refused before they were imaged.
    pub gain: f64,
    /// How much its image differs from that one, in the noise; none where that is not known.
    pub change: Option<f64>,
    /// Its tables.
    pub solutions: SolutionStats,
}

/// A chain that was not chosen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Weighed {
    /// Which one.
    pub what: String,
    /// Why another was chosen.
    pub why_not: String,
}

/// What a campaign's calibration ended at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Limit {
    /// Shorter intervals would have too low an S/N.
    SignalToNoise,
    /// Gains are solved for each integration.
    IntegrationTime,
    /// The image's noise is the theoretical one.
    Noise,
    /// Nothing that was tried gained anything.
    NoGain,
    /// The limit of rounds.
    Rounds,
    /// No source with enough S/N.
    NothingToCalibrateOn,
}

/// The next chain, or why none is worth it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Choice {
    /// Solve.
    Solve {
        /// The terms, in the order in which they are solved.
        chain: Vec<TermChoice>,
        /// Why this one.
        why: String,
        /// The alternatives.
        weighed: Vec<Weighed>,
    },
    /// There is nothing worth trying.
    Stop {
        /// Why.
        why: String,
        /// What ended it.
        limit: Limit,
    },
}
