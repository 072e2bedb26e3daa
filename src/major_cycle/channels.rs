//! The channels of a cube: each has its own limits, and stops, diverges and is reverted by itself.

use super::notes::{Finished, best_cycle};
use super::settled::plane_has_settled;
use super::{ChannelMoment, ChannelRecord, ConfettiRecord, StopRules};
use crate::imager::{ChannelControls, ChannelRevert, StopReason};
use crate::quality::residual::{PlaneResidual, ResidualState};

/// Where one channel stands before a cycle.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct ChannelProgress {
    /// Minor iterations so far.
    pub iterations: u64,
    /// Major iterations so far.
    pub major_iterations: usize,
    /// Why it has stopped. A channel that has stopped stays so, whatever later masks hold.
    pub stopped: Option<StopReason>,
    /// It had stopped before the last cycle.
    pub long_stopped: bool,
}

/// Where each plane of the residual stands after the finished cycles.
pub(super) fn channel_states(state: &ResidualState, finished: &[Finished], rules: &StopRules) -> Vec<ChannelProgress> {
    let independent = rules.limits.independent_channels;
    let of_channel = |(index, plane): (usize, &PlaneResidual)| {
        let cycles = || finished.iter().filter_map(|f| f.minor.channels.get(index));
        let iterations = cycles().map(|c| c.iterations).sum();
        let major_iterations = cycles().map(|c| c.major_iterations).sum();
        let before = finished.iter().filter_map(|f| f.record.channels.get(index)).find_map(|c| c.stopped.clone());
        let mut reverted = finished.iter().filter_map(|f| f.reverted.as_ref()).flat_map(|r| &r.channels);
        let diverged = reverted.any(|revert| revert.channel == index);
        let long_stopped = diverged || before.is_some();
        // The last one was given to the imager, which found nothing to do.
        let idle = independent && cycles().next_back().is_some_and(|c| c.iterations == 0);
        let stopped = before
            .or_else(|| diverged.then_some(StopReason::Diverged))
            .or_else(|| rules.nothing_left(plane))
            .or_else(|| (independent && iterations >= rules.limits.iterations).then_some(StopReason::Iterations))
            .or_else(|| {
                (independent && major_iterations >= rules.limits.major_cycles).then_some(StopReason::MajorCycles)
            })
            .or_else(|| (idle || no_progress(index, plane, finished, rules)).then_some(StopReason::NoNewFlux));
        ChannelProgress { iterations, major_iterations, stopped, long_stopped }
    };
    state.channels.iter().enumerate().map(of_channel).collect()
}

/// Whether the last cycle cleaned this channel of a cube, but changed neither its flux nor the peak inside the same mask.
fn no_progress(index: usize, plane: &PlaneResidual, finished: &[Finished], rules: &StopRules) -> bool {
    let by_channel = finished.iter().any(|f| f.record.channels.len() > 1) || rules.limits.independent_channels;
    let Some(last) = finished.last().filter(|_| by_channel) else { return false };
    if last.minor.channels.get(index).is_none_or(|c| c.iterations == 0) {
        // One that is fainter than the cycle's threshold has its turn later.
        return false;
    }
    let of = |back: usize| finished.iter().rev().nth(back).and_then(|f| f.record.channels.get(index));
    let flux = |back: usize| of(back).and_then(|c| c.model_flux);
    if let (Some(now), Some(before)) = (flux(0), flux(1))
        && (now - before).abs() < rules.least_new_flux * now.abs()
    {
        return true;
    }
    // A mask that grew may hold a higher peak than the last one: only with the same mask is that no progress.
    of(0).is_some_and(|before| {
        before.masked_pixels == Some(plane.masked_pixels)
            && before.peak_in_mask.is_some_and(|p| plane.peak_in_mask > (1.0 - rules.least_new_flux) * p)
    })
}

