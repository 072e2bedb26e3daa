//! Judgement of solution tables: useless tables, hopeless antennas.

use super::SolintOptions;
use crate::quality::solutions::{AntennaSolutions, SolutionStats};

/// A hopeless antenna's S/N is below this part of the array's median.
const HOPELESS_SHARE: f64 = 0.5;

/// Why tables must not be applied: they hold no solution, or are mostly flagged.
/// Of a calibrator that keeps its solutions to itself nothing is refused.
pub fn refused(solutions: &SolutionStats, options: &SolintOptions) -> Option<String> {
    if solutions.are_unknown() {
        return None;
    }
    if solutions.solutions == 0 {
        return Some("the tables hold no solution".into());
    }
    (solutions.flagged_fraction > options.flagged_solutions).then(|| {
        format!(
            "{:.0} % of the solutions are flagged, {:.0} % are allowed",
            100.0 * solutions.flagged_fraction,
            100.0 * options.flagged_solutions
        )
    })
}

/// Antennas whose solutions are of no use, with the reason: they should pass through uncorrected rather than be lost.
/// A low S/N counts only where the array's is better: in a faint field all antennas are alike.
pub fn hopeless_antennas(solutions: &SolutionStats, options: &SolintOptions) -> Vec<(String, String)> {
    let mut all: Vec<f64> = solutions.antennas.iter().filter_map(|a| a.median_snr).collect();
    all.sort_unstable_by(f64::total_cmp);
    let array = all.get(all.len() / 2).copied().unwrap_or(0.0);
    let why = |a: &AntennaSolutions| {
        if a.flagged_fraction > options.hopeless_flagged {
            return Some(format!("{:.0} % of its solutions are flagged", 100.0 * a.flagged_fraction));
        }
        let snr = a.median_snr.filter(|&snr| snr < options.min_snr && snr < HOPELESS_SHARE * array)?;
        Some(format!("median S/N of its solutions is {snr:.1}, that of all antennas {array:.1}"))
    };
    solutions.antennas.iter().filter_map(|a| Some((a.name.clone(), why(a)?))).collect()
}
