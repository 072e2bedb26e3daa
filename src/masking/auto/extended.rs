//! Extended emission: islands that stand out once an image is smoothed. Pure functions.
//!
//! Emission of low brightness may lie below the noise of every pixel, and still be certain over many beams. The image is
//! smoothed to several scales, and each smoothed image is judged like the image itself: its deepest negative measures
//! what artefacts and bowls make on that scale, and seeds must exceed it.

use crate::kernels::order_statistics::median_and_mad;
use crate::kernels::{Connectivity, FWHM_PER_SIGMA, binary_dilation, geodesic_dilation, label, rolling_minimum};
use ndarray::{Array2, ArrayView2, Axis, Zip};
use serde::{Deserialize, Serialize};

/// A scale is looked at in blocks of pixels of which about this many lie within its FWHM: enough to sample it, and the
/// cost does not grow with the scale.
const PIXELS_PER_FWHM: f64 = 6.0;
/// The Gaussian is cut off at this many sigma.
const CUT_SIGMA: f64 = 3.0;
/// A point source of peak p covers beam area times ln(p / level) above a level; islands up to this many times that, and
/// half a beam more, count as points.
const POINT_AREA: f64 = 2.0;
/// Points are taken out, with this many FWHM around their islands, so that they do not look extended.
const POINT_MARGIN_BEAMS: f64 = 0.75;

/// Pixels of a PSF above this fraction of its peak, and connected with it, are its main lobe.
const MAIN_LOBE: f32 = 0.2;

/// Islands do not grow below this fraction of the deepest negative: their seeds are certain, their extent need not be.
const FLOOR_NEGATIVE: f64 = 0.5;

/// Where sidelobes are high, what reaches this part of the brightest is looked at all the same: the rest follows once that
/// is cleaned.
pub(super) const NEARLY_BRIGHTEST: f64 = 0.9;

/// Sidelobes of emission on its own scale above this part of its peak, as a snapshot's PSF has them, look like emission.
pub(crate) const UNCERTAIN: f64 = 0.5;
/// Emission fainter than a source nearby by this factor may be its halo.
const HALO_RATIO: f32 = 300.0;
/// Side of the box in which a seed is compared with the deepest negative nearby, beams.
const NEAR_BEAMS: f64 = 16.0;

/// A scale on which emission is looked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scale {
    /// FWHM of the Gaussian, beams.
    pub beams: f64,
    /// Highest sidelobe in the smoothed image of a point of peak 1 whose main lobe was taken out; 0 where the image is
    /// clean of sidelobes.
    pub sidelobe: f64,
    /// Highest sidelobe of the smoothed PSF over its peak: what emission on this scale makes elsewhere on this scale.
    pub of_itself: f64,
}

impl Scale {
    /// A scale of `beams` FWHM in an image that is clean of sidelobes.
    pub fn clean(beams: f64) -> Self {
        Self { beams, sidelobe: 0.0, of_itself: 0.0 }
    }
}

/// Sidelobes of a PSF, as they appear in images.
#[derive(Debug, Clone, PartialEq)]
pub struct PsfSidelobes {
    /// The highest, over the PSF's peak.
    pub highest: f64,
    /// On each scale.
    pub scales: Vec<Scale>,
}

impl PsfSidelobes {
    /// Those of `psf`, `[y, x]`, with scales of `beams` FWHM each; `fwhm` is the beam's, in pixels.
    pub fn of(psf: ArrayView2<'_, f32>, beams: &[f64], fwhm: f64) -> Self {
        let psf = psf.as_standard_layout().into_owned();
        let flat = without_main_lobe(&psf, fwhm);
        let highest = |image: &Array2<f32>| f64::from(image.iter().fold(0f32, |m, &v| m.max(v)));
        let at_scale = |&beams: &f64| {
            let (of_point, _) = smoothed(&flat, beams * fwhm);
            let (own, block) = smoothed(&psf, beams * fwhm);
            let own = without_main_lobe(&own, beams * fwhm / block as f64);
            Scale { beams, sidelobe: highest(&of_point), of_itself: highest(&own) }
        };
        Self { highest: highest(&flat), scales: beams.iter().map(at_scale).collect() }
    }
}

