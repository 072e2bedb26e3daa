//! The flint pipeline from file to file, plane by plane.

use super::flint::pipeline::mask_of_rows;
use super::flint::seeds::STRIP;
use super::{MaskBits, MaskNote, MaskingError, MaskingOptions, mask_of_signal, signal_of};
use crate::image::{FitsImage, Header, ImageError, PixelBeam, PixelType, PlainPlane, PlaneWriter, sidecar_path};
use crate::noise::{self, NoiseOptions};
use crate::options::Validate;
use crate::util::fs::same_file;
use crate::{Error, Result};
use multiversion::multiversion;
use ndarray::Array2;
use rayon::prelude::*;
use std::path::{Path, PathBuf};

/// What to make a mask of, and where to.
#[derive(Debug, Clone, Default)]
pub struct MaskRequest {
    /// The image or cube.
    pub image: PathBuf,
    /// Its rms, and ...
    pub rms: Option<PathBuf>,
    /// ... its background: both or neither; the noise options serve when there is neither.
    pub background: Option<PathBuf>,
    /// How background and rms are estimated when they are needed and not given.
    pub noise: NoiseOptions,
    /// How the mask is made.
    pub options: MaskingOptions,
    /// The mask; by default beside the image: `X.mask.fits`, or `X.scalemask.fits` with `convolve_first`.
    pub output: Option<PathBuf>,
    /// Also write the signal beside the image: `X.signal.fits`.
    pub save_signal: bool,
    /// Write flint's pixel types instead of the smallest integer type.
    pub flint_types: bool,
}

/// What was made.
#[derive(Debug, Clone, PartialEq)]
pub struct MaskReport {
    /// The mask.
    pub mask: PathBuf,
    /// The signal.
    pub signal: Option<PathBuf>,
    /// Pixels with any bit set, in all planes.
    pub masked_pixels: usize,
    /// Pixels of all planes.
    pub pixels: usize,
    /// Planes of the image (polarisations x channels).
    pub planes: usize,
    /// Bits in use.
    pub bits: usize,
    /// What a person should know, with the plane's number in the file.
    pub notes: Vec<(usize, MaskNote)>,
}

impl MaskReport {
    /// The notes as sentences; planes are named when there are several, and a note that several share is told once.
    pub fn sentences(&self) -> Vec<String> {
        let mut sentences: Vec<(String, Vec<usize>)> = Vec::new();
        for (plane, note) in &self.notes {
            let text = note.to_string();
            match sentences.iter_mut().find(|(t, _)| *t == text) {
                Some((_, planes)) => planes.push(*plane),
                None => sentences.push((text, vec![*plane])),
            }
        }
        let told = |(text, planes): (String, Vec<usize>)| match planes.len() {
            _ if self.planes == 1 => text,
            n if n == self.planes => format!("all {n} planes: {text}"),
            1 => format!("plane {}: {text}", planes[0]),
            n => format!("{n} planes, from plane {} on: {text}", planes[0]),
        };
        sentences.into_iter().map(told).collect()
    }
}

/// Where the mask of `image` goes when no name is given: flint's name.
pub fn default_mask_path(image: &Path, options: &MaskingOptions) -> PathBuf {
    sidecar_path(image, if options.convolve_first { "scalemask" } else { "mask" })
}

/// Makes the mask of an image, or of each plane of a cube, and writes it with the image's header and axes.
///
/// One plane is in memory at a time, as float32, with its masks of a byte a pixel. Each plane of a cube is masked by
/// itself; background and rms have as many planes as the image, or one for all.
///
/// # Errors
/// Files that cannot be read or written, shapes that differ, options without sense, an image without data, erosion of an
/// image whose pixels are not square or of unknown size.
pub fn mask_file(request: &MaskRequest) -> Result<MaskReport> {
    // On a thread of the pool: from outside, each parallel step would put this thread to sleep and wake it again.
    rayon::scope(|_| mask_planes(request))
}

