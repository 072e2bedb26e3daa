//! Which of the judged rounds counts.

use super::{EQUALLY_GOOD, RoundOutcome, number};
use crate::quality::metrics::ImageMetrics;

/// The last accepted round: the next one builds on it.
pub fn last_accepted(history: &[RoundOutcome]) -> Option<&RoundOutcome> {
    history.iter().rev().find(|o| o.decision.verdict.is_accepted())
}

/// The best accepted round, the campaign's product: the one of the highest dynamic range. Of those within 2 % of it, which
/// noise decides, the one of the highest near-field S/N; of equal ones the earliest.
pub fn best_accepted(history: &[RoundOutcome]) -> Option<&RoundOutcome> {
    let accepted = || history.iter().filter(|o| o.decision.verdict.is_accepted());
    let highest = accepted().map(|o| o.metrics.image.dynamic_range).fold(0.0, f64::max);
    let equally_good = || accepted().filter(|o| (1.0 + EQUALLY_GOOD) * o.metrics.image.dynamic_range >= highest);
    let known = equally_good().all(|o| o.metrics.image.near_field_snr.is_some());
    let merit = |o: &RoundOutcome| {
        let image = &o.metrics.image;
        image.near_field_snr.filter(|_| known).unwrap_or(image.dynamic_range)
    };
    equally_good().reduce(|best, o| if merit(o) > merit(best) { o } else { best })
}

/// An image is better than another of the same sky and calibration by more than noise decides.
pub fn clearly_better(image: &ImageMetrics, other: &ImageMetrics) -> bool {
    !image.non_finite && image.dynamic_range > (1.0 + EQUALLY_GOOD) * other.dynamic_range
}

/// Why [`best_accepted`] is the product, in a sentence; `None` when no round was accepted.
pub fn why_best(history: &[RoundOutcome]) -> Option<String> {
    let best = best_accepted(history)?;
    let accepted = history.iter().filter(|o| o.decision.verdict.is_accepted()).count();
    let dynamic_range = number(best.metrics.image.dynamic_range);
    let higher = history
        .iter()
        .filter(|o| o.decision.verdict.is_accepted())
        .any(|o| o.metrics.image.dynamic_range > best.metrics.image.dynamic_range);
    Some(if accepted == 1 {
        format!("round {} is the only accepted one; its dynamic range is {dynamic_range}", best.id.round)
    } else if higher {
        format!(
            "round {} has the highest near-field S/N, {}, of the rounds within {} % of the highest dynamic range; its own is \
             {dynamic_range}",
            best.id.round,
            number(best.metrics.image.near_field_snr.unwrap_or_default()),
            number(100.0 * EQUALLY_GOOD)
        )
    } else {
        format!(
            "round {} has the highest dynamic range, {dynamic_range}, of the {accepted} accepted rounds (noise {} Jy/beam)",
            best.id.round,
            number(best.metrics.image.noise)
        )
    })
}
