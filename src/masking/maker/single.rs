//! The mask of every plane of an image, by flint's pipeline or with automatic levels.

use super::planes::{FileRows, Noise, Uncleaned};
use super::{AutoSummary, Mask, MaskRequest, MaskStats, PlaneNote, Polarisations};
use crate::image::{FitsImage, Header, ImageError, PixelBeam, PixelType, PlaneWriter};
use crate::kernels::rows::Rows;
use crate::masking::auto::{self, AutoInputs, AutoMaskError, AutoSettings, LastRound};
use crate::masking::flint::pipeline::{mask_of_image_rows, mask_of_rows, needs_no_plane};
use crate::masking::recipe::MaskMethod;
use crate::masking::{MaskBits, MaskNote, MaskOutput, MaskingError, MaskingOptions, mask_of_signal};
use crate::options::Validate;
use crate::util::fs::same_file;
use crate::{Error, Result};
use ndarray::Array2;
use std::ops::Range;
use std::path::Path;

/// Makes and writes the mask.
pub(super) fn make(request: &MaskRequest<'_>) -> Result<Mask> {
    // On a thread of the pool: from outside, each parallel step would put this thread to sleep and wake it again.
    rayon::scope(|_| Single::open(request)?.run())
}

/// The planes of a mask and of the image that it is made from.
pub(super) struct Planes {
    /// Of the mask's file.
    axes: Vec<usize>,
    pub(super) polarisations: usize,
    pub(super) channels: usize,
    /// The mask has the first of several polarisations alone.
    reduced: bool,
}

impl Planes {
    pub(super) fn of(image: &FitsImage, which: Polarisations) -> Self {
        let (channels, (ny, nx)) = (image.channels(), image.plane_shape());
        match which == Polarisations::First && image.polarisations() > 1 {
            true => Self { axes: vec![nx, ny, channels], polarisations: 1, channels, reduced: true },
            false => {
                Self { axes: image.axes().to_vec(), polarisations: image.polarisations(), channels, reduced: false }
            }
        }
    }

    pub(super) fn count(&self) -> usize {
        self.polarisations * self.channels
    }

    /// Polarisation and channel of the planes of some channels, in the order in which they are masked.
    pub(super) fn in_order(&self, channels: Range<usize>) -> impl Iterator<Item = (usize, usize)> + use<> {
        (0..self.polarisations)
            .flat_map(move |polarisation| channels.clone().map(move |channel| (polarisation, channel)))
    }

    /// Number of a plane in the mask's file.
    pub(super) fn index(&self, image: &FitsImage, (polarisation, channel): (usize, usize)) -> usize {
        if self.reduced { channel } else { image.plane_index(polarisation, channel) }
    }
}

/// Files that are open while the planes are masked one by one, and what is known so far.
pub(super) struct Single<'a> {
    request: &'a MaskRequest<'a>,
    pub(super) image: FitsImage,
    noise: Noise,
    previous: Option<FitsImage>,
    previous_image: Option<FitsImage>,
    uncleaned: Option<FitsImage>,
    pub(super) signal: Option<PlaneWriter>,
    /// A plane in memory; empty until one is needed.
    pub(super) plane: Array2<f32>,
    pub(super) mask: Mask,
}

impl<'a> Single<'a> {
    pub(super) fn open(request: &'a MaskRequest<'a>) -> Result<Self> {
        let options = &request.recipe.flint;
        options.validate()?;
        let image = FitsImage::open(request.image)?;
        let is_automatic = request.recipe.method == MaskMethod::Auto;
        if is_automatic {
            request.recipe.noise.validate()?;
        }
        let noise = if is_automatic { Noise::Unused } else { Noise::open(request, &image)? };
        let companion = |path: Option<&Path>| path.map(|path| image.companion(path)).transpose();
        let previous = companion(request.previous)?;
        let open = |path: Option<&Path>| path.filter(|_| is_automatic).map(FitsImage::open).transpose();
        let signal = request.signal.filter(|_| options.needs_noise() && !is_automatic);
        refuse_to_replace_inputs(request)?;
        Ok(Self {
            previous_image: open(request.automatic.previous_image)?,
            uncleaned: open(request.automatic.uncleaned)?,
            signal: match signal {
                Some(path) => Some(PlaneWriter::create(path, image.axes(), PixelType::F32, image.header(), false)?),
                None => None,
            },
            mask: Mask {
                path: request.output.to_path_buf(),
                signal: signal.map(Path::to_path_buf),
                stats: MaskStats::start(previous.is_some(), request.detailed),
                bits: options.bits(),
                flint: Some(options.clone()),
                ..Mask::default()
            },
            plane: Array2::zeros((0, 0)),
            request,
            image,
            noise,
            previous,
        })
    }

    fn run(mut self) -> Result<Mask> {
        let planes = Planes::of(&self.image, self.request.polarisations);
        self.mask.planes = planes.count();
        let mut writer = self.writer(&planes)?;
        for (polarisation, channel) in planes.in_order(0..planes.channels) {
            let index = planes.index(&self.image, (polarisation, channel));
            let mask = self.plane_with_users((polarisation, channel), index)?;
            mask.write(&mut writer, index)?;
            if let Some(signal) = &mut self.signal {
                signal.write_plane(index, self.plane.view())?;
            }
        }
        writer.finish()?;
        if let Some(signal) = self.signal {
            signal.finish()?;
        }
        Ok(self.mask)
    }

