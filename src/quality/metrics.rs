//! The metrics of a round, from its images alone.
//!
//! Definitions follow NRAO's auto_selfcal (functions `estimate_SNR` and `estimate_near_field_SNR`): the noise is
//! 1.4826 times the median absolute deviation of the residual outside the clean mask, the signal to noise ratio is
//! the image's peak over it, and the near-field ratio takes the noise around the peak, where calibration errors show.

use crate::Result;
use crate::image::{Beam, FitsImage, is_masked};
use crate::kernels::order_statistics::{median, median_and_mad};
use ndarray::{Array2, ArrayView2};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

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
}

impl<'a> PlaneArrays<'a> {
    /// Only an image.
    pub fn of_image(image: ArrayView2<'a, f32>) -> Self {
        Self { image, residual: None, model: None, mask: None, islands: None }
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

/// What the images of a round say about it. All numbers are finite, so they survive JSON.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ImageMetrics {
    /// Robust noise, Jy/beam: 1.4826 MAD of the residual (or image) outside the mask. 0 when there is no such pixel.
    pub rms: f64,
    /// Standard deviation of the same pixels, Jy/beam: unlike the robust noise it feels the artefacts round bright
    /// sources.
    pub standard_deviation: f64,
    /// Brightest pixel of the image, Jy/beam.
    pub peak: f64,
    /// Zero-based `[x, y]` of the peak.
    pub peak_pixel: [usize; 2],
    /// Channel of the peak (0 in an image of one plane).
    pub peak_channel: usize,
    /// Peak over rms, which auto_selfcal calls the S/N; 0 when either is not positive.
    pub dynamic_range: f64,
    /// Most negative pixel of the image, Jy/beam (0 when none is negative).
    pub minimum: f64,
    /// Zero-based `[x, y]` of the most negative pixel.
    pub minimum_pixel: [usize; 2],
    /// |minimum| / peak; 0 when the peak is not positive.
    pub negative_ratio: f64,
    /// Robust noise in an annulus round the peak, outside the mask, Jy/beam; `None` when too few pixels are left.
    pub near_field_rms: Option<f64>,
    /// Peak over the near-field rms.
    pub near_field_snr: Option<f64>,
    /// The restoring beam of the header.
    pub beam: Option<Beam>,
    /// Solid angle of the beam, pi BMAJ BMIN / (4 ln 2), square arcseconds.
    pub beam_area_arcsec2: Option<f64>,
    /// Pixels that hold data (finite).
    pub valid_pixels: u64,
    /// Pixels of the clean mask; `None` without a mask.
    pub masked_pixels: Option<u64>,
    /// Masked pixels over valid pixels.
    pub masked_fraction: Option<f64>,
    /// Of the model; `None` without one.
    pub model: Option<ModelMetrics>,
    /// An image without any finite pixel, an infinite pixel anywhere, or a NaN in the model.
    pub non_finite: bool,
    /// Metrics of every channel; empty for an image of one plane.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub channels: Vec<ImageMetrics>,
}

/// What the CLEAN model holds.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ModelMetrics {
    /// Sum of the model, Jy.
    pub total_flux: f64,
    /// Sum of |model|, Jy.
    pub absolute_flux: f64,
    /// Sum inside the islands of earlier rounds, Jy; `None` when none were given.
    pub inside_flux: Option<f64>,
    /// Sum of |model| outside them, Jy: negative and positive errors do not hide one another.
    pub outside_flux: Option<f64>,
    /// Pixels that are not 0.
    pub components: u64,
    /// Flux of negative components over the sum of |model|.
    pub negative_fraction: f64,
    /// Largest model pixel, Jy.
    pub peak: f64,
}

impl ImageMetrics {
    /// S/N as auto_selfcal defines it: another name of [`Self::dynamic_range`].
    pub fn snr(&self) -> f64 {
        self.dynamic_range
    }

    /// True when a model was given and holds nothing.
    pub fn model_is_empty(&self) -> bool {
        self.model.is_some_and(|m| m.components == 0)
    }