fn mask_planes(request: &MaskRequest) -> Result<MaskReport> {
    let options = &request.options;
    options.validate()?;
    let mut image = FitsImage::open(&request.image)?;
    let mut noise = Noise::open(request, &image)?;
    let beam = footprint_beam(&image, options)?;
    let mask_path = request.output.clone().unwrap_or_else(|| default_mask_path(&request.image, options));
    let signal_path = (request.save_signal && options.needs_noise()).then(|| sidecar_path(&request.image, "signal"));
    let inputs = [Some(&request.image), request.rms.as_ref(), request.background.as_ref()];
    for output in [Some(&mask_path), signal_path.as_ref()].into_iter().flatten() {
        if inputs.into_iter().flatten().any(|input| same_file(input, output)) {
            return Err(Error::bad_input(format!("{}: the output would replace an input", output.display())));
        }
    }
    let bits = options.bits();
    let pixel = match request.flint_types {
        true if options.convolve_first && image.bitpix() == -64 => PixelType::F64,
        true if options.convolve_first => PixelType::F32,
        true if bits > 1 => PixelType::F64,
        true => PixelType::I32,
        false => PixelType::for_bits(bits),
    };
    let axes = image.axes().to_vec();
    let mut writer = PlaneWriter::create(&mask_path, &axes, pixel, &mask_header(&image, options), false)?;
    let mut signal_writer = match &signal_path {
        Some(path) => Some(PlaneWriter::create(path, &axes, PixelType::F32, image.header(), false)?),
        None => None,
    };
    let planes = image.polarisations() * image.channels();
    let (ny, nx) = image.plane_shape();
    let mut report = MaskReport {
        mask: mask_path,
        signal: signal_path,
        masked_pixels: 0,
        pixels: planes * ny * nx,
        planes,
        bits,
        notes: Vec::new(),
    };
    // Without maps, or with the signal to be saved, a plane is in memory; made when first needed.
    let mut plane = Array2::zeros((0, 0));
    for polarisation in 0..image.polarisations() {
        for channel in 0..image.channels() {
            let index = image.plane_index(polarisation, channel);
            let strips = noise.strips(&image, (polarisation, channel)).filter(|_| signal_writer.is_none());
            let made = if let Some(strips) = strips {
                let rows = |first: usize, signal: &mut [f32]| strips.read(first, signal);
                mask_of_rows((ny, nx), &rows, beam.as_ref(), options)?
            } else {
                if plane.is_empty() {
                    plane = Array2::zeros((ny, nx));
                }
                noise.read_signal(&mut image, (polarisation, channel), &mut plane)?;
                mask_of_signal(plane.view(), beam.as_ref(), options)
            };
            let output = match made {
                // Blank channels are normal in a cube.
                Err(MaskingError::NoData) if planes > 1 => {
                    report.notes.push((index, MaskNote::NoData));
                    MaskBits::empty((ny, nx), bits)
                }
                Err(e) => return Err(Error::bad_input(format!("{}: {e}", request.image.display()))),
                Ok(output) => {
                    report.notes.extend(output.notes.into_iter().map(|note| (index, note)));
                    output.mask
                }
            };
            report.masked_pixels += output.masked_pixels();
            output.write(&mut writer, index)?;
            if let Some(writer) = &mut signal_writer {
                writer.write_plane(index, plane.view())?;
            }
        }
    }
    writer.finish()?;
    if let Some(writer) = signal_writer {
        writer.finish()?;
    }
    Ok(report)
}

/// The beam in pixels if the options erode; `None` without a beam in the header.
fn footprint_beam(image: &FitsImage, options: &MaskingOptions) -> Result<Option<PixelBeam>> {
    match image.beam() {
        Some(beam) if options.beam_shape_erode || options.convolve_first => {
            Ok(Some(beam.in_pixels(image.pixel_deg()?)))
        }
        _ => Ok(None),
    }
}

/// The image's header and a line that says how the mask was made.
fn mask_header(image: &FitsImage, options: &MaskingOptions) -> Header {
    let mut header = image.header().clone();
    let settings = serde_json::to_value(options).expect("numbers, flags and lists");
    let defaults = serde_json::to_value(MaskingOptions::default()).expect("numbers, flags and lists");
    let changed: Vec<String> = settings
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(key, value)| defaults.get(key.as_str()) != Some(value))
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    header.add_history(&format!("cleanloop {} mask {}", env!("CARGO_PKG_VERSION"), changed.join(" ")));
    header
}

/// The plane of a map that belongs to `(polarisation, channel)` of the image.
fn plane_of(map: &FitsImage, of: (usize, usize)) -> (usize, usize) {
    if (map.polarisations(), map.channels()) == (1, 1) { (0, 0) } else { of }
}

/// Turns a strip of the image into signal.
#[multiversion(targets("x86_64+avx2"))]
fn to_signal_strip(strip: &mut [f32], background: &[f32], rms: &[f32]) {
    strip.iter_mut().zip(background).zip(rms).for_each(|((v, &b), &r)| *v = signal_of(*v, b, r));
}

/// Three planes whose pixels every thread reads as it needs them, so that they meet in its cache.
struct SignalStrips<'a> {
    image: PlainPlane<'a>,
    background: PlainPlane<'a>,
    rms: PlainPlane<'a>,
}

thread_local! {
    /// Where a thread reads background and rms to.
    static MAPS: std::cell::RefCell<(Vec<f32>, Vec<f32>)> = const { std::cell::RefCell::new((Vec::new(), Vec::new())) };
}

