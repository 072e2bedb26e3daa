//! The automatic schedule (`solint: auto`): from the judged attempts to the chain of the next.

use super::Programs;
use crate::calibrator::options::{CalMode, GainType, GaincalOptions, Solint, TermKind};
use crate::campaign::layout::AttemptId;
use crate::campaign::plan::RoundPlan;
use crate::campaign::rules::acceptance::{RoundOutcome, last_accepted};
use crate::campaign::rules::facets;
use crate::campaign::rules::schedule::{
    self, Choice, ImageSignal, Interval, Limit, Observation, Sharing, SolintOptions, TermChoice, Tried, Weighed,
};
use indexmap::IndexMap;

/// Chains of the attempts so far.
#[derive(Debug, Default)]
pub(super) struct Intervals {
    /// What each attempt solved for.
    solved: IndexMap<AttemptId, Vec<TermChoice>>,
    /// The automatic choice of each attempt, and the chains of its measurement sets where they differ.
    chosen: IndexMap<AttemptId, (Choice, Vec<Vec<TermChoice>>)>,
}

impl Intervals {
    /// The chains of the judged attempts.
    pub(super) fn tried(&self, history: &[RoundOutcome]) -> Vec<Tried> {
        let mut before: Option<f64> = None;
        let mut tried = Vec::new();
        for outcome in history {
            let (now, accepted) = (&outcome.metrics.image, outcome.decision.verdict.is_accepted());
            let solved = self.solved.get(&outcome.id).zip(outcome.metrics.solutions.as_ref());
            if let (Some((chain, solutions)), Some(before)) = (solved, before) {
                let (chain, solutions) = (chain.clone(), solutions.clone());
                let gain = if before > 0.0 { now.dynamic_range / before - 1.0 } else { 0.0 };
                tried.push(Tried { chain, accepted, before, gain, change: now.change, solutions });
            }
            if accepted {
                before = Some(now.dynamic_range);
            }
        }
        tried
    }
}

/// How an attempt came to its chain.
pub(super) enum IntervalChoice {
    /// The options give it (or there is no calibration).
    Given,
    /// The program chose it.
    Chosen {
        /// Why this one.
        why: String,
        /// The alternatives.
        weighed: Vec<Weighed>,
        /// The chains of the measurement sets, where they differ.
        chains: Vec<Vec<GaincalOptions>>,
    },
    /// None is worth trying.
    GiveUp {
        /// Why.
        why: String,
        /// What ended it.
        limit: Limit,
    },
}