    /// Sets the ratios from peak, minimum and noise.
    fn with_ratios(mut self) -> Self {
        let peak = self.peak;
        let over = |noise: f64| if peak > 0.0 && noise > 0.0 { peak / noise } else { 0.0 };
        self.near_field_snr = self.near_field_rms.map(over);
        self.dynamic_range = over(self.rms);
        self.negative_ratio = if self.peak > 0.0 { -self.minimum / self.peak } else { 0.0 };
        self.masked_fraction = self.masked_pixels.map(|n| n as f64 / self.valid_pixels.max(1) as f64);
        self
    }
}

/// Metrics of one plane. Threads over rows; the same for any number of threads.
///
/// Pixels that are exactly 0 do not count as noise: imagers fill what they did not image with zeros.
///
/// # Panics
/// When the arrays differ in shape.
pub fn of_plane(plane: &PlaneArrays<'_>, beam: Option<BeamOnPixels>) -> ImageMetrics {
    let (ny, nx) = plane.image.dim();
    for other in [plane.residual, plane.model, plane.mask, plane.islands].into_iter().flatten() {
        assert_eq!(other.dim(), (ny, nx), "the arrays of a plane have one shape");
    }
    let extrema = extrema(plane.image);
    let noise_plane = plane.residual.unwrap_or(plane.image);
    let noise_plane = noise_plane.as_standard_layout();
    let noise = noise_plane.as_slice().expect("standard layout");
    let mask = plane.mask.map(|m| m.mapv(is_masked));
    let mask = mask.as_ref().map(|m| m.as_slice().expect("made by mapv in standard layout"));
    let is_noise = |i: usize| noise[i] != 0.0 && mask.is_none_or(|m| !m[i]);
    let mut metrics = ImageMetrics {
        rms: median_and_mad(noise, is_noise).map_or(0.0, |s| s.sigma()),
        standard_deviation: standard_deviation(noise, nx, is_noise),
        valid_pixels: extrema.finite,
        masked_pixels: mask.map(|m| m.iter().filter(|&&on| on).count() as u64),
        beam: beam.map(|b| b.beam),
        beam_area_arcsec2: beam.map(|b| b.beam.in_pixels(1.0 / ARCSEC_PER_DEG).area()),
        model: plane.model.map(|m| of_model(m, plane.islands)),
        non_finite: extrema.finite == 0
            || extrema.infinite
            || plane.residual.is_some_and(|r| r.iter().any(|v| v.is_infinite()))
            || plane.model.is_some_and(|m| m.iter().any(|v| !v.is_finite())),
        ..ImageMetrics::default()
    };
    if let Some((peak, at)) = extrema.brightest {
        metrics.peak = f64::from(peak);
        metrics.peak_pixel = [at % nx, at / nx];
        let fwhm = beam.map_or(FALLBACK_FWHM, |b| b.beam.in_pixels(b.pixel_deg).major);
        metrics.near_field_rms = near_field(noise, (ny, nx), at, fwhm, is_noise);
    }
    if let Some((minimum, at)) = extrema.faintest.filter(|(v, _)| *v < 0.0) {
        metrics.minimum = f64::from(minimum);
        metrics.minimum_pixel = [at % nx, at / nx];
    }
    metrics.with_ratios()
}

