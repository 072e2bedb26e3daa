//! Background and rms maps.
//!
//! [`model`] looks at a plane once and returns a [`NoiseModel`]: two numbers (`global`), values on a coarse grid
//! (`box`, `bane`), or whole maps. A model is turned into maps with [`NoiseModel::into_maps`], or used without ever
//! holding the maps in memory ([`NoiseModel::to_signal`], [`NoiseModel::row`]). [`estimate`] does both steps.
//!
//! NaN and infinities are no data: they take no part in any statistic and are NaN in the maps.

mod bane;
mod files;
mod grid;
mod local;
mod minimum_filter;

use crate::image::{FitsImage, ImageError, PixelBeam};
use crate::kernels::order_statistics::median_and_mad;
use crate::options::{Checks, OptionError, Validate};
pub use files::{MapRange, NoiseMapFiles, write_maps};
use grid::Grid;
use multiversion::multiversion;
use ndarray::{Array2, ArrayView2, ArrayViewMut2, Axis};
use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Side of the `box` method's window, pixels, when none is given (Selavy's half width of 50).
pub const DEFAULT_BOX: usize = 101;
/// Side of the `minimum-filter` method's window, pixels, when none is given (breizorro's default).
pub const DEFAULT_MINIMUM_BOX: usize = 50;
/// A grid has about this many positions per window side when no step is given.
pub const GRID_POSITIONS_PER_BOX: usize = 6;

/// How background and rms are estimated.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, clap::ValueEnum, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum NoiseMethod {
    /// One background and one rms for the whole plane.
    Global,
    /// Median and 1.4826 MADFM in a sliding square box, as Selavy does it.
    Box,
    /// Sigma-clipped mean and standard deviation on a grid of overlapping boxes, as BANE does it.
    #[default]
    Bane,
    /// The rms from the distribution of box minima, as breizorro does it; the background is 0.
    MinimumFilter,
}

/// Statistic with which `global` measures the rms.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, clap::ValueEnum, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum NoiseStatistic {
    /// 1.4826 times the median absolute deviation from the median: hardly moved by sources.
    #[default]
    Mad,
    /// The standard deviation about the mean: sources count.
    Std,
}

/// Background of the method `global`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, clap::ValueEnum, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum GlobalBackground {
    /// No background.
    #[default]
    Zero,
    /// The median of the plane.
    Median,
}

/// Options of the built-in background and rms estimators.
#[derive(Debug, Clone, Default, PartialEq, clap::Args, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[command(next_help_heading = "Noise")]
pub struct NoiseOptions {
    /// How background and rms are estimated.
    #[arg(long = "method", alias = "noise-method", value_enum, default_value_t = NoiseMethod::Bane)]
    pub method: NoiseMethod,

    /// Side of the square box, pixels. Default: 6 grid steps for bane, 101 for box, 50 for minimum-filter.
    #[arg(long = "box", alias = "noise-box", value_name = "PIXELS")]
    #[serde(rename = "box")]
    pub box_size: Option<usize>,

    /// Distance of grid positions, pixels, between which box and bane interpolate linearly. Default: for bane four
    /// beams (the geometric mean of the axes), or 16 without a beam; for box a sixth of the box.
    #[arg(long = "step", alias = "noise-step", value_name = "PIXELS")]
    pub step: Option<usize>,

    /// Evaluate the box at every pixel instead of on a grid (method box; slow).
    #[arg(long = "exact", alias = "noise-exact", conflicts_with = "step")]
    pub exact: bool,

    /// Statistic with which the global method measures the rms.
    #[arg(long = "statistic", alias = "noise-statistic", value_enum, default_value_t = NoiseStatistic::Mad)]
    pub statistic: NoiseStatistic,

    /// The background that the global method subtracts.
    #[arg(long = "background", alias = "noise-background", value_enum, default_value_t = GlobalBackground::Zero)]
    pub background: GlobalBackground,
}

/// Why noise could not be estimated.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum NoiseError {
    /// An option with an invalid value.
    #[error(transparent)]
    Option(#[from] OptionError),
    /// The plane holds no finite pixel.
    #[error("the image has no finite pixel, so its noise cannot be estimated")]
    NoData,
}

impl From<NoiseError> for crate::Error {
    fn from(e: NoiseError) -> Self {
        Self::bad_input(e)
    }
}

impl NoiseOptions {
    /// The options of one method, everything else as by default.
    pub fn with_method(method: NoiseMethod) -> Self {
        Self { method, ..Self::default() }
    }
}

