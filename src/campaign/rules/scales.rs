//! When rounds clean with multi-scale.

use super::acceptance::RoundOutcome;

/// Part of the masked flux that must be in resolved islands. Of ten simulated fields, that of points alone had none, those
/// with one resolved source among many 0.04 (0.8 of 20 Jy), 0.12 to 0.17, those of extended emission 0.6 to 0.7.
const RESOLVED: f64 = 0.1;
/// Accepted rounds in a row in which it must be so: what gain errors scatter around points looks resolved at first (0.22 of
/// the flux at three times the peak in one uncalibrated image of points, none in the next).
const IN_A_ROW: usize = 2;

/// Whether the accepted rounds of the past show resolved sources. Once they did, it stays so.
pub(crate) fn are_resolved(history: &[RoundOutcome]) -> bool {
    let accepted = history.iter().filter(|outcome| outcome.decision.verdict.is_accepted());
    let resolved = accepted.map(|outcome| outcome.metrics.image.resolved_fraction.is_some_and(|part| part >= RESOLVED));
    resolved.collect::<Vec<bool>>().windows(IN_A_ROW).any(|rounds| rounds.iter().all(|resolved| *resolved))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaign::layout::AttemptId;
    use crate::campaign::rules::acceptance::{Decision, Next, RoundMetrics, Verdict};
    use crate::quality::metrics::ImageMetrics;

    fn history(rounds: &[(f64, Verdict)]) -> Vec<RoundOutcome> {
        let outcome = |(round, &(part, verdict)): (usize, &(f64, Verdict))| RoundOutcome {
            id: AttemptId::first(round),
            metrics: RoundMetrics {
                image: ImageMetrics { resolved_fraction: Some(part), ..ImageMetrics::default() },
                ..RoundMetrics::default()
            },
            decision: Decision { verdict, reasons: Vec::new(), next: Next::Continue },
        };
        rounds.iter().enumerate().map(outcome).collect()
    }

    #[test]
    fn two_accepted_rounds_in_a_row_show_resolved_sources_for_good() {
        use Verdict::{Accepted, Rejected};
        assert!(!are_resolved(&history(&[(0.3, Accepted), (0.0, Accepted), (0.04, Accepted), (0.04, Accepted)])));
        assert!(!are_resolved(&history(&[(0.0, Accepted), (0.6, Rejected), (0.6, Accepted)])));
        let mut rounds = vec![(0.0, Accepted), (0.6, Accepted), (0.1, Rejected), (0.6, Accepted)];
        assert!(are_resolved(&history(&rounds)));
        rounds.extend([(0.0, Accepted), (0.0, Accepted)]);
        assert!(are_resolved(&history(&rounds)));
    }
}
