//! Rules that need no earlier round: finite pixels, measurable noise, a model, solutions that are certain and not flagged.

use super::{AcceptanceOptions, Reason, RoundMetrics, Rule, number};
use crate::quality::solutions::{SolutionStats, TermStats};

/// What is known of one solve.
struct Solved {
    /// ` of the term NAME`; empty where the round has one solve.
    of: String,
    solutions: usize,
    flagged_fraction: f64,
    median_snr: Option<f64>,
}

/// Rules about the tables: those of each term must hold solutions, most of them unflagged, that stand out from the noise.
/// Nothing is said of solutions that the calibrator keeps to itself.
pub(super) fn solutions(candidate: &RoundMetrics, options: &AcceptanceOptions) -> Vec<Reason> {
    let Some(known) = candidate.solutions.as_ref().filter(|s| !s.are_unknown()) else { return Vec::new() };
    let terms = solves_of(known);
    let most_flagged = terms.iter().reduce(|worst, t| if t.flagged() > worst.flagged() { t } else { worst });
    let weakest = terms
        .iter()
        // gaincal gives delays an S/N of 0: it has none for them.
        .filter_map(|t| Some((t.median_snr.filter(|snr| *snr > 0.0)?, t)))
        .reduce(|weakest, t| if t.0 < weakest.0 { t } else { weakest });
    most_flagged
        .map(|term| flagged_solutions(term, options))
        .into_iter()
        .chain(weakest.map(|(snr, term)| solution_snr(snr, term, options)))
        .collect()
}

/// The solves of a round: one for each term of a chain.
fn solves_of(known: &SolutionStats) -> Vec<Solved> {
    if known.terms.len() < 2 {
        return vec![Solved {
            of: String::new(),
            solutions: known.solutions,
            flagged_fraction: known.flagged_fraction,
            median_snr: known.median_snr,
        }];
    }
    let solved = |term: &TermStats| Solved {
        of: format!(" of the term {}", term.term),
        solutions: term.solutions,
        flagged_fraction: term.flagged_fraction,
        median_snr: term.median_snr,
    };
    known.terms.iter().map(solved).collect()
}

impl Solved {
    /// A table without any solution is as useless as one that is flagged throughout.
    fn flagged(&self) -> f64 {
        if self.solutions == 0 { 1.0 } else { self.flagged_fraction }
    }
}

fn flagged_solutions(term: &Solved, options: &AcceptanceOptions) -> Reason {
    let (after, limit) = (term.flagged(), options.flagged_solutions);
    let passed = after <= limit && term.solutions > 0;
    let words = if term.solutions == 0 {
        format!("the tables{} hold no solution", term.of)
    } else {
        let (percent, allowed) = (100.0 * after, 100.0 * limit);
        format!("{percent:.1} % of {} solutions{} flagged, {allowed:.1} % allowed", term.solutions, term.of)
    };
    Reason { after: Some(after), limit: Some(limit), ..Reason::plain(Rule::FlaggedSolutions, passed, words) }
}

fn solution_snr(snr: f64, term: &Solved, options: &AcceptanceOptions) -> Reason {
    let limit = options.solution_snr;
    let words = format!("median S/N of the solutions{} {}, at least {} needed", term.of, number(snr), number(limit));
    let reason = Reason::plain(Rule::SolutionSnr, snr >= limit, words);
    Reason { after: Some(snr), limit: Some(limit), ..reason }
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
        let passed = model.components > 0 || candidate.model_may_be_empty;
        reasons.push(Reason::plain(Rule::ModelNotEmpty, passed, words));
    }
    reasons.extend(solutions(candidate, options));
    reasons
}