/// A PSF without its main lobe, which is 0, over its peak; `fwhm` is the main lobe's, in pixels.
fn without_main_lobe(psf: &Array2<f32>, fwhm: f64) -> Array2<f32> {
    let (centre, peak) =
        psf.indexed_iter().fold(((0, 0), 0f32), |(at, peak), (p, &v)| if v > peak { (p, v) } else { (at, peak) });
    let mut lobe = Array2::from_elem(psf.dim(), false);
    if peak > 0.0 {
        lobe[centre] = true;
    }
    let high = psf.mapv(|v| v > MAIN_LOBE * peak);
    let lobe = geodesic_dilation(lobe.view(), high.view(), Connectivity::Eight, None);
    without(psf.view(), &lobe, fwhm) / peak.max(f32::MIN_POSITIVE)
}

/// Levels by which a plane of emission is judged.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct ExtendedLimits {
    /// FWHM of the beam, pixels.
    pub fwhm: f64,
    /// Solid angle of the beam, pixels.
    pub beam_area: f64,
    /// Noise of the image.
    pub rms: f64,
    /// Seeds exceed this times the noise of the smoothed image.
    pub seed: f64,
    /// Seeds exceed this times the deepest negative of the smoothed image.
    pub negative: f64,
    /// Seeds exceed this times the deepest negative of a box of 16 beams around them.
    pub near_negative: f64,
    /// Seeds exceed this times what the sidelobes of a point of brightness `peak` make, and this times what those of the
    /// brightest emission of their own scale make.
    pub sidelobe: f64,
    /// Brightest pixel of the image.
    pub peak: f64,
    /// Islands grow down to this times the noise of the smoothed image, though never below half of its deepest negative,
    /// nor below the sidelobes.
    pub flood: f64,
    /// They do not grow below this fraction of their brightest pixel in the smoothed image.
    pub depth: f64,
}

/// Emission that was found on one scale. Brightnesses are those of the smoothed image.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ScaleFound {
    /// FWHM of the Gaussian, beams.
    pub beams: f64,
    /// 1.4826 MAD, Jy/beam.
    pub sigma: f64,
    /// |deepest negative|, Jy/beam.
    pub deepest: f64,
    /// Brightest, Jy/beam.
    pub brightest: f64,
    /// Seeds are brighter, Jy/beam.
    pub level: f64,
    /// Pixels of the islands, in pixels of the image.
    pub pixels: usize,
}

impl std::fmt::Display for ScaleFound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "smoothed to {} beams the image reaches {:.1} sigma, {:.1} are asked for, its deepest negative is {:.1}: {} \
             pixels of extended emission",
            self.beams,
            self.brightest / self.sigma,
            self.level / self.sigma,
            self.deepest / self.sigma,
            self.pixels
        )
    }
}

/// Effects of bright sources on the image near them, `[y, x]`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Halo<'a> {
    /// The local noise, Jy/beam.
    pub noise: ArrayView2<'a, f32>,
    /// The brightest pixel nearby, Jy/beam.
    pub brightest: ArrayView2<'a, f32>,
}

/// Islands of extended emission in `image` on these scales, all put together; `compact` are the pixels that a mask of the
/// image itself has. Both are `[y, x]`. NaN is no data, and never in an island.
///
/// Where emission is fainter than a three hundredth of a source nearby, that source's errors make a halo like it. There the
/// noise of the smoothed image is taken to exceed its overall noise in the same proportion as in the image itself.
///
/// # Panics
/// When the three differ in shape.
pub(crate) fn extended_islands(
    image: ArrayView2<'_, f32>,
    compact: ArrayView2<'_, bool>,
    halo: &Halo<'_>,
    scales: &[Scale],
    limits: &ExtendedLimits,
) -> (Array2<bool>, Vec<ScaleFound>) {
    let flat = without_points(image, compact, limits);
    let mut all = Array2::from_elem(image.dim(), false);
    let mut found = Vec::new();
    for scale in scales {
        let (smoothed, block) = smoothed(&flat, scale.beams * limits.fwhm);
        let side = (NEAR_BEAMS * limits.fwhm / block as f64).round().max(1.0) as usize;
        let excess = Array2::from_shape_fn(smoothed.dim(), |(y, x)| {
            let centre = |at: usize, n: usize| (at * block + block / 2).min(n - 1);
            let at = (centre(y, image.nrows()), centre(x, image.ncols()));
            if halo.brightest[at] > HALO_RATIO * smoothed[(y, x)] {
                (halo.noise[at] / limits.rms as f32).max(1.0)
            } else {
                1.0
            }
        });
        let Some((islands, mut scale)) = islands_of(&smoothed, &excess, side, scale, limits) else { continue };
        scale.pixels = 0;
        for ((y, x), pixel) in all.indexed_iter_mut() {
            if islands[(y / block, x / block)] && !image[(y, x)].is_nan() {
                scale.pixels += 1;
                *pixel = true;
            }
        }
        found.push(scale);
    }
    (all, found)
}

