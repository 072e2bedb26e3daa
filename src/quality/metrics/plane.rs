//! Metrics of one plane.

use super::ImageMetrics;
use super::change::change;
use super::model::of_model;
use super::noise::deviation;
use super::resolved::resolved_fraction;
use crate::image::{Beam, is_masked};
use crate::kernels::order_statistics::median_and_mad;
use ndarray::ArrayView2;
use rayon::prelude::*;

/// Inner radius of the near field around the peak, in major-axis FWHM of the beam.
pub const NEAR_FIELD_INNER_BEAMS: f64 = 1.5;
/// Outer radius of the near field around the peak, in major-axis FWHM of the beam.
pub const NEAR_FIELD_OUTER_BEAMS: f64 = 15.0;
/// FWHM that stands in for the beam where a header names none, pixels.
const FALLBACK_FWHM: f64 = 4.0;
/// Fewest pixels from which a near-field noise is estimated.
const MIN_NEAR_FIELD_PIXELS: u64 = 50;
const ARCSEC_PER_DEG: f64 = 3600.0;

/// The arrays of one plane, all `[y, x]` and of one shape; NaN is no data, a mask is where it is not 0.
#[derive(Debug, Clone, Copy)]
pub struct PlaneArrays<'a> {
    /// The restored image, Jy/beam.
    pub image: ArrayView2<'a, f32>,
    /// The residual, Jy/beam; the noise is taken from it where it is given, else from the image.
    pub residual: Option<ArrayView2<'a, f32>>,
    /// The model, Jy/pixel.
    pub model: Option<ArrayView2<'a, f32>>,
    /// The mask used for cleaning; its pixels do not count as noise.
    pub mask: Option<ArrayView2<'a, f32>>,
    /// Islands known before this round (earlier masks), to sort the model's flux into inside and outside.
    pub islands: Option<ArrayView2<'a, f32>>,
    /// An earlier image, Jy/beam, to say how much this one changed.
    pub before: Option<ArrayView2<'a, f32>>,
}

#[cfg(test)]
impl<'a> PlaneArrays<'a> {
    /// Only an image.
    pub(crate) fn of_image(image: ArrayView2<'a, f32>) -> Self {
        Self { image, residual: None, model: None, mask: None, islands: None, before: None }
    }
}

/// Restoring beam and pixel size, for the near field and the beam's area.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BeamOnPixels {
    /// The beam.
    pub beam: Beam,
    /// Side of a pixel, degrees.
    pub pixel_deg: f64,
}

/// Metrics of one plane. Threads over rows; the same for any number of threads.
///
/// Pixels that are exactly 0 do not count as noise: imagers fill what they did not image with zeros.
///
/// # Panics
/// When the arrays differ in shape.
pub fn of_plane(plane: &PlaneArrays<'_>, beam: Option<BeamOnPixels>) -> ImageMetrics {
    let (ny, nx) = plane.image.dim();
    for other in [plane.residual, plane.model, plane.mask, plane.islands, plane.before].into_iter().flatten() {
        assert_eq!(other.dim(), (ny, nx), "the arrays of a plane have one shape");
    }
    let extrema = extrema(plane.image);
    let noise_plane = plane.residual.unwrap_or(plane.image);
    let noise_plane = noise_plane.as_standard_layout();
    let noise = noise_plane.as_slice().expect("standard layout");
    let mask = plane.mask.map(|m| m.mapv(is_masked));
    let resolved = beam
        .zip(mask.as_ref())
        .and_then(|(on, mask)| resolved_fraction(plane.image, mask.view(), on.beam.in_pixels(on.pixel_deg).area()));
    let mask = mask.as_ref().map(|m| m.as_slice().expect("made by mapv in standard layout"));
    let is_noise = |i: usize| noise[i] != 0.0 && mask.is_none_or(|m| !m[i]);
    let fwhm = beam.map_or(FALLBACK_FWHM, |b| b.beam.in_pixels(b.pixel_deg).major);
    let deviation = deviation(noise, nx, fwhm, is_noise);
    let mut metrics = ImageMetrics {
        noise: deviation.safe,
        rms: median_and_mad(noise, is_noise).map_or(0.0, |s| s.sigma()),
        standard_deviation: deviation.plain,
        valid_pixels: extrema.finite,
        masked_pixels: mask.map(|m| m.iter().filter(|&&on| on).count() as u64),
        resolved_fraction: resolved,
        beam: beam.map(|b| b.beam),
        beam_area_arcsec2: beam.map(|b| b.beam.in_pixels(1.0 / ARCSEC_PER_DEG).area()),
        model: plane.model.map(|m| of_model(m, plane.islands)),
        non_finite: extrema.finite == 0
            || extrema.infinite
            || plane.residual.is_some_and(|r| r.iter().any(|v| v.is_infinite()))
            || plane.model.is_some_and(|m| m.iter().any(|v| !v.is_finite())),
        ..ImageMetrics::default()
    };
    metrics.change = plane.before.filter(|_| metrics.noise > 0.0).and_then(|before| change(plane.image, before));
    metrics.change = metrics.change.map(|change| change / metrics.noise);
    if let Some((peak, at)) = extrema.brightest {
        metrics.peak = f64::from(peak);
        metrics.peak_pixel = [at % nx, at / nx];
        metrics.near_field_rms = near_field(noise, (ny, nx), at, fwhm, is_noise);
    }
    if let Some((minimum, at)) = extrema.faintest.filter(|(v, _)| *v < 0.0) {
        metrics.minimum = f64::from(minimum);
        metrics.minimum_pixel = [at % nx, at / nx];
    }
    metrics.with_ratios()
}

