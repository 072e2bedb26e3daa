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
    /// Antennas whose solutions are of no use, which get identity gains: their data stay as they are.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub identity_gains: Vec<IdentityGainAntenna>,
}

/// An antenna with identity gains: its data stay as they are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct IdentityGainAntenna {
    /// Antenna name.
    pub name: String,
    /// Why.
    pub why: String,
}

impl SolutionStats {
    /// Nothing is known: the calibrator keeps its solutions to itself. Tables without a solution name their antennas.
    pub fn are_unknown(&self) -> bool {
        self.solutions == 0 && self.antennas.is_empty()
    }

    /// Counts all solutions of these antennas as flagged, and notes why. What each antenna's own solutions were stays.
    pub fn set_identity_gains(&mut self, antennas: Vec<IdentityGainAntenna>) {
        let good: f64 = self
            .antennas
            .iter()
            .filter(|a| antennas.iter().any(|u| u.name == a.name))
            .map(|a| a.series.iter().map(|s| s.flagged.iter().filter(|f| !**f).count()).sum::<usize>() as f64)
            .sum();
        if self.solutions > 0 {
            self.flagged_fraction = (self.flagged_fraction + good / self.solutions as f64).min(1.0);
        }
        self.identity_gains = antennas;
    }
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
    /// Series for plots, one per table and polarisation.
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
    /// Delay, ns; empty where gains are no delays.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub delay_ns: Vec<Option<f64>>,
    /// Flag of each solution (the flagged ones are drawn, but not counted).
    pub flagged: Vec<bool>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn antennas_that_are_given_up_count_as_flagged() {
        let antenna = |name: &str, flagged: Vec<bool>| AntennaSolutions {
            name: name.into(),
            series: vec![GainSeries { flagged, ..GainSeries::default() }],
            ..AntennaSolutions::default()
        };
        let mut stats = SolutionStats {
            solutions: 8,
            flagged_fraction: 0.25,
            antennas: vec![antenna("a", vec![true, false, false, true]), antenna("b", vec![false; 4])],
            ..SolutionStats::default()
        };
        stats.set_identity_gains(vec![IdentityGainAntenna { name: "a".into(), why: "noise".into() }]);
        assert_eq!((stats.flagged_fraction, stats.identity_gains.len()), (0.5, 1));
    }
}
