//! The loop over major cycles of one imaging: mask, minor cycle, major cycle, until there is a reason to stop.
//!
//! It drives any [`CycleImager`] that takes a fresh mask for each call, sees paths and numbers only, and writes down each
//! cycle (`cycles.json`), so that an interrupted imaging goes on from its last complete cycle with the same masks.

mod records;
mod stop;

pub use records::{ChannelRecord, ConfettiRecord, CycleRecord};
pub use stop::StopOptions;

use crate::imager::{
    ChannelControls, ChannelRevert, CycleImager, MinorControls, MinorCycle, Products, Residual, StopReason,
};
use crate::process::interrupt;
use crate::quality::residual::{PlaneResidual, ResidualState};
use crate::util::fs;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Name of the file of finished cycles in the job's folder.
const STATE: &str = "cycles.json";

/// When the loop ends, with everything resolved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StopRules {
    /// Level of the peak inside the mask, Jy/beam.
    pub threshold_jy: Option<f64>,
    /// The same as a multiple of the residual's robust noise.
    pub nsigma: Option<f64>,
    /// Minor iterations over all cycles.
    pub iterations: u64,
    /// Major iterations over all calls.
    pub major_cycles: usize,
    /// A fresh mask before every n-th major iteration.
    pub every: usize,
    /// A mask that changes by less than this fraction of its pixels is kept for the rest, which runs in one call; in
    /// more, if the noise that the level is a multiple of has fallen meanwhile.
    pub freeze_change: f64,
    /// A cycle must change the model's flux, and lower the peak inside the same mask, by this fraction.
    pub least_new_flux: f64,
    /// Divergence: the peak over the lowest so far.
    pub peak_growth: f64,
    /// Divergence: the noise over the lowest so far.
    pub rms_growth: f64,
    /// Channels of a cube are images of their own: the limit of iterations holds for each, and one that finds nothing
    /// to do is done.
    pub independent_channels: bool,
}

impl StopRules {
    /// The campaign's rules, with the imager's own limits where the campaign gives none.
    pub fn new(stop: &StopOptions, imager: &ImagerLimits, every: usize, freeze_change: f64) -> Self {
        Self {
            threshold_jy: stop.threshold_jy.or(imager.threshold_jy),
            nsigma: stop.nsigma.or(imager.nsigma),
            iterations: stop.iterations.unwrap_or(imager.iterations),
            major_cycles: stop.major_cycles.unwrap_or(imager.major_cycles).max(1),
            every: every.max(1),
            freeze_change,
            least_new_flux: stop.least_new_flux,
            peak_growth: stop.peak_growth,
            rms_growth: stop.rms_growth,
            independent_channels: imager.independent_channels,
        }
    }

    /// Level down to which a plane with this noise is cleaned, Jy/beam.
    fn level(&self, rms: f64) -> f64 {
        self.threshold_jy.unwrap_or(0.0).max(self.nsigma.unwrap_or(0.0) * rms)
    }
}

/// What the imager's options say about stopping.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ImagerLimits {
    /// wsclean's `threshold`, tclean's `threshold`, Jy/beam.
    pub threshold_jy: Option<f64>,
    /// wsclean's `auto_threshold`, tclean's `nsigma`.
    pub nsigma: Option<f64>,
    /// `niter`.
    pub iterations: u64,
    /// `nmiter`, `nmajor`.
    pub major_cycles: usize,
    /// Each channel of a cube is cleaned by itself (wsclean's, unless they are joined).
    pub independent_channels: bool,
}

/// The mask of one cycle.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CycleMask {
    /// The file.
    pub path: PathBuf,
    /// Masked pixels over all channels.
    pub pixels: u64,
    /// Pixels that the cycle before did not mask.
    pub added: u64,
    /// Pixels that only the cycle before masked.
    pub removed: u64,
    /// A copy of the residual that outlives the imager's own files, for the report.
    #[serde(default)]
    pub kept_residual: Option<PathBuf>,
    /// Whether sidelobes of what was not cleaned yet may have hidden more: then an unchanged mask says nothing.
    #[serde(default)]
    pub hidden: bool,
    /// Why it is as it is, where its levels were chosen from the residual.
    #[serde(default)]
    pub why: String,
}

/// What is known when a mask is made.
#[derive(Debug, Clone, Copy)]
pub struct MaskMoment<'a> {
    /// Number of the cycle, 0 first.
    pub cycle: usize,
    /// How many masks were made before: fewer than cycles, where some were used again.
    pub masks: usize,
    /// Minor iterations done so far, over all channels.
    pub iterations: u64,
    /// The minor cycle before; `None` at first.
    pub last: Option<&'a MinorCycle>,
    /// The mask before; `None` at first.
    pub previous: Option<&'a CycleMask>,
}

/// What is not on the sky, and the model without it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CycleVeto {
    /// The pixels.
    pub found: Vec<ConfettiRecord>,
    /// The repaired model cube.
    pub model: PathBuf,
}

/// Makes the masks. The same moment must give the same mask again: a run that was killed asks twice.
pub trait CycleMasks {
    /// Looks for confetti in the model of the cycles so far; masks made from now on leave it out. A repaired model is
    /// free of what was found: asked again, there is nothing.
    ///
    /// # Errors
    /// Cubes that cannot be read, files that cannot be written.
    fn veto(&mut self, residual: &Residual, moment: &MaskMoment<'_>) -> Result<Option<CycleVeto>> {
        let _ = (residual, moment);
        Ok(None)
    }

    /// The mask for the next minor cycle, from the residual just made.
    ///
    /// # Errors
    /// A residual that cannot be used.
    fn make(&mut self, residual: &Residual, moment: &MaskMoment<'_>) -> Result<CycleMask>;
}

/// What the loop gave.
#[derive(Debug, Clone, PartialEq)]
pub struct CycleReport {
    /// The imager's final files.
    pub products: Products,
    /// Each cycle; the last one made no minor cycle.
    pub cycles: Vec<CycleRecord>,
    /// Why it ended.
    pub stopped: StopReason,
    /// The mask that was last cleaned with.
    pub mask: Option<CycleMask>,
}

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

/// One finished cycle, as `cycles.json` keeps it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Finished {
    record: CycleRecord,
    mask: CycleMask,
    /// The mask is that of the cycle before.
    #[serde(default)]
    same_mask: bool,
    minor: MinorCycle,
    /// Channels that diverged in this cycle and went back, and what was looked at when that was found.
    #[serde(default)]
    went_back: Option<Reverted>,
    /// Confetti that was found in the model after this cycle. It is written down before the model is repaired: in the
    /// repaired one it is not found again.
    #[serde(default)]
    vetoed: Vec<ConfettiRecord>,
}

