//! One cycle: a call for the whole image, or one for each channel of a cube that is still to be cleaned.

use super::channel_runs::{ChannelRun, PartDone, run_channels};
use super::start::check_frequencies;
use super::state::{CycleState, Part, Start, WscleanState, carry_over, cycle_under_way, parts_of, start_under_way};
use crate::imager::cycle::{ChannelControls, ChannelCycle, MinorControls, MinorCycle, StopReason};
use crate::imager::wsclean::checks;
use crate::imager::wsclean::command_line::{CycleCall, CyclePart, Stops, beam_words};
use crate::imager::wsclean::error::WscleanError;
use crate::imager::wsclean::files::{self, PREFIX, REUSED};
use crate::imager::wsclean::imaging::{CallDone, Imaging, Listener};
use crate::imager::wsclean::log::{RunLog, Stop};
use std::path::{Path, PathBuf};

/// One call of each part that is to be cleaned, as many at once as the resources allow; what the others have is carried
/// over. `controls`: `None`: the options' own stops, for one long run.
pub(crate) fn clean(
    imaging: &Imaging,
    state: &mut WscleanState,
    mask: Option<&Path>,
    controls: Option<&MinorControls>,
) -> Result<MinorCycle, WscleanError> {
    if !state.has_start() {
        return Err(WscleanError::OutOfOrder { step: "a minor cycle", needs: "make_psf" });
    }
    let mask = imaging.calls().mask_or_option(mask)?;
    let mask_planes = mask.as_deref().map(|m| checks::mask(imaging, m)).transpose()?.unwrap_or(1);
    let folder = cycle_under_way(state.scratch());
    files::fresh_folder(&folder)?;
    let parts = state.parts();
    // Any call may turn out to be the last: to write the model that it has is less work than to predict it again.
    let update_model = imaging.job.update_model && parts[0].range.is_none();
    let cycle = Cycle { imaging, state, folder, parts, mask, mask_planes, controls, update_model };
    let done = cycle.run()?;
    let (folder, minor) = (cycle.folder.clone(), minor_cycle(&done, cycle.parts.len(), cycle.state.cube));
    let line = done.into_iter().next().map(|d| d.call.line).unwrap_or_default();
    state.push(&folder, CycleState { minor: minor.clone(), model_written: update_model, line })?;
    Ok(minor)
}

/// PSF, dirty image and the first cycle in one call, of an image that one process makes. Where an earlier run
/// made them, their outcome. `None`: there was nothing to clean, and only PSF and dirty image stay.
pub(crate) fn begin_inside(
    imaging: &Imaging,
    state: &mut WscleanState,
    mask: &Path,
    controls: &MinorControls,
) -> Result<Option<MinorCycle>, WscleanError> {
    if let Some(minor) = state.first_cycle() {
        return Ok(Some(minor.clone()));
    }
    // With images that are read again a call ends with the same ones except for rounding only.
    state.clear()?;
    checks::mask(imaging, mask)?;
    let (start, cycle) = (start_under_way(state.scratch()), cycle_under_way(state.scratch()));
    let [all_of_start, all] = [&start, &cycle].map(|folder| folder.join(&parts_of(&[])[0].name));
    for folder in [&start, &cycle] {
        files::fresh_folder(folder)?;
    }
    files::make_folder(&all_of_start)?;
    files::make_folder(&all)?;
    let (iterations, majors) = (controls.iterations_left.to_string(), controls.major_iterations.max(1).to_string());
    let words = [iterations, majors, controls.threshold_jy.to_string()];
    let stops = Stops::controls(words, controls.follows_noise, (&imaging.options, false));
    let update_model = imaging.first_call_writes_model(controls.last);
    let a = imaging.calls().start_inside(mask, &stops, update_model)?;
    let done = imaging.run_call(&all.join(PREFIX), a, &imaging.listener())?;
    let list = files::pieces(&all, PREFIX)?;
    for kind in ["psf", "dirty"] {
        if files::link_pieces(&list, kind, &all_of_start, PREFIX, kind)? == 0 {
            return Err(WscleanError::no_product(all.join(format!("{PREFIX}-{kind}.fits")), &imaging.job.log));
        }
    }
    let begun = Start { identity: imaging.calls().identity()?, ranges: Vec::new(), line: done.line.clone() };
    let done = [PartDone { part: 0, call: done }];
    let minor = minor_cycle(&done, 1, false);
    if minor.iterations == 0 {
        files::remove_folder(&cycle)?;
        state.begin(&start, begun)?;
        return Ok(None);
    }
    check_files(&all, &imaging.job.log)?;
    // The call is that of the start.
    let model_written = imaging.job.update_model && update_model;
    let first = CycleState { minor: minor.clone(), model_written, line: Vec::new() };
    state.begin_with_cycle((&start, begun), (&cycle, first))?;
    Ok(Some(minor))
}

