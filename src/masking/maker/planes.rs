//! The planes that a mask is made from: the image itself, or its signal to noise, read whole or in strips.

use super::MaskRequest;
use crate::image::{FitsImage, ImageError, PlainPlane, Zeros};
use crate::kernels::rows::Rows;
use crate::masking::flint::seeds::STRIP;
use crate::masking::signal_of;
use crate::noise::{self, NoiseMethod, NoiseOptions};
use crate::options::Validate;
use crate::{Error, Result};
use multiversion::multiversion;
use ndarray::Array2;
use rayon::prelude::*;
use std::sync::OnceLock;

/// Turns a strip of the image into signal.
#[multiversion(targets("x86_64+avx2"))]
fn to_signal_strip(strip: &mut [f32], background: &[f32], rms: &[f32]) {
    strip.iter_mut().zip(background).zip(rms).for_each(|((v, &b), &r)| *v = signal_of(*v, b, r));
}

/// Three planes whose pixels every thread reads as it needs them, so that they meet in its cache.
pub(super) struct SignalStrips<'a> {
    image: PlainPlane<'a>,
    background: PlainPlane<'a>,
    rms: PlainPlane<'a>,
}

thread_local! {
    /// Where a thread reads background and rms to.
    static MAPS: std::cell::RefCell<(Vec<f32>, Vec<f32>)> = const { std::cell::RefCell::new((Vec::new(), Vec::new())) };
}

impl SignalStrips<'_> {
    pub(super) fn read(&self, first: usize, signal: &mut [f32]) -> Result<(), ImageError> {
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

/// A plane that is read row by row as its pixels are needed.
pub(super) struct FileRows<'a> {
    plane: PlainPlane<'a>,
    shape: (usize, usize),
    failure: OnceLock<ImageError>,
}

impl<'a> FileRows<'a> {
    /// The plane `of` (polarisation, channel); `None` when the file does not allow it.
    pub(super) fn of(file: &'a FitsImage, of: (usize, usize)) -> Option<Self> {
        let plane = file.plain_plane(of.0, of.1)?;
        Some(Self { plane, shape: file.plane_shape(), failure: OnceLock::new() })
    }

    /// The first error of reading: rows that could not be read are NaN.
    pub(super) fn failure(self) -> Option<ImageError> {
        self.failure.into_inner()
    }
}

impl Rows for FileRows<'_> {
    fn dim(&self) -> (usize, usize) {
        self.shape
    }

    fn row_into(&self, y: usize, out: &mut [f32]) {
        if let Err(e) = self.plane.read_rows(y, out) {
            out.fill(f32::NAN);
            // Whoever asked for the mask hears of the first.
            let _ = self.failure.set(e);
        }
    }
}

/// The image before cleaning. Few of its pixels matter, and those once: it is not kept in memory where the file allows it.
pub(super) enum Uncleaned<'a> {
    InMemory(Array2<f32>),
    InFile(FileRows<'a>),
}

impl<'a> Uncleaned<'a> {
    /// The plane that belongs to plane `of` (polarisation, channel) of another file.
    pub(super) fn of(file: &'a mut FitsImage, of: (usize, usize)) -> Result<Self> {
        let of = file.matching_plane(of.0, of.1);
        if file.plain_plane(of.0, of.1).is_none() {
            return Ok(Self::InMemory(file.read_plane(of.0, of.1)?));
        }
        Ok(Self::InFile(FileRows::of(file, of).expect("it is plain")))
    }

    /// The first error of reading.
    pub(super) fn failure(self) -> Option<ImageError> {
        match self {
            Self::InMemory(_) => None,
            Self::InFile(rows) => rows.failure(),
        }
    }
}

impl Rows for Uncleaned<'_> {
    fn dim(&self) -> (usize, usize) {
        match self {
            Self::InMemory(plane) => plane.dim(),
            Self::InFile(rows) => rows.dim(),
        }
    }

    fn row_into(&self, y: usize, out: &mut [f32]) {
        match self {
            Self::InMemory(plane) => plane.view().row_into(y, out),
            Self::InFile(rows) => rows.row_into(y, out),
        }
    }
}

/// What was found out while a plane was read.
#[derive(Debug, Default)]
pub(super) struct PlaneRead {
    /// Median of the estimated rms, in the image's unit.
    pub(super) rms: Option<f64>,
    /// Exact zeros that count as no data.
    pub(super) zeros: usize,
}

