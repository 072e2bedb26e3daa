//! After a rejected round: another attempt with relaxed settings, or the end.

use super::{AcceptanceOptions, Next, Reason, Relaxation, RoundMetrics, RoundOutcome, Rule, Verdict, last_accepted};

/// Retry or stop, and with which changes.
pub(super) fn after_failure(
    history: &[RoundOutcome],
    candidate: &RoundMetrics,
    reasons: &mut Vec<Reason>,
    verdict: Verdict,
    options: &AcceptanceOptions,
) -> Next {
    let tried = history.iter().rev().take_while(|o| !o.decision.verdict.is_accepted()).count();
    let nothing_to_go_back_to = last_accepted(history).is_none();
    if nothing_to_go_back_to || (verdict == Verdict::Diverged && !options.retry_diverged) {
        return Next::Stop;
    }
    if tried >= options.retries {
        if options.retries > 0 {
            reasons.push(Reason {
                rule: Rule::Retries,
                passed: false,
                before: None,
                after: Some(tried as f64),
                limit: Some(options.retries as f64),
                words: format!("relaxed settings were tried {tried} time{} without success", plural(tried)),
            });
        }
        return Next::Stop;
    }
    let failed = |rule: Rule| reasons.iter().any(|r| r.rule == rule && !r.passed);
    let mut changes = Vec::new();
    if candidate.solutions.is_some() {
        if candidate.interval_chosen {
            changes.push(Relaxation::ChooseAgain);
        } else {
            changes.push(Relaxation::LongerInterval { factor: options.retry_interval_factor });
            if candidate.amplitudes {
                changes.push(Relaxation::PhaseOnly);
            }
        }
        if failed(Rule::BeamArea) {
            changes.push(Relaxation::CalOnly);
        }
    }
    // A mask that is already too strict for the model is not made stricter; bad tables are no fault of the mask.
    let image_is_worse = [Rule::DynamicRange, Rule::NearField, Rule::Rms, Rule::RmsDiverged, Rule::FluxDiverged];
    if !failed(Rule::ModelNotEmpty) && image_is_worse.into_iter().any(failed) {
        changes.push(Relaxation::ConservativeMask { factor: options.retry_mask_factor });
    }
    if changes.is_empty() { Next::Stop } else { Next::RetryRelaxed { changes } }
}

fn plural(n: usize) -> &'static str {
    if n == 1 { "" } else { "s" }
}