    /// Writes the whole mask.
    pub(super) fn writer(&self, planes: &Planes) -> Result<PlaneWriter> {
        let header = mask_header(&self.image, self.request);
        Ok(PlaneWriter::create(self.request.output, &planes.axes, self.pixel_type(), &header, false)?)
    }

    fn pixel_type(&self) -> PixelType {
        let options = &self.request.recipe.flint;
        let bits = options.bits();
        match self.request.flint_types {
            true if options.convolve_first && self.image.bitpix() == -64 => PixelType::F64,
            true if options.convolve_first => PixelType::F32,
            true if bits > 1 => PixelType::F64,
            true => PixelType::I32,
            false => PixelType::for_bits(bits),
        }
    }

    /// The mask of the plane `of` (polarisation, channel), with the user's pixels in and out, counted.
    pub(super) fn plane_with_users(&mut self, of: (usize, usize), index: usize) -> Result<MaskBits> {
        let bits = self.mask.bits;
        let before = match &mut self.previous {
            Some(previous) => Some(previous.read_mask(of.0, of.1)?),
            None => None,
        };
        let made = if self.request.recipe.method == MaskMethod::Auto {
            self.automatic_plane(of, index, before.as_ref())?
        } else {
            self.plane_of_pipeline(of)?
        };
        let mut mask = match made {
            // Blank channels are normal in a cube.
            Err(MaskingError::NoData) if self.mask.planes > 1 => {
                self.mask.notes.push(PlaneNote { plane: index, note: MaskNote::NoData });
                let (ny, nx) = self.image.plane_shape();
                self.mask.stats.pixels += (ny * nx) as u64;
                return Ok(MaskBits::empty((ny, nx), bits));
            }
            Err(e) => return Err(Error::bad_input(format!("{}: {e}", self.request.image.display()))),
            Ok(output) => {
                let notes = output.notes.into_iter().map(|note| PlaneNote { plane: index, note });
                self.mask.notes.extend(notes);
                output.mask
            }
        };
        self.request.users.apply_to_scales(&mut mask, bits);
        let stats = &mut self.mask.stats;
        if before.is_some() || self.request.detailed {
            stats.count(&mask.any_bits(), before.as_ref());
        } else {
            let (ny, nx) = mask.dim();
            stats.pixels += (ny * nx) as u64;
            stats.masked += mask.masked_pixels() as u64;
        }
        Ok(mask)
    }

    fn make_room(&mut self) {
        if self.plane.is_empty() {
            self.plane = Array2::zeros(self.image.plane_shape());
        }
    }

    fn plane_of_pipeline(&mut self, of: (usize, usize)) -> Result<Result<MaskOutput, MaskingError>> {
        let request = self.request;
        let options = &request.recipe.flint;
        let is_eroded = options.beam_shape_erode || options.convolve_first;
        let beam = if is_eroded { self.image.pixel_beam(of.0, of.1)? } else { None };
        if let Some(strips) = self.noise.strips(&self.image, of).filter(|_| self.signal.is_none()) {
            let rows = |first: usize, signal: &mut [f32]| strips.read(first, signal);
            return Ok(mask_of_rows(self.image.plane_shape(), &rows, beam.as_ref(), options)?);
        }
        if needs_no_plane(options)
            && let Some(rows) = FileRows::of(&self.image, of)
            && !request.recipe.zeros.may_be_no_data(&rows)
        {
            let made = mask_of_image_rows(&rows, beam.as_ref(), options);
            return rows.failure().map_or(Ok(made), |e| Err(e.into()));
        }
        self.make_room();
        let read = self.noise.read_signal(&mut self.image, of, &mut self.plane, request.recipe.zeros)?;
        self.mask.rms = self.mask.rms.or(read.rms.filter(|_| request.detailed));
        let made = mask_of_signal(self.plane.view(), beam.as_ref(), options);
        Ok(made.map(|output| with_zeros(output, read.zeros)))
    }

