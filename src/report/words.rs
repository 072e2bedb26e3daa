//! The only place where the domain's enums become English words, signs and colours, for pages and terminal alike.

use super::numbers::{capital, significant};
use crate::calibrator::options::{CalMode, TermKind};
use crate::campaign::events::Step;
use crate::campaign::record::{DatasetRecord, Level, MaskOrigin, MaskRecord, RoundRecord, State, TermRecord, Verdict};
use crate::campaign::rules::acceptance::{Next, Rule};
use crate::campaign::rules::schedule::Limit;
use crate::imager::StopReason;
use crate::quality::confetti;

/// Where a campaign, a measurement set or a round stands.
pub(crate) fn state(state: State) -> &'static str {
    match state {
        State::Waiting => "waiting",
        State::Running => "running",
        State::Done => "done",
        State::Converged => "converged",
        State::Diverged => "diverged",
        State::Failed => "failed",
        State::Interrupted => "interrupted",
    }
}

/// Style class of a state.
pub(crate) fn state_class(state: State) -> &'static str {
    match state {
        State::Done | State::Converged => "good",
        State::Diverged | State::Failed => "bad",
        State::Interrupted => "warn",
        State::Waiting | State::Running => "quiet",
    }
}

/// The decision about a round.
pub(crate) fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Accepted => "accepted",
        Verdict::Converged => "converged",
        Verdict::Rejected => "rejected",
        Verdict::Diverged => "diverged",
    }
}

/// Style class of a verdict.
pub(crate) fn verdict_class(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Accepted | Verdict::Converged => "good",
        Verdict::Rejected => "warn",
        Verdict::Diverged => "bad",
    }
}

/// The course after a decision: `the next round`, `the end`, `a relaxed attempt: phases only`.
pub(crate) fn next(next: &Next) -> String {
    match next {
        Next::Continue => "the next round".into(),
        Next::Stop => "the end".into(),
        Next::RetryRelaxed { changes } => {
            let words: Vec<String> = changes.iter().map(ToString::to_string).collect();
            format!("a relaxed attempt: {}", words.join(", "))
        }
    }
}

/// A rule of acceptance: its name in the record, as words.
pub(crate) fn rule(rule: Rule) -> String {
    let name = serde_json::to_value(rule).expect("rules are plain names");
    name.as_str().unwrap_or_default().replace('-', " ")
}

/// How a mask was made, e.g. `auto, before each major cycle`.
pub(crate) fn mask(mask: &MaskRecord) -> String {
    let method = mask.method.name();
    match mask.origin {
        MaskOrigin::Image => method.to_string(),
        MaskOrigin::Field => format!("{method}, cut from the field's mask"),
        MaskOrigin::Cycles => format!("{method}, before each major cycle"),
    }
}

/// A step of a round.
pub(crate) fn step(step: Step) -> &'static str {
    match step {
        Step::Prepare => "copying the measurement set",
        Step::StartModel => "trying models to start from",
        Step::Solve => "solving for gains",
        Step::Facets => "solving by direction",
        Step::Apply => "applying the solutions",
        Step::Mask => "making the mask",
        Step::Image => "imaging",
        Step::Metrics => "measuring the images",
        Step::Decide => "judging the round",
        Step::Revert => "going back to the last accepted round",
        Step::Finish => "collecting the products",
        Step::FinalImaging => "imaging after the best round",
        Step::ApplyTo => "applying the best solutions",
        Step::Archive => "collecting the archive",
    }
}

/// Style class of a message.
pub(crate) fn level_class(level: Level) -> &'static str {
    match level {
        Level::Info => "quiet",
        Level::Warning => "warn",
        Level::Error => "bad",
    }
}

/// Key of the signs of [`sign`].
pub(crate) const SIGNS: &str = "✓ accepted, ✗ rejected, ! diverged or failed, … under way";

/// How a pixel of a mask differs from the mask before.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MaskChange {
    /// The word in the legend.
    pub(crate) word: &'static str,
    /// Red, green, blue.
    pub(crate) colour: [u8; 3],
}

/// Pixels that a mask gained.
pub(crate) const ADDED: MaskChange = MaskChange { word: "added", colour: [0x1b, 0x9e, 0x57] };
/// Pixels that a mask kept.
pub(crate) const KEPT: MaskChange = MaskChange { word: "kept", colour: [0x2b, 0x6c, 0xd4] };
/// Pixels that a mask lost.
pub(crate) const REMOVED: MaskChange = MaskChange { word: "removed", colour: [0xd9, 0x3a, 0x2b] };

/// An attempt within a sentence: `round 2`, or `round 2, attempt 2`.
pub(crate) fn round(round: &RoundRecord) -> String {
    if round.attempt > 1 {
        format!("round {}, attempt {}", round.round, round.attempt)
    } else {
        format!("round {}", round.round)
    }
}

/// An attempt as a title: `Round 2`.
pub(crate) fn round_title(attempt: &RoundRecord) -> String {
    capital(&round(attempt))
}

/// Why cleaning ended.
pub(crate) fn stop_reason(reason: &StopReason) -> String {
    match reason {
        StopReason::Threshold => "the threshold was reached".into(),
        StopReason::NSigma => "n sigma of the noise was reached".into(),
        StopReason::Iterations => "the iteration limit was reached".into(),
        StopReason::MajorCycles => "the limit of major cycles was reached".into(),
        StopReason::NoNewFlux => "a cycle added no flux".into(),
        StopReason::EmptyMask => "the mask was empty".into(),
        StopReason::Diverged => "peak or noise rose; the last good cycle was taken".into(),
        StopReason::Other(words) => words.clone(),
    }
}

