//! One call for a whole image or cube: files in, files out, channels in parallel.

use super::channels::{Channels, Found, first_plane_full};
use super::cube::Cube;
use super::folder::{self, Record, RunIdentity, StateFolder};
use super::{
    Call, ChannelFacts, CycleInputs, CycleSummary, MultithreshError, MultithreshOptions, PlaneMasker, PlaneSummary,
    ThresholdKind,
};
use crate::image::psf::Sidelobes;
use crate::image::{FitsImage, ImageError};
use crate::options::{OptionError, Validate};
use std::path::Path;

/// One major cycle: makes the mask `output` from the inputs and the state in `state_dir`, and replaces that state.
///
/// The folder is made at the first call. The output (uint8, the residual's axes and header) appears first, then the
/// new state, each by a rename: after a kill at any moment the same call can simply be repeated.
///
/// # Errors
/// Inputs that do not fit each other or the state, invalid options, files that cannot be read or written.
pub fn run_cycle(
    inputs: &CycleInputs,
    options: &MultithreshOptions,
    state_dir: &Path,
    output: &Path,
) -> Result<CycleSummary, MultithreshError> {
    options.validate()?;
    let mut state = StateFolder::open(state_dir)?;
    let cube = Cube::open(inputs, options)?;
    check_state(&cube, &state)?;
    let done = state.record().map_or(0, |r| r.cycles);
    match inputs.cycle {
        Some(n) if n + 1 == done => return repeat(&cube, &state, output),
        Some(n) if n != done => {
            return Err(MultithreshError::StateUnusable {
                path: state_dir.into(),
                reason: format!("holds the state after {done} calls; call number {n} (counted from 0) cannot follow"),
            });
        }
        _ => {}
    }
    let cycle = Cycle::prepare(cube, &state)?;
    let masks = state.next_masks();
    let found = cycle.channels(&state).run(0..cycle.cube.channels, &state_dir.join(&masks), Some(output))?;
    cycle.commit(&mut state, masks, found)
}

/// A call whose inputs were looked at, and fit each other and the state.
pub(super) struct Cycle<'a> {
    pub(super) cube: Cube<'a>,
    levels: (f32, Vec<f32>),
    call: Call,
    masker: PlaneMasker,
    /// Of each channel, where they are masked each by itself; else empty.
    own: Vec<(PlaneMasker, Call)>,
    /// Calls before this one.
    done: usize,
}

impl<'a> Cycle<'a> {
    pub(super) fn prepare(cube: Cube<'a>, state: &StateFolder) -> Result<Self, MultithreshError> {
        let (inputs, options) = (cube.inputs, cube.options);
        let (level, levels) = levels_of(inputs, &cube, state)?;
        let call = Call {
            sidelobe_level: level,
            iterdone: inputs.iterdone.unwrap_or_else(|| state.record().map_or(0, |r| r.iterdone + 1)),
            threshold_reached: inputs.threshold_reached,
            first_plane_full: first_plane_full(&cube, state.record())?,
        };
        Ok(Self {
            masker: PlaneMasker::new(options, cube.pixel_beam())?,
            own: own_maskers(inputs, options, &cube, &levels)?,
            done: state.record().map_or(0, |r| r.cycles),
            levels: (level, levels),
            call,
            cube,
        })
    }

    /// The PSF's sidelobe level.
    pub(super) fn sidelobe_level(&self) -> f32 {
        self.levels.0
    }

    /// Its channels, to be masked.
    pub(super) fn channels<'b>(&'b self, state: &'b StateFolder) -> Channels<'b> {
        Channels { cube: &self.cube, masker: &self.masker, call: &self.call, own: &self.own, state }
    }

    /// What was found in all channels becomes the state, whose cube `masks` of the folder is written.
    pub(super) fn commit(
        self,
        state: &mut StateFolder,
        masks: String,
        (planes, counters): Found,
    ) -> Result<CycleSummary, MultithreshError> {
        let Self { cube, levels, call, masker, done, .. } = self;
        let summary = CycleSummary {
            cycle: done,
            iterdone: call.iterdone,
            threshold_reached: call.threshold_reached,
            sidelobe_level: levels.0,
            beam_arcsec: [cube.beam.major_deg * 3600.0, cube.beam.minor_deg * 3600.0, cube.beam.pa_deg],
            beam_pixels: cube.pixel_beam().area(),
            prune_pixels: masker.least_pixels(),
            polarisation: cube.polarisation,
            mask_pixels: planes.iter().map(|p| p.mask_pixels).sum(),
            warnings: warnings(cube.options, &cube, cube.inputs, done, &planes),
            planes,
        };
        state.commit(Record::new(identity(&cube), levels, masks, counters, summary.clone()))?;
        Ok(summary)
    }
}

fn identity(cube: &Cube<'_>) -> RunIdentity {
    RunIdentity { axes: cube.axes.clone(), beam: cube.beam, options: cube.options.clone() }
}

/// Refuses a state that was made with other inputs, or whose masks are damaged.
pub(super) fn check_state(cube: &Cube<'_>, state: &StateFolder) -> Result<(), MultithreshError> {
    check_identity(cube.inputs, &identity(cube), state)?;
    check_masks(cube, state)
}

/// Refuses a state that was made with other inputs.
fn check_identity(inputs: &CycleInputs, run: &RunIdentity, state: &StateFolder) -> Result<(), MultithreshError> {
    let Some(record) = state.record() else { return Ok(()) };
    let mut changes = record.changes(run);
    if let Some(level) = inputs.sidelobe_level.filter(|&l| l != record.sidelobe_level) {
        changes.push(format!("sidelobe level: {} -> {level}", record.sidelobe_level));
    }
    if changes.is_empty() {
        Ok(())
    } else {
        Err(MultithreshError::StateMismatch { folder: state.path().into(), changes })
    }
}

