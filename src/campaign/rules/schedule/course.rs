//! The order of the chains that may be next, what speaks against each, and the end.

use super::estimate::Signal;
use super::state::{State, has};
use super::{Choice, ImageSignal, Interval, Limit, Observation, SolintOptions, TermChoice, Tried, Weighed};
use crate::quality::solutions::TermKind;

/// An image is at the theoretical noise when its own is within this factor.
const AT_THE_NOISE: f64 = 1.05;

/// A chain that may be next.
pub(super) struct Candidate {
    pub(super) chain: Vec<TermChoice>,
    why: String,
}

impl Candidate {
    pub(super) fn new(chain: Vec<TermChoice>, why: String) -> Self {
        Self { chain, why }
    }
}

/// Inputs of a choice, and what was found on the way.
pub(super) struct Course<'a> {
    pub(super) state: State<'a>,
    pub(super) observation: &'a Observation,
    /// Rounds that may still be calibrated, this one included.
    pub(super) rounds_left: usize,
    pub(super) options: &'a SolintOptions,
    image: &'a ImageSignal,
    signal: Signal,
    /// Phases are solved for each integration.
    pub(super) at_integrations: bool,
    /// Something was left out for want of S/N.
    pub(super) short_of_signal: bool,
    weighed: Vec<Weighed>,
}

impl<'a> Course<'a> {
    pub(super) fn new(
        history: &'a [Tried],
        image: &'a ImageSignal,
        observation: &'a Observation,
        rounds_left: usize,
        options: &'a SolintOptions,
    ) -> Self {
        Self {
            state: State::of(history, options),
            observation,
            rounds_left,
            options,
            image,
            signal: Signal::of(history, image, observation),
            at_integrations: false,
            short_of_signal: false,
            weighed: Vec::new(),
        }
    }

    /// S/N of an antenna's solution of a term.
    pub(super) fn snr(&self, term: &TermChoice) -> f64 {
        self.signal.snr(term, self.observation)
    }

    /// The shortest interval in which a term reaches an S/N.
    pub(super) fn reaching(&self, wanted: f64, term: &TermChoice) -> Option<Interval> {
        self.signal.reaching(wanted, term, self.observation)
    }

    /// Length of a term's interval, seconds.
    pub(super) fn length(&self, term: &TermChoice) -> f64 {
        term.interval.seconds(self.observation)
    }

    /// Notes what speaks against something.
    pub(super) fn against(&mut self, what: String, why_not: &str) {
        self.weighed.push(Weighed { what, why_not: why_not.to_string() });
    }

    /// The first candidate that was not tried yet.
    pub(super) fn choose(mut self) -> Choice {
        if let Some(why) = self.too_many_rejected() {
            return Choice::Stop { why, limit: self.limit() };
        }
        let mut chosen: Option<Candidate> = None;
        for candidate in self.candidates() {
            let snr = self.weakest(&candidate.chain).unwrap_or(0.0);
            if snr < self.options.min_snr {
                self.short_of_signal = true;
                let why_not = format!("the S/N would be {snr:.1} per antenna, {} is wanted", self.options.min_snr);
                self.weighed.push(Weighed { what: words(&candidate.chain), why_not });
            } else if let Some(first) = &chosen {
                let why_not = format!("{} first", words(&first.chain));
                self.weighed.push(Weighed { what: words(&candidate.chain), why_not });
            } else if let Some(tried) = self.state.tried(&candidate.chain) {
                let outcome = if tried.accepted { "gained" } else { "was rejected," };
                let why_not = format!("tried: {outcome} {:.1} %", 100.0 * tried.gain);
                self.weighed.push(Weighed { what: words(&candidate.chain), why_not });
            } else {
                chosen = Some(candidate);
            }
        }
        match chosen.or_else(|| self.again()) {
            Some(Candidate { chain, why }) => {
                let why = format!("{}: {why}{}", words(&chain), self.expected(&chain));
                Choice::Solve { chain, why, weighed: self.weighed }
            }
            None => Choice::Stop { why: self.why_the_end(), limit: self.limit() },
        }
    }

    /// Chains that may be better than the one in force, the best prospects first.
    fn candidates(&mut self) -> Vec<Candidate> {
        let Some(current) = self.state.current else { return self.first_chains() };
        let fallbacks = self.fallbacks();
        fallbacks.into_iter().chain(self.better_chains(current)).collect()
    }

