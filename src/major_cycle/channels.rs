//! The channels of a cube: each has its own limits, and stops, diverges and is reverted by itself.

use super::notes::{Finished, best_cycle};
use super::{ChannelRecord, StopRules};
use crate::imager::{ChannelControls, ChannelRevert, StopReason};
use crate::quality::residual::{PlaneResidual, ResidualState};

/// Where one channel stands before a cycle.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct ChannelProgress {
    /// Minor iterations so far.
    pub iterations: u64,
    /// Why it has stopped. A channel that has stopped stays so, whatever later masks hold.
    pub stopped: Option<StopReason>,
    /// It had stopped before the last cycle.
    pub long_stopped: bool,
}

/// Where each plane of the residual stands after the finished cycles.
pub(super) fn channel_states(state: &ResidualState, finished: &[Finished], rules: &StopRules) -> Vec<ChannelProgress> {
    let independent = rules.limits.independent_channels && state.channels.len() > 1;
    let of_channel = |(index, plane): (usize, &PlaneResidual)| {
        let cycles = || finished.iter().filter_map(|f| f.minor.channels.get(index));
        let iterations = cycles().map(|c| c.iterations).sum();
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
            .or_else(|| (idle || no_progress(index, plane, finished, rules)).then_some(StopReason::NoNewFlux));
        ChannelProgress { iterations, stopped, long_stopped }
    };
    state.channels.iter().enumerate().map(of_channel).collect()
}

/// Whether the last cycle cleaned this channel of a cube, but changed neither its flux nor the peak inside the same mask.
fn no_progress(index: usize, plane: &PlaneResidual, finished: &[Finished], rules: &StopRules) -> bool {
    let Some(last) = finished.last().filter(|_| finished.iter().any(|f| f.record.channels.len() > 1)) else {
        return false;
    };
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
    if rules.limits.independent_channels && channels.len() > 1 {
        let going_on = channels.iter().filter(|c| c.stopped.is_none());
        return going_on.map(|c| rules.limits.iterations.saturating_sub(c.iterations)).max().unwrap_or(0);
    }
    rules.limits.iterations.saturating_sub(done)
}

/// The limits of each channel of a cube; none for a single plane. `done` is the number of minor iterations so far.
pub(super) fn channel_controls(
    state: &ResidualState,
    channels: &[ChannelProgress],
    done: u64,
    rules: &StopRules,
) -> Vec<ChannelControls> {
    if channels.len() < 2 {
        return Vec::new();
    }
    let controls = |(plane, now): (&PlaneResidual, &ChannelProgress)| ChannelControls {
        active: now.stopped.is_none(),
        iterations_left: rules.limits.iterations.saturating_sub(if rules.limits.independent_channels {
            now.iterations
        } else {
            done
        }),
        threshold_jy: rules.threshold(plane.rms),
    };
    state.channels.iter().zip(channels).map(controls).collect()
}

/// The channels of a cube whose residual has grown beyond the limits, each with the cycle to revert to. Those that had
/// stopped before are left alone.
pub(super) fn diverged_channels(
    finished: &[Finished],
    state: &ResidualState,
    channels: &[ChannelProgress],
    rules: &StopRules,
) -> Vec<ChannelRevert> {
    if channels.len() < 2 {
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
