//! Decisions after each residual: pure rules, in the order in which they are applied.

use super::channels::{ChannelProgress, channel_controls, iterations_left};
use super::notes::{Finished, best_cycle, iterations};
use super::settled::{has_settled, plane_has_settled};
use super::{CycleMask, CycleRecord, StopRules};
use crate::imager::{MinorControls, StopReason};
use crate::quality::residual::{PlaneResidual, ResidualState};

/// The loop's next step.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum CycleStep {
    /// Clean inside the mask, within these limits.
    Clean(MinorControls),
    /// End: the residual is as good as it gets.
    Stop(StopReason),
    /// End as diverged, with the state after this number of cycles.
    RollBack { cycle: usize },
    /// Go on from the state after this number of cycles, in small steps.
    StepBack { cycle: usize },
}

/// The mask of the cycle that begins.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ChosenMask {
    pub mask: CycleMask,
    /// It is that of the cycle before.
    pub same: bool,
    /// It had settled before this cycle.
    pub settled: bool,
}

/// A look at the residual inside the mask.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Look {
    pub state: ResidualState,
    pub channels: Vec<ChannelProgress>,
    pub record: CycleRecord,
}

impl Look {
    pub(super) fn is_cube(&self, rules: &StopRules) -> bool {
        rules.by_channel(self.state.channels.len())
    }
}

/// Everything that the decision rests on.
pub(super) struct Situation<'a> {
    pub look: &'a Look,
    pub mask: &'a ChosenMask,
    pub finished: &'a [Finished],
    /// The imager goes on at no cost, so that each major iteration is a call of its own.
    pub cheap: bool,
    /// A cycle diverged before, and the loop goes on in small steps.
    pub careful: bool,
    /// Channels have diverged, and the imager cannot revert them by themselves.
    pub cannot_revert: bool,
}

/// Decides what comes next.
pub(super) fn decide(situation: &Situation<'_>, rules: &StopRules) -> CycleStep {
    let Situation { look, finished, .. } = *situation;
    if situation.cannot_revert || (!look.is_cube(rules) && has_diverged(finished, &look.record, rules)) {
        let cycle = best_cycle(finished.iter().map(|f| f.record.peak));
        let again = !situation.cannot_revert && !situation.careful;
        return if again { CycleStep::StepBack { cycle } } else { CycleStep::RollBack { cycle } };
    }
    match reason_to_stop(situation, rules) {
        Some(reason) => CycleStep::Stop(reason),
        None => CycleStep::Clean(controls(situation, rules)),
    }
}

/// Major iterations of these cycles.
fn major_iterations(finished: &[Finished]) -> usize {
    finished.iter().map(|f| f.minor.major_iterations.max(1)).sum()
}

/// The limits of the next call. After a divergence that is one major iteration, which halves the peak: minor iterations are
/// right only as far as the sidelobes of what they take away stay below what is left, and the highest of a snapshot reach
/// two thirds of the peak (CASA's cycle threshold, for the same reason).
fn controls(situation: &Situation<'_>, rules: &StopRules) -> MinorControls {
    let Situation { look, mask, finished, cheap, careful, .. } = *situation;
    let frozen = mask.settled || (!mask.same && has_settled(finished, Some(&mask.mask), rules));
    let left = rules.limits.major_cycles.saturating_sub(major_iterations(finished));
    /// Part of the peak down to which a careful call cleans.
    const SMALL_STEP: f64 = 0.5;
    let of_call = |settled: bool, left: usize| match (cheap || careful, settled) {
        (true, _) => 1,
        (false, true) => left,
        (false, false) => rules.every.min(left),
    };
    let call = of_call(frozen, left);
    let majors = |index: usize, channel: &ChannelProgress| {
        if !rules.limits.independent_channels {
            return call;
        }
        let settled = plane_has_settled(index, finished, (!mask.same).then_some(&mask.mask), rules);
        of_call(settled, rules.limits.major_cycles.saturating_sub(channel.major_iterations))
    };
    let (done, overall) = (iterations(finished), &look.state.overall);
    let step = if careful { SMALL_STEP } else { 0.0 };
    MinorControls {
        iterations_left: iterations_left(&look.channels, done, rules),
        threshold_jy: rules.threshold(overall.rms).max(step * overall.peak_in_mask),
        follows_noise: rules.noise_threshold().filter(|_| !careful),
        major_iterations: call,
        last: call == left,
        channels: channel_controls(&look.state, &look.channels, done, &majors, rules),
    }
}

