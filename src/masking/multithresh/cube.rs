//! One call for a whole image or cube: files in, files out, channels in parallel.
//!
//! Each thread holds one plane of pixels; masks are bits. Files are written in channel order by whichever thread is
//! free, so the result, to the byte, does not depend on the number of threads.

use super::folder::{self, ChannelCounters, Record, RunIdentity, StateFolder};
use super::{
    Call, ChannelMaskState, MultithreshError, MultithreshOptions, PlaneMasker, PlaneSummary, Scratch, ThresholdKind,
};
use crate::image::psf::sidelobe_level;
use crate::image::{Beam, BeamTable, FitsImage, Header, PixelBeam, PixelType, PlaneKind, PlaneWriter, common_beam};
use crate::kernels::bitmask::BitMask;
use crate::options::{OptionError, Validate};
use ndarray::ArrayView2;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// Length of a restoring beam, in sides of the image, beyond which it cannot be one.
const WIDEST_BEAM: f64 = 10.0;

/// FITS value of Stokes I on a STOKES axis.
const STOKES_I: f64 = 1.0;

/// Files and facts of one major cycle.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CycleInputs {
    /// The residual just made: an image or cube.
    pub residual: PathBuf,
    /// The PSF, for its sidelobe level (first call only) and, if the residual has none, the beam.
    pub psf: Option<PathBuf>,
    /// The PSF's sidelobe level, if known.
    pub sidelobe_level: Option<f32>,
    /// Primary beam, used with `pbmask` above 0.
    pub pb: Option<PathBuf>,
    /// Valid pixels: those that are neither 0 nor NaN.
    pub pixelmask: Option<PathBuf>,
    /// Mask before the first call (later calls ignore it): pixels that are neither 0 nor NaN.
    pub initial_mask: Option<PathBuf>,
    /// Common restoring beam, instead of the residual's.
    pub beam: Option<Beam>,
    /// The minor cycle before this call reached the user's cleaning threshold.
    pub threshold_reached: bool,
    /// Minor-cycle iterations so far; only whether it is 0 matters. Unless given: 0 at the first call, then counted on.
    pub iterdone: Option<u64>,
    /// Number of this call, counted from 0, if the caller keeps count. The state's last call is then not done twice:
    /// its mask is written again and its summary returned.
    pub cycle: Option<usize>,
}

/// What one call did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CycleSummary {
    /// Number of the call, counted from 0.
    pub cycle: usize,
    /// `iterdone` as used.
    pub iterdone: u64,
    /// As given.
    pub threshold_reached: bool,
    /// PSF sidelobe level.
    pub sidelobe_level: f32,
    /// Common beam: major axis, minor axis (arcsec), position angle (degrees).
    pub beam_arcsec: [f64; 3],
    /// Area of the beam in pixels.
    pub beam_pixels: f64,
    /// Regions with fewer pixels than this were pruned.
    pub prune_pixels: f64,
    /// The polarisation, counted from 0, that the mask was made from; all others have the same mask.
    pub polarisation: usize,
    /// Masked pixels, over all channels of that polarisation.
    pub mask_pixels: usize,
    /// Channel by channel.
    pub planes: Vec<PlaneSummary>,
    /// What the user should know.
    pub warnings: Vec<String>,
}