/// Channels that went back to their best cycles. It is written down before it is done: a run that is cut off meanwhile
/// must not take the better residual for what it had looked at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Reverted {
    channels: Vec<ChannelRevert>,
    record: CycleRecord,
    mask: CycleMask,
    same_mask: bool,
}

/// Runs the loop on an imager that was set up; `folder` is the job's. The caller tears the imager down.
///
/// # Errors
/// The imager's or the masks' failure, an interruption, a first mask that is empty in every plane.
pub fn run(
    imager: &mut dyn CycleImager,
    masks: &mut dyn CycleMasks,
    measures: Measures<'_>,
    rules: &StopRules,
    folder: &Path,
) -> Result<CycleReport> {
    imager.make_psf()?;
    imager.make_pb()?;
    let mut finished = resumed(folder, imager.completed_cycles())?;
    if finished.len() < imager.completed_cycles() {
        // The notes of a cycle are written after it: the one without notes is done again.
        imager.roll_back(finished.len())?;
    }
    let mut noted = finished.last().and_then(|f| f.went_back.clone());
    if let Some(back) = &noted {
        imager.revert_channels(&back.channels)?;
    }
    let cheap = imager.calls_are_cheap();
    let mut residual = imager.residual()?;
    let mut records: Vec<CycleRecord> = finished.iter().map(|f| f.record.clone()).collect();
    let stopped = loop {
        interrupt::check()?;
        let cycle = finished.len();
        let iterations: u64 = finished.iter().map(|f| f.minor.iterations).sum();
        let majors: usize = finished.iter().map(|f| f.minor.major_iterations.max(1)).sum();
        // Not empty when a run was cut off after it had found them.
        let mut confetti = finished.last().map(|f| f.vetoed.clone()).unwrap_or_default();
        if !finished.is_empty()
            && noted.is_none()
            && let Some(veto) = masks.veto(&residual, &moment_after(&finished))?
        {
            for pixel in veto.found {
                if !confetti.iter().any(|c| (c.pixel, c.channel) == (pixel.pixel, pixel.channel)) {
                    confetti.push(ConfettiRecord { cycle: Some(cycle), ..pixel });
                }
            }
            if let Some(last) = finished.last_mut() {
                last.vetoed.clone_from(&confetti);
            }
            write_down(&finished, folder)?;
            match imager.replace_model(&veto.model)? {
                Some(repaired) => residual = repaired,
                None => {
                    for pixel in &mut confetti {
                        pixel.action = "left the mask; this imager keeps its model".into();
                    }
                }
            }
        }
        let within_group = cheap && cycle % rules.every != 0;
        let settled = has_settled(&finished, None, rules) && confetti.is_empty();
        let same = finished
            .last()
            .map(|f| &f.mask)
            .filter(|_| settled || (within_group && confetti.is_empty()))
            .map(|p| CycleMask { kept_residual: None, ..p.clone() });
        let (mask, same_mask) = match (&noted, same) {
            (Some(noted), _) => (noted.mask.clone(), noted.same_mask),
            (None, Some(mask)) => (mask, true),
            (None, None) => (masks.make(&residual, &moment_after(&finished))?, false),
        };
        let measure = |of: &Residual| (measures.residual)(&of.residual, Some(&mask.path), of.pixel_mask.as_deref());
        let mut state = measure(&residual)?;
        let mut channels = channel_states(&state, &finished, rules);
        let mut record = describe(cycle, &residual, &mask, &state, &channels, rules);
        record.confetti = confetti;
        if same_mask {
            // The imager's own file goes with the imager, and nobody kept a copy.
            record.residual = None;
            (record.added, record.removed) = (Some(0), Some(0));
        }
        let is_cube = state.channels.len() > 1;
        let mut good = if is_cube { None } else { diverged(&records, &record, rules) };
        if let Some(noted) = noted.take() {
            record = noted.record;
        } else if let Some(last) = finished.last_mut()
            && let back = channels_that_diverged(&records, &state, &channels, rules)
            && !back.is_empty()
        {
            for went in &back {
                let channel = &mut record.channels[went.channel];
                (channel.done, channel.stopped) = (true, Some(StopReason::Diverged));
            }
            let (record, mask) = (record.clone(), mask.clone());
            last.went_back = Some(Reverted { channels: back.clone(), record, mask, same_mask });
            write_down(&finished, folder)?;
            if imager.revert_channels(&back)? {
                residual = imager.residual()?;
                state = measure(&residual)?;
                channels = channel_states(&state, &finished, rules);
            } else {
                good = Some(best_cycle(records.iter().map(|r| r.peak)));
            }
        }
        if let Some(good) = good {
            records.push(record);
            if imager.roll_back(good).is_ok() {
                finished.truncate(good);
            }
            break StopReason::Diverged;
        }
        if let Some(reason) = reason_to_stop((&state, &channels), &finished, &records, (iterations, majors), rules) {
            record.stopped = Some(reason.clone());
            records.push(record);
            break reason;
        }
        let frozen = settled || (!same_mask && has_settled(&finished, Some(&mask), rules));
        let left = rules.major_cycles - majors;
        let call = match (cheap, frozen) {
            (true, _) => 1,
            (false, true) => left,
            (false, false) => rules.every.min(left),
        };
        let controls = MinorControls {
            iterations_left: iterations_left(&channels, iterations, rules),
            threshold_jy: rules.level(state.overall.rms),
            major_iterations: call,
            last: call == left,
            channels: channel_controls(&state, &channels, iterations, rules),
        };
        let clock = std::time::Instant::now();
        let minor = imager.clean(Some(&mask.path), &controls)?;
        if let Some(reason) = minor.stopped.as_ref().filter(|_| minor.iterations == 0) {
            // Nothing was done: the residual is still the one that was looked at.
            record.stopped = Some(reason.clone());
            records.push(record);
            break reason.clone();
        }
        record.seconds = Some(clock.elapsed().as_secs_f64());
        record.iterations = Some(minor.iterations);
        residual = imager.residual()?;
        let fluxes = residual.model.as_deref().map(measures.flux).transpose()?;
        record.model_flux = fluxes.as_ref().map(|f| f.iter().sum());
        for (index, channel) in record.channels.iter_mut().enumerate() {
            channel.model_flux = fluxes.as_ref().and_then(|f| f.get(index).copied());
            channel.iterations = minor.channels.get(index).map(|c| c.iterations);
        }
        records.push(record.clone());
        finished.push(Finished { record, mask, same_mask, minor, went_back: None, vetoed: Vec::new() });
        write_down(&finished, folder)?;
    };
    if finished.is_empty() && stopped == StopReason::EmptyMask {
        return Err(Error::bad_input(format!(
            "the mask of the first cycle is empty: nothing in {} is above the levels asked for. Lower them, or begin \
             with a mask of your own (`campaign: mask: include`)",
            residual.residual.display()
        )));
    }
    let products = imager.restore()?;
    if let Some(last) = records.last_mut().filter(|r| r.residual.is_none()) {
        last.residual = Some(products.residual.clone());
    }
    fs::remove(&folder.join(STATE))?;
    Ok(CycleReport { products, cycles: records, stopped, mask: finished.pop().map(|f| f.mask) })
}