/// Whether the residual has grown beyond the limits, or the model holds pixels that are no number.
fn has_diverged(finished: &[Finished], now: &CycleRecord, rules: &StopRules) -> bool {
    let lowest = |of: fn(&CycleRecord) -> Option<f64>| {
        finished.iter().filter_map(|f| of(&f.record)).fold(f64::INFINITY, f64::min)
    };
    let beyond = |value: Option<f64>, lowest: f64, factor: f64| match value {
        Some(v) => !v.is_finite() || v > factor * lowest,
        None => true,
    };
    let peak = beyond(now.peak, lowest(|r| r.peak), rules.peak_growth);
    let rms = beyond(now.rms, lowest(|r| r.rms), rules.rms_growth);
    let broken = finished.last().and_then(|f| f.record.model_flux).is_some_and(|flux| !flux.is_finite());
    !finished.is_empty() && (peak || rms || broken)
}

/// Why the loop ends here, if it does.
fn reason_to_stop(situation: &Situation<'_>, rules: &StopRules) -> Option<StopReason> {
    let Situation { look, mask, finished, .. } = *situation;
    if look.state.overall.masked_pixels == 0 {
        return Some(StopReason::EmptyMask);
    }
    if look.channels.iter().all(|c| c.stopped.is_some()) {
        return Some(gravest(&look.channels));
    }
    if iterations_left(&look.channels, iterations(finished), rules) == 0 {
        return Some(StopReason::Iterations);
    }
    if !rules.limits.independent_channels && major_iterations(finished) >= rules.limits.major_cycles {
        return Some(StopReason::MajorCycles);
    }
    let last = finished.last()?;
    if !look.is_cube(rules) && has_come_down(look, mask, last, rules) {
        return Some(rules.threshold_kind(&look.state.overall));
    }
    // The channels of a cube were judged one by one.
    let idle =
        last.minor.iterations == 0 || (!look.is_cube(rules) && no_progress(&look.state.overall, finished, rules));
    idle.then_some(StopReason::NoNewFlux)
}

/// Whether the last call went down to the threshold, in a mask that has not changed and at a noise that has hardly fallen
/// since: what is above the threshold now is the error of the minor iterations, and another call would move it about.
fn has_come_down(look: &Look, chosen: &ChosenMask, last: &Finished, rules: &StopRules) -> bool {
    /// The peak over the threshold up to which that is so. Calls that began at 1.5 to 1.8 times the threshold lowered the noise
    /// by 0.3 %.
    const REMAINDER: f64 = 2.0;
    /// The threshold over the level that the last call reached, from which on it is the same.
    const SAME_THRESHOLD: f64 = 0.9;
    let overall = &look.state.overall;
    let threshold = rules.threshold(overall.rms);
    let fresh_or_settled = !chosen.same || chosen.settled;
    let unchanged =
        ((chosen.mask.added + chosen.mask.removed) as f64) < rules.freeze_change * chosen.mask.pixels as f64;
    last.minor.threshold_reached
        && fresh_or_settled
        && (chosen.settled || unchanged)
        && overall.peak_in_mask < REMAINDER * threshold
        && last
            .minor
            .cycle_threshold_jy
            .or(last.record.threshold)
            .is_some_and(|reached| threshold > SAME_THRESHOLD * reached)
}

/// The reason that says most where all channels have stopped: one that was cut short before one that came to its end.
fn gravest(channels: &[ChannelProgress]) -> StopReason {
    let order = [
        StopReason::Diverged,
        StopReason::Iterations,
        StopReason::MajorCycles,
        StopReason::NoNewFlux,
        StopReason::Threshold,
        StopReason::NSigma,
    ];
    let met = |reason: &StopReason| channels.iter().any(|c| c.stopped.as_ref() == Some(reason));
    order.into_iter().find(met).unwrap_or(StopReason::EmptyMask)
}

/// Whether the last cycle changed neither the model's flux nor the peak inside the same mask.
fn no_progress(overall: &PlaneResidual, finished: &[Finished], rules: &StopRules) -> bool {
    // The flux of the last two cycles, where the imager shows its model.
    let flux = |back: usize| finished.iter().rev().nth(back).and_then(|f| f.record.model_flux);
    if let (Some(now), Some(before)) = (flux(0), flux(1))
        && (now - before).abs() < rules.least_new_flux * now.abs()
    {
        return true;
    }
    // A mask that grew may hold a higher peak than the last one: only with the same mask is that no progress.
    finished.last().is_some_and(|f| {
        f.record.masked_pixels == Some(overall.masked_pixels)
            && f.record.peak_in_mask.is_some_and(|p| overall.peak_in_mask > (1.0 - rules.least_new_flux) * p)
    })
}
