//! Channels of a cube, in parallel: planes read, masked and written in order.
//!
//! Each thread holds one plane of pixels; masks are bits. Files are written in channel order by whichever thread is
//! free, so the result, to the byte, does not depend on the number of threads.

use super::cube::Cube;
use super::folder::{self, ChannelCounters, Record, StateFolder};
use super::{Call, ChannelMaskState, MultithreshError, PlaneMasker, PlaneSummary, Scratch};
use crate::image::{FitsImage, PixelType, PlaneWriter, is_masked};
use crate::kernels::bitmask::BitMask;
use ndarray::ArrayView2;
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// A call for all channels of a cube.
pub(super) struct Channels<'a> {
    pub(super) cube: &'a Cube<'a>,
    pub(super) masker: &'a PlaneMasker,
    pub(super) call: &'a Call,
    /// Of each channel, where they are masked each by itself; else empty.
    pub(super) own: &'a [(PlaneMasker, Call)],
    pub(super) state: &'a StateFolder,
}

/// What was found in the channels that were masked, in their order.
pub(super) type Found = (Vec<PlaneSummary>, Vec<ChannelCounters>);

impl Channels<'_> {
    /// The channels of `range`: the new state's cube of these alone is written, and the mask where there is an `output`; the
    /// state is not yet changed.
    pub(super) fn run(
        &self,
        range: Range<usize>,
        masks: &Path,
        output: Option<&Path>,
    ) -> Result<Found, MultithreshError> {
        let (cube, state) = (self.cube, self.state);
        let mut writer = OrderedWriter::create(cube, range.clone(), masks, output)?;
        let finished: Mutex<BTreeMap<usize, (ChannelMaskState, PlaneSummary)>> = Mutex::default();
        let failure: Mutex<Option<(usize, MultithreshError)>> = Mutex::default();
        let (next, failed) = (AtomicUsize::new(range.start), AtomicBool::new(false));
        let fail = |channel: usize, error: MultithreshError| {
            failed.store(true, Ordering::Relaxed);
            let mut first = failure.lock().expect("no panic while locked");
            if first.as_ref().is_none_or(|(c, _)| channel < *c) {
                *first = Some((channel, error));
            }
        };
        let shared_writer = Mutex::new(&mut writer);
        let shared_valid = shared_valid(cube)?;
        let work = || {
            let mut planes = match Planes::open(cube, state.masks().as_deref()) {
                Ok(planes) => planes,
                Err(e) => return fail(0, e),
            };
            planes.shared_valid = shared_valid.clone();
            let mut scratch = Scratch::default();
            while !failed.load(Ordering::Relaxed) {
                let channel = next.fetch_add(1, Ordering::Relaxed);
                if channel >= range.end {
                    break;
                }
                let result = planes.update(self, channel, &mut scratch);
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
        let workers = rayon::current_num_threads().min(range.len()).max(1);
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
        writer.finish()
    }
}

/// Cubes of the states of neighbouring channels, and what was found in them, become those of the whole cube.
pub(super) fn put_together(
    cube: &Cube<'_>,
    parts: impl IntoIterator<Item = (PathBuf, Found)>,
    masks: &Path,
    output: &Path,
) -> Result<Found, MultithreshError> {
    let mut writer = OrderedWriter::create(cube, 0..cube.channels, masks, Some(output))?;
    let (ny, nx) = cube.shape;
    let mut buffer = vec![0f32; ny * nx];
    for (path, (summaries, counters)) in parts {
        let mut part = FitsImage::open(&path)?;
        for (own, (summary, counters)) in summaries.into_iter().zip(counters).enumerate() {
            let state = folder::read_channel(&mut part, own, counters, &mut buffer)?;
            writer.push(&state, summary)?;
        }
    }
    writer.finish()
}

/// Whether the incoming mask of the first plane covers all its pixels.
pub(super) fn first_plane_full(cube: &Cube<'_>, record: Option<&Record>) -> Result<bool, MultithreshError> {
    let (ny, nx) = cube.shape;
    let mut planes = Planes::open(cube, None)?;
    let full = match (record, &mut planes.initial) {
        (Some(record), _) => record.channels.first().is_some_and(|c| c.mask_pixels == ny * nx),
        (None, Some(initial)) => initial.read(0, cube.polarisation, &mut planes.buffer)?.is_full(),
        (None, None) => false,
    };
    Ok(full && (cube.options.pbmask == 0.0 || planes.valid(cube, 0)?.is_none_or(|v| v.is_full())))
}

/// The validity of all channels, if one plane gives it.
fn shared_valid(cube: &Cube<'_>) -> Result<Option<Arc<BitMask>>, MultithreshError> {
    let mut planes = Planes::open(cube, None)?;
    let single = planes.validity.as_ref().is_some_and(|v| v.image.channels() == 1);
    Ok(if single { planes.valid(cube, 0)?.map(Arc::new) } else { None })
}

/// Writes channels in their order, whenever the next one is there.
struct OrderedWriter<'a> {
    cube: &'a Cube<'a>,
    masks: PlaneWriter,
    output: Option<PlaneWriter>,
    bytes: Vec<u8>,
    first: usize,
    next: usize,
    summaries: Vec<PlaneSummary>,
    counters: Vec<ChannelCounters>,
}

