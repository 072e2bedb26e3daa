//! Statistics of gain solutions, as calibrators report them and acceptance and report read them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Kind of a term: what one solve of a chain solves for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TermKind {
    /// Delays.
    Delay,
    /// Amplitudes and phases against frequency.
    Bandpass,
    /// Phases.
    #[default]
    Phase,
    /// Amplitudes.
    Amplitude,
    /// Amplitudes and phases.
    Gains,
}

impl TermKind {
    /// Its name, which is also that of a term without one.
    pub fn name(self) -> &'static str {
        match self {
            Self::Delay => "delay",
            Self::Bandpass => "bandpass",
            Self::Phase => "phase",
            Self::Amplitude => "amplitude",
            Self::Gains => "gains",
        }
    }

    /// Whether it changes amplitudes.
    pub fn amplitudes(self) -> bool {
        matches!(self, Self::Bandpass | Self::Amplitude | Self::Gains)
    }
}

impl fmt::Display for TermKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Statistics of one round's tables.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct SolutionStats {
    /// Solutions, over antennas, times, polarisations and tables.
    pub solutions: usize,
    /// Fraction of them that is flagged, 0 to 1; of the term where it is largest.
    pub flagged_fraction: f64,
    /// Median S/N of the unflagged ones; of the term where it is lowest.
    pub median_snr: Option<f64>,
    /// Scatter (robust standard deviation) of the phase about each antenna's mean, degrees, median over antennas; of the
    /// term where it is largest.
    pub phase_scatter_deg: Option<f64>,
    /// Scatter of the amplitude about each antenna's mean, relative, median over antennas; of the term where it is
    /// largest.
    pub amplitude_scatter: Option<f64>,
    /// By term, in the order of the chain.
    pub terms: Vec<TermStats>,
    /// By antenna, in the order of the antenna table.
    pub antennas: Vec<AntennaSolutions>,
    /// Antennas whose solutions are of no use, which get identity gains: their data stay as they are.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub identity_gains: Vec<IdentityGainAntenna>,
}

/// Statistics of the solutions of one term.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct TermStats {
    /// Name of the term.
    pub term: String,
    /// Its kind.
    pub kind: TermKind,
    /// Solution interval, as given to the calibrator.
    pub solint: String,
    /// Solutions, over antennas, times, polarisations and tables.
    pub solutions: usize,
    /// Fraction of them that is flagged, 0 to 1.
    pub flagged_fraction: f64,
    /// Median S/N of the unflagged ones.
    pub median_snr: Option<f64>,
    /// Scatter of the phase about each antenna's mean, degrees, median over antennas.
    pub phase_scatter_deg: Option<f64>,
    /// Scatter of the amplitude about each antenna's mean, relative, median over antennas.
    pub amplitude_scatter: Option<f64>,
    /// Phases of the two polarisations; `None`: there is one, or they were solved together.
    pub polarisation_difference: Option<Difference>,
    /// Phases of spectral windows; `None`: there is one, or they were solved together.
    pub window_difference: Option<Difference>,
    /// Delays; `None`: the term has none.
    pub delay_ns: Option<DelayStats>,
}

/// Difference of the phases of two polarisations (or windows) of the same antenna and time, after the mean over all
/// antennas at that time is taken out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Difference {
    /// Median of its absolute value, degrees.
    pub measured_deg: f64,
    /// What noise alone gives at the S/N of these solutions, degrees: the median of 0.6745 sqrt(2) / (S/N) radians, with
    /// the S/N of both (0.6745 is the median of |x| of a normal distribution).
    pub expected_deg: f64,
}

/// Delays of a term.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct DelayStats {
    /// Median of their absolute values, after the mean over all antennas at a time is taken out, ns.
    pub median_abs_ns: f64,
    /// Error of one delay, ns: from the difference of the two polarisations of the same antenna and time (or else of
    /// neighbouring windows), as gaincal gives delays no S/N. `None`: each was measured once.
    pub error_ns: Option<f64>,
}

