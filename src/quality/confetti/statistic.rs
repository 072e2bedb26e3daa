//! The statistic of one channel.

use super::{Candidate, ConfettiOptions, ConfettiVerdict};
use crate::image::PixelBeam;
use crate::kernels::order_statistics::median_and_mad;
use ndarray::ArrayView2;
use rayon::prelude::*;

/// The neighbours' model counts as at least this many times the noise when isolation is measured.
const ISOLATION_FLOOR_SNR: f64 = 0.25;
/// Isolation is reported up to this ratio.
const MAX_ISOLATION: f64 = 1e6;
/// The claim must be at least this fraction of the pixel: else the pedestal undoes it in the restored cube, too, or
/// the neighbouring channels hold the same flux on other pixels.
const MIN_CLAIM_FRACTION: f64 = 0.2;
/// The claim must be at least this many times the noise to show in the restored cube.
const MIN_CLAIM_SNR: f64 = 2.0;
/// The claim can be tested in a dirty cube whose noise it exceeds this many times.
const TESTABLE_SIGMA: f64 = 3.0;
/// A pedestal of this fraction of the limit is worth mentioning.
const WEAK_PEDESTAL: f64 = 0.5;
/// The beam is summed out to this many FWHM, where it has fallen to 2^-16.
const BEAM_REACH: f64 = 2.0;

