//! Decides whether a round is kept, undone, tried again with relaxed settings, or the last one. Pure functions of metrics.
//!
//! Rounds are ranked by the peak over the standard deviation of the residual outside the mask, which follows the true error
//! of an image. The rules extend those of NRAO's auto_selfcal (accept when the S/N does not fall, the beam grows by less
//! than 5 % and the noise rises by less than 5 %; tolerate a small loss for the first, longest interval) and CARACal (stop
//! when the statistics change by less than 2 %). docs/acceptance.md explains each with its source or measurement.
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
pub use history::{best_accepted, clearly_better, last_accepted, why_best};
pub use options::AcceptanceOptions;

use comparison::comparison;
use convergence::convergence;
use divergence::divergence;
use retry::after_failure;
use soundness::{solutions, soundness};

/// Dynamic ranges that differ by less than this fraction are decided by the noise of the image; the near field then tells
/// which is better calibrated.
const EQUALLY_GOOD: f64 = 0.02;

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
        None => reasons.push(first_round(candidate)),
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

fn first_round(candidate: &RoundMetrics) -> Reason {
    let (range, noise) = (candidate.image.dynamic_range, candidate.image.noise);
    let words = format!(
        "first image: dynamic range {}, noise {} Jy/beam; there is nothing to compare it with",
        number(range),
        number(noise)
    );
    Reason { after: Some(range), ..Reason::plain(Rule::FirstRound, true, words) }
}

/// Judges a round by its tables alone, before they are applied: `None` lets it go on, a decision refuses it.
/// Only what is known of the calibration is looked at, not the image.
pub fn judge_solutions(
    history: &[RoundOutcome],
    candidate: &RoundMetrics,
    options: &AcceptanceOptions,
) -> Option<Decision> {
    let mut reasons = solutions(candidate, options);
    if reasons.iter().all(|r| r.passed) {
        return None;
    }
    let next = after_failure(history, candidate, &mut reasons, Verdict::Rejected, options);
    Some(Decision { verdict: Verdict::Rejected, reasons, next })
}

/// Refuses a round that has too few directions to be solved for.
pub fn without_directions(why: &str) -> Decision {
    let reasons = vec![Reason::plain(Rule::Directions, false, why)];
    Decision { verdict: Verdict::Rejected, reasons, next: Next::Stop }
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