impl SignalStrips<'_> {
    fn read(&self, first: usize, signal: &mut [f32]) -> Result<(), ImageError> {
        MAPS.with_borrow_mut(|(background, rms)| {
            background.resize(signal.len(), 0.0);
            rms.resize(signal.len(), 0.0);
            self.image.read_rows(first, signal)?;
            self.background.read_rows(first, background)?;
            self.rms.read_rows(first, rms)?;
            to_signal_strip(signal, background, rms);
            Ok(())
        })
    }
}

/// Where the signal comes from.
enum Noise {
    /// The image itself is looked at.
    Unused,
    /// Background and rms maps.
    Maps { background: FitsImage, rms: FitsImage },
    /// They are estimated.
    Estimated { options: NoiseOptions, beam: Option<PixelBeam> },
}

impl Noise {
    fn open(request: &MaskRequest, image: &FitsImage) -> Result<Self> {
        if !request.options.needs_noise() {
            return Ok(Self::Unused);
        }
        let (background, rms) = match (&request.background, &request.rms) {
            (Some(background), Some(rms)) => (FitsImage::open(background)?, FitsImage::open(rms)?),
            (None, None) => {
                request.noise.validate()?;
                return Ok(Self::Estimated { options: request.noise.clone(), beam: noise::beam_of(image) });
            }
            (Some(given), None) | (None, Some(given)) => {
                return Err(Error::bad_input(format!(
                    "{}: background and rms belong together; give both (--bkg-fits and --rms-fits), or neither to \
                     have them estimated",
                    given.display()
                )));
            }
        };
        for map in [&background, &rms] {
            if map.plane_shape() != image.plane_shape() {
                return Err(ImageError::ShapesDiffer {
                    left: image.path().to_path_buf(),
                    left_shape: image.plane_shape(),
                    right: map.path().to_path_buf(),
                    right_shape: map.plane_shape(),
                }
                .into());
            }
            let (planes, wanted) = ((map.polarisations(), map.channels()), (image.polarisations(), image.channels()));
            if planes != (1, 1) && planes != wanted {
                return Err(Error::bad_input(format!(
                    "{} has {} polarisations and {} channels, but {} has {} and {}: it must have as many, or one plane",
                    map.path().display(),
                    planes.0,
                    planes.1,
                    image.path().display(),
                    wanted.0,
                    wanted.1
                )));
            }
        }
        Ok(Self::Maps { background, rms })
    }

    /// The signal of a plane in strips, when it comes of three plain files.
    fn strips<'a>(&'a self, image: &'a FitsImage, of: (usize, usize)) -> Option<SignalStrips<'a>> {
        let Self::Maps { background, rms } = self else { return None };
        let (of_background, of_rms) = (plane_of(background, of), plane_of(rms, of));
        Some(SignalStrips {
            image: image.plain_plane(of.0, of.1)?,
            background: background.plain_plane(of_background.0, of_background.1)?,
            rms: rms.plain_plane(of_rms.0, of_rms.1)?,
        })
    }

    /// Reads a plane and turns it into signal, where the options look at signal.
    fn read_signal(
        &mut self,
        image: &mut FitsImage,
        (polarisation, channel): (usize, usize),
        plane: &mut Array2<f32>,
    ) -> Result<()> {
        let pixels = plane.as_slice_mut().expect("standard order");
        let nx = image.plane_shape().1;
        let rows = (STRIP / nx).max(1);
        let of = (polarisation, channel);
        if let Some(strips) = self.strips(image, of) {
            let read = |(i, strip): (usize, &mut [f32])| strips.read(i * rows, strip);
            return Ok(pixels.par_chunks_mut(rows * nx).enumerate().try_for_each(read)?);
        }
        match self {
            Self::Unused => image.read_plane_into(polarisation, channel, pixels)?,
            Self::Maps { background, rms } => {
                let (of_background, of_rms) = (plane_of(background, of), plane_of(rms, of));
                let mut b = vec![0f32; rows * nx];
                let mut r = b.clone();
                for (i, strip) in pixels.chunks_mut(rows * nx).enumerate() {
                    let (b, r) = (&mut b[..strip.len()], &mut r[..strip.len()]);
                    image.read_rows_into(polarisation, channel, i * rows, strip)?;
                    background.read_rows_into(of_background.0, of_background.1, i * rows, b)?;
                    rms.read_rows_into(of_rms.0, of_rms.1, i * rows, r)?;
                    to_signal_strip(strip, b, r);
                }
            }
            Self::Estimated { options, beam } => {
                image.read_plane_into(polarisation, channel, pixels)?;
                match noise::model(plane.view(), *beam, options) {
                    Ok(model) => model.to_signal(plane.view_mut()),
                    // Blank planes are judged with the mask.
                    Err(noise::NoiseError::NoData) => plane.fill(f32::NAN),
                    Err(e) => return Err(e.into()),
                }
            }
        }
        Ok(())
    }
}
