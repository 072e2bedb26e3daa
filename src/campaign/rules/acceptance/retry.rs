//! After a rejected round: another attempt with relaxed settings, or the end.

use super::{AcceptanceOptions, Next, Reason, Relaxation, RoundMetrics, RoundOutcome, Rule, Verdict, last_accepted};

/// Rules whose failure makes the next masks stricter.
const IMAGE_IS_WORSE: [Rule; 6] =
    [Rule::DynamicRange, Rule::NearField, Rule::Negative, Rule::Rms, Rule::RmsDiverged, Rule::FluxDiverged];

/// Retry or stop, and with which changes.
pub(super) fn after_failure(
    history: &[RoundOutcome],
    candidate: &RoundMetrics,
    reasons: &mut Vec<Reason>,
    verdict: Verdict,
    options: &AcceptanceOptions,
) -> Next {
    let nothing_to_go_back_to = last_accepted(history).is_none();
    if nothing_to_go_back_to || (verdict == Verdict::Diverged && !options.retry_diverged && !candidate.interval_chosen)
    {
        return Next::Stop;
    }
    let failed = |rule: Rule| reasons.iter().any(|r| r.rule == rule && !r.passed);
    let cal_only = (candidate.solutions.is_some() && failed(Rule::BeamArea)).then_some(Relaxation::CalOnly);
    if candidate.interval_chosen {
        // The schedule takes the failure into account, and ends by itself.
        return Next::RetryRelaxed { changes: [Relaxation::ChooseAgain].into_iter().chain(cal_only).collect() };
    }
    let tried = history.iter().rev().take_while(|o| !o.decision.verdict.is_accepted()).count();
    if tried >= options.retries {
        if options.retries > 0 {
            let words = format!("relaxed settings were tried {tried} time{} without success", plural(tried));
            let reason = Reason::plain(Rule::Retries, false, words);
            reasons.push(Reason { after: Some(tried as f64), limit: Some(options.retries as f64), ..reason });
        }
        return Next::Stop;
    }
    let mut changes = Vec::new();
    if candidate.solutions.is_some() || candidate.by_direction {
        changes.push(Relaxation::LongerInterval { factor: options.retry_interval_factor });
        if candidate.amplitudes {
            changes.push(Relaxation::PhaseOnly);
        }
        changes.extend(cal_only);
    }
    // A mask that is already too strict for the model is not made stricter; bad tables are no fault of the mask.
    if !failed(Rule::ModelNotEmpty) && IMAGE_IS_WORSE.into_iter().any(failed) {
        changes.push(Relaxation::ConservativeMask { factor: options.retry_mask_factor });
    }
    if changes.is_empty() { Next::Stop } else { Next::RetryRelaxed { changes } }
}

fn plural(n: usize) -> &'static str {
    if n == 1 { "" } else { "s" }
}