/// Refuses masks that are damaged: unreadable, of another size, or of other channels than the record has.
fn check_masks(cube: &Cube<'_>, state: &StateFolder) -> Result<(), MultithreshError> {
    let (Some(record), Some(path)) = (state.record(), state.masks()) else { return Ok(()) };
    let unusable = |reason: String| MultithreshError::StateUnusable {
        path: path.clone(),
        reason: format!("{reason}; the state is damaged: start again with --reset"),
    };
    let masks = FitsImage::open(&path).map_err(|e| match e {
        ImageError::Unsuitable { reason, .. } | ImageError::Unreadable { reason, .. } => unusable(reason),
        other => other.into(),
    })?;
    let ((ny, nx), (height, width)) = (masks.plane_shape(), cube.shape);
    if (ny, nx) != (height, width) {
        return Err(unusable(format!("has {nx} x {ny} pixels, but the residual has {width} x {height}")));
    }
    let (found, recorded) = (masks.channels(), record.channels.len());
    if found != cube.channels || recorded != cube.channels {
        return Err(unusable(format!(
            "has {found} channels and its record {recorded}, but the residual has {}",
            cube.channels
        )));
    }
    Ok(())
}

/// The masker of each channel, and what it is told, where channels are masked each by itself; else none.
fn own_maskers(
    inputs: &CycleInputs,
    options: &MultithreshOptions,
    cube: &Cube<'_>,
    levels: &[f32],
) -> Result<Vec<(PlaneMasker, Call)>, MultithreshError> {
    let psf = inputs.psf.as_ref().map(FitsImage::open).transpose()?;
    let residual = FitsImage::open(&inputs.residual)?;
    let own = |(channel, facts): (usize, &ChannelFacts)| {
        let call = Call {
            sidelobe_level: levels[channel.min(levels.len() - 1)],
            iterdone: facts.iterdone,
            threshold_reached: facts.threshold_reached,
            // Of its own plane, which only that knows.
            first_plane_full: false,
        };
        Ok((PlaneMasker::new(options, cube.pixel_beam_of(channel, &residual, psf.as_ref())?)?, call))
    };
    inputs.channels.iter().enumerate().map(own).collect()
}

/// The PSF's sidelobe level, of the state, as given, or measured; and of each channel, where they are masked each by itself.
fn levels_of(inputs: &CycleInputs, cube: &Cube<'_>, state: &StateFolder) -> Result<(f32, Vec<f32>), MultithreshError> {
    let by_channel = !inputs.channels.is_empty();
    let (level, levels) = match (state.record(), inputs.sidelobe_level, &inputs.psf) {
        (Some(record), ..) => (record.sidelobe_level, record.sidelobe_levels.clone()),
        (None, Some(level), _) => (level, if by_channel { vec![level] } else { Vec::new() }),
        (None, None, Some(psf)) => {
            let all = cube.sidelobes_of(psf)?;
            let levels = if by_channel { all.iter().map(|own| own.level()).collect() } else { Vec::new() };
            (all.into_iter().fold(Sidelobes::default(), Sidelobes::and).level(), levels)
        }
        (None, None, None) => {
            return Err(MultithreshError::Missing(
                "the first call needs the PSF (--psf) or its sidelobe level (--sidelobe-level)".into(),
            ));
        }
    };
    if !(level.is_finite() && level >= 0.0) {
        return Err(OptionError::new("the sidelobe level", level, "0 or more").into());
    }
    Ok((level, levels))
}

/// The last call's mask, again.
fn repeat(cube: &Cube<'_>, state: &StateFolder, output: &Path) -> Result<CycleSummary, MultithreshError> {
    let record = state.record().expect("a state whose last call is repeated");
    let mut masks = FitsImage::open(state.masks().expect("recorded"))?;
    let mut writer = cube.mask_writer(output)?;
    let (ny, nx) = cube.shape;
    let mut buffer = vec![0f32; ny * nx];
    let mut bytes = vec![0u8; ny * nx];
    for (channel, counters) in record.channels.iter().enumerate() {
        let channel_state = folder::read_channel(&mut masks, channel, *counters, &mut buffer)?;
        cube.write_mask(&mut writer, channel, &channel_state.mask, &mut bytes)?;
    }
    writer.finish()?;
    Ok(record.last.clone())
}

/// The warnings that CASA gives, in plain words.
fn warnings(
    options: &MultithreshOptions,
    cube: &Cube<'_>,
    inputs: &CycleInputs,
    cycle: usize,
    planes: &[PlaneSummary],
) -> Vec<String> {
    let mut warnings = options.warnings();
    if inputs.pb.is_some() && options.pbmask == 0.0 {
        warnings.push("the primary beam is not used: pbmask is 0".into());
    }
    if inputs.initial_mask.is_some() && cycle > 0 {
        warnings.push("the initial mask is not used: this is not the first call".into());
    }
    if cycle == 0 {
        for plane in planes.iter().filter(|p| p.mask_pixels == 0) {
            let which = if cube.channels > 1 { format!("channel {}: ", plane.channel) } else { String::new() };
            let kind = match plane.thresh_type {
                ThresholdKind::Sidelobe => "sidelobe",
                ThresholdKind::Noise => "noise",
            };
            warnings.push(if plane.n_reg > 0 && plane.n_reg == plane.n_pruned {
                format!("{which}the mask is empty: all {} regions above the {kind} threshold were pruned", plane.n_reg)
            } else {
                format!("{which}the mask is empty: nothing is above the {kind} threshold")
            });
        }
    }
    warnings
}
