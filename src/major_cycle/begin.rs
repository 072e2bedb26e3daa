//! A first cycle whose mask is there before the imager has made anything: one call instead of two.

use super::measures::{describe, note_outcome};
use super::notes::{Finished, Notes};
use super::{CycleMasks, CycleRecord, FirstMask, Measures, StopRules};
use crate::Result;
use crate::imager::{CycleImager, MinorControls};
use std::time::Instant;

/// Part of its pixels by which a mask may differ from the one that the last imaging ended with where masks have settled over the
/// rounds: the last rounds of simulated fields differ by 1 to 4 %, those before by 40 % and more.
const OVER_ROUNDS: f64 = 0.05;

/// Makes the first cycle in one call with PSF and dirty image, where its mask is known and so is the threshold: as a multiple
/// of a noise that the imager measures, or as a flux. A run that goes on from finished cycles has them already.
pub(super) fn begin_inside(
    imager: &mut dyn CycleImager,
    masks: &mut dyn CycleMasks,
    measures: Measures<'_>,
    rules: &StopRules,
    notes: &mut Notes,
) -> Result<()> {
    if !notes.finished.is_empty() || notes.careful || rules.limits.independent_channels {
        return Ok(());
    }
    let clock = Instant::now();
    let Some(FirstMask { mask, changed }) = masks.first()? else { return Ok(()) };
    // The masks have settled over the rounds: the whole imaging in one call, unless its residual shows more.
    let few = |changed: u64| (changed as f64) < OVER_ROUNDS * mask.pixels as f64;
    let settled = rules.freeze_change > 0.0 && changed.is_some_and(few);
    let Some(begun) = imager.begin_inside(&mask.path, &controls(rules, settled))? else { return Ok(()) };
    let dirty = &begun.dirty;
    let state = (measures.residual)(&dirty.residual, Some(&mask.path), dirty.pixel_mask.as_deref())?;
    let residual = masks.begun(dirty)?.or_else(|| Some(dirty.residual.clone()));
    let mut record = CycleRecord { cycle: 0, residual, ..describe(&mask, &state, &[], rules) };
    note_outcome(&mut record, &begun.minor, &imager.residual()?, (clock, measures))?;
    notes.finished.push(Finished {
        record,
        mask,
        same_mask: false,
        minor: begun.minor,
        reverted: None,
        vetoed: Vec::new(),
    });
    notes.save()
}

/// The limits of the call.
pub(super) fn controls(rules: &StopRules, settled: bool) -> MinorControls {
    let all = rules.limits.major_cycles;
    let major_iterations = if settled { all } else { rules.every.min(all) };
    MinorControls {
        iterations_left: rules.limits.iterations,
        threshold_jy: rules.threshold(0.0),
        follows_noise: rules.noise_threshold(),
        major_iterations,
        last: major_iterations == all,
        channels: Vec::new(),
    }
}