/// One major cycle: makes the mask `output` from the inputs and the state in `state_dir`, and replaces that state.
///
/// The folder is made at the first call. The output (uint8, the residual's axes and header) appears first, then the
/// new state, each by a rename: after a kill at any moment the same call can simply be repeated.
///
/// # Errors
/// Inputs that do not fit each other or the state, senseless options, files that cannot be read or written.
pub fn run_cycle(
    inputs: &CycleInputs,
    options: &MultithreshOptions,
    state_dir: &Path,
    output: &Path,
) -> Result<CycleSummary, MultithreshError> {
    options.validate()?;
    let mut state = StateFolder::open(state_dir)?;
    let cube = Cube::open(inputs, options)?;
    let run = RunIdentity { axes: cube.axes.clone(), beam: cube.beam, options: options.clone() };
    if let Some(record) = state.record() {
        let mut changes = record.changes(&run);
        if let Some(level) = inputs.sidelobe_level.filter(|&l| l != record.sidelobe_level) {
            changes.push(format!("sidelobe level: {} -> {level}", record.sidelobe_level));
        }
        if !changes.is_empty() {
            return Err(MultithreshError::StateMismatch { folder: state_dir.into(), changes });
        }
    }
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
    let level = match (state.record(), inputs.sidelobe_level, &inputs.psf) {
        (Some(record), ..) => record.sidelobe_level,
        (None, Some(level), _) => level,
        (None, None, Some(psf)) => cube.level_of(psf)?,
        (None, None, None) => {
            return Err(MultithreshError::Missing(
                "the first call needs the PSF (--psf) or its sidelobe level (--sidelobe-level)".into(),
            ));
        }
    };
    if !(level.is_finite() && level >= 0.0) {
        return Err(OptionError::new("the sidelobe level", level, "0 or more").into());
    }
    let iterdone = inputs.iterdone.unwrap_or_else(|| state.record().map_or(0, |r| r.iterdone + 1));
    let call = Call {
        sidelobe_level: level,
        iterdone,
        threshold_reached: inputs.threshold_reached,
        first_plane_full: cube.first_plane_full(state.record())?,
    };
    let masker = PlaneMasker::new(options, cube.pixel_beam())?;
    let masks = state.next_masks();
    let (planes, counters) = cube.run(&masker, &call, &state, &state_dir.join(&masks), output)?;
    let summary = CycleSummary {
        cycle: done,
        iterdone,
        threshold_reached: call.threshold_reached,
        sidelobe_level: level,
        beam_arcsec: [cube.beam.major_deg * 3600.0, cube.beam.minor_deg * 3600.0, cube.beam.pa_deg],
        beam_pixels: cube.pixel_beam().area(),
        prune_pixels: masker.least_pixels(),
        polarisation: cube.polarisation,
        mask_pixels: planes.iter().map(|p| p.mask_pixels).sum(),
        warnings: warnings(options, &cube, inputs, done, &planes),
        planes,
    };
    state.commit(Record::new(run, level, masks, counters, summary.clone()))?;
    Ok(summary)
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

/// What CASA warns of, in our words.
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

/// The residual and everything that belongs to it, checked to fit.
struct Cube<'a> {
    inputs: &'a CycleInputs,
    options: &'a MultithreshOptions,
    axes: Vec<usize>,
    /// What axes 3 and 4 are.
    kinds: Vec<PlaneKind>,
    shape: (usize, usize),
    channels: usize,
    polarisations: usize,
    polarisation: usize,
    header: Header,
    pixel_deg: f64,
    beam: Beam,
}

impl<'a> Cube<'a> {
    fn open(inputs: &'a CycleInputs, options: &'a MultithreshOptions) -> Result<Self, MultithreshError> {
        let residual = FitsImage::open(&inputs.residual)?;
        let pixel_deg = residual.pixel_deg()?;
        let cube = Self {
            inputs,
            options,
            axes: residual.axes().to_vec(),
            kinds: residual.plane_kinds().to_vec(),
            shape: residual.plane_shape(),
            channels: residual.channels(),
            polarisations: residual.polarisations(),
            polarisation: stokes_i(&residual),
            header: residual.header().clone(),
            pixel_deg,
            beam: find_beam(inputs, &residual)?,
        };
        let (beam, side) = (cube.beam.major_deg / pixel_deg, cube.shape.0.max(cube.shape.1));
        if beam > WIDEST_BEAM * side as f64 {
            return Err(MultithreshError::Unfit {
                path: inputs.residual.clone(),
                reason: format!(
                    "the restoring beam is {beam:.0} pixels long, the image has {side}: the fit to the PSF has failed; \
                     smaller pixels help, or another beam"
                ),
            });
        }
        if options.pbmask > 0.0 && inputs.pb.is_none() {
            return Err(MultithreshError::Missing(format!(
                "pbmask is {}, which needs the primary beam (--pb)",
                options.pbmask
            )));
        }
        for path in [&inputs.pb, &inputs.pixelmask, &inputs.initial_mask].into_iter().flatten() {
            cube.open_companion(path)?;
        }
        Ok(cube)
    }