/// The image smoothed to `fwhm` pixels, in blocks of as many pixels as the second value says.
fn smoothed(image: &Array2<f32>, fwhm: f64) -> (Array2<f32>, usize) {
    let block = ((fwhm / PIXELS_PER_FWHM) as usize).max(1);
    (gaussian(&blocks(image.view(), block), fwhm / block as f64 / FWHM_PER_SIGMA), block)
}

/// Seeds and growth in one smoothed image; `excess` is the local noise over that of the image, `near` the side of the box
/// of nearby negatives, in its pixels. `None` where it has no noise, or lies on a level above it.
fn islands_of(
    smoothed: &Array2<f32>,
    excess: &Array2<f32>,
    near: usize,
    scale: &Scale,
    limits: &ExtendedLimits,
) -> Option<(Array2<bool>, ScaleFound)> {
    let values = smoothed.as_slice().expect("made in standard order");
    let stats = median_and_mad(values, |i| values[i] != 0.0)?;
    let sigma = stats.sigma();
    let (least, greatest) = values.iter().fold((0f32, 0f32), |(l, g), &v| (l.min(v), g.max(v)));
    let (deepest, brightest) = (f64::from(-least), f64::from(greatest));
    // Baselines of nearly no length put the total flux under the whole image. What rises above that level is broad, and no
    // island: CLEAN diverges in it.
    if sigma <= 0.0 || stats.median > sigma {
        return None;
    }
    let sidelobe = scale.sidelobe * limits.peak;
    let level = (limits.seed * sigma)
        .max(limits.negative * deepest)
        .max(limits.sidelobe * sidelobe)
        .max((limits.sidelobe * scale.of_itself).min(NEARLY_BRIGHTEST) * brightest);
    let clip = level as f32;
    let floor = (limits.flood * sigma).max(FLOOR_NEGATIVE * deepest).max(sidelobe) as f32;
    let (lowest, factor) = (rolling_minimum(smoothed.view(), near), limits.near_negative as f32);
    let (seed, flood) = ((limits.seed * sigma) as f32, (limits.flood * sigma) as f32);
    let seeds = Zip::from(smoothed)
        .and(&lowest)
        .and(excess)
        .map_collect(|&v, &m, &e| v > clip && v > -factor * m && v > seed * e);
    let ground = Zip::from(smoothed).and(excess).map_collect(|&v, &e| v > floor && v > flood * e);
    let mut islands = geodesic_dilation(seeds.view(), ground.view(), Connectivity::Eight, None);
    let labels = label(islands.view(), Connectivity::Eight);
    let peaks = labels.peaks(smoothed.view());
    // Sidelobes that high are islands of their own shape: nothing but the brightest is certain.
    let uncertain = if scale.of_itself > UNCERTAIN { NEARLY_BRIGHTEST } else { 0.0 };
    let depth = limits.depth.max(uncertain) as f32;
    Zip::from(&mut islands).and(smoothed).and(&labels.labels).for_each(|island, &v, &l| {
        // A weak island that touches a strong one keeps its seeds.
        *island &= v > clip || v > depth * peaks[l as usize];
    });
    Some((islands, ScaleFound { beams: scale.beams, sigma, deepest, brightest, level, pixels: 0 }))
}

/// The image without point-like islands: 0 there, and where there are no data.
fn without_points(image: ArrayView2<'_, f32>, compact: ArrayView2<'_, bool>, limits: &ExtendedLimits) -> Array2<f32> {
    let labels = label(compact, Connectivity::Eight);
    let mut islands = vec![(0usize, 0f32, f32::INFINITY); labels.count() + 1];
    for (&l, &v) in labels.labels.iter().zip(image) {
        let (pixels, peak, least) = &mut islands[l as usize];
        *pixels += 1;
        (*peak, *least) = (peak.max(v), least.min(v));
    }
    let is_point: Vec<bool> = islands
        .iter()
        .map(|&(pixels, peak, least)| {
            let above = f64::from(peak) / f64::from(least).max(limits.rms);
            let area = limits.beam_area * (POINT_AREA * above.ln().max(0.0) + 0.5);
            pixels as f64 <= area
        })
        .collect();
    without(image, &labels.labels.mapv(|l| l > 0 && is_point[l as usize]), limits.fwhm)
}