/// Where the signal comes from.
pub(super) enum Noise {
    /// The image itself is looked at.
    Unused,
    /// Background and rms maps.
    Maps { background: Box<FitsImage>, rms: Box<FitsImage> },
    /// They are estimated.
    Estimated { options: NoiseOptions },
}

impl Noise {
    pub(super) fn open(request: &MaskRequest<'_>, image: &FitsImage) -> Result<Self> {
        if !request.recipe.flint.needs_noise() {
            return Ok(Self::Unused);
        }
        let Some(maps) = &request.maps else {
            request.recipe.noise.validate()?;
            return Ok(Self::Estimated { options: request.recipe.noise.clone() });
        };
        let (background, rms) = (FitsImage::open(maps.background)?, FitsImage::open(maps.rms)?);
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
            let wanted = (image.polarisations(), image.channels());
            if !map.serves_planes(wanted) {
                return Err(Error::bad_input(format!(
                    "{} has {} polarisations and {} channels, but {} has {} and {}: it must have as many, or one plane",
                    map.path().display(),
                    map.polarisations(),
                    map.channels(),
                    image.path().display(),
                    wanted.0,
                    wanted.1
                )));
            }
        }
        Ok(Self::Maps { background: Box::new(background), rms: Box::new(rms) })
    }

    /// The signal of a plane in strips, when it comes of three plain files.
    pub(super) fn strips<'a>(&'a self, image: &'a FitsImage, of: (usize, usize)) -> Option<SignalStrips<'a>> {
        let Self::Maps { background, rms } = self else { return None };
        let (of_background, of_rms) = (background.matching_plane(of.0, of.1), rms.matching_plane(of.0, of.1));
        Some(SignalStrips {
            image: image.plain_plane(of.0, of.1)?,
            background: background.plain_plane(of_background.0, of_background.1)?,
            rms: rms.plain_plane(of_rms.0, of_rms.1)?,
        })
    }

    /// Reads the plane `of` (polarisation, channel) and turns it into signal, where the options look at signal.
    pub(super) fn read_signal(
        &mut self,
        image: &mut FitsImage,
        of: (usize, usize),
        plane: &mut Array2<f32>,
        zeros: Zeros,
    ) -> Result<PlaneRead> {
        let pixels = plane.as_slice_mut().expect("standard order");
        let nx = image.plane_shape().1;
        let rows = (STRIP / nx).max(1);
        if let Some(strips) = self.strips(image, of) {
            let read = |(i, strip): (usize, &mut [f32])| strips.read(i * rows, strip);
            pixels.par_chunks_mut(rows * nx).enumerate().try_for_each(read)?;
            return Ok(PlaneRead::default());
        }
        let mut read = PlaneRead::default();
        match self {
            Self::Unused => {
                image.read_plane_into(of.0, of.1, pixels)?;
                read.zeros = zeros.blank(plane);
            }
            Self::Maps { background, rms } => {
                let (of_background, of_rms) = (background.matching_plane(of.0, of.1), rms.matching_plane(of.0, of.1));
                let mut b = vec![0f32; rows * nx];
                let mut r = b.clone();
                for (i, strip) in pixels.chunks_mut(rows * nx).enumerate() {
                    let (b, r) = (&mut b[..strip.len()], &mut r[..strip.len()]);
                    image.read_rows_into(of.0, of.1, i * rows, strip)?;
                    background.read_rows_into(of_background.0, of_background.1, i * rows, b)?;
                    rms.read_rows_into(of_rms.0, of_rms.1, i * rows, r)?;
                    to_signal_strip(strip, b, r);
                }
            }
            Self::Estimated { options } => {
                let needs_beam = options.method == NoiseMethod::Bane && options.step.is_none();
                let beam = if needs_beam { noise::beam_of(image, of.0, of.1)? } else { None };
                image.read_plane_into(of.0, of.1, pixels)?;
                read.zeros = zeros.blank(plane);
                match noise::model(plane.view(), beam, options) {
                    Ok(model) => {
                        read.rms = Some(model.median_rms());
                        model.to_signal(plane.view_mut());
                    }
                    // Blank planes are judged with the mask.
                    Err(noise::NoiseError::NoData) => plane.fill(f32::NAN),
                    Err(e) => return Err(e.into()),
                }
            }
        }
        Ok(read)
    }
}