    fn better_chains(&mut self, current: &Tried) -> Vec<Candidate> {
        if has(&current.chain, TermKind::Gains) {
            let mut all = self.shorter_amplitudes(current);
            all.extend(self.shorter_phases(current));
            all.extend(self.with_delays(current));
            all.extend(self.shared_otherwise(current));
            all.extend(self.with_bandpass(current));
            return all;
        }
        let delays = self.with_delays(current);
        let phases = self.shorter_phases(current);
        let at_once = phases.first().and_then(|shorter| self.at_once(shorter));
        let amplitudes = self.first_amplitudes(current);
        let phases = phases.into_iter().chain(self.shared_otherwise(current));
        if self.rounds_left == 1 {
            return amplitudes.into_iter().chain(delays).chain(phases).collect();
        }
        delays.into_iter().chain(at_once).chain(phases).chain(amplitudes).collect()
    }

    /// The chain in force, with the sharing that its tables speak for.
    fn shared_otherwise(&self, current: &Tried) -> Vec<Candidate> {
        let best = |t: &TermChoice| match t.kind {
            TermKind::Phase | TermKind::Gains => self.shared_well(*t),
            _ => *t,
        };
        let chain: Vec<TermChoice> = current.chain.iter().map(best).collect();
        let why = "what was solved apart agrees within its noise, or what was solved together does not";
        if chain == current.chain { Vec::new() } else { vec![Candidate::new(chain, why.into())] }
    }

    /// The chain in force once more, against the last model.
    fn again(&self) -> Option<Candidate> {
        let current = self.state.current?;
        let gain = self.state.last_gain();
        let change =
            self.state.last_accepted().and_then(|t| t.change).filter(|change| *change >= self.options.repeat_change);
        let failed_already = self.state.against_this_model().any(|t| t.chain == current.chain);
        ((gain >= self.options.repeat_gain || change.is_some()) && !failed_already).then(|| {
            let moved = change.map(|change| format!(" and changed the image by {:.0} % of its noise", 100.0 * change));
            let (gain, moved) = (100.0 * gain, moved.unwrap_or_default());
            let why = format!("all terms again with the last model, which gained {gain:.1} %{moved}");
            Candidate::new(current.chain.clone(), why)
        })
    }

    fn expected(&self, chain: &[TermChoice]) -> String {
        self.weakest(chain).map(|snr| format!("; estimated S/N {snr:.1} per antenna")).unwrap_or_default()
    }

    /// The lowest S/N of a chain's terms.
    fn weakest(&self, chain: &[TermChoice]) -> Option<f64> {
        chain.iter().map(|t| self.snr(t)).reduce(f64::min)
    }

    fn too_many_rejected(&self) -> Option<String> {
        let (row, all) = (self.state.rejected_in_a_row, self.state.rejected_in_all);
        if row > 0 && row >= self.options.rejected_in_a_row {
            return Some(format!("{row} attempts in a row were rejected"));
        }
        (all > 0 && all >= self.options.rejected_in_all).then(|| format!("{all} attempts were rejected"))
    }

    fn why_the_end(&self) -> String {
        let Some(current) = self.state.current else {
            if !self.state.history.is_empty() {
                return "no chain was accepted, and nothing longer is left to try".into();
            }
            return format!(
                "even with all {} s together an antenna would reach an S/N of {:.1} only, {} is wanted",
                self.observation.total_s(),
                antenna_of(self.image, self.observation),
                self.options.min_snr
            );
        };
        let limit = match self.limit() {
            Limit::Noise => "the image is at the theoretical noise",
            Limit::IntegrationTime => "phases are solved for each integration",
            Limit::SignalToNoise => "shorter intervals would have too low an S/N",
            _ => "nothing else that was tried gained anything",
        };
        let gain = 100.0 * self.state.last_gain();
        format!("{} gained {gain:.1} % last, and {limit}", words(&current.chain))
    }

    fn limit(&self) -> Limit {
        let at_the_noise = |noise: f64| self.image.rms <= AT_THE_NOISE * noise;
        if self.image.theoretical.is_some_and(at_the_noise) {
            Limit::Noise
        } else if self.state.current.is_none() {
            Limit::NothingToCalibrateOn
        } else if self.short_of_signal {
            Limit::SignalToNoise
        } else if self.at_integrations {
            Limit::IntegrationTime
        } else {
            Limit::NoGain
        }
    }
}

fn antenna_of(image: &ImageSignal, observation: &Observation) -> f64 {
    let total = observation.total_s();
    super::antenna_snr(image.snr(), observation.antennas, total, total)
}

/// A chain for people.
fn words(chain: &[TermChoice]) -> String {
    chain.iter().map(ToString::to_string).collect::<Vec<_>>().join(" + ")
}