/// One cycle under way.
struct Cycle<'a> {
    imaging: &'a Imaging,
    /// The state before it.
    state: &'a WscleanState,
    /// Folder that it fills.
    folder: PathBuf,
    parts: Vec<Part>,
    mask: Option<PathBuf>,
    mask_planes: usize,
    controls: Option<&'a MinorControls>,
    update_model: bool,
}

impl Cycle<'_> {
    /// Cleans the active parts and completes the folder; the calls in the order of the parts.
    fn run(&self) -> Result<Vec<PartDone>, WscleanError> {
        let active: Vec<usize> = (0..self.parts.len()).filter(|&i| self.is_active(i)).collect();
        for (i, part) in self.parts.iter().enumerate() {
            if !active.contains(&i) {
                carry_over(&self.state.present_folder().join(&part.name), &self.folder.join(&part.name))?;
            }
        }
        if !self.state.cube {
            let one = |&part: &usize| self.call(part, None).map(|call| PartDone { part, call });
            return active.iter().map(one).collect();
        }
        let done = run_channels(self.imaging, &active, &|part, run| self.call(part, Some(run)))?;
        for idle in done.iter().filter(|done| channel_cycle(&done.call.log).iterations == 0) {
            // As those that are not called any more: which of the two they are is a matter of the other channels.
            let name = &self.parts[idle.part].name;
            files::remove_folder(&self.folder.join(name))?;
            carry_over(&self.state.present_folder().join(name), &self.folder.join(name))?;
        }
        if self.state.cycles() == 0 {
            check_frequencies(self.state, &self.parts, &self.folder)?;
        }
        self.state.assemble(&self.folder, &["residual", "model"])?;
        Ok(done)
    }

    /// The limits of a part; `None`: those of the options.
    fn controls_of(&self, part: usize) -> Option<ChannelControls> {
        self.controls.map(|c| {
            let all = ChannelControls {
                active: true,
                iterations_left: c.iterations_left,
                threshold_jy: c.threshold_jy,
                major_iterations: c.major_iterations,
            };
            c.channels.get(part).copied().unwrap_or(all)
        })
    }

    fn is_active(&self, part: usize) -> bool {
        self.controls_of(part).is_none_or(|c| c.active && c.iterations_left > 0)
    }

    /// One call of one part, from the present state into the cycle's folder.
    fn call(&self, index: usize, run: Option<&ChannelRun>) -> Result<CallDone, WscleanError> {
        let part = &self.parts[index];
        let plane = self.folder.join(format!("mask-{}.fits", part.name));
        let mask = match &self.mask {
            Some(cube) if self.mask_planes > 1 => {
                files::mask_plane(cube, index, &plane)?;
                Some(plane.as_path())
            }
            mask => mask.as_deref(),
        };
        let done = self.call_with(index, mask, run);
        let _ = std::fs::remove_file(&plane);
        done
    }

    fn call_with(&self, index: usize, mask: Option<&Path>, run: Option<&ChannelRun>) -> Result<CallDone, WscleanError> {
        let part = &self.parts[index];
        let to = self.folder.join(&part.name);
        files::make_folder(&to)?;
        let before = files::pieces(&self.state.present_folder().join(&part.name), PREFIX)?;
        let goes_on = files::link_pieces(&before, "model", &to, PREFIX, "model")? > 0;
        let dirty = if goes_on { "residual" } else { "dirty" };
        files::link_pieces(&before, dirty, &to, REUSED, "dirty")?;
        let call = CycleCall {
            part: match (part.range, run) {
                (Some((first, end)), Some(run)) => {
                    CyclePart::Channel { range: [first.to_string(), end.to_string()], resources: run.resources }
                }
                _ => CyclePart::Whole,
            },
            stops: self.stops(index),
            mask,
            update_model: self.update_model,
            goes_on,
            psf: self.state.start_folder().join(&part.name).join(PREFIX),
            beam: self.state.beam(part)?.as_ref().map(beam_words),
            dirty: to.join(REUSED),
        };
        let log = self.log(part);
        let listener = Listener { log: &log, silent: run.is_some(), cancel: run.map(|r| &r.cancel) };
        let a = self.imaging.calls().cycle(&call)?;
        let done = self.imaging.run_call(&to.join(PREFIX), a, &listener)?;
        check_files(&to, &log)?;
        Ok(done)
    }

    fn stops(&self, part: usize) -> Stops {
        let (Some(limits), Some(controls)) = (self.controls_of(part), self.controls) else { return Stops::Options };
        let majors = limits.major_iterations.max(1);
        let words = [limits.iterations_left.to_string(), majors.to_string(), limits.threshold_jy.to_string()];
        Stops::controls(words, controls.follows_noise, (&self.imaging.options, true))
    }

    /// Log file of a part: the job's, or one beside it for each channel.
    fn log(&self, part: &Part) -> PathBuf {
        let log = &self.imaging.job.log;
        if part.range.is_none() {
            return log.clone();
        }
        let stem = log.file_stem().unwrap_or_default().to_string_lossy();
        log.with_file_name(format!("{stem}.channel-{}.log", part.name))
    }
}