    /// The beam in pixels, its angle counted as for RA that increases to the left.
    fn pixel_beam(&self) -> PixelBeam {
        let mut beam = self.beam.in_pixels(self.pixel_deg);
        if self.header.get_f64("CDELT1").is_some_and(|d| d > 0.0) {
            beam.pa_deg = -beam.pa_deg;
        }
        beam
    }

    /// Opens an image that must fit the residual: the same plane size, one channel or as many.
    fn open_companion(&self, path: &Path) -> Result<FitsImage, MultithreshError> {
        let image = FitsImage::open(path)?;
        let residual = self.inputs.residual.display();
        let unfit = |reason: String| MultithreshError::Unfit { path: path.into(), reason };
        if image.plane_shape() != self.shape {
            let ((ny, nx), (ry, rx)) = (image.plane_shape(), self.shape);
            return Err(unfit(format!("has {nx} x {ny} pixels, but {residual} has {rx} x {ry}")));
        }
        if image.channels() != 1 && image.channels() != self.channels {
            return Err(unfit(format!(
                "has {} channels, but {residual} has {}; one or as many were expected",
                image.channels(),
                self.channels
            )));
        }
        Ok(image)
    }

    fn level_of(&self, psf: &Path) -> Result<f32, MultithreshError> {
        let mut image = FitsImage::open(psf)?;
        // Each plane's own fitted beam: the PSF's table, then its header, then what is known of the residual.
        let fitting = |table: Option<BeamTable>, channels: usize| {
            table.map(|t| t.of_polarisation(0).to_vec()).filter(|beams| beams.len() == channels)
        };
        let beams = fitting(BeamTable::read(psf)?, image.channels())
            .or_else(|| image.beam().map(|b| vec![b]))
            .or(fitting(BeamTable::read(&self.inputs.residual)?, image.channels()))
            .unwrap_or_else(|| vec![self.beam]);
        Ok(sidelobe_level(&mut image, &beams)?)
    }

    fn first_plane_full(&self, record: Option<&Record>) -> Result<bool, MultithreshError> {
        let (ny, nx) = self.shape;
        let mut planes = Planes::open(self, None)?;
        let full = match (record, &mut planes.initial) {
            (Some(record), _) => record.channels.first().is_some_and(|c| c.mask_pixels == ny * nx),
            (None, Some(initial)) => initial.read(0, self.polarisation, &mut planes.buffer)?.is_full(),
            (None, None) => false,
        };
        Ok(full && (self.options.pbmask == 0.0 || planes.valid(self, 0)?.is_none_or(|v| v.is_full())))
    }

    fn mask_writer(&self, path: &Path) -> Result<PlaneWriter, MultithreshError> {
        let mut header = self.header.clone();
        for key in ["CASAMBM", "BTYPE", "BUNIT"] {
            header.remove(key);
        }
        header.add_history("cleanloop automask: 1 where cleaning is allowed");
        Ok(PlaneWriter::create(path, &self.axes, PixelType::U8, &header, false)?)
    }

    fn write_mask(
        &self,
        writer: &mut PlaneWriter,
        channel: usize,
        mask: &BitMask,
        bytes: &mut [u8],
    ) -> Result<(), MultithreshError> {
        let (_, nx) = self.shape;
        bytes.fill(0);
        for (y, row) in bytes.chunks_exact_mut(nx).enumerate() {
            mask.for_each_run(y, |x0, x1| row[x0..x1].fill(1));
        }
        for polarisation in 0..self.polarisations {
            let index = self.plane_index(polarisation, channel);
            writer.write_plane(index, ArrayView2::from_shape(self.shape, bytes).expect("a plane"))?;
        }
        Ok(())
    }

