//! Automatic solution intervals (`solint: auto`): from the judged attempts to the choice of the next.

use super::Programs;
use crate::calibrator::options::{CalMode, GaincalOptions, Solint};
use crate::campaign::layout::AttemptId;
use crate::campaign::plan::RoundPlan;
use crate::campaign::rules::acceptance::{RoundOutcome, last_accepted};
use crate::campaign::rules::solution_intervals::{
    self, Choice, ImageSignal, Interval, Observation, SolintOptions, SolveMode, Tried,
};
use indexmap::IndexMap;

/// Intervals and modes of the attempts so far.
#[derive(Debug, Default)]
pub(super) struct Intervals {
    /// Interval and mode of each attempt's solutions.
    solved: IndexMap<AttemptId, (Interval, SolveMode)>,
    /// The automatic choice of each attempt.
    chosen: IndexMap<AttemptId, Choice>,
}

impl Intervals {
    /// The intervals of the judged attempts.
    fn tried(&self, history: &[RoundOutcome]) -> Vec<Tried> {
        let mut before = None;
        let mut tried = Vec::new();
        for outcome in history {
            let (now, accepted) = (outcome.metrics.image.dynamic_range, outcome.decision.verdict.is_accepted());
            let solved = self.solved.get(&outcome.id);
            if let Some((&(interval, mode), solutions)) = solved.zip(outcome.metrics.solutions.clone()) {
                let gain = before.map_or(0.0, |b: f64| if b > 0.0 { now / b - 1.0 } else { 0.0 });
                tried.push(Tried { interval, mode, accepted, gain, solutions });
            }
            if accepted {
                before = Some(now);
            }
        }
        tried
    }
}

/// How an attempt came to its solution interval.
pub(super) enum IntervalChoice {
    /// The options give it (or there is no calibration).
    Given,
    /// The program chose it.
    Chosen {
        /// Why this one.
        why: String,
    },
    /// None is worth trying.
    GiveUp {
        /// Why.
        why: String,
    },
}

impl Programs<'_> {
    /// Replaces `solint: auto` by what the last accepted image allows.
    pub(super) fn choose_interval(
        &mut self,
        plan: &mut RoundPlan,
        id: AttemptId,
        history: &[RoundOutcome],
    ) -> IntervalChoice {
        let chain = plan.calibration.as_mut().and_then(|calibration| calibration.chain.first_mut());
        let Some(gaincal) = chain.filter(|o| o.interval() == Some(Solint::Auto)) else {
            return IntervalChoice::Given;
        };
        if !self.intervals.chosen.contains_key(&id) {
            let Some(accepted) = last_accepted(history) else { return IntervalChoice::Given };
            let image = &accepted.metrics.image;
            let signal = ImageSignal { peak: image.peak, flux: None, rms: image.rms };
            let left = self.plan.rounds.len() - id.round;
            let limits =
                SolintOptions { flagged_solutions: self.plan.acceptance.flagged_solutions, ..self.plan.solint.clone() };
            let tried = self.intervals.tried(history);
            let choice = solution_intervals::choose(&tried, &signal, &self.observation(), left, &limits);
            self.intervals.chosen.insert(id, choice);
        }
        match &self.intervals.chosen[&id] {
            Choice::Stop { why } => IntervalChoice::GiveUp { why: why.clone() },
            Choice::Solve { interval, mode, why, .. } => {
                gaincal.solint = interval.solint();
                gaincal.combine = interval.combine().to_string();
                gaincal.calmode = match mode {
                    SolveMode::Phase => CalMode::P,
                    SolveMode::AmplitudePhase => CalMode::Ap,
                };
                IntervalChoice::Chosen { why: why.clone() }
            }
        }
    }

    /// Takes note of an attempt's interval and mode, for the choice of later ones.
    pub(super) fn note_interval(&mut self, id: AttemptId, chain: &[GaincalOptions]) {
        let Some(last) = chain.last() else { return };
        let solved = self.interval_of(last);
        self.intervals.solved.insert(id, solved);
    }

    fn observation(&self) -> Observation {
        let s = &self.summary;
        let scans = s.scans.max(1) as usize;
        // Time on source, evenly divided: the summary does not list the scans one by one.
        let scan_s = s.integrations as f64 * s.integration_s / scans as f64;
        Observation {
            antennas: s.antennas.iter().filter(|a| a.has_data && a.unflagged_fraction > 0.0).count(),
            integration_s: s.integration_s,
            scans_s: vec![scan_s; scans],
        }
    }

    fn interval_of(&self, options: &GaincalOptions) -> (Interval, SolveMode) {
        let mode = if options.calmode.amplitudes() { SolveMode::AmplitudePhase } else { SolveMode::Phase };
        let interval = match options.interval() {
            Some(Solint::Seconds(seconds)) => Interval::Seconds(seconds),
            Some(Solint::Integration) => Interval::Seconds(self.summary.integration_s),
            _ if options.combine.contains("scan") => Interval::Everything,
            _ => Interval::Scan,
        };
        (interval, mode)
    }
}
