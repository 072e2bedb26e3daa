//! The history of attempts: the chain in force, what was tried, what it gained.

use super::{Interval, Observation, SolintOptions, TermChoice, Tried, refused};
use crate::quality::solutions::TermKind;

/// What was tried against a model is open again once the dynamic range has grown by this factor: the model is another.
const ANOTHER_MODEL: f64 = 1.5;

/// The search so far.
pub(super) struct State<'a> {
    /// All attempts, oldest first.
    pub(super) history: &'a [Tried],
    /// The chain that was kept last, as it was kept last.
    pub(super) current: Option<&'a Tried>,
    /// Dynamic range of the last accepted image; 0 before the first attempt.
    pub(super) dynamic_range: f64,
    /// Rejected attempts since the last accepted one.
    pub(super) rejected_in_a_row: usize,
    /// Rejected attempts.
    pub(super) rejected_in_all: usize,
}

impl<'a> State<'a> {
    pub(super) fn of(history: &'a [Tried], options: &SolintOptions) -> Self {
        let mut current: Option<&Tried> = None;
        for tried in history.iter().filter(|t| usable(t, options) && !t.chain.is_empty()) {
            if current.is_none_or(|c| is_kept(c, tried, options)) {
                current = Some(tried);
            }
        }
        let accepted = history.iter().rev().find(|t| t.accepted);
        let dynamic_range = accepted.map(|t| t.before * (1.0 + t.gain)).or_else(|| Some(history.last()?.before));
        Self {
            history,
            current,
            dynamic_range: dynamic_range.unwrap_or(0.0),
            rejected_in_a_row: history.iter().rev().take_while(|t| !t.accepted).count(),
            rejected_in_all: history.iter().filter(|t| !t.accepted).count(),
        }
    }

    /// Attempts against the model as it is now, or one nearly as good.
    pub(super) fn recent(&self) -> impl Iterator<Item = &'a Tried> + use<'a> {
        let now = self.dynamic_range;
        self.history.iter().filter(move |t| now < ANOTHER_MODEL * t.before)
    }

    /// The attempt is one of those, or the model that it made is the one of now, or one nearly as good.
    pub(super) fn is_recent(&self, tried: &Tried) -> bool {
        self.dynamic_range < ANOTHER_MODEL * tried.before * (1.0 + tried.gain)
    }

    /// Attempts against the very model of the next one: they were rejected.
    pub(super) fn against_this_model(&self) -> impl Iterator<Item = &'a Tried> + use<'a> {
        self.history[self.history.len() - self.rejected_in_a_row..].iter()
    }

    /// The attempt at this chain against a model as good as this.
    pub(super) fn tried(&self, chain: &[TermChoice]) -> Option<&'a Tried> {
        self.recent().filter(|t| t.chain == chain).last()
    }

    /// The last accepted attempt.
    pub(super) fn last_accepted(&self) -> Option<&'a Tried> {
        self.history.iter().rev().find(|t| t.accepted)
    }

    /// The gain of the last accepted attempt.
    pub(super) fn last_gain(&self) -> f64 {
        self.last_accepted().map_or(0.0, |t| t.gain)
    }
}

/// The round was accepted, and its tables were not refused.
pub(super) fn usable(tried: &Tried, options: &SolintOptions) -> bool {
    tried.accepted && refused(&tried.solutions, options).is_none()
}

/// An accepted chain takes the place of the one in force when it is no worse; with a further term of its own
/// (delays, a bandpass) when it is better.
fn is_kept(current: &Tried, tried: &Tried, options: &SolintOptions) -> bool {
    let is_new = |kind: &TermKind| has(&tried.chain, *kind) && !has(&current.chain, *kind);
    let further = [TermKind::Delay, TermKind::Bandpass].iter().any(is_new);
    tried.gain >= if further { options.min_gain } else { 0.0 }
}

/// The chain has a term of a kind.
pub(super) fn has(chain: &[TermChoice], kind: TermKind) -> bool {
    chain.iter().any(|t| t.kind == kind)
}

/// The term that follows the phases fastest.
pub(super) fn fastest(chain: &[TermChoice], observation: &Observation) -> Option<TermChoice> {
    let phases = chain.iter().filter(|t| matches!(t.kind, TermKind::Phase | TermKind::Gains));
    phases.copied().min_by(|a, b| length(a.interval, observation).total_cmp(&length(b.interval, observation)))
}

/// The term with the amplitudes.
pub(super) fn amplitudes(chain: &[TermChoice]) -> Option<TermChoice> {
    chain.iter().copied().find(|t| t.kind == TermKind::Gains)
}

fn length(interval: Interval, observation: &Observation) -> f64 {
    interval.seconds(observation)
}
