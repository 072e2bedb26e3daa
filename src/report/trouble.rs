//! The order in which someone should look at the measurement sets.

use crate::campaign::record::{DatasetRecord, Level, State};
use crate::kernels::order_statistics::median;
use serde::Serialize;

/// Weights of the reasons; docs/report.md lists them.
const FAILED: f64 = 100.0;
const NOTHING_ACCEPTED: f64 = 90.0;
const DIVERGED: f64 = 80.0;
const INTERRUPTED: f64 = 40.0;
const ERROR_MESSAGE: f64 = 30.0;
const NO_GAIN: f64 = 20.0;
const MANY_FLAGGED: f64 = 20.0;
const NOISY: f64 = 20.0;
const REJECTED_ATTEMPT: f64 = 10.0;
const MOST_FOR_REJECTED: f64 = 30.0;
const WARNING: f64 = 2.0;
const MOST_FOR_WARNINGS: f64 = 10.0;
/// A best round with more flagged solutions than this is pointed out.
const FLAGGED_LIMIT: f64 = 0.2;
/// A best round whose noise exceeds this multiple of the datasets' median is pointed out.
const NOISE_LIMIT: f64 = 1.5;
/// Fewest datasets of which a median is taken.
const MIN_FOR_MEDIAN: usize = 4;

/// Reasons why someone should look at a measurement set.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct Trouble {
    /// The sum of the weights; 0 for nothing to look at.
    pub(crate) score: f64,
    /// The reasons in words, gravest first.
    pub(crate) reasons: Vec<String>,
}

/// The trouble of every measurement set, in their order.
pub(crate) fn of_all(datasets: &[DatasetRecord]) -> Vec<Trouble> {
    let mut noise: Vec<f64> = datasets.iter().filter_map(best_rms).collect();
    let typical = if noise.len() >= MIN_FOR_MEDIAN { median(&mut noise) } else { None };
    datasets.iter().map(|d| of_dataset(d, typical)).collect()
}

fn best_rms(dataset: &DatasetRecord) -> Option<f64> {
    Some(dataset.best_round()?.metrics.as_ref()?.rms).filter(|r| *r > 0.0)
}

fn of_dataset(dataset: &DatasetRecord, typical_rms: Option<f64>) -> Trouble {
    let mut found: Vec<(f64, String)> = Vec::new();
    match dataset.state {
        State::Failed => found.push((FAILED, "failed".into())),
        State::Diverged => found.push((DIVERGED, "diverged".into())),
        State::Interrupted => found.push((INTERRUPTED, "interrupted".into())),
        _ => {}
    }
    if dataset.state.is_final() && !dataset.rounds.is_empty() && dataset.best.is_none() {
        found.push((NOTHING_ACCEPTED, "no round was accepted".into()));
    }
    let messages = || dataset.messages.iter().chain(dataset.rounds.iter().flat_map(|r| &r.messages));
    if let Some(error) = messages().find(|m| m.level == Level::Error) {
        found.push((ERROR_MESSAGE, error.text.clone()));
    }
    let warnings = messages().filter(|m| m.level == Level::Warning).count();
    if warnings > 0 {
        let plural = if warnings == 1 { "" } else { "s" };
        found.push(((WARNING * warnings as f64).min(MOST_FOR_WARNINGS), format!("{warnings} warning{plural}")));
    }
    let rejected = dataset.rounds.iter().filter(|r| r.decision.is_some() && !r.is_accepted()).count();
    if rejected > 0 {
        let plural = if rejected == 1 { "" } else { "s" };
        let score = (REJECTED_ATTEMPT * rejected as f64).min(MOST_FOR_REJECTED);
        found.push((score, format!("{rejected} attempt{plural} rejected")));
    }
    if let Some(best) = dataset.best_round() {
        let range = |r: Option<&crate::campaign::record::RoundRecord>| Some(r?.metrics.as_ref()?.dynamic_range);
        if let (Some(now), Some(first)) = (range(Some(best)), range(dataset.rounds.first()))
            && dataset.rounds.len() > 1
            && dataset.state.is_final()
            && now <= first
        {
            found.push((NO_GAIN, "self-calibration gained nothing".into()));
        }
        if let Some(s) = best.solutions.as_ref().filter(|s| s.flagged_fraction > FLAGGED_LIMIT) {
            let words = super::numbers::percent(s.flagged_fraction);
            found.push((MANY_FLAGGED, format!("{words} of the solutions flagged")));
        }
        if let (Some(rms), Some(typical)) = (best_rms(dataset), typical_rms)
            && rms > NOISE_LIMIT * typical
        {
            let times = super::numbers::significant(rms / typical, 2);
            found.push((NOISY, format!("noise {times} times the median")));
        }
    }
    found.sort_by(|a, b| b.0.total_cmp(&a.0));
    Trouble {
        score: found.iter().map(|(score, _)| score).sum(),
        reasons: found.into_iter().map(|(_, words)| words).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaign::record::{DecisionRecord, RoundRecord, Verdict};
    use crate::quality::metrics::ImageMetrics;

    fn dataset(rms: f64, state: State) -> DatasetRecord {
        let metrics = Some(ImageMetrics { rms, dynamic_range: 1.0 / rms, ..Default::default() });
        let decision = Some(DecisionRecord { verdict: Verdict::Accepted, ..Default::default() });
        let round = RoundRecord { metrics, decision, ..Default::default() };
        DatasetRecord { state, best: Some(0), rounds: vec![round], ..Default::default() }
    }

    #[test]
    fn the_failed_and_the_noisy_come_first() {
        let mut all: Vec<_> = [1.0, 1.1, 0.9, 1.0, 2.0].map(|rms| dataset(rms, State::Done)).into();
        all[1].state = State::Failed;
        let trouble = of_all(&all);
        assert_eq!(trouble[0], Trouble::default());
        assert_eq!(trouble[1].reasons, ["failed"]);
        assert_eq!(trouble[4].reasons, ["noise 2 times the median"]);
        assert!(trouble[1].score > trouble[4].score);
    }

    #[test]
    fn nothing_accepted_and_rejections_are_counted() {
        let mut one = dataset(1.0, State::Done);
        one.best = None;
        one.rounds[0].decision.as_mut().unwrap().verdict = Verdict::Rejected;
        let trouble = &of_all(&[one])[0];
        assert_eq!(trouble.reasons, ["no round was accepted", "1 attempt rejected"]);
        assert_eq!(trouble.score, NOTHING_ACCEPTED + REJECTED_ATTEMPT);
    }
}