impl<'a> OrderedWriter<'a> {
    fn create(
        cube: &'a Cube<'a>,
        range: Range<usize>,
        masks: &Path,
        output: Option<&Path>,
    ) -> Result<Self, MultithreshError> {
        let (ny, nx) = cube.shape;
        Ok(Self {
            cube,
            masks: PlaneWriter::create(masks, &[nx, ny, range.len()], PixelType::U8, &cube.state_header(), true)?,
            output: output.map(|path| cube.mask_writer(path)).transpose()?,
            bytes: vec![0; ny * nx],
            first: range.start,
            next: range.start,
            summaries: Vec::with_capacity(range.len()),
            counters: Vec::with_capacity(range.len()),
        })
    }

    fn write_due(
        &mut self,
        finished: &Mutex<BTreeMap<usize, (ChannelMaskState, PlaneSummary)>>,
    ) -> Result<(), MultithreshError> {
        loop {
            let due = finished.lock().expect("no panic while locked").remove(&self.next);
            let Some((state, summary)) = due else { return Ok(()) };
            self.push(&state, summary)?;
        }
    }

    fn push(&mut self, state: &ChannelMaskState, summary: PlaneSummary) -> Result<(), MultithreshError> {
        folder::encode(state, &mut self.bytes);
        let plane = ArrayView2::from_shape(self.cube.shape, &self.bytes).expect("a plane");
        self.masks.write_plane(self.next - self.first, plane)?;
        if let Some(output) = &mut self.output {
            self.cube.write_mask(output, self.next, &state.mask, &mut self.bytes)?;
        }
        let (skip, cycles, mask_pixels) = (state.skip, state.cycles, summary.mask_pixels);
        self.counters.push(ChannelCounters { skip, cycles, mask_pixels });
        self.summaries.push(summary);
        self.next += 1;
        Ok(())
    }

    fn finish(self) -> Result<Found, MultithreshError> {
        self.masks.finish()?;
        if let Some(output) = self.output {
            output.finish()?;
        }
        Ok((self.summaries, self.counters))
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
        let (polarisation, channel) = self.image.matching_plane(polarisation, channel);
        self.image.read_plane_into(polarisation, channel, buffer)?;
        Ok(match self.keep_above {
            Some(limit) => BitMask::from_plane(ny, nx, buffer, |v| v > limit),
            None => BitMask::from_plane(ny, nx, buffer, is_masked),
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
        channels: &Channels<'_>,
        channel: usize,
        scratch: &mut Scratch,
    ) -> Result<(ChannelMaskState, PlaneSummary), MultithreshError> {
        let (cube, record) = (channels.cube, channels.state.record());
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
        let (state, mut summary) = match channels.own.get(channel) {
            None => channels.masker.update(residual, valid, channels.call, &old, scratch),
            Some((masker, call)) if cube.inputs.channels[channel].keep => {
                let left_alone = ChannelMaskState { skip: true, ..old.clone() };
                let (_, summary) = masker.update(residual, valid, call, &left_alone, scratch);
                (old, summary)
            }
            Some((masker, call)) => {
                let first_plane_full = old.mask.is_full() && valid.is_none_or(BitMask::is_full);
                masker.update(residual, valid, &Call { first_plane_full, ..*call }, &old, scratch)
            }
        };
        summary.channel = channel;
        Ok((state, summary))
    }
}