/// What is known when these cycles are done.
fn moment_after(finished: &[Finished]) -> MaskMoment<'_> {
    MaskMoment {
        cycle: finished.len(),
        masks: finished.iter().filter(|f| !f.same_mask).count(),
        iterations: finished.iter().map(|f| f.minor.iterations).sum(),
        last: finished.last().map(|f| &f.minor),
        previous: finished.last().map(|f| &f.mask),
    }
}

/// The notes of an interrupted run, as far as the imager has the cycles.
fn resumed(folder: &Path, completed: usize) -> Result<Vec<Finished>> {
    let Ok(bytes) = std::fs::read(folder.join(STATE)) else { return Ok(Vec::new()) };
    let mut finished: Vec<Finished> = serde_json::from_slice(&bytes).map_err(Error::internal)?;
    finished.truncate(completed);
    Ok(finished)
}

fn write_down(finished: &[Finished], folder: &Path) -> Result<()> {
    let json = serde_json::to_vec(finished).expect("cycles are plain data");
    Ok(fs::write_atomically(&folder.join(STATE), &json)?)
}

fn describe(
    cycle: usize,
    residual: &Residual,
    mask: &CycleMask,
    state: &ResidualState,
    states: &[ChannelState],
    rules: &StopRules,
) -> CycleRecord {
    let channels = if state.channels.len() > 1 { &state.channels[..] } else { &[] };
    CycleRecord {
        cycle,
        residual: mask.kept_residual.clone().or_else(|| Some(residual.residual.clone())),
        mask: Some(mask.path.clone()),
        peak: Some(state.overall.peak),
        peak_in_mask: Some(state.overall.peak_in_mask),
        rms: Some(state.overall.rms),
        threshold: Some(rules.level(state.overall.rms)),
        masked_pixels: Some(mask.pixels),
        added: Some(mask.added),
        removed: Some(mask.removed),
        mask_why: mask.why.clone(),
        channels: channels
            .iter()
            .zip(states)
            .map(|(c, now)| ChannelRecord {
                peak: Some(c.peak),
                peak_in_mask: Some(c.peak_in_mask),
                rms: Some(c.rms),
                threshold: Some(rules.level(c.rms)),
                masked_pixels: Some(c.masked_pixels),
                done: now.stopped.is_some(),
                stopped: now.stopped.clone(),
                ..ChannelRecord::default()
            })
            .collect(),
        ..CycleRecord::default()
    }
}

/// Where one channel stands before a cycle.
#[derive(Debug, Clone, Default, PartialEq)]
struct ChannelState {
    /// Minor iterations so far.
    iterations: u64,
    /// Why it is done. A channel that is done stays done, whatever later masks hold.
    stopped: Option<StopReason>,
    /// It was done before the last cycle.
    long_done: bool,
}

fn channel_states(state: &ResidualState, finished: &[Finished], rules: &StopRules) -> Vec<ChannelState> {
    let independent = rules.independent_channels && state.channels.len() > 1;
    let of_channel = |(index, plane): (usize, &PlaneResidual)| {
        let cycles = || finished.iter().filter_map(|f| f.minor.channels.get(index));
        let iterations = cycles().map(|c| c.iterations).sum();
        let before = finished.iter().filter_map(|f| f.record.channels.get(index)).find_map(|c| c.stopped.clone());
        let mut went_back = finished.iter().filter_map(|f| f.went_back.as_ref()).flat_map(|w| &w.channels);
        let diverged = went_back.any(|back| back.channel == index);
        let long_done = diverged || before.is_some();
        // The last one was given to the imager, which found nothing to do.
        let idle = independent && cycles().next_back().is_some_and(|c| c.iterations == 0);
        let stopped = before
            .or_else(|| diverged.then_some(StopReason::Diverged))
            .or_else(|| nothing_left(plane, rules))
            .or_else(|| (independent && iterations >= rules.iterations).then_some(StopReason::Iterations))
            .or_else(|| (idle || no_progress(index, plane, finished, rules)).then_some(StopReason::NoNewFlux));
        ChannelState { iterations, stopped, long_done }
    };
    state.channels.iter().enumerate().map(of_channel).collect()
}

