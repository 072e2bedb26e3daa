//! Rules that need no earlier round: finite pixels, measurable noise, a model, solutions that are certain and not flagged.

use super::{AcceptanceOptions, Reason, RoundMetrics, Rule, number};
use crate::quality::solutions::SolutionStats;

/// Rules about the tables: they must hold solutions, most of them unflagged, that stand out from the noise. Nothing is said
/// of solutions that the calibrator keeps to itself.
pub(super) fn solutions(candidate: &RoundMetrics, options: &AcceptanceOptions) -> Vec<Reason> {
    let Some(known) = candidate.solutions.as_ref().filter(|s| !s.are_unknown()) else { return Vec::new() };
    let mut reasons = vec![flagged_solutions(known, options)];
    reasons.extend(solution_snr(known, options));
    reasons
}

fn flagged_solutions(solutions: &SolutionStats, options: &AcceptanceOptions) -> Reason {
    let (after, limit) = (solutions.flagged_fraction, options.flagged_solutions);
    // A table without any solution is as useless as one that is flagged throughout.
    let passed = after <= limit && solutions.solutions > 0;
    let words = if solutions.solutions == 0 {
        "the tables hold no solution".to_string()
    } else {
        format!("{:.1} % of {} solutions flagged, {:.1} % allowed", 100.0 * after, solutions.solutions, 100.0 * limit)
    };
    Reason { after: Some(after), limit: Some(limit), ..Reason::plain(Rule::FlaggedSolutions, passed, words) }
}

fn solution_snr(solutions: &SolutionStats, options: &AcceptanceOptions) -> Option<Reason> {
    let (after, limit) = (solutions.median_snr?, options.solution_snr);
    let words = format!("median S/N of the solutions {}, at least {} needed", number(after), number(limit));
    let reason = Reason::plain(Rule::SolutionSnr, after >= limit, words);
    Some(Reason { after: Some(after), limit: Some(limit), ..reason })
}

/// Rules that need no earlier round.
pub(super) fn soundness(candidate: &RoundMetrics, options: &AcceptanceOptions) -> Vec<Reason> {
    let image = &candidate.image;
    let mut reasons = vec![if image.non_finite {
        let words = "image or model hold infinite values, NaN in the model, or no number at all";
        Reason::plain(Rule::Finite, false, words)
    } else {
        Reason::plain(Rule::Finite, true, "image and model are finite")
    }];
    if !image.non_finite && image.rms <= 0.0 {
        let words = "no noise could be measured outside the mask (rms is 0)";
        reasons.push(Reason::plain(Rule::NoiseMeasured, false, words));
    }
    if let Some(model) = image.model {
        let words = format!("the model holds {} components, {} Jy", model.components, number(model.total_flux));
        let words = if model.components == 0 { "the model is empty".to_string() } else { words };
        reasons.push(Reason::plain(Rule::ModelNotEmpty, model.components > 0, words));
    }
    reasons.extend(solutions(candidate, options));
    reasons
}
