//! Which of the judged rounds counts.

use super::{RoundOutcome, number};

/// The last accepted round: the next one builds on it.
pub fn last_accepted(history: &[RoundOutcome]) -> Option<&RoundOutcome> {
    history.iter().rev().find(|o| o.decision.verdict.is_accepted())
}

/// The accepted round of the highest dynamic range, the earlier of equal ones: the campaign's product.
pub fn best_accepted(history: &[RoundOutcome]) -> Option<&RoundOutcome> {
    history.iter().filter(|o| o.decision.verdict.is_accepted()).fold(
        None,
        |best: Option<&RoundOutcome>, o| match best {
            Some(b) if b.metrics.image.dynamic_range >= o.metrics.image.dynamic_range => best,
            _ => Some(o),
        },
    )
}

/// Why [`best_accepted`] is the product, in a sentence; `None` when no round was accepted.
pub fn why_best(history: &[RoundOutcome]) -> Option<String> {
    let best = best_accepted(history)?;
    let accepted = history.iter().filter(|o| o.decision.verdict.is_accepted()).count();
    let dynamic_range = number(best.metrics.image.dynamic_range);
    Some(if accepted == 1 {
        format!("round {} is the only accepted one; its dynamic range is {dynamic_range}", best.id.round)
    } else {
        format!(
            "round {} has the highest dynamic range, {dynamic_range}, of the {accepted} accepted rounds (noise {} Jy/beam)",
            best.id.round,
            number(best.metrics.image.noise)
        )
    })
}