/// The image with 0 at these pixels, around them, and where there are no data.
fn without(image: ArrayView2<'_, f32>, pixels: &Array2<bool>, fwhm: f64) -> Array2<f32> {
    let margin = (POINT_MARGIN_BEAMS * fwhm).ceil() as usize;
    let points = binary_dilation(pixels.view(), Connectivity::Eight, margin);
    Zip::from(image).and(&points).par_map_collect(|&v, &point| if point || !v.is_finite() { 0.0 } else { v })
}

/// Means of blocks of `block` x `block` pixels; those at the upper edges may hold fewer.
fn blocks(image: ArrayView2<'_, f32>, block: usize) -> Array2<f32> {
    let (ny, nx) = image.dim();
    if block == 1 {
        return image.as_standard_layout().into_owned();
    }
    let mut means = Array2::zeros((ny.div_ceil(block), nx.div_ceil(block)));
    Zip::indexed(&mut means).par_for_each(|(by, bx), mean| {
        let (y, x) = (by * block, bx * block);
        let part = image.slice(ndarray::s![y..(y + block).min(ny), x..(x + block).min(nx)]);
        *mean = part.sum() / part.len() as f32;
    });
    means
}

/// Convolution with a circular Gaussian of unit sum, `sigma` in pixels; nothing (0) is outside the image, so that edges,
/// where less is averaged, do not stand out.
fn gaussian(image: &Array2<f32>, sigma: f64) -> Array2<f32> {
    let reach = (CUT_SIGMA * sigma).ceil() as usize;
    let taps: Vec<f64> = (0..=reach).map(|k| (-0.5 * (k as f64 / sigma).powi(2)).exp()).collect();
    let sum = taps[0] + 2.0 * taps[1..].iter().sum::<f64>();
    let taps: Vec<f32> = taps.iter().map(|t| (t / sum) as f32).collect();
    along_rows(&along_rows(image, &taps).reversed_axes(), &taps).reversed_axes().as_standard_layout().into_owned()
}

