//! Chains with amplitudes: on top of phases, from long to short, and alone.

use super::course::{Candidate, Course};
use super::estimate::round_up;
use super::state::{amplitudes, fastest};
use super::{Interval, TermChoice, Tried};
use crate::quality::solutions::TermKind;

/// With one round left, or without phases below them, the first amplitudes are this many times as long as the phases: there is no time to come down.
const LAST_CHANCE: f64 = 2.0;

/// Amplitudes of less than this multiple of the phases' interval are solved together with the phases.
const TOGETHER: f64 = 2.0;

impl Course<'_> {
    /// The chain in force, which has none, with amplitudes on top; and longer ones for those that failed.
    pub(super) fn first_amplitudes(&mut self, current: &Tried) -> Vec<Candidate> {
        let Some(fast) = fastest(&current.chain, self.observation).filter(|_| !self.options.phase_only) else {
            return Vec::new();
        };
        let wanted = self.options.amplitude_snr;
        let term = self.shared_well(TermChoice { kind: TermKind::Gains, ..fast });
        let mut all = Vec::new();
        let factor =
            if self.rounds_left <= 2 || !self.observation.chains { LAST_CHANCE } else { self.options.amplitude_factor };
        for shared in self.shared_more(term) {
            let Some(least) = self.reaching(wanted, &shared) else { continue };
            // No longer than a good S/N needs: longer ones would only take rounds, and come where these fail.
            let good = self.reaching(self.options.ample_snr, &shared).map(|i| i.seconds(self.observation));
            let first = good.unwrap_or(f64::INFINITY).clamp(self.length(&fast), factor * self.length(&fast));
            let seconds = least.seconds(self.observation).max(first);
            let interval = round_up(seconds, self.observation).unwrap_or(Interval::Everything);
            let mut top = TermChoice { interval, ..shared };
            all.push(Candidate::new(self.on_top(&current.chain, top), "amplitudes, too".into()));
            while let Some(longer) = self.longer(top, self.options.max_step) {
                let why = format!("amplitudes, longer than {}, which failed", top.interval);
                all.push(Candidate::new(self.on_top(&current.chain, longer), why));
                top = longer;
            }
        }
        if all.is_empty() {
            self.short_of_signal = true;
            self.against("amplitudes".into(), &format!("their S/N would be below {wanted}"));
        }
        all
    }

    /// The chain with phases of each integration, with amplitudes in the same interval: where their S/N is ample, too, the
    /// round for the phases alone is saved.
    pub(super) fn at_once(&self, phases: &Candidate) -> Option<Candidate> {
        let fast = fastest(&phases.chain, self.observation).filter(|_| !self.options.phase_only)?;
        let gains = self.shared_well(TermChoice { kind: TermKind::Gains, ..fast });
        let at_integrations = self.length(&fast) < TOGETHER * self.observation.integration_s;
        (at_integrations && self.snr(&gains) >= self.options.ample_snr).then(|| {
            let why = "amplitudes at the same time, as the S/N is ample";
            Candidate::new(self.on_top(&phases.chain, gains), why.into())
        })
    }

    /// The chain in force with amplitudes of a shorter interval; where they become as short as the phases, with both
    /// together.
    pub(super) fn shorter_amplitudes(&mut self, current: &Tried) -> Vec<Candidate> {
        let (Some(gains), Some(fast)) = (amplitudes(&current.chain), fastest(&current.chain, self.observation)) else {
            return Vec::new();
        };
        let what = format!("amplitudes shorter than {}", gains.interval);
        let alone = gains == fast;
        if alone && self.length(&gains) < TOGETHER * self.observation.integration_s {
            self.at_integrations = true;
            self.against(what, "they are solved for each integration");
            return Vec::new();
        }
        let step = self.step(current, true, &gains, |chain, _| amplitudes(chain));
        let Some(target) = step.target else {
            self.against(what, &step.why);
            return Vec::new();
        };
        let first = self.shared_well(TermChoice { interval: target, ..gains });
        let floor = if alone { 0.0 } else { self.length(&fast) };
        let mut all = Vec::new();
        for shared in self.shared_more(first) {
            let Some(least) = self.reaching(self.options.amplitude_snr, &shared) else { continue };
            let seconds = least.seconds(self.observation).max(self.length(&shared)).max(floor);
            let Some(interval) = round_up(seconds, self.observation) else { continue };
            let term = TermChoice { interval, ..shared };
            if self.length(&term) < self.length(&gains) && self.length(&term) > step.failed_s {
                all.push(Candidate::new(self.on_top(&current.chain, term), step.why.clone()));
            }
        }
        if all.is_empty() {
            self.short_of_signal = true;
            let limit = self.options.amplitude_snr;
            self.against(what, &format!("their S/N would be below {limit}"));
        }
        all
    }

    /// The chain with these amplitudes after its phases, or in their place where they are as short.
    fn on_top(&self, chain: &[TermChoice], gains: TermChoice) -> Vec<TermChoice> {
        let phases = chain.iter().find(|t| t.kind == TermKind::Phase);
        let replaces = phases.is_some_and(|p| self.length(&gains) < TOGETHER * self.length(p));
        let replaced = |t: &&TermChoice| {
            t.kind == TermKind::Gains || t.kind == TermKind::Phase && (replaces || !self.observation.chains)
        };
        let mut all: Vec<TermChoice> = chain.iter().filter(|t| !replaced(t)).copied().collect();
        let interval = phases.filter(|_| replaces).map_or(gains.interval, |p| p.interval);
        all.push(TermChoice { interval, ..gains });
        all
    }
}