    /// Position of a plane in a file of the residual's axes, counted in planes.
    fn plane_index(&self, polarisation: usize, channel: usize) -> usize {
        let (mut index, mut stride) = (0, 1);
        for (kind, &n) in self.kinds.iter().zip(&self.axes[2..]) {
            let place = match kind {
                PlaneKind::Channel => channel,
                PlaneKind::Polarisation => polarisation,
            };
            index += stride * place.min(n - 1);
            stride *= n;
        }
        index
    }

    /// All channels: masks and the new state's cube are written; the state is not yet changed.
    fn run(
        &self,
        masker: &PlaneMasker,
        call: &Call,
        state: &StateFolder,
        masks: &Path,
        output: &Path,
    ) -> Result<(Vec<PlaneSummary>, Vec<ChannelCounters>), MultithreshError> {
        let (ny, nx) = self.shape;
        let mut writer = OrderedWriter {
            cube: self,
            masks: PlaneWriter::create(masks, &[nx, ny, self.channels], PixelType::U8, &self.state_header(), true)?,
            output: self.mask_writer(output)?,
            bytes: vec![0; ny * nx],
            next: 0,
            summaries: Vec::with_capacity(self.channels),
            counters: Vec::with_capacity(self.channels),
        };
        let finished: Mutex<BTreeMap<usize, (ChannelMaskState, PlaneSummary)>> = Mutex::default();
        let failure: Mutex<Option<(usize, MultithreshError)>> = Mutex::default();
        let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
        let fail = |channel: usize, error: MultithreshError| {
            failed.store(true, Ordering::Relaxed);
            let mut first = failure.lock().expect("no panic while locked");
            if first.as_ref().is_none_or(|(c, _)| channel < *c) {
                *first = Some((channel, error));
            }
        };
        let shared_writer = Mutex::new(&mut writer);
        let shared_valid = self.shared_valid()?;
        let work = || {
            let mut planes = match Planes::open(self, state.masks().as_deref()) {
                Ok(planes) => planes,
                Err(e) => return fail(0, e),
            };
            planes.shared_valid = shared_valid.clone();
            let mut scratch = Scratch::default();
            while !failed.load(Ordering::Relaxed) {
                let channel = next.fetch_add(1, Ordering::Relaxed);
                if channel >= self.channels {
                    break;
                }
                let result = planes.update(self, masker, call, state.record(), channel, &mut scratch);
                match result {
                    Ok(done) => finished.lock().expect("no panic while locked").insert(channel, done),
                    Err(e) => return fail(channel, e),
                };
                // Whoever finds the writer free writes what is due; nobody waits.
                if let Ok(mut writer) = shared_writer.try_lock()
                    && let Err(e) = writer.write_due(&finished)
                {
                    return fail(channel, e);
                }
            }
        };
        let workers = rayon::current_num_threads().min(self.channels).max(1);
        rayon::scope(|scope| {
            for _ in 1..workers {
                scope.spawn(|_| work());
            }
            work();
        });
        if let Some((_, error)) = failure.into_inner().expect("no panic while locked") {
            return Err(error);
        }
        writer.write_due(&finished)?;
        let OrderedWriter { masks, output, summaries, counters, .. } = writer;
        masks.finish()?;
        output.finish()?;
        Ok((summaries, counters))
    }

