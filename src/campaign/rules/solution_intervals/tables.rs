//! Judgement of solution tables: useless tables, hopeless antennas, changes of the phases.

use super::{MIN_ANTENNAS, SolintOptions, Tried};
use crate::quality::solutions::{AntennaSolutions, GainSeries, SolutionStats};

/// A hopeless antenna's S/N is below this part of the array's median.
const HOPELESS_SHARE: f64 = 0.5;

/// The round was accepted, and its tables were not refused.
pub(super) fn usable(tried: &Tried, options: &SolintOptions) -> bool {
    tried.accepted && refused(&tried.solutions, options).is_none()
}

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

/// Change of the phases between the tables of the two last accepted phase rounds.
pub(super) fn settled_phases(kept: &[&Tried]) -> Option<f64> {
    let [.., before, after] = kept else { return None };
    phase_change_deg(&before.solutions, &after.solutions)
}

/// Median absolute change of the phases from one round's tables to the next's, degrees; `None` without common
/// unflagged solutions. Each solution is compared with the one nearest in time of the same antenna, polarisation and
/// table; what all antennas share at a time (another reference antenna) does not count.
pub fn phase_change_deg(before: &SolutionStats, after: &SolutionStats) -> Option<f64> {
    // (time, change) of all antennas, to take out what they share.
    let mut changes: Vec<(f64, f64)> = Vec::new();
    for antenna in &after.antennas {
        let Some(old) = before.antennas.iter().find(|a| a.name == antenna.name) else { continue };
        for series in &antenna.series {
            let same = |s: &&GainSeries| s.polarisation == series.polarisation && s.table == series.table;
            let Some(old) = old.series.iter().find(same) else { continue };
            for (time, phase) in unflagged(series) {
                let nearest = unflagged(old).min_by(|a, b| (a.0 - time).abs().total_cmp(&(b.0 - time).abs()));
                if let Some((_, reference)) = nearest {
                    changes.push((time, wrap(phase - reference)));
                }
            }
        }
    }
    if changes.is_empty() {
        return None;
    }
    changes.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut sizes: Vec<f64> = Vec::with_capacity(changes.len());
    for same_time in changes.chunk_by(|a, b| a.0 == b.0) {
        // The circular mean of a common turn; with fewer antennas than a solution needs, nothing is taken out.
        let (sin, cos) = same_time.iter().fold((0.0, 0.0), |(s, c), (_, d)| {
            let (sin, cos) = d.to_radians().sin_cos();
            (s + sin, c + cos)
        });
        let common = if same_time.len() >= MIN_ANTENNAS { sin.atan2(cos).to_degrees() } else { 0.0 };
        sizes.extend(same_time.iter().map(|(_, d)| wrap(d - common).abs()));
    }
    crate::kernels::order_statistics::median(&mut sizes)
}

fn unflagged(series: &GainSeries) -> impl Iterator<Item = (f64, f64)> + '_ {
    series
        .time_s
        .iter()
        .zip(&series.phase_deg)
        .enumerate()
        .filter(|(i, _)| !series.flagged.get(*i).copied().unwrap_or(false))
        .filter_map(|(_, (&time, &phase))| Some((time, phase?)))
}

/// Into (-180, 180].
fn wrap(degrees: f64) -> f64 {
    let turned = degrees.rem_euclid(360.0);
    if turned > 180.0 { turned - 360.0 } else { turned }
}
