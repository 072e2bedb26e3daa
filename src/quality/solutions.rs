//! Statistics of gain solutions, as calibrators report them and acceptance and report read them.

use serde::{Deserialize, Serialize};

/// Statistics of one round's tables.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SolutionStats {
    /// Solutions, over antennas, times, polarisations and tables.
    pub solutions: usize,
    /// Fraction of them that is flagged, 0 to 1.
    pub flagged_fraction: f64,
    /// Median S/N of the unflagged ones.
    pub median_snr: Option<f64>,
    /// Scatter (robust standard deviation) of the phase about each antenna's mean, degrees, median over antennas.
    pub phase_scatter_deg: Option<f64>,
    /// Scatter of the amplitude about each antenna's mean, relative, median over antennas.
    pub amplitude_scatter: Option<f64>,
    /// By antenna, in the order of the antenna table.
    pub antennas: Vec<AntennaSolutions>,
}

/// Solutions of one antenna (first table and polarisation first, time ascending within).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AntennaSolutions {
    /// Antenna name.
    pub name: String,
    /// Fraction flagged, 0 to 1.
    pub flagged_fraction: f64,
    /// Median S/N of the unflagged solutions.
    pub median_snr: Option<f64>,
    /// Series for plots, one a table and polarisation.
    pub series: Vec<GainSeries>,
}

/// Gains of one antenna, polarisation and channel range against time.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct GainSeries {
    /// Polarisation label (`R`, `L`, `X`, `Y`, or `0`, `1`).
    pub polarisation: String,
    /// Index of the table in the round's list.
    pub table: usize,
    /// Modified Julian date, seconds.
    pub time_s: Vec<f64>,
    /// Phase, degrees in (-180, 180]; `NaN` is stored as null.
    pub phase_deg: Vec<Option<f64>>,
    /// Amplitude.
    pub amplitude: Vec<Option<f64>>,
    /// Flag of each solution (the flagged ones are drawn, but not counted).
    pub flagged: Vec<bool>,
}