impl Validate for NoiseOptions {
    fn problems(&self) -> Vec<OptionError> {
        let mut checks = Checks::of("noise");
        if let Some(side) = self.box_size {
            checks.check(side >= 2, "box", side, "at least 2 pixels");
        }
        if let Some(step) = self.step {
            checks.check(step >= 1, "step", step, "at least 1 pixel");
        }
        let valid = !self.exact || (self.method == NoiseMethod::Box && self.step.is_none());
        checks.check(valid, "exact", self.exact, "false, unless with the method box and without a step");
        checks.problems()
    }
}

/// Background and rms of every pixel, `[y, x]`, in the image's unit.
#[derive(Debug, Clone, PartialEq)]
pub struct NoiseMaps {
    /// The background.
    pub background: Array2<f32>,
    /// The rms of the noise about the background.
    pub rms: Array2<f32>,
}

/// Background and rms in the cheapest form that determines every pixel.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum NoiseModel {
    /// The same everywhere.
    Constant {
        /// The background.
        background: f64,
        /// The rms.
        rms: f64,
    },
    /// Values at grid positions, linear in between.
    Grid {
        /// The background.
        background: Grid,
        /// The rms.
        rms: Grid,
    },
    /// A value for each pixel.
    Full(NoiseMaps),
}

/// Estimates background and rms of a plane, `[y, x]`.
///
/// `beam` sets the default grid of the method `bane`.
///
/// # Errors
/// Options that cannot be used, or a plane without a finite pixel.
pub fn estimate(
    image: ArrayView2<'_, f32>,
    beam: Option<PixelBeam>,
    options: &NoiseOptions,
) -> Result<NoiseMaps, NoiseError> {
    Ok(model(image, beam, options)?.into_maps(image))
}

/// Estimates background and rms of a plane, `[y, x]`, without making the maps.
///
/// # Errors
/// As [`estimate`].
pub fn model(
    image: ArrayView2<'_, f32>,
    beam: Option<PixelBeam>,
    options: &NoiseOptions,
) -> Result<NoiseModel, NoiseError> {
    options.validate()?;
    if !image.iter().any(|v| v.is_finite()) {
        return Err(NoiseError::NoData);
    }
    Ok(match options.method {
        NoiseMethod::MinimumFilter => {
            NoiseModel::Full(minimum_filter::maps(image, options.box_size.unwrap_or(DEFAULT_MINIMUM_BOX)))
        }
        NoiseMethod::Global => {
            let (background, rms) = global(image, options.statistic, options.background);
            NoiseModel::Constant { background, rms }
        }
        NoiseMethod::Bane => {
            let step = options.step.unwrap_or_else(|| bane::default_step(beam));
            let (background, rms) = bane::model(image, step, options.box_size.unwrap_or(bane::STEPS_PER_BOX * step));
            NoiseModel::Grid { background, rms }
        }
        NoiseMethod::Box => {
            let side = options.box_size.unwrap_or(DEFAULT_BOX);
            if options.exact {
                NoiseModel::Full(local::exact(image, side))
            } else {
                let step = options.step.unwrap_or((side / GRID_POSITIONS_PER_BOX).max(1));
                let (background, rms) = local::on_grid(image, side, step);
                NoiseModel::Grid { background, rms }
            }
        }
    })
}

/// The beam of a plane of an image in pixels, as BANE measures it: pixels need not be square, the geometric mean counts.
///
/// `None` without a beam or a pixel size in the header.
///
/// # Errors
/// As [`FitsImage::plane_beam`].
pub fn beam_of(image: &FitsImage, polarisation: usize, channel: usize) -> Result<Option<PixelBeam>, ImageError> {
    let beam = image.plane_beam(polarisation, channel)?;
    Ok(beam.and_then(|beam| Some(image.on_pixels(&beam, image.mean_pixel_deg()?))))
}

/// Background and rms of the finite pixels of a plane as two numbers.
fn global(image: ArrayView2<'_, f32>, statistic: NoiseStatistic, background: GlobalBackground) -> (f64, f64) {
    let image = image.as_standard_layout();
    let pixels = image.as_slice().expect("standard layout");
    let median = (statistic == NoiseStatistic::Mad || background == GlobalBackground::Median)
        .then(|| median_and_mad(pixels, |_| true).expect("there is a finite pixel"));
    let sigma = match (statistic, &median) {
        (NoiseStatistic::Mad, Some(median)) => median.sigma(),
        _ => deviation(pixels),
    };
    (median.filter(|_| background == GlobalBackground::Median).map_or(0.0, |m| m.median), sigma)
}