/// Standard deviation of the finite values used; one sum a row, added in order.
fn standard_deviation(values: &[f32], nx: usize, used: impl Fn(usize) -> bool + Sync) -> f64 {
    let rows: Vec<(u64, f64, f64)> = values
        .par_chunks(nx.max(1))
        .enumerate()
        .map(|(y, row)| {
            row.iter()
                .enumerate()
                .filter(|(x, v)| v.is_finite() && used(y * nx + x))
                .fold((0, 0.0, 0.0), |(n, sum, squares), (_, &v)| {
                    (n + 1, sum + f64::from(v), squares + f64::from(v).powi(2))
                })
        })
        .collect();
    let (n, sum, squares) = rows.iter().fold((0, 0.0, 0.0), |a, b| (a.0 + b.0, a.1 + b.1, a.2 + b.2));
    if n == 0 {
        return 0.0;
    }
    let mean = sum / n as f64;
    (squares / n as f64 - mean * mean).max(0.0).sqrt()
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

/// Robust noise of the annulus round flat index `at`, cut out so that only its pixels are looked at.
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

/// Flux and signs of a model plane (Jy/pixel), `[y, x]`; `islands` of the same shape.
pub fn of_model(model: ArrayView2<'_, f32>, islands: Option<ArrayView2<'_, f32>>) -> ModelMetrics {
    #[derive(Default, Clone, Copy)]
    struct Sums {
        total: f64,
        absolute: f64,
        negative: f64,
        inside: f64,
        outside: f64,
        count: u64,
        peak: f64,
    }
    // One sum a row, added in order: the same for any number of threads.
    let rows: Vec<Sums> = (0..model.nrows())
        .into_par_iter()
        .map(|y| {
            let mut sums = Sums::default();
            for (x, &v) in model.row(y).iter().enumerate() {
                if v == 0.0 || !v.is_finite() {
                    continue;
                }
                let v = f64::from(v);
                sums.total += v;
                sums.absolute += v.abs();
                sums.negative += (-v).max(0.0);
                sums.count += 1;
                sums.peak = sums.peak.max(v);
                match islands {
                    Some(islands) if is_masked(islands[(y, x)]) => sums.inside += v,
                    _ => sums.outside += v.abs(),
                }
            }
            sums
        })
        .collect();
    let all = rows.iter().fold(Sums::default(), |a, b| Sums {
        total: a.total + b.total,
        absolute: a.absolute + b.absolute,
        negative: a.negative + b.negative,
        inside: a.inside + b.inside,
        outside: a.outside + b.outside,
        count: a.count + b.count,
        peak: a.peak.max(b.peak),
    });
    ModelMetrics {
        total_flux: all.total,
        absolute_flux: all.absolute,
        inside_flux: islands.map(|_| all.inside),
        outside_flux: islands.map(|_| all.outside),
        components: all.count,
        negative_fraction: if all.absolute > 0.0 { all.negative / all.absolute } else { 0.0 },
        peak: all.peak,
    }
}

/// The overall metrics of a cube from those of its channels, which are kept in [`ImageMetrics::channels`].
///
/// The noise is the median of the channels' (of those that have data), peak and minimum are the extremes, fluxes
/// and pixels are sums, the beam is the largest one, and the near field is that of the peak's channel.
pub fn of_channels(channels: Vec<ImageMetrics>) -> ImageMetrics {
    let with_data = || channels.iter().enumerate().filter(|(_, c)| c.valid_pixels > 0);
    let first_largest = |score: fn(&ImageMetrics) -> f64| {
        with_data().fold(None::<(usize, &ImageMetrics)>, |best, (i, c)| match best {
            Some((_, b)) if score(b) >= score(c) => best,
            _ => Some((i, c)),
        })
    };
    let middle = |noise: fn(&ImageMetrics) -> f64| {
        median(&mut with_data().map(|(_, c)| noise(c)).filter(|&r| r > 0.0).collect()).unwrap_or(0.0)
    };
    let mut overall = ImageMetrics {
        rms: middle(|c| c.rms),
        standard_deviation: middle(|c| c.standard_deviation),
        valid_pixels: channels.iter().map(|c| c.valid_pixels).sum(),
        non_finite: channels.iter().all(|c| c.valid_pixels == 0) || with_data().any(|(_, c)| c.non_finite),
        ..ImageMetrics::default()
    };
    if let Some((channel, best)) = first_largest(|c| c.peak) {
        overall.peak = best.peak;
        overall.peak_pixel = best.peak_pixel;
        overall.peak_channel = channel;
        overall.near_field_rms = best.near_field_rms;
    }
    if let Some((_, worst)) = first_largest(|c| -c.minimum) {
        overall.minimum = worst.minimum;
        overall.minimum_pixel = worst.minimum_pixel;
    }
    if let Some((_, widest)) = first_largest(|c| c.beam_area_arcsec2.unwrap_or(0.0)) {
        overall.beam = widest.beam;
        overall.beam_area_arcsec2 = widest.beam_area_arcsec2;
    }
    if channels.iter().any(|c| c.masked_pixels.is_some()) {
        overall.masked_pixels = Some(channels.iter().filter_map(|c| c.masked_pixels).sum());
    }
    let models: Vec<&ModelMetrics> = channels.iter().filter_map(|c| c.model.as_ref()).collect();
    if !models.is_empty() {
        let sum = |part: fn(&ModelMetrics) -> Option<f64>| {
            models.iter().any(|m| part(m).is_some()).then(|| models.iter().filter_map(|m| part(m)).sum())
        };
        let all: f64 = models.iter().map(|m| m.absolute_flux).sum();
        let negative: f64 = models.iter().map(|m| m.negative_fraction * m.absolute_flux).sum();
        overall.model = Some(ModelMetrics {
            total_flux: models.iter().map(|m| m.total_flux).sum(),
            absolute_flux: all,
            inside_flux: sum(|m| m.inside_flux),
            outside_flux: sum(|m| m.outside_flux),
            components: models.iter().map(|m| m.components).sum(),
            negative_fraction: if all > 0.0 { negative / all } else { 0.0 },
            peak: models.iter().map(|m| m.peak).fold(0.0, f64::max),
        });
    }
    overall.channels = channels;
    overall.with_ratios()
}

/// The files of one round (or of anyone's image).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RoundFiles {
    /// The restored image, Jy/beam: a plane or a cube.
    pub image: PathBuf,
    /// The residual of the same shape.
    pub residual: Option<PathBuf>,
    /// The model of the same shape, Jy/pixel.
    pub model: Option<PathBuf>,
    /// The clean mask: of the same shape, or one plane for all channels.
    pub mask: Option<PathBuf>,
    /// Islands of the earlier rounds: of the same shape, or one plane for all channels.
    pub islands: Option<PathBuf>,
}