/// Three planes of each cube, all `[y, x]` and of one shape; `[before, here, after]`, `None` at the ends of the cube
/// and where a neighbouring channel has no data.
#[derive(Debug, Clone, Copy)]
pub struct ChannelPlanes<'a> {
    /// Zero-based channel of the middle plane.
    pub channel: usize,
    /// The model, Jy/pixel.
    pub model: ArrayView2<'a, f32>,
    /// The model of the channels before and after.
    pub model_neighbours: [Option<ArrayView2<'a, f32>>; 2],
    /// The restored cube, Jy/beam.
    pub image: [Option<ArrayView2<'a, f32>>; 3],
    /// The dirty cube, or residual plus convolved model of an earlier cycle, Jy/beam.
    pub dirty: [Option<ArrayView2<'a, f32>>; 3],
    /// Robust noise of the channel's residual, Jy/beam.
    pub noise: f64,
    /// Robust noise of the dirty channel, Jy/beam; `None`: it is measured.
    pub dirty_noise: Option<f64>,
}

impl<'a> ChannelPlanes<'a> {
    /// Only the model.
    pub fn of_model(
        channel: usize,
        model: ArrayView2<'a, f32>,
        model_neighbours: [Option<ArrayView2<'a, f32>>; 2],
        noise: f64,
    ) -> Self {
        Self { channel, model, model_neighbours, image: [None; 3], dirty: [None; 3], noise, dirty_noise: None }
    }
}

/// Offsets of the pixels within `reach` FWHM of the beam: `(dy, dx, squared distance in FWHM)`.
pub(super) fn footprint(beam: PixelBeam, reach: f64) -> Vec<(isize, isize, f64)> {
    // A beam finer than the pixels still covers the pixel and its neighbours.
    let (major, minor) = (beam.major.max(1.5), beam.minor.max(1.5));
    // The major axis points along north turned towards east, that is (-sin, cos) with east to the left.
    let (sin, cos) = beam.pa_deg.to_radians().sin_cos();
    let radius = (reach * major).ceil() as isize;
    let mut offsets = Vec::new();
    for dy in -radius..=radius {
        for dx in -radius..=radius {
            let (x, y) = (dx as f64, dy as f64);
            let along = -x * sin + y * cos;
            let across = x * cos + y * sin;
            let squared = (along / major).powi(2) + (across / minor).powi(2);
            if squared <= reach * reach {
                offsets.push((dy, dx, squared));
            }
        }
    }
    offsets
}

/// The plane's finite value at an offset from a pixel; `None` outside and where there is no data.
fn at(plane: ArrayView2<'_, f32>, (y, x): (usize, usize), (dy, dx): (isize, isize)) -> Option<f64> {
    let (y, x) = (y.checked_add_signed(dy)?, x.checked_add_signed(dx)?);
    plane.get((y, x)).filter(|v| v.is_finite()).map(|&v| f64::from(v))
}

const AROUND: [(isize, isize); 9] = [(0, 0), (-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1)];

/// Larger than the pixels before it and at least as large as those after it: one pixel of a plateau.
fn is_local_maximum(model: ArrayView2<'_, f32>, p: (usize, usize), value: f64) -> bool {
    AROUND[1..]
        .iter()
        .all(|&(dy, dx)| at(model, p, (dy, dx)).is_none_or(|v| if (dy, dx) < (0, 0) { value > v } else { value >= v }))
}

/// Largest |model| within 3 x 3.
fn brightest_around(model: ArrayView2<'_, f32>, p: (usize, usize)) -> f64 {
    AROUND.iter().filter_map(|&o| at(model, p, o)).map(f64::abs).fold(0.0, f64::max)
}

/// Judges the candidates of one channel, in the order of rows. O(pixels) plus the beam's pixels a candidate.
///
/// # Panics
/// When the planes differ in shape.
pub fn judge_channel(planes: &ChannelPlanes<'_>, beam: PixelBeam, options: &ConfettiOptions) -> Vec<Candidate> {
    let shape = planes.model.dim();
    for other in planes.model_neighbours.iter().chain(&planes.image).chain(&planes.dirty).flatten() {
        assert_eq!(other.dim(), shape, "the planes have one shape");
    }
    let level = options.min_snr * planes.noise;
    let neighbours: Vec<ArrayView2<'_, f32>> = planes.model_neighbours.into_iter().flatten().collect();
    // Without a neighbour nothing can be said, and without noise nothing is significant.
    if neighbours.is_empty() || planes.noise.is_nan() || planes.noise <= 0.0 {
        return Vec::new();
    }
    let bright: Vec<(usize, usize)> = planes
        .model
        .indexed_iter()
        .filter(|&(p, &v)| f64::from(v) > level && v.is_finite() && is_local_maximum(planes.model, p, f64::from(v)))
        .map(|(p, _)| p)
        .collect();
    if bright.is_empty() {
        return Vec::new();
    }
    let dirty_noise = planes.dirty_noise.or_else(|| {
        let dirty = planes.dirty[1]?;
        let dirty = dirty.as_standard_layout();
        median_and_mad(dirty.as_slice()?, |_| true).map(|s| s.sigma())
    });
    let weights: Vec<(isize, isize, f64)> = footprint(beam, BEAM_REACH)
        .into_iter()
        .map(|(dy, dx, squared)| (dy, dx, (-4.0 * std::f64::consts::LN_2 * squared).exp()))
        .collect();
    let patch = footprint(beam, options.pedestal_radius);
    bright
        .into_iter()
        .map(|p| {
            let flux = f64::from(planes.model[p]);
            let beside = neighbours.iter().map(|&m| brightest_around(m, p)).fold(0.0, f64::max);
            let isolation = (flux / beside.max(ISOLATION_FLOOR_SNR * planes.noise)).min(MAX_ISOLATION);
            let negative: f64 =
                patch.iter().filter_map(|&(dy, dx, _)| at(planes.model, p, (dy, dx))).map(|v| (-v).max(0.0)).sum();
            let smoothed = |m: ArrayView2<'_, f32>| -> f64 {
                weights.iter().filter_map(|&(dy, dx, w)| at(m, p, (dy, dx)).map(|v| w * v)).sum()
            };
            let claim =
                smoothed(planes.model) - neighbours.iter().map(|&m| smoothed(m)).sum::<f64>() / neighbours.len() as f64;
            let image_excess = excess(&planes.image, p).map(|(e, _)| e / planes.noise);
            let dirty = excess(&planes.dirty, p);
            let sigma = dirty_noise.zip(dirty).map(|(noise, (_, n))| noise * (1.0 + 1.0 / n as f64).sqrt());
            let tested = dirty.zip(sigma).filter(|&(_, sigma)| sigma > 0.0 && claim >= TESTABLE_SIGMA * sigma);
            let mut candidate = Candidate {
                channel: planes.channel,
                pixel: [p.1, p.0],
                flux,
                noise: planes.noise,
                isolation,
                pedestal: negative / flux,
                claim,
                image_excess,
                dirty_excess: dirty.map(|(e, _)| e),
                support: tested.map(|((e, _), _)| e / claim),
                missing_sigma: tested.map(|((e, _), sigma)| (claim - e) / sigma),
                score: 0.0,
                verdict: ConfettiVerdict::Real,
                why: String::new(),
            };
            candidate.score = score(&candidate, options);
            (candidate.verdict, candidate.why) = verdict(&candidate, options);
            candidate
        })
        .collect()
}

/// Value in the middle channel over the mean of the neighbours that have data, and their number.
fn excess(planes: &[Option<ArrayView2<'_, f32>>; 3], p: (usize, usize)) -> Option<(f64, usize)> {
    let here = at(planes[1]?, p, (0, 0))?;
    let beside: Vec<f64> = [planes[0], planes[2]].into_iter().flatten().filter_map(|v| at(v, p, (0, 0))).collect();
    let n = beside.len();
    (n > 0).then(|| (here - beside.iter().sum::<f64>() / n as f64, n))
}

fn score(c: &Candidate, options: &ConfettiOptions) -> f64 {
    let isolation = (1.0 - 1.0 / c.isolation.max(1.0)).clamp(0.0, 1.0);
    // A pedestal at the limit counts a half, one of twice the limit as full.
    let pedestal = (0.5 * c.pedestal / options.pedestal).min(1.0);
    let unsupported = c.support.map_or(0.5, |s| (1.0 - s).clamp(0.0, 1.0));
    isolation * 0.5 * (pedestal + unsupported)
}

fn verdict(c: &Candidate, options: &ConfettiOptions) -> (ConfettiVerdict, String) {
    if c.isolation < options.isolation {
        let why = format!("the neighbouring channels hold it, too (only {:.1} times brighter)", c.isolation);
        return (ConfettiVerdict::Real, why);
    }
    let isolated = format!("{:.1} times brighter than the neighbouring channels", c.isolation);
    let has_pedestal = c.pedestal > options.pedestal;
    let pedestal = format!("negative surroundings of {:.0} % of it", 100.0 * c.pedestal);
    if c.claim < (MIN_CLAIM_FRACTION * c.flux).max(MIN_CLAIM_SNR * c.noise) {
        let smooth = "smoothed with the beam it does not stand out from the neighbouring channels";
        return if has_pedestal {
            (ConfettiVerdict::Suspicious, format!("{isolated}, {pedestal}, but {smooth}"))
        } else {
            (ConfettiVerdict::Real, smooth.to_string())
        };
    }
    let Some((support, missing)) = c.support.zip(c.missing_sigma) else {
        return if has_pedestal {
            (ConfettiVerdict::Confetti, format!("{isolated}, {pedestal}"))
        } else if c.pedestal > WEAK_PEDESTAL * options.pedestal {
            (ConfettiVerdict::Suspicious, format!("{isolated}, {pedestal}, below the limit; no data to decide"))
        } else {
            (ConfettiVerdict::Suspicious, format!("{isolated}; no data to decide"))
        };
    };
    let data = format!("the data show {:.0} % of what the model claims", 100.0 * support);
    if support >= options.support {
        return if has_pedestal {
            (ConfettiVerdict::Suspicious, format!("{isolated}, {pedestal}, but {data}"))
        } else {
            (ConfettiVerdict::Real, data)
        };
    }
    if has_pedestal {
        (ConfettiVerdict::Confetti, format!("{isolated}, {pedestal}, {data}"))
    } else if missing >= options.missing_sigma {
        (ConfettiVerdict::Confetti, format!("{isolated}, {data} ({missing:.1} sigma are missing)"))
    } else {
        (ConfettiVerdict::Suspicious, format!("{isolated}, {data} (only {missing:.1} sigma are missing)"))
    }
}

/// Judges a cube that is in memory: planes `[y, x]` of model, and of image and dirty cube where they are given, and
/// the noise of each channel. The same order and numbers for any number of threads.
///
/// # Panics
/// When the lists differ in length, or the planes in shape.
pub fn judge_cube(
    model: &[ArrayView2<'_, f32>],
    noise: &[f64],
    image: Option<&[ArrayView2<'_, f32>]>,
    dirty: Option<&[ArrayView2<'_, f32>]>,
    beam: PixelBeam,
    options: &ConfettiOptions,
) -> Vec<Candidate> {
    assert_eq!(noise.len(), model.len(), "one noise a channel");
    for cube in [image, dirty].into_iter().flatten() {
        assert_eq!(cube.len(), model.len(), "cubes of equal length");
    }
    (0..model.len())
        .into_par_iter()
        .flat_map_iter(|c| judge_channel(&planes_of(model, noise, image, dirty, c), beam, options))
        .collect()
}

fn planes_of<'a>(
    model: &[ArrayView2<'a, f32>],
    noise: &[f64],
    image: Option<&[ArrayView2<'a, f32>]>,
    dirty: Option<&[ArrayView2<'a, f32>]>,
    c: usize,
) -> ChannelPlanes<'a> {
    let get = |cube: &[ArrayView2<'a, f32>], offset: usize| -> Option<ArrayView2<'a, f32>> {
        (c + offset).checked_sub(1).and_then(|i| cube.get(i)).copied()
    };
    let three = |cube: Option<&[ArrayView2<'a, f32>]>| [0, 1, 2].map(|o| cube.and_then(|cube| get(cube, o)));
    ChannelPlanes {
        image: three(image),
        dirty: three(dirty),
        ..ChannelPlanes::of_model(c, model[c], [get(model, 0), get(model, 2)], noise[c])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;
    use rstest::rstest;

    const BEAM: PixelBeam = PixelBeam { major: 4.0, minor: 4.0, pa_deg: 0.0 };

    /// A pixel of 20 sigma in a pedestal whose sum is `negative` times the pixel, on 31 x 31 pixels of noise 1.
    fn pixel(negative: f32) -> Array2<f32> {
        let mut model = Array2::zeros((31, 31));
        let patch: Vec<_> = footprint(BEAM, 1.0).into_iter().filter(|&(y, x, _)| (y, x) != (0, 0)).collect();
        for &(dy, dx, _) in &patch {
            model[((15 + dy) as usize, (15 + dx) as usize)] = -negative * 20.0 / patch.len() as f32;
        }
        model[(15, 15)] = 20.0;
        model
    }

    /// A dirty plane of unit checkerboard noise (MAD 1) with a value in the middle.
    fn dirty(value: f32) -> Array2<f32> {
        let sigma = 1.0 / crate::kernels::order_statistics::SIGMA_PER_MAD as f32;
        let mut plane = Array2::from_shape_fn((31, 31), |(y, x)| if (x + y) % 2 == 0 { sigma } else { -sigma });
        plane[(15, 15)] = value;
        plane
    }

    fn judge(model: &Array2<f32>, beside: &Array2<f32>, dirty_peak: Option<f32>) -> Candidate {
        let (peak, noise) = (dirty(dirty_peak.unwrap_or(0.0)), dirty(0.0));
        let mut planes = ChannelPlanes::of_model(7, model.view(), [Some(beside.view()), Some(beside.view())], 1.0);
        if dirty_peak.is_some() {
            planes.dirty = [Some(noise.view()), Some(peak.view()), Some(noise.view())];
        }
        let mut found = judge_channel(&planes, BEAM, &ConfettiOptions::default());
        assert_eq!(found.len(), 1);
        found.remove(0)
    }

    #[rstest]
    #[case::full_cancellation(1.0, None, ConfettiVerdict::Confetti)]
    #[case::partial_cancellation(0.4, None, ConfettiVerdict::Confetti)]
    #[case::data_refute(0.4, Some(0.0), ConfettiVerdict::Confetti)]
    #[case::data_support_it_in_spite_of_a_pedestal(0.4, Some(17.0), ConfettiVerdict::Suspicious)]
    #[case::no_pedestal_no_data(0.0, None, ConfettiVerdict::Suspicious)]
    #[case::no_pedestal_data_refute(0.0, Some(1.0), ConfettiVerdict::Confetti)]
    #[case::genuine(0.0, Some(20.0), ConfettiVerdict::Real)]
    #[case::weak_pedestal_data_support(0.2, Some(18.0), ConfettiVerdict::Real)]
    fn verdicts(#[case] negative: f32, #[case] dirty: Option<f32>, #[case] expected: ConfettiVerdict) {
        let c = judge(&pixel(negative), &Array2::zeros((31, 31)), dirty);
        assert_eq!(c.verdict, expected, "{c:?}");
        assert!((c.pedestal - f64::from(negative)).abs() < 1e-5);
        assert_eq!((c.isolation, c.channel, c.pixel), (80.0, 7, [15, 15]));
        assert!(!c.why.is_empty());
    }

    #[test]
    fn scores_rank_the_evidence() {
        let empty = Array2::zeros((31, 31));
        let full = judge(&pixel(1.0), &empty, Some(0.0)).score;
        let partial = judge(&pixel(0.4), &empty, Some(0.0)).score;
        let unknown = judge(&pixel(0.0), &empty, None).score;
        let real = judge(&pixel(0.0), &empty, Some(20.0)).score;
        assert!(full > partial && partial > unknown && unknown > real, "{full} {partial} {unknown} {real}");
        assert!(full <= 1.0 && real < 0.05);
    }

    #[test]
    fn a_pixel_that_the_neighbours_hold_nearby_is_real() {
        let mut beside = Array2::zeros((31, 31));
        beside[(16, 14)] = 10.0;
        let c = judge(&pixel(1.0), &beside, None);
        assert_eq!((c.verdict, c.isolation), (ConfettiVerdict::Real, 2.0));
    }

    #[test]
    fn the_same_flux_spread_over_other_pixels_is_no_narrow_line() {
        // 20 in one pixel here, the same flux on a cross of five in the neighbours: little remains after the beam.
        let mut beside = Array2::zeros((31, 31));
        for p in [(15, 15), (14, 15), (16, 15), (15, 14), (15, 16)] {
            beside[p] = 4.0;
        }
        let c = judge(&pixel(0.0), &beside, None);
        assert_eq!(c.verdict, ConfettiVerdict::Real, "{c:?}");
        assert!(c.isolation > 3.0 && c.claim < 0.2 * c.flux);
    }

    #[test]
    fn channels_at_the_ends_use_their_one_neighbour_and_lone_ones_are_left_alone() {
        let (model, empty) = (pixel(1.0), Array2::zeros((31, 31)));
        let judge = |neighbours| {
            let planes = ChannelPlanes::of_model(0, model.view(), neighbours, 1.0);
            judge_channel(&planes, BEAM, &ConfettiOptions::default())
        };
        assert_eq!(judge([None, Some(empty.view())])[0].verdict, ConfettiVerdict::Confetti);
        assert!(judge([None, None]).is_empty());
    }

    #[test]
    fn a_plateau_is_one_candidate_and_nan_is_none() {
        let mut model = Array2::zeros((9, 9));
        model.slice_mut(ndarray::s![3..5, 3..5]).fill(8.0);
        model[(8, 8)] = f32::NAN;
        let empty = Array2::zeros((9, 9));
        let planes = ChannelPlanes::of_model(1, model.view(), [Some(empty.view()), None], 1.0);
        let found = judge_channel(&planes, BEAM, &ConfettiOptions::default());
        assert_eq!(found.iter().map(|c| c.pixel).collect::<Vec<_>>(), [[3, 3]]);
    }

    #[test]
    fn the_footprint_follows_the_position_angle() {
        // PA 90 degrees: the major axis runs east-west, along x.
        let beam = PixelBeam { major: 6.0, minor: 2.0, pa_deg: 90.0 };
        let offsets = footprint(beam, 1.0);
        assert_eq!(offsets.iter().map(|o| o.1).max(), Some(6));
        assert_eq!(offsets.iter().map(|o| o.0).max(), Some(2));
        // PA 45 degrees: north-east is up and left.
        let offsets = footprint(PixelBeam { pa_deg: 45.0, ..beam }, 1.0);
        assert!(offsets.iter().any(|o| (o.0, o.1) == (4, -4)));
        assert!(!offsets.iter().any(|o| (o.0, o.1) == (4, 4)));
    }
}
