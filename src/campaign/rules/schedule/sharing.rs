//! One solution for both polarisations, or for all windows: the S/N is that of all of them, the error what they differ by.

use super::course::{Candidate, Course};
use super::estimate::HARDLY_FLAGGED;
use super::{Sharing, TermChoice};
use crate::quality::solutions::{Difference, TermKind, TermStats};

/// Median difference of two phases by noise alone, radians, times the S/N of each: 0.6745 (the median of |x| of a normal
/// distribution) times sqrt(2).
const MEDIAN_DIFFERENCE: f64 = 0.6745 * std::f64::consts::SQRT_2;

impl Course<'_> {
    /// The term with the sharing that is best at its interval.
    ///
    /// Two phases that differ by D, each with an error s, are better replaced by their mean when D < sqrt(2) s: the mean
    /// misses each by D / 2, and has an error of s / sqrt(2). The tables give the median difference that was measured; noise
    /// alone makes one of sqrt(2) s, by the S/N as it is known now: against a poor model it was underestimated, while the
    /// difference of two hands does not feel the model. What is left is D. Where nothing was measured, the sharing stays.
    pub(super) fn shared_well(&self, term: TermChoice) -> TermChoice {
        let mut best = TermChoice { polarisations: Sharing::Each, windows: Sharing::Each, ..term };
        if self.observation.polarisations > 1 {
            best.polarisations = self.best_sharing(&best, term.polarisations, |s| s.polarisation_difference);
        }
        if self.observation.windows > 1 && self.observation.windows_combine {
            best.windows = self.best_sharing(&best, term.windows, |s| s.window_difference);
        }
        best
    }

    fn best_sharing(
        &self,
        separate: &TermChoice,
        otherwise: Sharing,
        difference: impl Fn(&TermStats) -> Option<Difference>,
    ) -> Sharing {
        let measured = self.state.history.iter().rev().find_map(|tried| {
            let terms = tried.chain.iter().zip(&tried.solutions.terms);
            terms.filter_map(|(choice, stats)| Some((*choice, difference(stats)?))).next_back()
        });
        let Some((choice, Difference { measured_deg, .. })) = measured else { return otherwise };
        let noise = |term: &TermChoice| (MEDIAN_DIFFERENCE.to_degrees() / self.snr(term)).powi(2);
        let own = (measured_deg.powi(2) - noise(&choice)).max(0.0);
        if own < noise(separate) { Sharing::Together } else { Sharing::Each }
    }

    /// The term, and the same with more S/N by solving more together: first the polarisations, then the windows, too,
    /// unless they are known to differ.
    pub(super) fn shared_more(&self, term: TermChoice) -> Vec<TermChoice> {
        let mut all = vec![term];
        let o = self.observation;
        let together = TermChoice { polarisations: Sharing::Together, windows: Sharing::Together, ..term };
        let best = self.shared_well(together);
        if o.polarisations > 1 && term.polarisations == Sharing::Each && best.polarisations == Sharing::Together {
            all.push(TermChoice { polarisations: Sharing::Together, ..term });
        }
        let windows = o.windows > 1 && o.windows_combine && term.windows == Sharing::Each;
        if windows && best.windows == Sharing::Together {
            let last = *all.last().expect("it has one");
            all.push(TermChoice { windows: Sharing::Together, ..last });
        }
        all
    }

    /// What follows a rejected attempt whose solutions were weak: the same with more solved together.
    pub(super) fn fallbacks(&self) -> Vec<Candidate> {
        let mut all = Vec::new();
        for failed in self.state.against_this_model() {
            for (k, term) in failed.chain.iter().enumerate() {
                let flagged = failed.solutions.terms.get(k).map_or(0.0, |t| t.flagged_fraction);
                let weak = matches!(term.kind, TermKind::Phase | TermKind::Gains)
                    && (self.snr(term) < self.options.start_snr || flagged > HARDLY_FLAGGED);
                for shared in self.shared_more(*term).into_iter().skip(1).filter(|_| weak) {
                    let mut chain = failed.chain.clone();
                    chain[k] = shared;
                    let what = format!("{term} failed with weak solutions: more is solved together");
                    all.push(Candidate::new(chain, what));
                }
            }
        }
        all
    }
}