/// Convolves each row with a kernel that is symmetric about `taps[0]`.
fn along_rows(image: &Array2<f32>, taps: &[f32]) -> Array2<f32> {
    let source = image.as_standard_layout();
    let mut out = Array2::zeros(image.dim());
    Zip::from(out.axis_iter_mut(Axis(0))).and(source.axis_iter(Axis(0))).par_for_each(|mut out, row| {
        let row = row.to_slice().expect("standard order");
        let out = out.as_slice_mut().expect("standard order");
        for (k, &tap) in taps.iter().enumerate() {
            let n = row.len().saturating_sub(k);
            if n == 0 {
                break;
            }
            out[..n].iter_mut().zip(&row[k..]).for_each(|(o, &v)| *o += tap * v);
            if k > 0 {
                out[k..].iter_mut().zip(&row[..n]).for_each(|(o, &v)| *o += tap * v);
            }
        }
    });
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: ExtendedLimits = ExtendedLimits {
        fwhm: 3.0,
        beam_area: 10.2,
        rms: 1.0,
        seed: 5.0,
        negative: 1.4,
        near_negative: 2.5,
        sidelobe: 3.0,
        peak: 100.0,
        flood: 2.5,
        depth: 0.2,
    };
    const SIDE: usize = 160;

    /// Noise of unit variance, correlated like the beam, the same each time.
    fn noise(mut state: u64) -> Array2<f32> {
        let mut uniform = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1u64 << 24) as f32
        };
        let white = Array2::from_shape_simple_fn((SIDE, SIDE), || (0..12).map(|_| uniform()).sum::<f32>() - 6.0);
        let sigma = LIMITS.fwhm / FWHM_PER_SIGMA;
        gaussian(&white, sigma) * (2.0 * std::f64::consts::PI.sqrt() * sigma) as f32
    }

    fn add(image: &mut Array2<f32>, (y0, x0): (usize, usize), peak: f32, fwhm: f32) {
        for ((y, x), v) in image.indexed_iter_mut() {
            let squared = (y as f32 - y0 as f32).powi(2) + (x as f32 - x0 as f32).powi(2);
            *v += peak * (-4.0 * std::f32::consts::LN_2 * squared / (fwhm * fwhm)).exp();
        }
    }

    fn nothing() -> Array2<bool> {
        Array2::from_elem((SIDE, SIDE), false)
    }

    static ONES: std::sync::LazyLock<Array2<f32>> = std::sync::LazyLock::new(|| Array2::ones((SIDE, SIDE)));

    fn halo_of<'a>(noise: &'a Array2<f32>, brightest: &'a Array2<f32>) -> Halo<'a> {
        Halo { noise: noise.view(), brightest: brightest.view() }
    }

    fn found(image: &Array2<f32>, compact: &Array2<bool>) -> Array2<bool> {
        extended_islands(image.view(), compact.view(), &halo_of(&ONES, &ONES), &clean(), &LIMITS).0
    }

    fn clean() -> [Scale; 3] {
        [2.0, 4.0, 8.0].map(Scale::clean)
    }

    #[test]
    fn smoothing_keeps_the_flux_and_makes_the_wanted_width() {
        let mut image = Array2::zeros((61, 41));
        image[(30, 20)] = 1.0;
        let smoothed = gaussian(&image, 3.0);
        assert!((smoothed.sum() - 1.0).abs() < 1e-5);
        assert_eq!(smoothed[(30, 24)], smoothed[(30, 16)]);
        assert!((smoothed[(34, 20)] - smoothed[(30, 24)]).abs() < 1e-8);
        assert!((smoothed[(30, 23)] / smoothed[(30, 20)] - (-0.5f32).exp()).abs() < 1e-4);
        // Smaller than the kernel.
        assert_eq!(gaussian(&Array2::ones((2, 1)), 3.0).dim(), (2, 1));
    }

    #[test]
    fn blocks_are_means_and_those_at_the_edge_may_be_smaller() {
        let image = ndarray::array![[1f32, 3.0, 5.0], [1.0, 3.0, 7.0], [2.0, 4.0, 9.0]];
        assert_eq!(blocks(image.view(), 2), ndarray::array![[2f32, 6.0], [3.0, 9.0]]);
        assert_eq!(blocks(image.view(), 1), image);
    }

    #[test]
    fn emission_hardly_above_the_noise_of_a_pixel_is_found_and_noise_is_not() {
        let mut image = noise(3);
        assert_eq!(found(&image, &nothing()), nothing());
        add(&mut image, (80, 80), 1.5, 30.0);
        let islands = found(&image, &nothing());
        assert!(islands[(80, 80)] && islands[(75, 86)]);
        // Nothing beyond one FWHM and the smoothing's own.
        let far = islands.indexed_iter().any(|((y, x), &m)| m && (y as f64 - 80.0).hypot(x as f64 - 80.0) > 45.0);
        assert!(!far && islands.iter().filter(|m| **m).count() > 400);
    }

    #[test]
    fn a_level_under_the_whole_image_is_no_emission() {
        let mut image = noise(3) + 20.0;
        assert_eq!(found(&image, &nothing()), nothing());
        add(&mut image, (80, 80), 1.5, 30.0);
        assert_eq!(found(&image, &nothing()), nothing());
    }

    #[test]
    fn in_the_halo_of_a_bright_source_more_is_asked() {
        let mut image = noise(10);
        add(&mut image, (80, 50), 3.0, 30.0);
        add(&mut image, (80, 120), 3.0, 30.0);
        let noisy = Array2::from_shape_fn((SIDE, SIDE), |(_, x)| if x < 85 { 1.0 } else { 8.0 });
        let beside = |brightest: f32| {
            let brightest = Array2::from_elem((SIDE, SIDE), brightest);
            extended_islands(image.view(), nothing().view(), &halo_of(&noisy, &brightest), &clean(), &LIMITS).0
        };
        let islands = beside(10_000.0);
        assert!(islands[(80, 50)] && !islands[(80, 120)]);
        assert!(beside(10.0)[(80, 120)], "no source nearby is that bright");
    }

    #[test]
    fn seeds_must_exceed_the_deepest_negative_of_their_scale() {
        let mut image = noise(4);
        add(&mut image, (80, 80), 1.5, 30.0);
        add(&mut image, (40, 120), -1.4, 30.0);
        assert_eq!(found(&image, &nothing()), nothing(), "as likely an artefact as the negative");
    }

    #[test]
    fn points_do_not_look_extended_and_what_lies_below_them_still_does() {
        let mut image = noise(5);
        add(&mut image, (40, 40), 200.0, 3.0);
        let compact = image.mapv(|v| v > 3.5);
        assert_eq!(found(&image, &compact), nothing());
        assert!(found(&image, &nothing())[(40, 40)], "not known as a point");
        // A large island of the image itself is no point.
        add(&mut image, (100, 100), 8.0, 24.0);
        let compact = image.mapv(|v| v > 3.5);
        let islands = found(&image, &compact);
        assert!(islands[(100, 100)] && !islands[(40, 40)]);
    }

    #[test]
    fn what_the_sidelobes_of_the_brightest_pixel_make_is_not_emission() {
        let mut psf = Array2::zeros((SIDE, SIDE));
        add(&mut psf, (80, 80), 1.0, 3.0);
        let of = |psf: &Array2<f32>, beams: &[f64]| PsfSidelobes::of(psf.view(), beams, 3.0).scales;
        let points = of(&psf, &[2.0, 4.0]);
        assert!(points.iter().all(|s| s.sidelobe < 1e-3), "a Gaussian has none: {points:?}");
        // A broad sidelobe of 2 %, as bright in the image of a source of 100 as the emission of 2.
        add(&mut psf, (80, 110), 0.02, 24.0);
        let scales = of(&psf, &[2.0, 4.0, 8.0]);
        let highest = PsfSidelobes::of(psf.view(), &[], 3.0).highest;
        assert!((highest - 0.02).abs() < 1e-3, "{highest}");
        assert!(scales[0].sidelobe > 0.018 && scales[2].sidelobe < 0.012, "{scales:?}");
        let mut image = noise(7);
        add(&mut image, (80, 110), 2.0, 24.0);
        assert!(found(&image, &nothing())[(80, 110)]);
        let in_residual = |peak: f64| {
            let limits = ExtendedLimits { peak, ..LIMITS };
            extended_islands(image.view(), nothing().view(), &halo_of(&ONES, &ONES), &scales, &limits).0
        };
        assert_eq!(in_residual(100.0), nothing());
        assert!(in_residual(10.0)[(80, 110)], "once the source is mostly cleaned");
        // Scaled by its peak; nothing can be said of an empty one.
        assert_eq!(of(&(&psf * 4.0), &[4.0]), of(&psf, &[4.0]));
        assert_eq!(of(&Array2::zeros((SIDE, SIDE)), &[4.0])[0].sidelobe, 0.0);
    }

    #[test]
    fn what_the_sidelobes_of_extended_emission_make_is_not_emission() {
        // Hardly a sidelobe for a point, but a broad one: of half the peak on its own scale.
        let mut psf = Array2::zeros((SIDE, SIDE));
        add(&mut psf, (80, 80), 1.0, 3.0);
        add(&mut psf, (80, 80), 0.1, 24.0);
        add(&mut psf, (30, 120), 0.05, 24.0);
        let scales = PsfSidelobes::of(psf.view(), &[8.0], 3.0).scales;
        assert!((0.35..0.45).contains(&scales[0].of_itself), "{scales:?}");
        let mut image = noise(8);
        add(&mut image, (80, 60), 6.0, 24.0);
        add(&mut image, (30, 135), 4.0, 24.0);
        let islands = |scales: &[Scale]| {
            extended_islands(
                image.view(),
                nothing().view(),
                &halo_of(&ONES, &ONES),
                scales,
                &ExtendedLimits { peak: 1.0, ..LIMITS },
            )
            .0
        };
        assert!(islands(&[Scale::clean(8.0)])[(30, 135)]);
        let found = islands(&scales);
        assert!(found[(80, 60)] && !found[(30, 135)]);
    }

    #[test]
    fn no_data_is_never_in_an_island() {
        let mut image = noise(6);
        add(&mut image, (80, 80), 3.0, 30.0);
        image[(80, 80)] = f32::NAN;
        let islands = found(&image, &nothing());
        assert!(!islands[(80, 80)] && islands[(80, 81)]);
        let empty = Array2::from_elem((SIDE, SIDE), f32::NAN);
        assert_eq!(found(&empty, &nothing()), nothing());
    }

    #[test]
    fn the_reason_names_scale_and_numbers() {
        let scale = ScaleFound { beams: 4.0, sigma: 0.5, deepest: 2.0, brightest: 5.5, level: 2.8, pixels: 321 };
        insta::assert_snapshot!(scale, @"smoothed to 4 beams the image reaches 11.0 sigma, 5.6 are asked for, its deepest negative is 4.0: 321 pixels of extended emission");
    }
}
