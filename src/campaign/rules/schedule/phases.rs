//! Chains that follow the phases faster; the first chain; delays.

use super::course::{Candidate, Course};
use super::estimate::round_up;
use super::state::{amplitudes, fastest, has};
use super::{Interval, Sharing, TermChoice, Tried};
use crate::quality::solutions::TermKind;

/// Intervals that differ by less than this factor give the same gains.
pub(super) const SAME_LENGTH: f64 = 1.5;

/// Between an interval that was kept and a shorter one that was not, another is tried where they differ by this factor.
const WIDE_GAP: f64 = 3.0;

impl Course<'_> {
    /// The first chains: the shortest interval with a comfortable S/N, and what follows when that fails.
    pub(super) fn first_chains(&mut self) -> Vec<Candidate> {
        let separate = TermChoice {
            kind: TermKind::Phase,
            interval: Interval::Everything,
            polarisations: Sharing::Each,
            windows: Sharing::Each,
        };
        let sharings = self.shared_more(separate);
        let wanted = self.options.start_snr;
        let within_a_scan = |c: &Self, t: &TermChoice| c.reaching(wanted, t).filter(|i| *i != Interval::Everything);
        let first = sharings
            .iter()
            .find_map(|t| Some(TermChoice { interval: within_a_scan(self, t)?, ..*t }))
            .or_else(|| sharings.iter().find_map(|t| Some(TermChoice { interval: self.reaching(wanted, t)?, ..*t })));
        let most_shared = *sharings.last().expect("one at least");
        let (start, why) = match first {
            Some(term) => (term, format!("the shortest interval with an S/N of {wanted}")),
            None => (most_shared, format!("nothing shorter reaches an S/N of {wanted}")),
        };
        let start = self.after_refusals(start);
        let mut all = vec![Candidate::new(vec![start], why)];
        all.extend(self.instead_of(start));
        all
    }

    /// What follows when the first chain, phases of this term, failed.
    fn instead_of(&self, start: TermChoice) -> Vec<Candidate> {
        let mut all = Vec::new();
        if self.delays_possible() {
            let chain = vec![self.delays(&start), start];
            all.push(Candidate::new(chain, "phases alone failed: delays before them".into()));
        }
        // Tables of ample S/N: what was solved is not what drifts.
        let separate = TermChoice { polarisations: Sharing::Each, windows: Sharing::Each, ..start };
        let ample = |t: &TermChoice| self.snr(t) >= self.options.ample_snr;
        if separate != start && ample(&separate) {
            all.push(Candidate::new(vec![separate], "solved apart, as the S/N is ample".into()));
        }
        let shorter = round_up(self.length(&start) / self.options.max_step, self.observation);
        let shorter = shorter.map(|interval| TermChoice { interval, ..separate });
        if let Some(term) = shorter.filter(|t| ample(t) && self.length(t) < self.length(&start)) {
            all.push(Candidate::new(vec![term], format!("shorter than {}, as the S/N is ample", start.interval)));
        }
        let mut longest = start;
        for shared in self.shared_more(start).into_iter().skip(1) {
            all.push(Candidate::new(vec![shared], "more S/N by solving together".into()));
            longest = shared;
        }
        while let Some(longer) = self.longer(longest, self.options.max_step) {
            all.push(Candidate::new(vec![longer], format!("longer than {}, which failed", longest.interval)));
            longest = longer;
        }
        all
    }

    /// Where a first attempt failed, the search goes on from its term: the tables tell another S/N than the image.
    fn after_refusals(&self, start: TermChoice) -> TermChoice {
        self.state.history.iter().find_map(|t| fastest(&t.chain, self.observation)).unwrap_or(start)
    }

    /// A longer interval by up to this factor.
    pub(super) fn longer(&self, term: TermChoice, factor: f64) -> Option<TermChoice> {
        let now = self.length(&term);
        let interval = round_up(factor * now, self.observation).unwrap_or(Interval::Everything);
        let longer = TermChoice { interval, ..term };
        (self.length(&longer) > SAME_LENGTH * now).then_some(longer)
    }

    pub(super) fn delays_possible(&self) -> bool {
        let o = self.observation;
        o.chains && o.delays && o.channels >= self.options.delay_channels
    }

    /// Delays over everything, to be solved before the phases.
    pub(super) fn delays(&self, phases: &TermChoice) -> TermChoice {
        TermChoice { kind: TermKind::Delay, interval: Interval::Everything, windows: Sharing::Each, ..*phases }
    }

    /// The chain in force with delays before it.
    pub(super) fn with_delays(&self, current: &Tried) -> Vec<Candidate> {
        if !self.delays_possible() || has(&current.chain, TermKind::Delay) {
            return Vec::new();
        }
        // Delays were tried: what they brought to one chain, they bring to another.
        if self.state.recent().any(|t| has(&t.chain, TermKind::Delay)) {
            return Vec::new();
        }
        let mut chain = current.chain.clone();
        chain.insert(0, self.delays(&current.chain[0]));
        vec![Candidate::new(
            chain,
            format!("delays over everything, as there are {} channels", self.observation.channels),
        )]
    }

    /// The chain in force with gains of each channel over everything on top: what delays leave.
    pub(super) fn with_bandpass(&mut self, current: &Tried) -> Vec<Candidate> {
        let o = self.observation;
        let possible = o.chains && o.bandpass && o.channels >= self.options.delay_channels && !self.options.phase_only;
        let tried = self.state.recent().any(|t| has(&t.chain, TermKind::Bandpass));
        if !possible || tried || has(&current.chain, TermKind::Bandpass) {
            return Vec::new();
        }
        let term = TermChoice {
            kind: TermKind::Bandpass,
            interval: Interval::Everything,
            polarisations: Sharing::Each,
            windows: Sharing::Each,
        };
        let (snr, wanted) = (self.snr(&term), self.options.ample_snr);
        if snr < wanted {
            self.against(term.to_string(), &format!("their S/N would be {snr:.1} per channel, {wanted} is wanted"));
            return Vec::new();
        }
        let chain = current.chain.iter().copied().chain([term]).collect();
        vec![Candidate::new(chain, format!("each of {} channels over everything, too", o.channels))]
    }

    /// The chain in force with phases of a shorter interval.
    pub(super) fn shorter_phases(&mut self, current: &Tried) -> Vec<Candidate> {
        let Some(fast) = fastest(&current.chain, self.observation) else { return Vec::new() };
        let what = format!("phases shorter than {}", fast.interval);
        if self.length(&fast) < SAME_LENGTH * self.observation.integration_s {
            self.at_integrations = true;
            self.against(what, "they are solved for each integration");
            return Vec::new();
        }
        let with_amplitudes = has(&current.chain, TermKind::Gains);
        if with_amplitudes && !self.observation.chains {
            return Vec::new();
        }
        let step = self.step(current, with_amplitudes, &fast, fastest);
        let Some(target) = step.target else {
            self.against(what, &step.why);
            return Vec::new();
        };
        let wanted = TermChoice { kind: TermKind::Phase, ..fast };
        let first = self.shared_well(TermChoice { interval: target, ..wanted });
        let mut all = Vec::new();
        for shared in self.shared_more(first) {
            let least = self.reaching(self.options.min_snr, &shared).map(|i| i.seconds(self.observation));
            let seconds = least.unwrap_or(f64::INFINITY).max(self.length(&shared));
            let Some(interval) = round_up(seconds, self.observation) else { continue };
            let term = TermChoice { interval, ..shared };
            if SAME_LENGTH * self.length(&term) <= self.length(&fast) && self.length(&term) > step.failed_s {
                all.push(Candidate::new(with_phases(&current.chain, term), step.why.clone()));
            }
        }
        if all.is_empty() {
            self.short_of_signal = true;
            let limit = self.options.min_snr;
            self.against(what, &format!("their S/N would be below {limit}"));
        }
        all
    }
}

