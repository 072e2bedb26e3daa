//! Decides whether a round is kept, undone, tried again with relaxed settings, or the last one. Pure functions of metrics.
//!
//! The rules extend those of NRAO's auto_selfcal (accept when the S/N does not fall, the beam grows by less than
//! 5 % and the noise rises by less than 5 %; tolerate a small loss for the first, longest interval) and CARACal
//! (stop when the statistics change by less than 2 %). docs/acceptance.md explains each with its source.
//!
//! A further rule takes a variant of [`Rule`], a limit in [`AcceptanceOptions`], and a [`Reason`] from the file that it
//! belongs to: `soundness` (a round by itself), `divergence` or `comparison` (with the last accepted round): three
//! places. Record and report show its name.

mod comparison;
mod convergence;
mod decision;
mod divergence;
mod history;
mod options;
mod retry;
mod soundness;
#[cfg(test)]
mod tests;

pub use decision::{Decision, Next, Reason, Relaxation, RoundMetrics, RoundOutcome, Rule, Verdict};
pub use history::{best_accepted, last_accepted, why_best};
pub use options::AcceptanceOptions;

use comparison::comparison;
use convergence::convergence;
use divergence::divergence;
use retry::after_failure;
use soundness::{flagged_solutions, soundness};

/// Judges a round against the last accepted one of `history` (oldest first, the candidate not in it).
pub fn judge(history: &[RoundOutcome], candidate: &RoundMetrics, options: &AcceptanceOptions) -> Decision {
    let reference = last_accepted(history);
    let mut reasons = soundness(candidate, options);
    let diverged = match reference {
        Some(r) => divergence(&r.metrics, candidate, options),
        None => Vec::new(),
    };
    let has_diverged = candidate.image.non_finite || diverged.iter().any(|r| !r.passed);
    reasons.extend(diverged);
    match reference {
        Some(r) => reasons.extend(comparison(&r.metrics, candidate, options)),
        None => reasons.push(Reason {
            rule: Rule::FirstRound,
            passed: true,
            before: None,
            after: Some(candidate.image.dynamic_range),
            limit: None,
            words: format!(
                "first image: dynamic range {}, rms {} Jy/beam; there is nothing to compare it with",
                number(candidate.image.dynamic_range),
                number(candidate.image.rms)
            ),
        }),
    }
    if reasons.iter().all(|r| r.passed) {
        let (converged, reason) = convergence(history, candidate, options);
        reasons.extend(reason);
        return if converged {
            Decision { verdict: Verdict::Converged, reasons, next: Next::Stop }
        } else {
            Decision { verdict: Verdict::Accepted, reasons, next: Next::Continue }
        };
    }
    let verdict = if has_diverged { Verdict::Diverged } else { Verdict::Rejected };
    let next = after_failure(history, candidate, &mut reasons, verdict, options);
    Decision { verdict, reasons, next }
}

/// Judges a round by its tables alone, before they are applied: `None` lets it go on, a decision refuses it.
/// Only `solutions` and `amplitudes` of the candidate are looked at.
pub fn judge_solutions(
    history: &[RoundOutcome],
    candidate: &RoundMetrics,
    options: &AcceptanceOptions,
) -> Option<Decision> {
    let reason = flagged_solutions(candidate.solutions.as_ref().filter(|s| !s.are_unknown())?, options);
    if reason.passed {
        return None;
    }
    let mut reasons = vec![reason];
    let next = after_failure(history, candidate, &mut reasons, Verdict::Rejected, options);
    Some(Decision { verdict: Verdict::Rejected, reasons, next })
}

/// Four significant digits, without needless zeros.
fn number(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return value.to_string();
    }
    if !(1e-4..1e7).contains(&value.abs()) {
        return format!("{value:.3e}");
    }
    let digits = (3 - value.abs().log10().floor() as i32).max(0) as usize;
    let text = format!("{value:.digits$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_string() } else { text }
}
