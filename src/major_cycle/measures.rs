//! The measures of a cycle, and the record that they fill.

use super::channels::ChannelProgress;
use super::{ChannelRecord, CycleMask, CycleRecord, StopRules};
use crate::Result;
use crate::imager::{MinorCycle, Residual};
use crate::quality::residual::{PlaneResidual, ResidualState};
use std::path::Path;
use std::time::Instant;

/// Measures a residual inside a mask and the imager's pixel mask.
pub type MeasureResidual<'a> = dyn Fn(&Path, Option<&Path>, Option<&Path>) -> Result<ResidualState> + 'a;

/// How files are measured: the loop itself sees no pixels.
#[derive(Clone, Copy)]
pub struct Measures<'a> {
    /// A residual inside a mask and the imager's pixel mask.
    pub residual: &'a MeasureResidual<'a>,
    /// The flux of a model, Jy, channel by channel.
    pub flux: &'a dyn Fn(&Path) -> Result<Vec<f64>>,
}

/// Adds what a call did to the record of its cycle; `after` is the residual after it.
pub(super) fn note_outcome(
    record: &mut CycleRecord,
    minor: &MinorCycle,
    after: &Residual,
    (clock, measures): (Instant, Measures<'_>),
) -> Result<()> {
    record.seconds = Some(clock.elapsed().as_secs_f64());
    record.iterations = Some(minor.iterations);
    let fluxes = after.model.as_deref().map(measures.flux).transpose()?;
    record.model_flux = fluxes.as_ref().map(|f| f.iter().sum());
    for (index, channel) in record.channels.iter_mut().enumerate() {
        channel.model_flux = fluxes.as_ref().and_then(|f| f.get(index).copied());
        channel.iterations = minor.channels.get(index).map(|c| c.iterations);
    }
    Ok(())
}

/// The numbers of a cycle's record.
pub(super) fn describe(
    mask: &CycleMask,
    state: &ResidualState,
    channels: &[ChannelProgress],
    rules: &StopRules,
) -> CycleRecord {
    let planes = if rules.by_channel(state.channels.len()) { &state.channels[..] } else { &[] };
    let of_channel = |(plane, now): (&PlaneResidual, &ChannelProgress)| ChannelRecord {
        peak: Some(plane.peak),
        peak_in_mask: Some(plane.peak_in_mask),
        rms: Some(plane.rms),
        threshold: Some(rules.threshold(plane.rms)),
        masked_pixels: Some(plane.masked_pixels),
        stopped: now.stopped.clone(),
        ..ChannelRecord::default()
    };
    CycleRecord {
        mask: Some(mask.path.clone()),
        peak: Some(state.overall.peak),
        peak_in_mask: Some(state.overall.peak_in_mask),
        rms: Some(state.overall.rms),
        threshold: Some(rules.threshold(state.overall.rms)),
        masked_pixels: Some(mask.pixels),
        added: Some(mask.added),
        removed: Some(mask.removed),
        mask_why: mask.why.clone(),
        channels: planes.iter().zip(channels).map(of_channel).collect(),
        ..CycleRecord::default()
    }
}