/// Calibration of a round, e.g. `phase, 60s`.
pub(crate) fn setting(round: &RoundRecord) -> String {
    if round.chain.len() > 1 {
        return joined(&round.chain, |term| &term.term);
    }
    let mode = match round.calmode {
        Some(CalMode::P) => "phase",
        Some(CalMode::A) => "amplitude",
        Some(CalMode::Ap) => "amplitude and phase",
        None => "",
    };
    let setting = match (mode, round.solint.as_deref()) {
        ("", None) => "no calibration".into(),
        ("", Some(interval)) => format!("every {interval}"),
        (mode, None) => mode.into(),
        (mode, Some(interval)) => format!("{mode}, {interval}"),
    };
    match &round.facets {
        Some(facets) => format!("{setting}, in {} directions", facets.directions.len()),
        None => setting,
    }
}

/// The terms of a chain with their intervals, e.g. `phase 30s + gains 120s`.
fn joined(chain: &[TermRecord], name: fn(&TermRecord) -> &str) -> String {
    let term = |term: &TermRecord| {
        let kept = if term.reuse { " (kept)" } else { "" };
        format!("{} {}{kept}", name(term), term.solint)
    };
    chain.iter().map(term).collect::<Vec<_>>().join(" + ")
}

/// The solves of one of several measurement sets, e.g. `p 60s`.
pub(crate) fn solves(chain: &[TermRecord]) -> String {
    joined(chain, short_term)
}

/// A term in one word: its kind where that is not told by the mode, e.g. `delay`, `p`, `ap`.
fn short_term(term: &TermRecord) -> &str {
    match term.kind {
        TermKind::Delay | TermKind::Bandpass => term.kind.name(),
        TermKind::Phase | TermKind::Amplitude | TermKind::Gains => term.calmode.name(),
    }
}

/// What an automatic schedule ended at.
pub(crate) fn limit(limit: Limit) -> &'static str {
    match limit {
        Limit::SignalToNoise => "shorter intervals would have too low an S/N",
        Limit::IntegrationTime => "gains are solved for each integration",
        Limit::Noise => "the image is at the theoretical noise",
        Limit::NoGain => "nothing else that was tried gained anything",
        Limit::Rounds => "the limit of rounds was reached",
        Limit::NothingToCalibrateOn => "there is no source with enough S/N to calibrate on",
    }
}

/// How far from the theoretical noise a campaign ended, and what ended it: `ended at 1.3 times the theoretical noise; the
/// limit of rounds was reached`. Empty while it runs, or where neither is known.
pub(crate) fn end(dataset: &DatasetRecord) -> String {
    if !dataset.state.is_final() {
        return String::new();
    }
    let times = dataset.times_theoretical_noise();
    let noise = times.map(|t| format!("ended at {} times the theoretical noise", significant(t, 3)));
    let parts: Vec<String> = noise.into_iter().chain(dataset.limit.map(|l| limit(l).to_string())).collect();
    parts.join("; ")
}

/// Calibration of a round in the calibrator's own words, e.g. `p 60s`, `p 30s + ap 120s` for a chain, or `ap 30s, 5 directions`.
pub(crate) fn short_setting(round: &RoundRecord) -> String {
    if round.chain.len() > 1 {
        return joined(&round.chain, short_term);
    }
    let words: Vec<&str> = [round.calmode.map(CalMode::name), round.solint.as_deref()].into_iter().flatten().collect();
    match &round.facets {
        Some(facets) => format!("{}, {} directions", words.join(" "), facets.directions.len()),
        None if words.is_empty() => "–".into(),
        None => words.join(" "),
    }
}

/// Number of an attempt in curves and tables, e.g. `3`, or `3.2` for its second attempt.
pub(crate) fn label(round: &RoundRecord) -> String {
    if round.attempt > 1 { format!("{}.{}", round.round, round.attempt) } else { round.round.to_string() }
}

/// One sign for an attempt in the overview.
pub(crate) fn sign(round: &RoundRecord) -> char {
    match round.decision.as_ref().map(|d| d.verdict) {
        Some(Verdict::Accepted | Verdict::Converged) => '✓',
        Some(Verdict::Rejected) => '✗',
        Some(Verdict::Diverged) => '!',
        None if round.state == State::Failed => '!',
        None => '…',
    }
}

/// The judgement of a model pixel.
pub(crate) fn confetti(verdict: confetti::ConfettiVerdict) -> &'static str {
    match verdict {
        confetti::ConfettiVerdict::Real => "real",
        confetti::ConfettiVerdict::Suspicious => "suspicious",
        confetti::ConfettiVerdict::Confetti => "confetti",
    }
}

/// Style class of the judgement of a model pixel.
pub(crate) fn confetti_class(verdict: confetti::ConfettiVerdict) -> &'static str {
    match verdict {
        confetti::ConfettiVerdict::Real => "good",
        confetti::ConfettiVerdict::Suspicious => "warn",
        confetti::ConfettiVerdict::Confetti => "bad",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calibrator::facets::{FacetDirection, FacetSolution};
    use crate::campaign::record::FacetRecord;

    #[test]
    fn a_calibration_by_direction_names_their_number() {
        let mut round =
            RoundRecord { calmode: Some(CalMode::Ap), solint: Some("30s".into()), ..RoundRecord::default() };
        assert_eq!((setting(&round), short_setting(&round)), ("amplitude and phase, 30s".into(), "ap 30s".into()));
        let solution = FacetSolution { directions: vec![FacetDirection::default(); 5], ..FacetSolution::default() };
        round.facets = Some(FacetRecord::of(&solution, "30s", CalMode::Ap));
        assert_eq!(setting(&round), "amplitude and phase, 30s, in 5 directions");
        assert_eq!(short_setting(&round), "ap 30s, 5 directions");
    }
}