impl Programs<'_> {
    /// Replaces `solint: auto` by what the tables and images so far allow.
    pub(super) fn choose_interval(
        &mut self,
        plan: &mut RoundPlan,
        id: AttemptId,
        history: &[RoundOutcome],
    ) -> IntervalChoice {
        let Some(calibration) = &mut plan.calibration else { return IntervalChoice::Given };
        let Some(at) = automatic(&calibration.chain) else {
            // What the file gives is known to later rounds that are left to the schedule.
            let chain = calibration.chain.iter().map(|o| self.term_of(o)).collect();
            self.intervals.solved.insert(id, chain);
            return IntervalChoice::Given;
        };
        if !self.intervals.chosen.contains_key(&id) {
            let Some(accepted) = last_accepted(history) else { return IntervalChoice::Given };
            let image = &accepted.metrics.image;
            let theoretical = super::super::theoretical_noise_jy(&self.sets);
            let signal = ImageSignal { peak: image.peak, flux: None, rms: image.rms, theoretical };
            // The last rounds are kept for those by direction, which may follow.
            let kept = self.plan.facet_stage.as_ref().map_or(0, |_| facets::rounds());
            let left = (self.plan.rounds.len() - id.round).saturating_sub(kept).max(1);
            let limits =
                SolintOptions { flagged_solutions: self.plan.acceptance.flagged_solutions, ..self.plan.solint.clone() };
            let observation = self.observation(calibration, at);
            let tried = self.intervals.tried(history);
            let choice = schedule::choose(&tried, &signal, &observation, left, &limits);
            let (choice, chains) = self.by_set(choice, (&tried, &signal, &observation), &limits);
            self.intervals.chosen.insert(id, (choice, chains));
        }
        let (choice, chains) = &self.intervals.chosen[&id];
        match choice {
            Choice::Stop { why, limit } => IntervalChoice::GiveUp { why: why.clone(), limit: *limit },
            Choice::Solve { chain, why, weighed } => {
                let (file, template) = (calibration.chain.clone(), calibration.chain[at].clone());
                let resolved = |chain: &Vec<TermChoice>| {
                    let mut all = file.clone();
                    all.splice(at..=at, chain.iter().map(|term| options_of(&template, term)));
                    all
                };
                let chains = chains.iter().map(resolved).collect();
                calibration.chain = resolved(chain);
                self.intervals.solved.insert(id, chain.clone());
                IntervalChoice::Chosen { why: why.clone(), weighed: weighed.clone(), chains }
            }
        }
    }

    /// The chains of the measurement sets; none where all have the one that was chosen. The reason names those that differ.
    fn by_set(
        &self,
        choice: Choice,
        state: (&[Tried], &ImageSignal, &Observation),
        limits: &SolintOptions,
    ) -> (Choice, Vec<Vec<TermChoice>>) {
        let Choice::Solve { chain, why, weighed } = choice else { return (choice, Vec::new()) };
        let chains = schedule::chains_of_sets(&chain, state, &self.observations(state.2), limits);
        let differing = self.sets.iter().zip(&chains).filter(|(_, own)| **own != chain);
        let words: Vec<String> = differing.map(|(set, own)| format!("{}: {}", set.name, words(own))).collect();
        if words.is_empty() {
            return (Choice::Solve { chain, why, weighed }, Vec::new());
        }
        let why = format!("{why}; longer where the S/N is lower: {}", words.join("; "));
        (Choice::Solve { chain, why, weighed }, chains)
    }

    /// The term that options of a file stand for.
    fn term_of(&self, options: &GaincalOptions) -> TermChoice {
        let sharing = |together: bool| if together { Sharing::Together } else { Sharing::Each };
        let interval = match options.interval() {
            Some(Solint::Seconds(seconds)) => Interval::Seconds(seconds),
            Some(Solint::Integration) => Interval::Seconds(self.integration_s()),
            _ if options.combine.contains("scan") => Interval::Everything,
            _ => Interval::Scan,
        };
        TermChoice {
            kind: options.kind(),
            interval,
            polarisations: sharing(options.gaintype == GainType::T),
            windows: sharing(options.combine.contains("spw")),
        }
    }
}

/// A chain for people.
fn words(chain: &[TermChoice]) -> String {
    chain.iter().map(ToString::to_string).collect::<Vec<_>>().join(" + ")
}

/// The element of a chain that is left to the schedule.
fn automatic(chain: &[GaincalOptions]) -> Option<usize> {
    chain.iter().position(|o| o.interval() == Some(Solint::Auto))
}

/// The options of one solve; everything that the schedule does not choose is the template's.
fn options_of(template: &GaincalOptions, term: &TermChoice) -> GaincalOptions {
    let mut combine: Vec<&str> = template.combine.split(',').filter(|word| !word.is_empty()).collect();
    for (wanted, word) in [(term.interval == Interval::Everything, "scan"), (term.windows == Sharing::Together, "spw")]
    {
        if wanted && !combine.contains(&word) {
            combine.push(word);
        }
    }
    let gaintype = match (term.kind, term.polarisations) {
        (TermKind::Delay, _) => GainType::K,
        (TermKind::Bandpass, _) => GainType::B,
        (_, Sharing::Together) => GainType::T,
        _ => template.gaintype,
    };
    let calmode = if term.kind == TermKind::Gains { CalMode::Ap } else { CalMode::P };
    GaincalOptions { solint: term.interval.solint(), combine: combine.join(","), gaintype, calmode, ..template.clone() }
}