/// Minor iterations that the imager may still do; for independent channels the most that one of them may.
pub(super) fn iterations_left(channels: &[ChannelProgress], done: u64, rules: &StopRules) -> u64 {
    if rules.limits.independent_channels {
        let going_on = channels.iter().filter(|c| c.stopped.is_none());
        return going_on.map(|c| rules.limits.iterations.saturating_sub(c.iterations)).max().unwrap_or(0);
    }
    rules.limits.iterations.saturating_sub(done)
}

/// The limits of each channel of a cube; none for a single plane. `done` is the number of minor iterations so far, `majors`
/// says how many major iterations a channel gets in this call.
pub(super) fn channel_controls(
    state: &ResidualState,
    channels: &[ChannelProgress],
    done: u64,
    majors: &dyn Fn(usize, &ChannelProgress) -> usize,
    rules: &StopRules,
) -> Vec<ChannelControls> {
    if !rules.by_channel(channels.len()) {
        return Vec::new();
    }
    let controls = |(index, (plane, now)): (usize, (&PlaneResidual, &ChannelProgress))| ChannelControls {
        active: now.stopped.is_none(),
        iterations_left: rules.limits.iterations.saturating_sub(if rules.limits.independent_channels {
            now.iterations
        } else {
            done
        }),
        threshold_jy: rules.threshold(plane.rms),
        major_iterations: majors(index, now),
    };
    state.channels.iter().zip(channels).enumerate().map(controls).collect()
}

/// The channels of a cube whose residual has grown beyond the limits, each with the cycle to revert to. Those that had
/// stopped before are left alone.
pub(super) fn diverged_channels(
    finished: &[Finished],
    state: &ResidualState,
    channels: &[ChannelProgress],
    rules: &StopRules,
) -> Vec<ChannelRevert> {
    if !rules.by_channel(channels.len()) {
        return Vec::new();
    }
    let of_channel = |index: usize| finished.iter().map(move |f| f.record.channels.get(index));
    let has_diverged = |index: usize, now: &PlaneResidual| {
        let lowest = |of: fn(&ChannelRecord) -> Option<f64>| {
            of_channel(index).flatten().filter_map(of).fold(f64::INFINITY, f64::min)
        };
        let (peak, rms) = (lowest(|c| c.peak), lowest(|c| c.rms));
        // A plane without any finite value has no peak.
        let lost = now.peak == 0.0 && peak.is_finite() && peak > 0.0;
        lost || now.peak > rules.peak_growth * peak || now.rms > rules.rms_growth * rms
    };
    let planes = state.channels.iter().zip(channels).enumerate();
    planes
        .filter(|(index, (now, channel))| !channel.long_stopped && has_diverged(*index, now))
        .map(|(channel, _)| ChannelRevert {
            channel,
            cycle: best_cycle(of_channel(channel).map(|record| record.and_then(|c| c.peak))),
        })
        .collect()
}

/// The channels that are cleaned each by itself, before a mask is made: planes of those that have stopped stay, and of those
/// whose masks have settled, unless confetti was just found in them. Empty where channels depend on each other, and before
/// the first mask.
pub(super) fn channel_moments(
    finished: &[Finished],
    confetti: &[ConfettiRecord],
    rules: &StopRules,
) -> Vec<ChannelMoment> {
    let Some(last) = finished.last().filter(|_| rules.limits.independent_channels) else { return Vec::new() };
    let of_channel = |(index, record): (usize, &ChannelRecord)| {
        let reverted = |f: &Finished| f.reverted.iter().flat_map(|r| &r.channels).any(|r| r.channel == index);
        let stopped = record.stopped.is_some() || finished.iter().any(reverted);
        let found = confetti.iter().any(|pixel| pixel.channel == index);
        let cycles = || finished.iter().filter_map(|f| f.minor.channels.get(index));
        ChannelMoment {
            stopped,
            keep: stopped || !found && plane_has_settled(index, finished, None, rules),
            iterations: cycles().map(|c| c.iterations).sum(),
            threshold_reached: last.minor.channels.get(index).is_some_and(|c| c.threshold_reached),
        }
    };
    last.record.channels.iter().enumerate().map(of_channel).collect()
}