/// Population standard deviation of the finite pixels; the same for any number of threads.
fn deviation(pixels: &[f32]) -> f64 {
    const CHUNK: usize = 1 << 16;
    let total = |term: &(dyn Fn(f64) -> f64 + Sync)| {
        let parts: Vec<f64> = pixels
            .par_chunks(CHUNK)
            .map(|chunk| chunk.iter().filter(|v| v.is_finite()).map(|&v| term(f64::from(v))).sum::<f64>())
            .collect();
        parts.iter().sum::<f64>()
    };
    let count = total(&|_| 1.0);
    let mean = total(&|v| v) / count;
    (total(&|v| (v - mean).powi(2)) / count).sqrt()
}

impl NoiseModel {
    /// One number for people: the median of the rms over the positions where it was estimated; 0 if there is none.
    pub fn median_rms(&self) -> f64 {
        let mut values: Vec<f64> = match self {
            Self::Constant { rms, .. } => vec![*rms],
            Self::Grid { rms, .. } => rms.values.iter().copied().filter(|v| v.is_finite()).collect(),
            Self::Full(maps) => maps.rms.iter().filter(|v| v.is_finite()).map(|&v| f64::from(v)).collect(),
        };
        crate::kernels::order_statistics::median(&mut values).unwrap_or(0.0)
    }

    /// Background and rms of row `y`; pixels that are not finite in `image` become NaN.
    ///
    /// # Panics
    /// When the three rows differ in length, or the model was made from a plane of another size.
    pub fn row(&self, y: usize, image: &[f32], background: &mut [f32], rms: &mut [f32]) {
        assert!(image.len() == background.len() && image.len() == rms.len());
        match self {
            Self::Constant { background: b, rms: r } => {
                background.fill(*b as f32);
                rms.fill(*r as f32);
            }
            Self::Grid { background: b, rms: r } => {
                b.row_to(y, background, |v| v as f32);
                r.row_to(y, rms, |v| v as f32);
            }
            Self::Full(maps) => {
                for (out, v) in background.iter_mut().zip(maps.background.row(y)) {
                    *out = *v;
                }
                for (out, v) in rms.iter_mut().zip(maps.rms.row(y)) {
                    *out = *v;
                }
            }
        }
        nan_where_no_data(image, background, rms);
    }

    /// The rms of one pixel that has data.
    pub(crate) fn rms_at(&self, y: usize, x: usize) -> f32 {
        match self {
            Self::Constant { rms, .. } => *rms as f32,
            Self::Grid { rms, .. } => rms.at(y, x) as f32,
            Self::Full(maps) => maps.rms[[y, x]],
        }
    }

    /// The maps of the plane that the model was made from.
    pub fn into_maps(self, image: ArrayView2<'_, f32>) -> NoiseMaps {
        if let Self::Full(maps) = self {
            return maps;
        }
        let mut background = Array2::zeros(image.dim());
        let mut rms = Array2::zeros(image.dim());
        background.axis_iter_mut(Axis(0)).into_par_iter().zip(rms.axis_iter_mut(Axis(0))).enumerate().for_each(
            |(y, (mut b, mut r)): (usize, (ndarray::ArrayViewMut1<'_, f32>, ndarray::ArrayViewMut1<'_, f32>))| {
                let row = image.row(y);
                let row = row.as_standard_layout();
                let (b, r) = (b.as_slice_mut().expect("own array"), r.as_slice_mut().expect("own array"));
                self.row(y, row.as_slice().expect("standard layout"), b, r);
            },
        );
        NoiseMaps { background, rms }
    }

    /// Replaces the plane by its signal-to-noise ratio (image - background) / rms, in float32 as if the maps had
    /// been written and read again. Where the rms is not positive there is no data: NaN.
    pub fn to_signal(&self, mut image: ArrayViewMut2<'_, f32>) {
        let nx = image.ncols();
        image.axis_iter_mut(Axis(0)).into_par_iter().enumerate().for_each_init(
            || (vec![0f32; nx], vec![0f32; nx], vec![0f32; nx]),
            |(row, b, r), (y, mut pixels)| {
                row.iter_mut().zip(&pixels).for_each(|(to, from)| *to = *from);
                self.row(y, row, b, r);
                for (x, pixel) in pixels.iter_mut().enumerate() {
                    *pixel = if r[x] > 0.0 { (*pixel - b[x]) / r[x] } else { f32::NAN };
                }
            },
        );
    }
}

/// NaN in both rows where the image has no data.
#[multiversion(targets("x86_64+avx2"))]
fn nan_where_no_data(image: &[f32], background: &mut [f32], rms: &mut [f32]) {
    for ((v, b), r) in image.iter().zip(background).zip(rms) {
        // The sum with -0 is the number itself, to the bit. A choice in place would be a masked store, which is slow.
        let blank = if v.is_finite() { -0.0 } else { f32::NAN };
        *b += blank;
        *r += blank;
    }
}

#[cfg(test)]
mod tests;