    /// The residual's header for a cube of channels only: one mask serves all polarisations, and compressed images
    /// have at most three axes.
    fn state_header(&self) -> Header {
        let mut header = self.header.clone();
        for key in ["CASAMBM", "BTYPE", "BUNIT", "WCSAXES"] {
            header.remove(key);
        }
        let of_channels = self.kinds.iter().position(|kind| *kind == PlaneKind::Channel).map(|i| i + 3);
        let text = |key: &str| of_channels.and_then(|axis| self.header.get(&format!("{key}{axis}")));
        let number = |key: &str| of_channels.and_then(|axis| self.header.get_f64(&format!("{key}{axis}")));
        for axis in 3..=self.axes.len().max(4) {
            for key in ["CTYPE", "CUNIT", "CRVAL", "CRPIX", "CDELT", "CROTA"] {
                header.remove(&format!("{key}{axis}"));
            }
            for other in 1..=self.axes.len().max(4) {
                for key in ["PC", "CD"] {
                    header.remove(&format!("{key}{axis}_{other}"));
                    header.remove(&format!("{key}{other}_{axis}"));
                }
            }
        }
        header.set_str("CTYPE3", text("CTYPE").as_deref().unwrap_or("CHANNEL"));
        if let Some(unit) = text("CUNIT") {
            header.set_str("CUNIT3", &unit);
        }
        for key in ["CRVAL", "CRPIX", "CDELT"] {
            if let Some(value) = number(key) {
                header.set_f64(&format!("{key}3"), value);
            }
        }
        header.add_history("cleanloop automask state: 1 positive mask, 2 other mask (absorption, initial)");
        header
    }

    /// The validity of all channels, if one plane gives it.
    fn shared_valid(&self) -> Result<Option<Arc<BitMask>>, MultithreshError> {
        let mut planes = Planes::open(self, None)?;
        let single = planes.validity.as_ref().is_some_and(|v| v.image.channels() == 1);
        Ok(if single { planes.valid(self, 0)?.map(Arc::new) } else { None })
    }
}

/// Writes channels in their order, whenever the next one is there.
struct OrderedWriter<'a> {
    cube: &'a Cube<'a>,
    masks: PlaneWriter,
    output: PlaneWriter,
    bytes: Vec<u8>,
    next: usize,
    summaries: Vec<PlaneSummary>,
    counters: Vec<ChannelCounters>,
}

impl OrderedWriter<'_> {
    fn write_due(
        &mut self,
        finished: &Mutex<BTreeMap<usize, (ChannelMaskState, PlaneSummary)>>,
    ) -> Result<(), MultithreshError> {
        loop {
            let due = finished.lock().expect("no panic while locked").remove(&self.next);
            let Some((state, summary)) = due else { return Ok(()) };
            folder::encode(&state, &mut self.bytes);
            let plane = ArrayView2::from_shape(self.cube.shape, &self.bytes).expect("a plane");
            self.masks.write_plane(self.next, plane)?;
            self.cube.write_mask(&mut self.output, self.next, &state.mask, &mut self.bytes)?;
            self.counters.push(ChannelCounters {
                skip: state.skip,
                cycles: state.cycles,
                mask_pixels: summary.mask_pixels,
            });
            self.summaries.push(summary);
            self.next += 1;
        }
    }
}

/// A mask or beam image, one plane for all channels or one each.
struct Companion {
    image: FitsImage,
    keep_above: Option<f32>,
}

impl Companion {
    /// The plane as bits: above the limit, or neither 0 nor NaN.
    fn read(&mut self, channel: usize, polarisation: usize, buffer: &mut [f32]) -> Result<BitMask, MultithreshError> {
        let (ny, nx) = self.image.plane_shape();
        let channel = channel.min(self.image.channels() - 1);
        let polarisation = polarisation.min(self.image.polarisations() - 1);
        self.image.read_plane_into(polarisation, channel, buffer)?;
        Ok(match self.keep_above {
            Some(limit) => BitMask::from_plane(ny, nx, buffer, |v| v > limit),
            None => BitMask::from_plane(ny, nx, buffer, |v| v != 0.0 && !v.is_nan()),
        })
    }
}

/// One thread's view of the files, with room for one plane.
struct Planes {
    residual: FitsImage,
    validity: Option<Companion>,
    initial: Option<Companion>,
    state: Option<FitsImage>,
    shared_valid: Option<Arc<BitMask>>,
    buffer: Vec<f32>,
}