    fn automatic_plane(
        &mut self,
        of: (usize, usize),
        index: usize,
        before: Option<&Array2<bool>>,
    ) -> Result<Result<MaskOutput, MaskingError>> {
        self.make_room();
        let pixels = self.plane.as_slice_mut().expect("standard order");
        self.image.read_plane_into(of.0, of.1, pixels)?;
        // Imagers write NaN or zeros into channels without data.
        if self.mask.planes > 1 && !pixels.iter().any(|v| v.is_finite() && *v != 0.0) {
            return Ok(Err(MaskingError::NoData));
        }
        let zeros = self.request.recipe.zeros.blank(&mut self.plane);
        let beam = self.beam_of_levels(of)?;
        let read = |file: &mut Option<FitsImage>| -> Result<Option<Array2<f32>>, ImageError> {
            file.as_mut().map(|file| file.read_matching(of.0, of.1)).transpose()
        };
        let last = read(&mut self.previous_image)?;
        let last = last.as_ref().zip(before).map(|(image, mask)| LastRound { image: image.view(), mask: mask.view() });
        let uncleaned = match &mut self.uncleaned {
            Some(file) => Some(Uncleaned::of(file, of)?),
            None => None,
        };
        let sidelobes = self.request.automatic.sidelobes.and_then(|all| all.get(of.1.min(all.len().max(1) - 1)));
        let inputs = AutoInputs {
            image: self.plane.view(),
            beam: beam.as_ref(),
            sidelobes,
            uncleaned: None,
            last,
            left: self.request.automatic.left,
        };
        let recipe = self.request.recipe;
        let settings =
            AutoSettings { base: &recipe.flint, noise: &recipe.noise, caution: recipe.caution, limits: &recipe.auto };
        let made = auto::make_beside(&inputs, uncleaned.as_ref().map(|plane| plane as &dyn Rows), &settings);
        if let Some(failed) = uncleaned.and_then(Uncleaned::failure) {
            return Err(failed.into());
        }
        let made = match made {
            Ok(made) => made,
            // A residual that has diverged, or holds nothing any more: whoever cleans looks at it.
            Err(AutoMaskError::NoSignal) if inputs.sidelobes.is_some() => return Ok(Ok(self.nothing())),
            Err(e) => return Err(Error::bad_input(format!("{}: {e}", self.request.image.display()))),
        };
        if self.mask.automatic.is_none() {
            self.mask.flint = Some(made.choice.masking.clone());
        }
        let bits = made.choice.masking.bits();
        let summary = self.mask.automatic.get_or_insert_with(|| AutoSummary {
            artefacts: made.choice.artefacts,
            why: vec![made.choice.why.clone()],
            ..AutoSummary::default()
        });
        if made.compact > 0 {
            summary.why.push(format!("{} pixels of islands stand out from their surroundings", made.compact));
        }
        summary.why.extend(made.extended.iter().filter(|s| s.pixels > 0).map(ToString::to_string));
        summary.hidden |= made.hidden;
        if made.hidden {
            summary.hidden_planes.push(index);
        }
        summary.removed.extend(made.removed);
        Ok(Ok(with_zeros(MaskOutput { mask: made.mask, bits, notes: made.notes, signal: None }, zeros)))
    }

    /// An empty mask of a residual without signal.
    fn nothing(&mut self) -> MaskOutput {
        let summary = self.mask.automatic.get_or_insert_default();
        summary.why.push(AutoMaskError::NoSignal.to_string());
        let bits = self.request.recipe.flint.bits();
        MaskOutput { mask: MaskBits::empty(self.image.plane_shape(), bits), bits, notes: Vec::new(), signal: None }
    }

    /// The beam that automatic levels know; they do without one where pixels have no size and nothing is eroded.
    fn beam_of_levels(&self, of: (usize, usize)) -> Result<Option<PixelBeam>> {
        let options = &self.request.recipe.flint;
        let Some(beam) = self.image.plane_beam(of.0, of.1)? else { return Ok(None) };
        match self.image.pixel_deg() {
            Ok(pixel) => Ok(Some(self.image.on_pixels(&beam, pixel))),
            Err(e) if options.beam_shape_erode || options.convolve_first => Err(e.into()),
            Err(_) => Ok(None),
        }
    }
}

/// A mask with the note that zeros count as no data, where some do.
fn with_zeros(mut output: MaskOutput, zeros: usize) -> MaskOutput {
    if zeros > 0 {
        output.notes.push(MaskNote::ZerosAreNoData { pixels: zeros });
    }
    output
}

/// The image's header and a line that says how the mask was made.
fn mask_header(image: &FitsImage, request: &MaskRequest<'_>) -> Header {
    let mut header = image.header().clone();
    let settings = serde_json::to_value(&request.recipe.flint).expect("numbers, flags and lists");
    let defaults = serde_json::to_value(MaskingOptions::default()).expect("numbers, flags and lists");
    let mut words = vec!["cleanloop".to_string(), env!("CARGO_PKG_VERSION").to_string(), "mask".to_string()];
    if request.recipe.method == MaskMethod::Auto {
        words.push("auto".to_string());
    }
    let changed = settings
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(key, value)| defaults.get(key.as_str()) != Some(value))
        .map(|(key, value)| format!("{key}={value}"));
    words.extend(changed);
    header.add_history(&words.join(" "));
    header
}

fn refuse_to_replace_inputs(request: &MaskRequest<'_>) -> Result<()> {
    let automatic = &request.automatic;
    let mut inputs = vec![request.image];
    inputs.extend(request.maps.iter().flat_map(|maps| [maps.background, maps.rms]));
    inputs.extend([request.previous, automatic.previous_image, automatic.uncleaned].into_iter().flatten());
    for output in [Some(request.output), request.signal].into_iter().flatten() {
        if inputs.iter().any(|input| same_file(input, output)) {
            return Err(Error::bad_input(format!("{}: the output would replace an input", output.display())));
        }
    }
    Ok(())
}
