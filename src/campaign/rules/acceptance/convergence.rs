//! The end for want of progress.

use super::{AcceptanceOptions, Reason, RoundMetrics, RoundOutcome, Rule, number};

/// Whether the last accepted rounds, the candidate included, brought no progress; the reason where one is due.
pub(super) fn convergence(
    history: &[RoundOutcome],
    candidate: &RoundMetrics,
    options: &AcceptanceOptions,
) -> (bool, Option<Reason>) {
    let mut ranges: Vec<f64> =
        history.iter().filter(|o| o.decision.verdict.is_accepted()).map(|o| o.metrics.image.dynamic_range).collect();
    ranges.push(candidate.image.dynamic_range);
    // The gain is over the best so far: a fall and a return to where one was are no progress.
    let mut best = ranges[0];
    let mut gains = Vec::new();
    for &range in &ranges[1..] {
        gains.push(if best > 0.0 { range / best - 1.0 } else { f64::INFINITY });
        best = best.max(range);
    }
    let idle = gains.iter().rev().take_while(|&&g| g < options.converged_gain).count();
    let needed = options.converged_rounds;
    if needed == 0 || idle < needed {
        return (false, None);
    }
    let listed: Vec<String> = gains[gains.len() - idle..].iter().map(|g| format!("{:+.1} %", 100.0 * g)).collect();
    let mut words = format!(
        "gains in dynamic range of the last {idle} accepted rounds {} are below {} %",
        listed.join(", "),
        number(100.0 * options.converged_gain)
    );
    // Where the program chooses what to solve for, it also knows when nothing is left to try.
    let more = candidate.more_to_try || candidate.interval_chosen;
    if more {
        words.push_str("; other settings are still to be tried");
    }
    let reason = Reason {
        after: gains.last().copied(),
        limit: Some(options.converged_gain),
        ..Reason::plain(Rule::Convergence, true, words)
    };
    (!more, Some(reason))
}