/// The last cycle cleaned this channel of a cube, but changed neither its flux nor the peak inside the same mask.
fn no_progress(index: usize, plane: &PlaneResidual, finished: &[Finished], rules: &StopRules) -> bool {
    let Some(last) = finished.last().filter(|_| finished.iter().any(|f| f.record.channels.len() > 1)) else {
        return false;
    };
    if last.minor.channels.get(index).is_none_or(|c| c.iterations == 0) {
        // One that is fainter than the cycle's level has its turn later.
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

/// Why nothing is left to clean in this plane, if that is so.
fn nothing_left(plane: &PlaneResidual, rules: &StopRules) -> Option<StopReason> {
    if plane.masked_pixels == 0 {
        return Some(StopReason::EmptyMask);
    }
    let by_threshold = rules.threshold_jy.is_some_and(|t| t >= rules.nsigma.unwrap_or(0.0) * plane.rms);
    let reason = if by_threshold { StopReason::Threshold } else { StopReason::NSigma };
    (plane.peak_in_mask <= rules.level(plane.rms)).then_some(reason)
}

/// Minor iterations that the imager may still do; for independent channels the most that one of them may.
fn iterations_left(channels: &[ChannelState], done: u64, rules: &StopRules) -> u64 {
    if rules.independent_channels && channels.len() > 1 {
        let going_on = channels.iter().filter(|c| c.stopped.is_none());
        return going_on.map(|c| rules.iterations.saturating_sub(c.iterations)).max().unwrap_or(0);
    }
    rules.iterations.saturating_sub(done)
}

fn channel_controls(
    state: &ResidualState,
    channels: &[ChannelState],
    done: u64,
    rules: &StopRules,
) -> Vec<ChannelControls> {
    if channels.len() < 2 {
        return Vec::new();
    }
    let controls = |(plane, now): (&PlaneResidual, &ChannelState)| ChannelControls {
        active: now.stopped.is_none(),
        iterations_left: rules.iterations.saturating_sub(if rules.independent_channels {
            now.iterations
        } else {
            done
        }),
        threshold_jy: rules.level(plane.rms),
    };
    state.channels.iter().zip(channels).map(controls).collect()
}

/// Whether the last two masks that were made (`fresh` among them) have both changed by little. Once is not enough: the
/// sidelobes of what is not yet cleaned may hide everything else for a cycle.
fn has_settled(finished: &[Finished], fresh: Option<&CycleMask>, rules: &StopRules) -> bool {
    let made: Vec<&CycleMask> =
        finished.iter().filter(|f| !f.same_mask).map(|f| &f.mask).chain(fresh).skip(1).collect();
    let unchanged =
        |m: &&CycleMask| !m.hidden && ((m.added + m.removed) as f64) < rules.freeze_change * m.pixels as f64;
    made.len() > 1 && made.iter().rev().take(2).all(unchanged)
}

/// The number of cycles to go back to, if the residual has grown beyond the limits.
fn diverged(records: &[CycleRecord], now: &CycleRecord, rules: &StopRules) -> Option<usize> {
    let lowest = |of: fn(&CycleRecord) -> Option<f64>| records.iter().filter_map(of).fold(f64::INFINITY, f64::min);
    let beyond = |value: Option<f64>, lowest: f64, factor: f64| match value {
        Some(v) => !v.is_finite() || v > factor * lowest,
        None => true,
    };
    let peak = beyond(now.peak, lowest(|r| r.peak), rules.peak_growth);
    let rms = beyond(now.rms, lowest(|r| r.rms), rules.rms_growth);
    (!records.is_empty() && (peak || rms)).then(|| best_cycle(records.iter().map(|r| r.peak)))
}

/// The number of cycles after which the residual was the lowest: that before cycle n is the state after n calls.
fn best_cycle(peaks: impl Iterator<Item = Option<f64>>) -> usize {
    let lowest = peaks.map(|p| p.unwrap_or(f64::INFINITY)).enumerate().min_by(|a, b| a.1.total_cmp(&b.1));
    lowest.map_or(0, |(cycle, _)| cycle)
}

/// The channels of a cube whose residual has grown beyond the limits, each with the cycle to go back to. Those that are
/// done are not looked at.
fn channels_that_diverged(
    records: &[CycleRecord],
    state: &ResidualState,
    channels: &[ChannelState],
    rules: &StopRules,
) -> Vec<ChannelRevert> {
    if channels.len() < 2 {
        return Vec::new();
    }
    let has_diverged = |index: usize, now: &PlaneResidual| {
        let before = || records.iter().filter_map(move |r| r.channels.get(index));
        let lowest = |of: fn(&ChannelRecord) -> Option<f64>| before().filter_map(of).fold(f64::INFINITY, f64::min);
        let (peak, rms) = (lowest(|c| c.peak), lowest(|c| c.rms));
        // A plane without any finite value has no peak.
        let lost = now.peak == 0.0 && peak.is_finite() && peak > 0.0;
        lost || now.peak > rules.peak_growth * peak || now.rms > rules.rms_growth * rms
    };
    let planes = state.channels.iter().zip(channels).enumerate();
    planes
        .filter(|(index, (now, channel))| !channel.long_done && has_diverged(*index, now))
        .map(|(channel, _)| {
            let peaks = records.iter().map(|r| r.channels.get(channel).and_then(|c| c.peak));
            ChannelRevert { channel, cycle: best_cycle(peaks) }
        })
        .collect()
}

fn reason_to_stop(
    (state, channels): (&ResidualState, &[ChannelState]),
    finished: &[Finished],
    records: &[CycleRecord],
    (iterations, majors): (u64, usize),
    rules: &StopRules,
) -> Option<StopReason> {
    let overall = &state.overall;
    if overall.masked_pixels == 0 {
        return Some(StopReason::EmptyMask);
    }
    if channels.iter().all(|c| c.stopped.is_some()) {
        // What was cut short says more than what came to its end.
        let order = [
            StopReason::Diverged,
            StopReason::Iterations,
            StopReason::NoNewFlux,
            StopReason::Threshold,
            StopReason::NSigma,
        ];
        let met = |reason: &StopReason| channels.iter().any(|c| c.stopped.as_ref() == Some(reason));
        return Some(order.into_iter().find(met).unwrap_or(StopReason::EmptyMask));
    }
    if iterations_left(channels, iterations, rules) == 0 {
        return Some(StopReason::Iterations);
    }
    if majors >= rules.major_cycles {
        return Some(StopReason::MajorCycles);
    }
    let last = finished.last()?;
    if last.minor.iterations == 0 {
        return Some(StopReason::NoNewFlux);
    }
    if channels.len() > 1 {
        // Each was judged by itself.
        return None;
    }
    // The flux of the last two cycles, where the imager shows its model.
    let flux = |back: usize| finished.iter().rev().nth(back).and_then(|f| f.record.model_flux);
    if let (Some(now), Some(before)) = (flux(0), flux(1))
        && (now - before).abs() < rules.least_new_flux * now.abs()
    {
        return Some(StopReason::NoNewFlux);
    }
    // A mask that grew may hold a higher peak than the last one: only with the same mask is that no progress.
    let before = records.last()?.peak_in_mask?;
    let same_mask = records.last()?.masked_pixels == Some(overall.masked_pixels);
    (same_mask && overall.peak_in_mask > (1.0 - rules.least_new_flux) * before).then_some(StopReason::NoNewFlux)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imager::{Capabilities, Chain, Imager, PlannedCall};
    use std::cell::Cell;

    /// Each call halves what is inside the mask; `worse_at` makes one call raise everything.
    #[derive(Clone)]
    struct FakeImager {
        peak: f64,
        history: Vec<f64>,
        calls: Vec<(usize, bool, f64)>,
        worse_at: Option<usize>,
        /// It does one major iteration, however many it may.
        one_by_one: bool,
        /// It takes repaired models; those it was given.
        repairs: Option<Vec<PathBuf>>,
    }

    impl FakeImager {
        fn new() -> Self {
            Self {
                peak: 16.0,
                history: Vec::new(),
                calls: Vec::new(),
                worse_at: None,
                one_by_one: false,
                repairs: None,
            }
        }
    }

    impl Imager for FakeImager {
        fn capabilities(&self) -> Capabilities {
            Capabilities {
                program: "fake".into(),
                mask_per_cycle: true,
                mask_cube_per_channel: true,
                multiscale_bit_masks: false,
                primary_beam: Ok(()),
            }
        }
        fn setup(&mut self) -> Result<()> {
            Ok(())
        }
        fn teardown(&mut self) {}
        fn image_once(&mut self, _: Option<&Path>) -> Result<Products> {
            self.restore()
        }
        fn predict(&mut self, _: &Path) -> Result<()> {
            Ok(())
        }
        fn command_lines(&self, _: Option<&Path>) -> Vec<Vec<String>> {
            Vec::new()
        }
        fn cycles(&mut self) -> Option<&mut dyn CycleImager> {
            Some(self)
        }
    }

    impl CycleImager for FakeImager {
        fn make_psf(&mut self) -> Result<()> {
            Ok(())
        }
        fn make_pb(&mut self) -> Result<Option<PathBuf>> {
            Ok(None)
        }
        fn residual(&mut self) -> Result<Residual> {
            let path = PathBuf::from(format!("{}", self.peak));
            Ok(Residual { residual: path.clone(), pixel_mask: None, pb: None, psf: path, model: None })
        }
        fn clean(&mut self, _: Option<&Path>, controls: &MinorControls) -> Result<MinorCycle> {
            self.calls.push((controls.major_iterations, controls.last, controls.threshold_jy));
            self.history.push(self.peak);
            let factor = if self.worse_at == Some(self.history.len()) { 4.0 } else { 0.5 };
            self.peak *= factor;
            Ok(MinorCycle {
                iterations: 10,
                major_iterations: if self.one_by_one { 1 } else { controls.major_iterations },
                cycle_threshold_jy: None,
                threshold_reached: false,
                stopped: None,
                channels: Vec::new(),
            })
        }
        fn restore(&mut self) -> Result<Products> {
            let path = PathBuf::from(format!("{}", self.peak));
            Ok(Products {
                image: path.clone(),
                residual: path.clone(),
                model: path.clone(),
                psf: path,
                dirty: None,
                pb: None,
                pbcor: None,
                channels: Vec::new(),
            })
        }
        fn completed_cycles(&self) -> usize {
            self.history.len()
        }
        fn roll_back(&mut self, cycle: usize) -> Result<()> {
            if cycle < self.history.len() {
                self.peak = self.history[cycle];
                self.history.truncate(cycle);
            }
            Ok(())
        }
        fn replace_model(&mut self, model: &Path) -> Result<Option<Residual>> {
            let Some(repairs) = &mut self.repairs else { return Ok(None) };
            repairs.push(model.to_path_buf());
            self.peak += 0.25;
            self.residual().map(Some)
        }
        fn revert_channels(&mut self, _: &[ChannelRevert]) -> Result<bool> {
            Ok(false)
        }
        fn calls_are_cheap(&self) -> bool {
            false
        }
        fn chain_lines(&self, _: &Chain) -> Vec<PlannedCall> {
            Vec::new()
        }
        fn lines_run(&self) -> Vec<Vec<String>> {
            Vec::new()
        }
    }

    /// Masks of a given size by cycle; the last size repeats.
    struct FakeMasks(Vec<u64>);

    impl CycleMasks for FakeMasks {
        fn make(&mut self, _: &Residual, moment: &MaskMoment<'_>) -> Result<CycleMask> {
            let pixels = *self.0.get(moment.cycle).unwrap_or_else(|| self.0.last().unwrap());
            let before = moment.previous.map_or(0, |p| p.pixels);
            let (added, removed) = (pixels.saturating_sub(before), before.saturating_sub(pixels));
            Ok(CycleMask { path: format!("{pixels}").into(), pixels, added, removed, ..CycleMask::default() })
        }
    }

    fn number(path: &Path) -> f64 {
        path.to_str().unwrap().parse().unwrap()
    }

    fn measured(residual: &Path, mask: Option<&Path>, _: Option<&Path>) -> Result<ResidualState> {
        let peak = number(residual);
        let plane = PlaneResidual { peak, peak_in_mask: peak, rms: 0.5, masked_pixels: number(mask.unwrap()) as u64 };
        Ok(ResidualState { overall: plane, channels: vec![plane] })
    }

    fn flux(model: &Path) -> Result<Vec<f64>> {
        Ok(vec![16.0 - number(model)])
    }

    const MEASURES: Measures<'static> = Measures { residual: &measured, flux: &flux };

    fn rules() -> StopRules {
        let limits = ImagerLimits {
            threshold_jy: Some(1.0),
            nsigma: None,
            iterations: 1000,
            major_cycles: 10,
            independent_channels: false,
        };
        StopRules::new(&StopOptions::default(), &limits, 1, 0.01)
    }

    fn go(imager: &mut FakeImager, masks: &[u64], rules: &StopRules) -> CycleReport {
        let folder = tempfile::tempdir().unwrap();
        run(imager, &mut FakeMasks(masks.to_vec()), MEASURES, rules, folder.path()).unwrap()
    }

    #[test]
    fn it_cleans_with_fresh_masks_down_to_the_threshold() {
        let mut imager = FakeImager::new();
        let report = go(&mut imager, &[10, 20, 30, 40, 50, 60], &rules());
        assert_eq!(report.stopped, StopReason::Threshold);
        let peaks: Vec<f64> = report.cycles.iter().map(|c| c.peak.unwrap()).collect();
        assert_eq!(peaks, [16.0, 8.0, 4.0, 2.0, 1.0]);
        assert_eq!(report.mask.unwrap().pixels, 40, "the mask that was last cleaned with");
    }

    /// Masks that never change, with confetti before cycle 2.
    struct Confetti(FakeMasks);

    impl CycleMasks for Confetti {
        fn veto(&mut self, _: &Residual, moment: &MaskMoment<'_>) -> Result<Option<CycleVeto>> {
            let found = vec![ConfettiRecord { channel: 3, action: "zeroed".into(), ..Default::default() }];
            Ok((moment.cycle == 2).then(|| CycleVeto { found, model: "repaired".into() }))
        }
        fn make(&mut self, residual: &Residual, moment: &MaskMoment<'_>) -> Result<CycleMask> {
            let mut mask = self.0.make(residual, moment)?;
            mask.added = 1;
            Ok(mask)
        }
    }

    #[test]
    fn confetti_is_vetoed_and_the_mask_made_anew() {
        let go = |mut imager: FakeImager| {
            let folder = tempfile::tempdir().unwrap();
            let rules = StopRules { freeze_change: 0.5, ..rules() };
            let report = run(&mut imager, &mut Confetti(FakeMasks(vec![10])), MEASURES, &rules, folder.path()).unwrap();
            (imager, report)
        };
        // A settled mask runs the rest in one call; before that there is time for one veto.
        let (imager, report) = go(FakeImager { repairs: Some(Vec::new()), one_by_one: true, ..FakeImager::new() });
        assert_eq!(imager.repairs.unwrap(), [PathBuf::from("repaired")]);
        let found: Vec<usize> = report.cycles.iter().map(|c| c.confetti.len()).collect();
        assert_eq!(found[..3], [0, 0, 1]);
        let vetoed = &report.cycles[2].confetti[0];
        assert_eq!((vetoed.cycle, vetoed.action.as_str()), (Some(2), "zeroed"));
        assert_eq!(report.cycles[2].peak, Some(4.25), "the residual is that of the repaired model");
        let (_, report) = go(FakeImager { one_by_one: true, ..FakeImager::new() });
        assert_eq!(report.cycles[2].confetti[0].action, "left the mask; this imager keeps its model");
        assert_eq!(report.cycles[2].peak, Some(4.0));
    }

    /// Finds confetti before cycle 2, once: the repaired model has none. Then the mask fails, once.
    struct CutOff {
        found: bool,
        failed: bool,
    }

    impl CycleMasks for CutOff {
        fn veto(&mut self, residual: &Residual, moment: &MaskMoment<'_>) -> Result<Option<CycleVeto>> {
            if std::mem::replace(&mut self.found, moment.cycle == 2) {
                return Ok(None);
            }
            Confetti(FakeMasks(Vec::new())).veto(residual, moment)
        }
        fn make(&mut self, residual: &Residual, moment: &MaskMoment<'_>) -> Result<CycleMask> {
            if moment.cycle == 2 && !std::mem::replace(&mut self.failed, true) {
                return Err(Error::Interrupted);
            }
            FakeMasks(vec![10, 20, 30, 40]).make(residual, moment)
        }
    }

    #[test]
    fn confetti_is_not_forgotten_when_a_run_is_cut_off_after_the_repair() {
        let folder = tempfile::tempdir().unwrap();
        let mut imager = FakeImager { repairs: Some(Vec::new()), ..FakeImager::new() };
        let mut masks = CutOff { found: false, failed: false };
        assert!(run(&mut imager, &mut masks, MEASURES, &rules(), folder.path()).is_err());
        let report = run(&mut imager, &mut masks, MEASURES, &rules(), folder.path()).unwrap();
        assert_eq!(imager.repairs.unwrap().len(), 1);
        let found: Vec<Vec<_>> = report.cycles.iter().map(|c| c.confetti.iter().map(|p| p.cycle).collect()).collect();
        assert_eq!(found[..3], [vec![], vec![], vec![Some(2)]]);
    }

    #[rstest::rstest]
    #[case(StopRules { threshold_jy: None, nsigma: Some(9.0), ..rules() }, StopReason::NSigma, 2)]
    #[case(StopRules { iterations: 20, ..rules() }, StopReason::Iterations, 2)]
    #[case(StopRules { major_cycles: 3, ..rules() }, StopReason::MajorCycles, 3)]
    #[case(StopRules { every: 2, major_cycles: 4, ..rules() }, StopReason::MajorCycles, 2)]
    fn limits_end_it(#[case] rules: StopRules, #[case] reason: StopReason, #[case] calls: usize) {
        let mut imager = FakeImager::new();
        let report = go(&mut imager, &[10, 20, 30, 40, 50], &rules);
        assert_eq!((report.stopped, imager.calls.len()), (reason, calls));
    }

    #[test]
    fn a_settled_mask_lets_the_rest_run_in_one_call() {
        let mut imager = FakeImager::new();
        let report = go(&mut imager, &[10, 10, 10], &rules());
        let calls: Vec<_> = imager.calls.iter().map(|c| (c.0, c.1)).collect();
        assert_eq!(calls, [(1, false), (1, false), (8, true)], "settled is what twice stays the same");
        assert_eq!(report.stopped, StopReason::MajorCycles);
    }

    #[test]
    fn after_a_settled_mask_it_still_goes_down_to_its_level() {
        let mut imager = FakeImager { one_by_one: true, ..FakeImager::new() };
        let report = go(&mut imager, &[10, 10, 10, 99], &rules());
        assert_eq!(report.stopped, StopReason::Threshold);
        assert_eq!(imager.calls.iter().map(|c| c.0).collect::<Vec<_>>(), [1, 1, 8, 7]);
        assert!(report.cycles.iter().all(|c| c.masked_pixels == Some(10)), "no mask was made after it had settled");
        assert!(report.cycles[3].residual.is_none(), "nobody kept it");
        assert_eq!(report.cycles[4].residual, Some(report.products.residual));
    }

    #[test]
    fn divergence_goes_back_to_the_best_cycle() {
        let mut imager = FakeImager { worse_at: Some(3), ..FakeImager::new() };
        let report = go(&mut imager, &[10, 20, 30, 40, 50], &rules());
        assert_eq!(report.stopped, StopReason::Diverged);
        assert_eq!(number(&report.products.image), 4.0);
        assert_eq!(report.mask.unwrap().pixels, 20);
    }

    /// Three channels: the first meets its level at once, the second after two cycles, the third runs out of iterations.
    /// Later masks find more in the first two.
    #[test]
    fn a_channel_that_is_done_stays_done() {
        let rules = StopRules { independent_channels: true, iterations: 30, freeze_change: 0.0, ..rules() };
        let peaks = [[0.5, 4.0, 9.0], [3.0, 2.0, 8.0], [3.0, 0.9, 7.0], [3.0, 5.0, 6.0]];
        let plane = |p: f64| PlaneResidual { peak: p, peak_in_mask: p, rms: 0.1, masked_pixels: 5 };
        let mut finished: Vec<Finished> = Vec::new();
        let mut active = Vec::new();
        for (cycle, peaks) in peaks.iter().enumerate() {
            let planes: Vec<_> = peaks.iter().map(|p| plane(*p)).collect();
            let state = ResidualState { overall: planes[2], channels: planes };
            let channels = channel_states(&state, &finished, &rules);
            let residual = Residual { residual: "r".into(), pixel_mask: None, pb: None, psf: "p".into(), model: None };
            let record = describe(cycle, &residual, &CycleMask::default(), &state, &channels, &rules);
            let controls = channel_controls(&state, &channels, 0, &rules);
            active.push(controls.iter().map(|c| c.active).collect::<Vec<_>>());
            if cycle == 3 {
                let reason = reason_to_stop((&state, &channels), &finished, &[], (0, cycle), &rules);
                assert_eq!(reason, Some(StopReason::Iterations), "the third was cut short");
                let stops: Vec<_> = record.channels.iter().map(|c| c.stopped.clone()).collect();
                let expected = [StopReason::Threshold, StopReason::Threshold, StopReason::Iterations].map(Some);
                assert_eq!(stops, expected);
            } else {
                assert_eq!(iterations_left(&channels, 99, &rules), 30 - 10 * cycle as u64, "each has its own count");
            }
            let of = |c: &ChannelControls| crate::imager::ChannelCycle {
                iterations: if c.active { 10 } else { 0 },
                ..Default::default()
            };
            let minor = MinorCycle {
                iterations: 10,
                major_iterations: 1,
                cycle_threshold_jy: None,
                threshold_reached: false,
                stopped: None,
                channels: controls.iter().map(of).collect(),
            };
            finished.push(Finished {
                record,
                mask: CycleMask::default(),
                same_mask: false,
                minor,
                went_back: None,
                vetoed: Vec::new(),
            });
        }
        let t = true;
        assert_eq!(active, [[false, t, t], [false, t, t], [false, false, t], [false, false, false]]);
    }

    /// A cube whose channels lose half of their peak in each call; channel 1 grows in the third. Peaks by cycle are on
    /// record, as an imager's files are. With a limit of calls it is cut off.
    #[derive(Clone)]
    struct FakeCube {
        past: Vec<Vec<f64>>,
        active: Vec<Vec<bool>>,
        back: Vec<Vec<ChannelRevert>>,
        cheap: bool,
        /// It fails in this many-th going back, before anything is changed.
        fails_to_go_back: bool,
    }

    impl FakeCube {
        fn new(cheap: bool) -> Self {
            let past = vec![vec![16.0, 8.0, 32.0]];
            Self { past, active: Vec::new(), back: Vec::new(), cheap, fails_to_go_back: false }
        }
    }

    impl Imager for FakeCube {
        fn capabilities(&self) -> Capabilities {
            FakeImager::new().capabilities()
        }
        fn setup(&mut self) -> Result<()> {
            Ok(())
        }
        fn teardown(&mut self) {}
        fn image_once(&mut self, _: Option<&Path>) -> Result<Products> {
            self.restore()
        }
        fn predict(&mut self, _: &Path) -> Result<()> {
            Ok(())
        }
        fn command_lines(&self, _: Option<&Path>) -> Vec<Vec<String>> {
            Vec::new()
        }
        fn cycles(&mut self) -> Option<&mut dyn CycleImager> {
            Some(self)
        }
    }

    impl CycleImager for FakeCube {
        fn make_psf(&mut self) -> Result<()> {
            Ok(())
        }
        fn make_pb(&mut self) -> Result<Option<PathBuf>> {
            Ok(None)
        }
        fn residual(&mut self) -> Result<Residual> {
            let peaks: Vec<String> = self.past.last().unwrap().iter().map(f64::to_string).collect();
            let path = PathBuf::from(peaks.join(","));
            Ok(Residual { residual: path.clone(), pixel_mask: None, pb: None, psf: path, model: None })
        }
        fn clean(&mut self, _: Option<&Path>, controls: &MinorControls) -> Result<MinorCycle> {
            let active: Vec<bool> = controls.channels.iter().map(|c| c.active).collect();
            let call = self.past.len();
            let mut now = self.past.last().unwrap().clone();
            for (channel, peak) in now.iter_mut().enumerate().filter(|(c, _)| active[*c]) {
                *peak *= if channel == 1 && call == 3 { 8.0 } else { 0.5 };
            }
            self.past.push(now);
            let of = |&on: &bool| crate::imager::ChannelCycle { iterations: u64::from(on), ..Default::default() };
            let channels = active.iter().map(of).collect();
            self.active.push(active);
            Ok(MinorCycle {
                iterations: 1,
                major_iterations: controls.major_iterations,
                cycle_threshold_jy: None,
                threshold_reached: false,
                stopped: None,
                channels,
            })
        }
        fn restore(&mut self) -> Result<Products> {
            let mut one = FakeImager::new();
            let products = one.restore()?;
            Ok(Products { residual: self.residual()?.residual, ..products })
        }
        fn completed_cycles(&self) -> usize {
            self.past.len() - 1
        }
        fn revert_channels(&mut self, back: &[ChannelRevert]) -> Result<bool> {
            if std::mem::take(&mut self.fails_to_go_back) {
                return Err(Error::Interrupted);
            }
            for went in back {
                let peak = self.past[went.cycle][went.channel];
                self.past.last_mut().unwrap()[went.channel] = peak;
            }
            self.back.push(back.to_vec());
            Ok(true)
        }
        fn calls_are_cheap(&self) -> bool {
            self.cheap
        }
        fn roll_back(&mut self, _: usize) -> Result<()> {
            Err(Error::internal("a cube goes back channel by channel"))
        }
        fn replace_model(&mut self, _: &Path) -> Result<Option<Residual>> {
            Ok(None)
        }
        fn chain_lines(&self, _: &Chain) -> Vec<PlannedCall> {
            Vec::new()
        }
        fn lines_run(&self) -> Vec<Vec<String>> {
            Vec::new()
        }
    }

    /// Peaks of the channels, as the name of the residual has them.
    fn channel_peaks(residual: &Path) -> Vec<f64> {
        residual.to_str().unwrap().split(',').map(|p| p.parse().unwrap()).collect()
    }

    fn measured_cube(residual: &Path, _: Option<&Path>, _: Option<&Path>) -> Result<ResidualState> {
        let plane = |p: f64| PlaneResidual { peak: p, peak_in_mask: p, rms: 0.1, masked_pixels: 5 };
        let channels: Vec<_> = channel_peaks(residual).into_iter().map(plane).collect();
        let highest = channels.iter().map(|c| c.peak).fold(0.0, f64::max);
        Ok(ResidualState { overall: PlaneResidual { masked_pixels: 15, ..plane(highest) }, channels })
    }

    const CUBE: Measures<'static> = Measures { residual: &measured_cube, flux: &flux };

    #[test]
    fn a_channel_that_diverges_goes_back_alone() {
        let t = true;
        let folder = tempfile::tempdir().unwrap();
        let mut imager = FakeCube::new(false);
        let rules = StopRules { freeze_change: 0.0, ..rules() };
        let report = run(&mut imager, &mut FakeMasks(vec![5]), CUBE, &rules, folder.path()).unwrap();
        assert_eq!(imager.back, [[ChannelRevert { channel: 1, cycle: 2 }]]);
        // The others go on down to their level.
        assert_eq!(channel_peaks(&report.products.residual), [1.0, 2.0, 1.0]);
        assert_eq!(imager.active, [[t, t, t], [t, t, t], [t, t, t], [t, false, t], [false, false, t]]);
        assert_eq!(report.stopped, StopReason::Diverged);
        let reasons: Vec<_> = report.cycles.last().unwrap().channels.iter().map(|c| c.stopped.clone()).collect();
        assert_eq!(reasons, [StopReason::Threshold, StopReason::Diverged, StopReason::Threshold].map(Some));
        let third = &report.cycles[3].channels[1];
        assert_eq!((third.peak, third.done), (Some(16.0), true), "the record tells what was seen");
        assert_eq!(report.cycles[4].channels[1].peak, Some(2.0));

        // Cut off while it goes back, it does the same.
        let folder = tempfile::tempdir().unwrap();
        let mut imager = FakeCube { fails_to_go_back: true, ..FakeCube::new(false) };
        assert!(run(&mut imager, &mut FakeMasks(vec![5]), CUBE, &rules, folder.path()).is_err());
        let again = run(&mut imager, &mut FakeMasks(vec![9]), CUBE, &rules, folder.path()).unwrap();
        assert_eq!(again.products, report.products);
        let peaks = |r: &CycleReport| -> Vec<_> { r.cycles.iter().map(|c| c.channels[1].peak).collect() };
        assert_eq!(peaks(&again), peaks(&report));
        assert_eq!(again.cycles[3].masked_pixels, Some(5), "the mask that was looked at stays");
    }

    #[test]
    fn a_lost_channel_has_diverged_and_one_that_was_done_is_not_looked_at() {
        let plane = |p: f64, rms: f64| PlaneResidual { peak: p, peak_in_mask: p, rms, masked_pixels: 5 };
        let of = |p: f64| ChannelRecord { peak: Some(p), rms: Some(1.0), ..Default::default() };
        let record = |peaks: [f64; 4]| CycleRecord { channels: peaks.map(of).to_vec(), ..Default::default() };
        let records = [record([9.0; 4]), record([5.0, 6.0, 7.0, 8.0])];
        let planes = vec![plane(0.0, 0.0), plane(20.0, 1.0), plane(7.0, 2.0), plane(8.1, 1.1)];
        let state = ResidualState { overall: planes[1], channels: planes };
        let mut channels = vec![ChannelState::default(); 4];
        channels[1].long_done = true;
        let back = channels_that_diverged(&records, &state, &channels, &rules());
        let expected = [0, 2].map(|channel| ChannelRevert { channel, cycle: 1 });
        assert_eq!(back, expected, "no data left; done before; more noise; within the limits");
    }

    #[test]
    fn a_channel_without_progress_is_done_and_the_others_go_on() {
        let rules = StopRules { least_new_flux: 0.01, ..rules() };
        let of = |flux: f64, iterations: u64| ChannelRecord {
            model_flux: Some(flux),
            iterations: Some(iterations),
            peak_in_mask: Some(4.0),
            masked_pixels: Some(5),
            ..Default::default()
        };
        let finished: Vec<Finished> =
            [[(1.0, 9), (1.0, 9), (1.0, 9), (1.0, 9)], [(1.5, 9), (1.001, 9), (1.0, 0), (1.5, 9)]]
                .into_iter()
                .map(|channels| {
                    let counted =
                        channels.map(|(_, n)| crate::imager::ChannelCycle { iterations: n, ..Default::default() });
                    Finished {
                        record: CycleRecord {
                            channels: channels.map(|(f, n)| of(f, n)).to_vec(),
                            ..Default::default()
                        },
                        mask: CycleMask::default(),
                        same_mask: false,
                        minor: MinorCycle {
                            iterations: 9,
                            major_iterations: 1,
                            cycle_threshold_jy: None,
                            threshold_reached: false,
                            stopped: None,
                            channels: counted.to_vec(),
                        },
                        went_back: None,
                        vetoed: Vec::new(),
                    }
                })
                .collect();
        let plane = |p: f64| PlaneResidual { peak: p, peak_in_mask: p, rms: 0.1, masked_pixels: 5 };
        let planes = [2.0, 2.0, 4.0, 3.999].map(plane).to_vec();
        let state = ResidualState { overall: planes[2], channels: planes };
        let stopped: Vec<_> = channel_states(&state, &finished, &rules).into_iter().map(|c| c.stopped).collect();
        let none = Some(StopReason::NoNewFlux);
        assert_eq!(stopped, [None, none.clone(), None, none], "flux; still waiting; peak in the same mask");
    }

    /// With cheap calls each major cycle is one, and `every` says which of them get a fresh mask.
    #[test]
    fn cheap_calls_are_single_and_masks_are_made_for_every_nth() {
        let folder = tempfile::tempdir().unwrap();
        let mut imager = FakeCube::new(true);
        let rules = StopRules { every: 3, freeze_change: 0.0, ..rules() };
        let report = run(&mut imager, &mut FakeMasks(vec![1, 2, 3, 4, 5, 6]), CUBE, &rules, folder.path()).unwrap();
        let pixels: Vec<_> = report.cycles.iter().map(|c| c.masked_pixels.unwrap()).collect();
        assert_eq!(pixels, [1, 1, 1, 4, 4, 4]);
        let added: Vec<_> = report.cycles.iter().map(|c| c.added.unwrap()).collect();
        assert_eq!(added, [1, 0, 0, 3, 0, 0]);
    }

    #[test]
    fn an_empty_first_mask_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let error =
            run(&mut FakeImager::new(), &mut FakeMasks(vec![0]), MEASURES, &rules(), folder.path()).unwrap_err();
        assert!(error.to_string().contains("mask of the first cycle is empty"), "{error}");
    }

    #[test]
    fn an_interrupted_loop_goes_on_from_its_last_cycle() {
        let sizes = [10, 20, 30, 40, 50, 60];
        let whole = go(&mut FakeImager::new(), &sizes, &rules());
        for killed_after in 1..4 {
            let folder = tempfile::tempdir().unwrap();
            let mut imager = FakeImager::new();
            let measures = Cell::new(0);
            let failing = |a: &Path, b: Option<&Path>, c: Option<&Path>| {
                measures.set(measures.get() + 1);
                if measures.get() > killed_after { Err(Error::Interrupted) } else { measured(a, b, c) }
            };
            let mut masks = FakeMasks(sizes.to_vec());
            assert!(
                run(&mut imager, &mut masks, Measures { residual: &failing, flux: &flux }, &rules(), folder.path())
                    .is_err()
            );
            let report = run(&mut imager, &mut masks, MEASURES, &rules(), folder.path()).unwrap();
            let strip =
                |r: &CycleReport| r.cycles.iter().map(|c| (c.cycle, c.peak, c.masked_pixels)).collect::<Vec<_>>();
            assert_eq!(strip(&report), strip(&whole));
            assert_eq!(imager.calls.len(), 4, "no call was repeated");
        }
    }
}
