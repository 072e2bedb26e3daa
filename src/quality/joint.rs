//! Statistics of the solutions of several measurement sets that are imaged together.

use super::solutions::{AntennaSolutions, DelayStats, Difference, IdentityGainAntenna, SolutionStats, TermStats};

impl SolutionStats {
    /// The statistics of the solutions of these measurement sets (name and statistics of each), as one.
    ///
    /// Solutions are counted together, and so is the fraction of them that is flagged. The S/N is the median: half of the
    /// solutions are better. Scatters and differences are the largest, as one measurement set that needs a solution of its
    /// own for each polarisation is reason enough. Antennas are named after their set (`night1:ea05`), without series.
    pub fn of_sets(sets: &[(&str, &Self)]) -> Self {
        if let [(_, only)] = sets {
            return (*only).clone();
        }
        let all = || sets.iter().map(|(_, stats)| *stats);
        let terms = all().map(|stats| stats.terms.len()).min().unwrap_or(0);
        let counted = |of: fn(&Self) -> (usize, f64, Option<f64>)| Counts::of(all().map(of));
        let counts = counted(|s| (s.solutions, s.flagged_fraction, s.median_snr));
        Self {
            solutions: counts.solutions,
            flagged_fraction: counts.flagged_fraction,
            median_snr: counts.median_snr,
            phase_scatter_deg: all().filter_map(|s| s.phase_scatter_deg).reduce(f64::max),
            amplitude_scatter: all().filter_map(|s| s.amplitude_scatter).reduce(f64::max),
            terms: (0..terms).map(|index| term(all().map(|stats| &stats.terms[index]))).collect(),
            antennas: sets.iter().flat_map(|(name, stats)| stats.antennas.iter().map(|a| of_set(name, a))).collect(),
            identity_gains: sets
                .iter()
                .flat_map(|(set, stats)| {
                    let named =
                        |a: &IdentityGainAntenna| IdentityGainAntenna { name: in_set(set, &a.name), ..a.clone() };
                    stats.identity_gains.iter().map(named)
                })
                .collect(),
        }
    }
}

/// Numbers of solutions together.
struct Counts {
    solutions: usize,
    flagged_fraction: f64,
    median_snr: Option<f64>,
}

impl Counts {
    /// From the number of solutions, the flagged fraction and the median S/N of each.
    fn of(each: impl Iterator<Item = (usize, f64, Option<f64>)> + Clone) -> Self {
        let solutions = each.clone().map(|(count, ..)| count).sum::<usize>();
        let flagged: f64 = each.clone().map(|(count, fraction, _)| count as f64 * fraction).sum();
        let good = |(count, fraction, snr): (usize, f64, Option<f64>)| Some((snr?, count as f64 * (1.0 - fraction)));
        Self {
            solutions,
            flagged_fraction: if solutions > 0 { flagged / solutions as f64 } else { 0.0 },
            median_snr: weighted_median(each.filter_map(good).collect()),
        }
    }
}

/// The value below which half of the weight lies; of two such values the lower.
fn weighted_median(mut values: Vec<(f64, f64)>) -> Option<f64> {
    values.sort_by(|a, b| a.0.total_cmp(&b.0));
    let half = values.iter().map(|(_, weight)| weight).sum::<f64>() / 2.0;
    let mut below = 0.0;
    values.into_iter().find_map(|(value, weight)| {
        below += weight;
        (below >= half).then_some(value)
    })
}

/// The same term of all measurement sets.
fn term<'a>(each: impl Iterator<Item = &'a TermStats> + Clone) -> TermStats {
    let counts = Counts::of(each.clone().map(|t| (t.solutions, t.flagged_fraction, t.median_snr)));
    let significance = |d: &Difference| d.measured_deg / d.expected_deg.max(f64::MIN_POSITIVE);
    let difference = |of: fn(&TermStats) -> Option<Difference>| {
        each.clone().filter_map(of).max_by(|a, b| significance(a).total_cmp(&significance(b)))
    };
    let first = each.clone().next().cloned().unwrap_or_default();
    TermStats {
        solutions: counts.solutions,
        flagged_fraction: counts.flagged_fraction,
        median_snr: counts.median_snr,
        phase_scatter_deg: each.clone().filter_map(|t| t.phase_scatter_deg).reduce(f64::max),
        amplitude_scatter: each.clone().filter_map(|t| t.amplitude_scatter).reduce(f64::max),
        polarisation_difference: difference(|t| t.polarisation_difference),
        window_difference: difference(|t| t.window_difference),
        delay_ns: each.clone().filter_map(|t| t.delay_ns).max_by(larger_delays),
        ..first
    }
}

fn larger_delays(a: &DelayStats, b: &DelayStats) -> std::cmp::Ordering {
    a.median_abs_ns.total_cmp(&b.median_abs_ns)
}

fn of_set(set: &str, antenna: &AntennaSolutions) -> AntennaSolutions {
    let AntennaSolutions { name, flagged_fraction, median_snr, .. } = antenna;
    let (flagged_fraction, median_snr) = (*flagged_fraction, *median_snr);
    AntennaSolutions { name: in_set(set, name), flagged_fraction, median_snr, series: Vec::new() }
}

/// The name of an antenna among those of several measurement sets.
fn in_set(set: &str, antenna: &str) -> String {
    format!("{set}:{antenna}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stats(solutions: usize, flagged_fraction: f64, snr: f64, polarisations_deg: f64) -> SolutionStats {
        let term = TermStats {
            term: "phase".into(),
            solutions,
            flagged_fraction,
            median_snr: Some(snr),
            polarisation_difference: Some(Difference { measured_deg: polarisations_deg, expected_deg: 2.0 }),
            ..TermStats::default()
        };
        let antenna = AntennaSolutions { name: "ea01".into(), median_snr: Some(snr), ..AntennaSolutions::default() };
        SolutionStats {
            solutions,
            flagged_fraction,
            median_snr: Some(snr),
            phase_scatter_deg: Some(snr),
            terms: vec![term],
            antennas: vec![antenna],
            ..SolutionStats::default()
        }
    }

    #[test]
    fn solutions_are_counted_together_and_differences_are_the_largest() {
        let (first, second, third) = (stats(300, 0.0, 10.0, 1.0), stats(100, 0.4, 30.0, 9.0), stats(0, 0.0, 1.0, 0.0));
        let all = SolutionStats::of_sets(&[("a", &first), ("b", &second), ("c", &third)]);
        assert_eq!((all.solutions, all.flagged_fraction, all.median_snr), (400, 0.1, Some(10.0)));
        assert_eq!(all.phase_scatter_deg, Some(30.0));
        let [term] = &all.terms[..] else { panic!("one term") };
        assert_eq!((term.term.as_str(), term.solutions, term.flagged_fraction), ("phase", 400, 0.1));
        assert_eq!(term.polarisation_difference.map(|d| d.measured_deg), Some(9.0));
        let names: Vec<&str> = all.antennas.iter().map(|a| a.name.as_str()).collect();
        assert_eq!(names, ["a:ea01", "b:ea01", "c:ea01"]);
        assert_eq!(SolutionStats::of_sets(&[("a", &first)]), first);
        assert_eq!(SolutionStats::of_sets(&[]), SolutionStats::default());
    }
}