/// The chain with phases of this term.
fn with_phases(chain: &[TermChoice], phases: TermChoice) -> Vec<TermChoice> {
    let mut chain = chain.to_vec();
    match chain.iter_mut().find(|t| t.kind == TermKind::Phase) {
        Some(term) => *term = phases,
        None => {
            let at = chain.iter().position(|t| t.kind == TermKind::Gains).unwrap_or(chain.len());
            chain.insert(at, phases);
        }
    }
    chain
}

/// A step to a shorter interval.
pub(super) struct Step {
    /// The interval to aim at; `None`: it is not worth it.
    pub(super) target: Option<Interval>,
    /// Why, or why not.
    pub(super) why: String,
    /// The longest shorter interval that failed; 0: none.
    pub(super) failed_s: f64,
}

impl Course<'_> {
    /// The next shorter interval of a term of the chain in force: what its earlier steps gained decides.
    pub(super) fn step(
        &self,
        current: &Tried,
        with_amplitudes: bool,
        term: &TermChoice,
        of: impl Fn(&[TermChoice], &super::Observation) -> Option<TermChoice>,
    ) -> Step {
        let o = self.observation;
        let now = self.length(term);
        let no = |why: String| Step { target: None, why, failed_s: 0.0 };
        // Steps of the same kind, against models nearly as good as this.
        let alike = |t: &&Tried| {
            amplitudes(&t.chain).is_some() == with_amplitudes
                && [TermKind::Delay, TermKind::Bandpass].iter().all(|&k| has(&t.chain, k) == has(&current.chain, k))
        };
        let shorter = |t: &Tried| of(&t.chain, o).map(|t| self.length(&t)).filter(|&s| SAME_LENGTH * s <= now);
        let failed: Vec<(f64, &Tried)> =
            self.state.recent().filter(alike).filter_map(|t| Some((shorter(t)?, t))).collect();
        let failed_s = failed.iter().map(|(s, _)| *s).fold(0.0, f64::max);
        if failed_s > 0.0 {
            // Not where the image lost nothing: there is nothing to be found between them.
            let lost = failed.iter().any(|(s, t)| *s == failed_s && t.gain < 0.0);
            if !lost || now < WIDE_GAP * failed_s {
                return no(format!("{failed_s} s were tried and gained nothing"));
            }
            let target = round_up((now * failed_s).sqrt(), o);
            let why = format!("between {}, which was kept, and {failed_s} s, which failed", term.interval);
            return Step { target, why, failed_s };
        }
        let longer = |t: &&Tried| of(&t.chain, o).is_some_and(|t| self.length(&t) >= SAME_LENGTH * now);
        let next = now / self.options.max_step.max(SAME_LENGTH);
        let least = o.integration_s;
        let target = round_up(if next < SAME_LENGTH * least { least } else { next }, o);
        let is_step = self.state.history.iter().filter(alike).any(|t| longer(&t) && t.accepted);
        let ample = target.is_some_and(|t| self.snr(&TermChoice { interval: t, ..*term }) >= self.options.ample_snr);
        if is_step && !ample && current.gain < self.options.min_gain && self.state.is_recent(current) {
            return no(format!("the last step, to {}, gained only {:.1} %", term.interval, 100.0 * current.gain));
        }
        let why = if is_step {
            format!("shorter than {}, which gained {:.1} %", term.interval, 100.0 * current.gain)
        } else {
            format!("shorter than {}, which was kept", term.interval)
        };
        Step { target, why, failed_s }
    }
}
