//! Rules that need no earlier round: finite pixels, measurable noise, a model, solutions that are not flagged.

use super::{AcceptanceOptions, Reason, RoundMetrics, Rule, number};
use crate::quality::solutions::SolutionStats;

/// The tables must hold solutions, most of them unflagged.
pub(super) fn flagged_solutions(solutions: &SolutionStats, options: &AcceptanceOptions) -> Reason {
    let (after, limit) = (solutions.flagged_fraction, options.flagged_solutions);
    // A table without any solution is as useless as one that is flagged throughout.
    let passed = after <= limit && solutions.solutions > 0;
    let words = if solutions.solutions == 0 {
        "the tables hold no solution".to_string()
    } else {
        format!("{:.1} % of {} solutions flagged, {:.1} % allowed", 100.0 * after, solutions.solutions, 100.0 * limit)
    };
    Reason { rule: Rule::FlaggedSolutions, passed, before: None, after: Some(after), limit: Some(limit), words }
}

/// Rules that need no earlier round.
pub(super) fn soundness(candidate: &RoundMetrics, options: &AcceptanceOptions) -> Vec<Reason> {
    let image = &candidate.image;
    let plain = |rule, passed, words: &str| Reason {
        rule,
        passed,
        before: None,
        after: None,
        limit: None,
        words: words.to_string(),
    };
    let mut reasons = vec![if image.non_finite {
        plain(Rule::Finite, false, "image or model hold infinite values, NaN in the model, or no number at all")
    } else {
        plain(Rule::Finite, true, "image and model are finite")
    }];
    if !image.non_finite && image.rms <= 0.0 {
        reasons.push(plain(Rule::NoiseMeasured, false, "no noise could be measured outside the mask (rms is 0)"));
    }
    if let Some(model) = image.model {
        let words = format!("the model holds {} components, {} Jy", model.components, number(model.total_flux));
        let words = if model.components == 0 { "the model is empty".to_string() } else { words };
        reasons.push(plain(Rule::ModelNotEmpty, model.components > 0, &words));
    }
    let known = candidate.solutions.as_ref().filter(|s| !s.are_unknown());
    reasons.extend(known.map(|s| flagged_solutions(s, options)));
    reasons
}