/// An antenna with identity gains: its data stay as they are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct IdentityGainAntenna {
    /// Antenna name.
    pub name: String,
    /// The term whose gains these are; empty where a round has one solve.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub term: String,
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
        self.terms.iter_mut().for_each(|term| term.flagged_fraction = self.flagged_fraction);
        self.identity_gains = antennas;
    }

    /// The statistics of a chain from those of its terms, in the order of the chain.
    pub fn of_chain(terms: Vec<Self>) -> Self {
        let mut terms = terms.into_iter();
        let mut all = terms.next().unwrap_or_default();
        terms.for_each(|term| all.add_term(term));
        all
    }

    /// Adds the next term of the chain.
    fn add_term(&mut self, term: Self) {
        let larger = |a: Option<f64>, b: Option<f64>| a.into_iter().chain(b).reduce(f64::max);
        self.solutions += term.solutions;
        self.flagged_fraction = self.flagged_fraction.max(term.flagged_fraction);
        self.median_snr = weaker(self.median_snr, term.median_snr);
        self.phase_scatter_deg = larger(self.phase_scatter_deg, term.phase_scatter_deg);
        self.amplitude_scatter = larger(self.amplitude_scatter, term.amplitude_scatter);
        self.terms.extend(term.terms);
        self.identity_gains.extend(term.identity_gains);
        let tables = self.antennas.iter().flat_map(|a| &a.series).map(|s| s.table + 1).max().unwrap_or(0);
        for mut antenna in term.antennas {
            antenna.series.iter_mut().for_each(|series| series.table += tables);
            match self.antennas.iter_mut().find(|a| a.name == antenna.name) {
                Some(same) => same.add_term(antenna),
                None => self.antennas.push(antenna),
            }
        }
    }
}

/// The lower of two S/N; one that is not known does not count.
fn weaker(a: Option<f64>, b: Option<f64>) -> Option<f64> {
    a.into_iter().chain(b).reduce(f64::min)
}

impl AntennaSolutions {
    /// Adds its solutions of the next term.
    fn add_term(&mut self, term: Self) {
        self.flagged_fraction = self.flagged_fraction.max(term.flagged_fraction);
        self.median_snr = weaker(self.median_snr, term.median_snr);
        self.series.extend(term.series);
    }
}

/// Solutions of one antenna (first table and polarisation first, time ascending within).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct AntennaSolutions {
    /// Antenna name.
    pub name: String,
    /// Fraction flagged, 0 to 1; of the term where it is largest.
    pub flagged_fraction: f64,
    /// Median S/N of the unflagged solutions; of the term where it is lowest.
    pub median_snr: Option<f64>,
    /// Series for plots, one per table and polarisation.
    pub series: Vec<GainSeries>,
}

/// Gains of one antenna, polarisation and channel range against time.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
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
        stats.set_identity_gains(vec![IdentityGainAntenna {
            name: "a".into(),
            term: String::new(),
            why: "noise".into(),
        }]);
        assert_eq!((stats.flagged_fraction, stats.identity_gains.len()), (0.5, 1));
    }

    #[test]
    fn a_chain_is_as_weak_as_its_weakest_term() {
        let term = |term: &str, solutions, flagged_fraction, snr| SolutionStats {
            solutions,
            flagged_fraction,
            median_snr: Some(snr),
            terms: vec![TermStats { term: term.into(), ..TermStats::default() }],
            antennas: vec![AntennaSolutions {
                name: "a".into(),
                flagged_fraction,
                median_snr: Some(snr),
                series: vec![GainSeries::default(), GainSeries { table: 1, ..GainSeries::default() }],
            }],
            ..SolutionStats::default()
        };
        let chain = SolutionStats::of_chain(vec![term("phase", 10, 0.1, 9.0), term("gains", 4, 0.3, 20.0)]);
        assert_eq!((chain.solutions, chain.flagged_fraction, chain.median_snr), (14, 0.3, Some(9.0)));
        let [antenna] = &chain.antennas[..] else { panic!("one antenna") };
        assert_eq!((antenna.flagged_fraction, antenna.median_snr), (0.3, Some(9.0)));
        let tables: Vec<usize> = antenna.series.iter().map(|s| s.table).collect();
        assert_eq!(tables, [0, 1, 2, 3], "series keep the table that they came from");
        let names: Vec<&str> = chain.terms.iter().map(|t| t.term.as_str()).collect();
        assert_eq!(names, ["phase", "gains"]);
        assert_eq!(SolutionStats::of_chain(Vec::new()), SolutionStats::default());
    }
}