impl Planes {
    fn open(cube: &Cube<'_>, state: Option<&Path>) -> Result<Self, MultithreshError> {
        let open = |path: &Path, keep_above: Option<f32>| -> Result<Companion, MultithreshError> {
            Ok(Companion { image: cube.open_companion(path)?, keep_above })
        };
        let (ny, nx) = cube.shape;
        let limit = cube.options.pbmask;
        Ok(Self {
            residual: FitsImage::open(&cube.inputs.residual)?,
            // The primary beam's limit replaces the pixel mask, as in tclean.
            validity: match (&cube.inputs.pb, &cube.inputs.pixelmask) {
                (Some(pb), _) if limit > 0.0 => Some(open(pb, Some(limit))?),
                (_, Some(mask)) => Some(open(mask, None)?),
                _ => None,
            },
            initial: cube.inputs.initial_mask.as_deref().map(|p| open(p, None)).transpose()?,
            state: state.map(FitsImage::open).transpose()?,
            shared_valid: None,
            buffer: vec![0.0; ny * nx],
        })
    }

    fn valid(&mut self, cube: &Cube<'_>, channel: usize) -> Result<Option<BitMask>, MultithreshError> {
        self.validity.as_mut().map(|v| v.read(channel, cube.polarisation, &mut self.buffer)).transpose()
    }

    fn update(
        &mut self,
        cube: &Cube<'_>,
        masker: &PlaneMasker,
        call: &Call,
        record: Option<&Record>,
        channel: usize,
        scratch: &mut Scratch,
    ) -> Result<(ChannelMaskState, PlaneSummary), MultithreshError> {
        let (ny, nx) = cube.shape;
        let old = match (&mut self.state, record, &mut self.initial) {
            (Some(state), Some(record), _) => {
                folder::read_channel(state, channel, record.channels[channel], &mut self.buffer)?
            }
            (.., Some(initial)) => {
                ChannelMaskState::with_mask(initial.read(channel, cube.polarisation, &mut self.buffer)?)
            }
            _ => ChannelMaskState::new(ny, nx),
        };
        let own = if self.shared_valid.is_some() { None } else { self.valid(cube, channel)? };
        let valid = own.as_ref().or(self.shared_valid.as_deref());
        self.residual.read_plane_into(cube.polarisation, channel, &mut self.buffer)?;
        let residual = ArrayView2::from_shape(cube.shape, &self.buffer).expect("a plane");
        let (state, mut summary) = masker.update(residual, valid, call, &old, scratch);
        summary.channel = channel;
        Ok((state, summary))
    }
}

/// FITS number of the Stokes axis.
fn stokes_axis(header: &Header) -> Option<usize> {
    (3..=9).find(|i| header.get(&format!("CTYPE{i}")).is_some_and(|c| c.to_uppercase().starts_with("STOKES")))
}

/// The polarisation that decides: Stokes I, or the first one where there is no I.
fn stokes_i(image: &FitsImage) -> usize {
    let Some(axis) = stokes_axis(image.header()) else { return 0 };
    let key = |name: &str, default: f64| image.header().get_f64(&format!("{name}{axis}")).unwrap_or(default);
    (0..image.polarisations())
        .find(|&i| {
            let value = key("CRVAL", 1.0) + (i as f64 + 1.0 - key("CRPIX", 1.0)) * key("CDELT", 1.0);
            (value - STOKES_I).abs() < 0.5
        })
        .unwrap_or(0)
}

/// The common beam: as given, the residual's table or header, or the PSF's.
fn find_beam(inputs: &CycleInputs, residual: &FitsImage) -> Result<Beam, MultithreshError> {
    if let Some(beam) = inputs.beam {
        return Ok(beam);
    }
    let of_table = |path: &Path| Ok::<_, MultithreshError>(BeamTable::read(path)?.and_then(|t| common_beam(t.all())));
    if let Some(beam) = of_table(&inputs.residual)?.or(residual.beam()) {
        return Ok(beam);
    }
    if let Some(psf) = &inputs.psf
        && let Some(beam) = of_table(psf)?.or(FitsImage::open(psf)?.beam())
    {
        return Ok(beam);
    }
    Err(MultithreshError::Unfit {
        path: inputs.residual.clone(),
        reason: "has no restoring beam (BMAJ, BMIN, BPA or a table BEAMS), and neither has a PSF; give --beam".into(),
    })
}