/// Metrics of a round's files: of the first Stokes plane; of a cube all channels and an overall summary.
/// Channels stream: as many are in memory as there are threads.
///
/// # Errors
/// A file that cannot be read or is no image; planes that differ in size; a number of channels that differs.
pub fn of_files(files: &RoundFiles) -> Result<ImageMetrics> {
    let mut image = FitsImage::open(&files.image)?;
    let channels = image.channels();
    let open = |path: &Option<PathBuf>, may_be_plane: bool| -> Result<Option<FitsImage>> {
        let fitting = |p| if may_be_plane { image.companion(p) } else { image.companion_of_all_channels(p) };
        Ok(path.as_deref().map(fitting).transpose()?)
    };
    let mut residual = open(&files.residual, false)?;
    let mut model = open(&files.model, false)?;
    let mut mask = open(&files.mask, true)?;
    let mut islands = open(&files.islands, true)?;
    let beam = match (image.beam(), image.pixel_deg()) {
        (Some(beam), Ok(pixel_deg)) => Some(BeamOnPixels { beam, pixel_deg }),
        _ => None,
    };
    let mut all = Vec::with_capacity(channels);
    let batch = rayon::current_num_threads().max(1);
    for first in (0..channels).step_by(batch) {
        let mut planes = Vec::with_capacity(batch);
        for c in first..(first + batch).min(channels) {
            let read = |file: &mut Option<FitsImage>| -> Result<Option<Array2<f32>>> {
                let plane = file.as_mut().map(|f| f.read_plane(0, c.min(f.channels() - 1)));
                Ok(plane.transpose()?)
            };
            let others = [read(&mut residual)?, read(&mut model)?, read(&mut mask)?, read(&mut islands)?];
            planes.push((image.read_plane(0, c)?, others));
        }
        fn view(plane: &Option<Array2<f32>>) -> Option<ArrayView2<'_, f32>> {
            plane.as_ref().map(|p| p.view())
        }
        all.par_extend(planes.par_iter().map(|(image, [residual, model, mask, islands])| {
            let arrays = PlaneArrays {
                image: image.view(),
                residual: view(residual),
                model: view(model),
                mask: view(mask),
                islands: view(islands),
            };
            of_plane(&arrays, beam)
        }));
    }
    Ok(if channels == 1 { all.remove(0) } else { of_channels(all) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{Header, PixelType, PlaneWriter};
    use ndarray::{Array2, array};
    use std::path::Path;

    /// Deterministic noise of unit variance: the sum of twelve uniform numbers less six.
    fn noise(shape: (usize, usize), mut state: u64) -> Array2<f32> {
        let mut uniform = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1u64 << 24) as f32
        };
        Array2::from_shape_simple_fn(shape, || (0..12).map(|_| uniform()).sum::<f32>() - 6.0)
    }

    fn beam(fwhm_pixels: f64) -> BeamOnPixels {
        let beam = Beam { major_deg: fwhm_pixels / 3600.0, minor_deg: fwhm_pixels / 3600.0, pa_deg: 0.0 };
        BeamOnPixels { beam, pixel_deg: 1.0 / 3600.0 }
    }

    #[test]
    fn noise_is_taken_outside_the_mask_and_from_the_residual() {
        let residual = noise((200, 200), 1);
        let mut image = residual.clone();
        let mut mask = Array2::zeros((200, 200));
        for y in 50..100 {
            for x in 20..180 {
                image[(y, x)] += 50.0;
                mask[(y, x)] = 1.0;
            }
        }
        image[(75, 90)] = 500.0;
        image[(10, 150)] = -25.0;
        let arrays = PlaneArrays { mask: Some(mask.view()), ..PlaneArrays::of_image(image.view()) };
        let m = of_plane(&arrays, None);
        assert!((m.rms - 1.0).abs() < 0.03, "{}", m.rms);
        assert_eq!((m.peak, m.peak_pixel), (500.0, [90, 75]));
        assert_eq!((m.minimum, m.minimum_pixel, m.negative_ratio), (-25.0, [150, 10], 0.05));
        assert_eq!((m.masked_pixels, m.masked_fraction), (Some(8000), Some(0.2)));
        assert_eq!(m.dynamic_range, 500.0 / m.rms);
        let doubled = &residual * 2.0;
        let m = of_plane(&PlaneArrays { residual: Some(doubled.view()), ..arrays }, None);
        assert!((m.rms - 2.0).abs() < 0.06, "the residual is preferred: {}", m.rms);
    }

    #[test]
    fn the_near_field_is_where_the_artefacts_are() {
        let mut image = noise((300, 300), 2);
        for y in 100..200 {
            for x in 100..200 {
                image[(y, x)] *= 5.0;
            }
        }
        image[(150, 150)] = 1000.0;
        let m = of_plane(&PlaneArrays::of_image(image.view()), Some(beam(3.0)));
        let near = m.near_field_rms.unwrap();
        assert!((near / 5.0 - 1.0).abs() < 0.05, "{near}");
        assert!(m.rms < 1.3);
        // A ninth of the pixels has five times the noise: sqrt(8/9 + 25/9), and the source itself.
        let expected = (8.0 / 9.0 + 25.0 / 9.0 + 1e6 / 9e4f64).sqrt();
        assert!((m.standard_deviation / expected - 1.0).abs() < 0.03, "{}", m.standard_deviation);
        assert_eq!(m.near_field_snr.unwrap(), 1000.0 / near);
        let area = std::f64::consts::PI * 9.0 / (4.0 * std::f64::consts::LN_2);
        assert!((m.beam_area_arcsec2.unwrap() - area).abs() < 1e-9);
    }

    #[test]
    fn model_flux_is_sorted_by_islands_and_sign() {
        let model = array![[2.0f32, -0.5, 0.0], [0.0, 1.0, -0.5]];
        let islands = array![[1.0f32, 1.0, 0.0], [0.0, 0.0, 0.0]];
        let m = of_model(model.view(), Some(islands.view()));
        assert_eq!((m.total_flux, m.inside_flux, m.outside_flux), (2.0, Some(1.5), Some(1.5)));
        assert_eq!((m.components, m.negative_fraction, m.peak), (4, 0.25, 2.0));
        assert_eq!(of_model(model.view(), None).inside_flux, None);
    }

    #[test]
    fn what_is_not_finite_is_flagged_and_nan_borders_are_not() {
        let mut image = noise((20, 20), 3);
        image[(0, 0)] = f32::NAN;
        let ok = of_plane(&PlaneArrays::of_image(image.view()), None);
        assert!(!ok.non_finite);
        assert_eq!(ok.valid_pixels, 399);
        let model = Array2::from_elem((20, 20), f32::NAN);
        let arrays = PlaneArrays { model: Some(model.view()), ..PlaneArrays::of_image(image.view()) };
        assert!(of_plane(&arrays, None).non_finite);
        image[(5, 5)] = f32::INFINITY;
        assert!(of_plane(&PlaneArrays::of_image(image.view()), None).non_finite);
        let empty = of_plane(&PlaneArrays::of_image(model.view()), None);
        assert!(empty.non_finite && empty.rms == 0.0 && empty.dynamic_range == 0.0);
        let json = serde_json::to_string(&empty).unwrap();
        assert_eq!(serde_json::from_str::<ImageMetrics>(&json).unwrap(), empty);
    }

    #[test]
    fn unimaged_zeros_are_no_noise() {
        let mut image = noise((100, 100), 4);
        image.slice_mut(ndarray::s![..80, ..]).fill(0.0);
        let m = of_plane(&PlaneArrays::of_image(image.view()), None);
        assert!((m.rms - 1.0).abs() < 0.06, "{}", m.rms);
    }

    #[test]
    fn the_number_of_threads_changes_nothing() {
        let image = noise((257, 301), 5);
        let arrays =
            PlaneArrays { model: Some(image.view()), mask: Some(image.view()), ..PlaneArrays::of_image(image.view()) };
        let of = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| of_plane(&arrays, Some(beam(4.0))))
        };
        assert_eq!(of(1), of(3));
    }

    fn write_cube(path: &Path, planes: &[Array2<f32>]) {
        let (ny, nx) = planes[0].dim();
        let mut header = Header::default();
        header.set_str("CTYPE3", "FREQ");
        header.set_f64("CDELT1", -1.0 / 3600.0);
        header.set_f64("CDELT2", 1.0 / 3600.0);
        header.set_f64("BMAJ", 3.0 / 3600.0);
        header.set_f64("BMIN", 2.0 / 3600.0);
        let mut writer = PlaneWriter::create(path, &[nx, ny, planes.len()], PixelType::F32, &header, false).unwrap();
        for (i, plane) in planes.iter().enumerate() {
            writer.write_plane(i, plane.view()).unwrap();
        }
        writer.finish().unwrap();
    }

    #[test]
    fn cubes_stream_into_channels_and_an_overall() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let mut planes: Vec<Array2<f32>> = (0..5).map(|c| noise((64, 64), 10 + c) * (c + 1) as f32).collect();
        planes[3][(10, 20)] = 300.0;
        planes[1].fill(f32::NAN);
        write_cube(&path("image.fits"), &planes);
        let models: Vec<Array2<f32>> = (0..5)
            .map(|c| Array2::from_shape_fn((64, 64), |(y, x)| if y == c && x < 4 { -1.0 + x as f32 } else { 0. }))
            .collect();
        write_cube(&path("model.fits"), &models);
        write_cube(&path("mask.fits"), &[Array2::from_elem((64, 64), 0.0)]);
        let files = RoundFiles {
            image: path("image.fits"),
            model: Some(path("model.fits")),
            mask: Some(path("mask.fits")),
            ..RoundFiles::default()
        };
        let m = of_files(&files).unwrap();
        assert_eq!(m.channels.len(), 5);
        assert_eq!((m.peak, m.peak_channel, m.peak_pixel), (300.0, 3, [20, 10]));
        assert!((3.0..4.2).contains(&m.rms), "median of about 1, 3, 4 and 5: {}", m.rms);
        let model = m.model.unwrap();
        // Each channel has -1, 0, 1, 2.
        assert_eq!((model.total_flux, model.components), (10.0, 15));
        assert!((model.negative_fraction - 0.25).abs() < 1e-12);
        assert!(!m.non_finite, "one blank channel is no failure");
        write_cube(&path("short.fits"), &planes[..2]);
        let error = of_files(&RoundFiles { residual: Some(path("short.fits")), ..files }).unwrap_err().to_string();
        assert!(error.contains("short.fits: has 2 channels") && error.contains("has 5"), "{error}");
    }
}