/// Keeps what a call made, and checks that everything is there.
fn check_files(folder: &Path, log: &Path) -> Result<(), WscleanError> {
    // wsclean writes what it was given once more: only the start's files are needed.
    for piece in files::pieces(folder, PREFIX)?.iter().chain(&files::pieces(folder, REUSED)?) {
        if matches!(piece.kind.as_str(), "psf" | "dirty") {
            let _ = std::fs::remove_file(&piece.path);
        }
    }
    let list = files::pieces(folder, PREFIX)?;
    for kind in ["residual", "model", "image"] {
        if files::main_piece(&list, kind).is_none() {
            return Err(WscleanError::no_product(folder.join(format!("{PREFIX}-{kind}.fits")), log));
        }
    }
    Ok(())
}

fn channel_cycle(log: &RunLog) -> ChannelCycle {
    let last = log.majors.last();
    let stop = last.and_then(|m| m.stop);
    ChannelCycle {
        iterations: log.iterations,
        major_iterations: log.majors.len(),
        cycle_threshold_jy: last.and_then(|m| m.level_jy),
        threshold_reached: last.is_some_and(|m| m.level_is_final) && stop == Some(Stop::Threshold),
        stopped: if log.no_peak {
            Some(StopReason::EmptyMask)
        } else {
            match stop {
                Some(Stop::Threshold) => Some(StopReason::Threshold),
                Some(Stop::Iterations) => Some(StopReason::Iterations),
                Some(Stop::Negative) => Some(StopReason::Other("a negative component was found".into())),
                Some(Stop::MinorLoop) | None => None,
            }
        },
    }
}

/// The outcome of all parts together. `parts` counts those that were left alone, too: they have converged.
fn minor_cycle(done: &[PartDone], parts: usize, cube: bool) -> MinorCycle {
    let mut channels = vec![ChannelCycle::default(); parts];
    for d in done {
        channels[d.part] = channel_cycle(&d.call.log);
    }
    let cleaned: Vec<&ChannelCycle> = done.iter().map(|d| &channels[d.part]).collect();
    let stopped = match cleaned.first() {
        None => Some(StopReason::EmptyMask),
        Some(first) if cleaned.iter().all(|c| c.stopped.is_some()) => {
            // One that met its threshold says more than one that had nothing to do.
            let met = cleaned.iter().map(|c| &c.stopped).find(|s| **s != Some(StopReason::EmptyMask));
            met.unwrap_or(&first.stopped).clone()
        }
        Some(_) => None,
    };
    let levels = cleaned.iter().filter_map(|c| c.cycle_threshold_jy);
    MinorCycle {
        iterations: cleaned.iter().map(|c| c.iterations).sum(),
        major_iterations: done.iter().map(|d| d.call.log.majors.len()).max().unwrap_or(0),
        cycle_threshold_jy: levels.reduce(f64::max),
        threshold_reached: !cleaned.is_empty() && cleaned.iter().all(|c| c.threshold_reached),
        stopped,
        channels: if cube { channels } else { Vec::new() },
    }
}