struct Extrema {
    finite: u64,
    infinite: bool,
    brightest: Option<(f32, usize)>,
    faintest: Option<(f32, usize)>,
}

/// Brightest and faintest finite pixels with their flat index; of equal ones the first.
fn extrema(image: ArrayView2<'_, f32>) -> Extrema {
    let nx = image.ncols();
    let rows: Vec<Extrema> = (0..image.nrows())
        .into_par_iter()
        .map(|y| {
            let mut row = Extrema { finite: 0, infinite: false, brightest: None, faintest: None };
            for (x, &v) in image.row(y).iter().enumerate() {
                if v.is_finite() {
                    row.finite += 1;
                    if row.brightest.is_none_or(|(b, _)| v > b) {
                        row.brightest = Some((v, y * nx + x));
                    }
                    if row.faintest.is_none_or(|(f, _)| v < f) {
                        row.faintest = Some((v, y * nx + x));
                    }
                } else {
                    row.infinite |= v.is_infinite();
                }
            }
            row
        })
        .collect();
    let mut all = Extrema { finite: 0, infinite: false, brightest: None, faintest: None };
    for row in rows {
        all.finite += row.finite;
        all.infinite |= row.infinite;
        if let Some((v, i)) = row.brightest.filter(|(v, _)| all.brightest.is_none_or(|(b, _)| *v > b)) {
            all.brightest = Some((v, i));
        }
        if let Some((v, i)) = row.faintest.filter(|(v, _)| all.faintest.is_none_or(|(f, _)| *v < f)) {
            all.faintest = Some((v, i));
        }
    }
    all
}

/// Robust noise of the annulus around flat index `at`, cut out so that only its pixels are looked at.
fn near_field(
    noise: &[f32],
    (ny, nx): (usize, usize),
    at: usize,
    fwhm: f64,
    is_noise: impl Fn(usize) -> bool,
) -> Option<f64> {
    let (inner, outer) = (NEAR_FIELD_INNER_BEAMS * fwhm, NEAR_FIELD_OUTER_BEAMS * fwhm);
    let (y0, x0, reach) = (at / nx, at % nx, outer.ceil() as usize);
    let mut ring = Vec::new();
    for y in y0.saturating_sub(reach)..(y0 + reach + 1).min(ny) {
        for x in x0.saturating_sub(reach)..(x0 + reach + 1).min(nx) {
            let distance = (y as f64 - y0 as f64).hypot(x as f64 - x0 as f64);
            if distance >= inner && distance <= outer && is_noise(y * nx + x) {
                ring.push(noise[y * nx + x]);
            }
        }
    }
    median_and_mad(&ring, |_| true).filter(|s| s.count >= MIN_NEAR_FIELD_PIXELS).map(|s| s.sigma())
}
