//! Extended emission: islands that stand out once an image is smoothed. Pure functions.
//!
//! Emission of low brightness may lie below the noise of every pixel, and still be certain over many beams. The image is
//! smoothed to several scales, and each smoothed image is judged like the image itself: its deepest negative measures
//! what artefacts and bowls make on that scale, and seeds must exceed it.

use super::islands::{Island, MaskIslands};
use super::smoothing::{Without, greatest, greatest_smoothed, smoothed};
use crate::kernels::bitmask::{BitMask, pack_row};
use crate::kernels::labels::islands_of_runs;
use crate::kernels::order_statistics::statistics_where;
use crate::kernels::values_at::ValuesAt;
use crate::kernels::{Connectivity, dilation_bits, geodesic_dilation_bits, rolling_minimum_at};
use crate::noise::NoiseModel;
use ndarray::{Array2, ArrayView1, ArrayView2, Axis};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

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
        let flat = without_main_lobe(psf, fwhm);
        let at_scale = |&beams: &f64| {
            let (own, block) = smoothed(&psf, beams * fwhm);
            let of_itself = greatest(&without_main_lobe(own.view(), beams * fwhm / block as f64));
            drop(own);
            let sidelobe = greatest_smoothed(&flat, beams * fwhm);
            Scale { beams, sidelobe: f64::from(sidelobe), of_itself: f64::from(of_itself) }
        };
        Self { highest: f64::from(greatest(&flat)), scales: beams.iter().map(at_scale).collect() }
    }
}

/// A PSF without its main lobe, which is 0, over its peak; `fwhm` is the main lobe's, in pixels.
fn without_main_lobe(psf: ArrayView2<'_, f32>, fwhm: f64) -> Without<'_> {
    let of_row = |(y, row): (usize, ArrayView1<'_, f32>)| {
        row.iter()
            .enumerate()
            .fold(((y, 0), 0f32), |(at, peak), (x, &v)| if v > peak { ((y, x), v) } else { (at, peak) })
    };
    let rows: Vec<((usize, usize), f32)> = psf.axis_iter(Axis(0)).into_par_iter().enumerate().map(of_row).collect();
    let (centre, peak) = rows.into_iter().fold(((0, 0), 0f32), |best, row| if row.1 > best.1 { row } else { best });
    let mut lobe = BitMask::new(psf.nrows(), psf.ncols());
    if peak > 0.0 {
        lobe.set(centre.0, centre.1);
    }
    geodesic_dilation_bits(&mut lobe, &exceeding(psf, MAIN_LOBE * peak), Connectivity::Eight, None);
    Without { over: peak.max(f32::MIN_POSITIVE), ..without(psf, lobe, fwhm) }
}

/// The pixels above a value.
fn exceeding(image: ArrayView2<'_, f32>, least: f32) -> BitMask {
    let mut mask = BitMask::new(image.nrows(), image.ncols());
    mask.for_rows_mut(|y, words| {
        let row = image.row(y);
        pack_row(row.as_standard_layout().as_slice().expect("a row"), words, |v| v > least);
    });
    mask
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
    /// Whether the image has pixels without data.
    pub has_no_data: bool,
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

/// Effects of bright sources on the image near them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Halo<'a> {
    /// The local noise, Jy/beam.
    pub noise: &'a NoiseModel,
    /// The brightest pixel nearby, Jy/beam, at the pixels of the centres of the candidates.
    pub brightest: &'a ValuesAt,
}

/// Pixels of one smoothed image that may be in an island; few, so the smoothed image need not be kept.
#[derive(Debug)]
pub(super) struct Candidates {
    /// Pixels of the image along a side of one of the smoothed image.
    block: usize,
    /// Values of the smoothed image.
    values: ValuesAt,
    /// The lowest value nearby, where a seed may be.
    lowest: ValuesAt,
    /// Seeds exceed this, ...
    clip: f32,
    /// ... and this times the local excess of noise.
    seed: f32,
    /// Islands grow down to this, ...
    floor: f32,
    /// ... and this times the local excess of noise.
    flood: f32,
    /// Nothing fainter than this part of its brightest pixel is in an island.
    depth: f32,
    found: ScaleFound,
}

/// Pixels of each scale that may be in islands of extended emission in `image`, `[y, x]`; `compact` are the islands that a
/// mask of the image itself has. A scale without noise, or on a level above it, has none.
pub(super) fn candidates(
    image: ArrayView2<'_, f32>,
    compact: &MaskIslands,
    scales: &[Scale],
    limits: &ExtendedLimits,
) -> Vec<Candidates> {
    let flat = without_points(image, compact, limits);
    let of_scale = |scale: &Scale| {
        let (smoothed, block) = smoothed(&flat, scale.beams * limits.fwhm);
        let near = (NEAR_BEAMS * limits.fwhm / block as f64).round().max(1.0) as usize;
        candidates_of(&smoothed, block, near, scale, limits)
    };
    scales.iter().filter_map(of_scale).collect()
}

/// Candidates of one smoothed image; `near` is the side of the box of nearby negatives, in its pixels.
fn candidates_of(
    smoothed: &Array2<f32>,
    block: usize,
    near: usize,
    scale: &Scale,
    limits: &ExtendedLimits,
) -> Option<Candidates> {
    let values = smoothed.as_slice().expect("made in standard order");
    let (stats, range) = statistics_where(values, |v| v != 0.0)?;
    let sigma = stats.sigma();
    let (deepest, brightest) = (f64::from(-range.least.min(0.0)), f64::from(range.greatest.max(0.0)));
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
    let floor = (limits.flood * sigma).max(FLOOR_NEGATIVE * deepest).max(sidelobe) as f32;
    let (clip, seed, flood) = (level as f32, (limits.seed * sigma) as f32, (limits.flood * sigma) as f32);
    // The local noise exceeds that of the whole image, or counts as the same.
    let (least_seed, least) = (clip.max(seed), clip.max(seed).min(floor.max(flood)));
    let pixels = exceeding(smoothed.view(), least);
    let mut of_pixels = Vec::with_capacity(pixels.count());
    for (y, row) in smoothed.rows().into_iter().enumerate() {
        pixels.for_each_run(y, |x0, x1| of_pixels.extend((x0..x1).map(|x| row[x])));
    }
    let values = ValuesAt::new(pixels, of_pixels);
    let mut seeds = BitMask::new(smoothed.nrows(), smoothed.ncols());
    values.for_each(|y, x, v| {
        if v > least_seed {
            seeds.set(y, x);
        }
    });
    // Sidelobes that high are islands of their own shape: nothing but the brightest is certain.
    let uncertain = if scale.of_itself > UNCERTAIN { NEARLY_BRIGHTEST } else { 0.0 };
    Some(Candidates {
        block,
        values,
        lowest: rolling_minimum_at(smoothed.view(), near, seeds),
        clip,
        seed,
        floor,
        flood,
        depth: limits.depth.max(uncertain) as f32,
        found: ScaleFound { beams: scale.beams, sigma, deepest, brightest, level, pixels: 0 },
    })
}

impl Candidates {
    /// The pixel of the image, of `(ny, nx)`, at the centre of one of the smoothed image.
    fn centre(&self, (y, x): (usize, usize), (ny, nx): (usize, usize)) -> (usize, usize) {
        let centre = |at: usize, n: usize| (at * self.block + self.block / 2).min(n - 1);
        (centre(y, ny), centre(x, nx))
    }

    /// Adds the centres of the candidates to `pixels` of the image.
    pub(super) fn add_centres(&self, pixels: &mut BitMask) {
        let shape = pixels.dim();
        self.values.for_each(|y, x, _| {
            let (y, x) = self.centre((y, x), shape);
            pixels.set(y, x);
        });
    }

    /// Seeds and growth in the smoothed image.
    ///
    /// Where emission is fainter than a three hundredth of a source nearby, that source's errors make a halo like it.
    /// There the noise of the smoothed image is taken to exceed its overall noise in the same proportion as in the image
    /// itself.
    fn islands(&self, image: ArrayView2<'_, f32>, halo: &Halo<'_>, limits: &ExtendedLimits) -> BitMask {
        let (ny, nx) = self.values.pixels().dim();
        let (mut islands, mut ground) = (BitMask::new(ny, nx), BitMask::new(ny, nx));
        let factor = limits.near_negative as f32;
        self.values.for_each(|y, x, v| {
            let at = self.centre((y, x), image.dim());
            let is_in_halo = halo.brightest.get(at.0, at.1) > HALO_RATIO * v && image[at].is_finite();
            let excess = if is_in_halo { (halo.noise.rms_at(at.0, at.1) / limits.rms as f32).max(1.0) } else { 1.0 };
            let may_be_seed = v > self.clip && v > self.seed * excess;
            if may_be_seed && v > -factor * self.lowest.get(y, x) {
                islands.set(y, x);
            }
            if v > self.floor && v > self.flood * excess {
                ground.set(y, x);
            }
        });
        geodesic_dilation_bits(&mut islands, &ground, Connectivity::Eight, None);
        self.without_faint(islands)
    }

    /// The islands without what is too faint beside their brightest pixel. A weak island that touches a strong one keeps
    /// its seeds.
    fn without_faint(&self, islands: BitMask) -> BitMask {
        let runs = islands_of_runs(islands.run_list(), islands.dim().0, Connectivity::Eight);
        let mut peaks = vec![0f32; runs.sizes.len()];
        let pixels = || {
            let numbered = runs.runs.iter().zip(&runs.island);
            numbered.flat_map(|(r, &n)| (r.start..r.end).map(move |x| (r.y as usize, x as usize, n as usize)))
        };
        pixels().for_each(|(y, x, n)| peaks[n] = peaks[n].max(self.values.get(y, x)));
        let mut kept = BitMask::new(islands.dim().0, islands.dim().1);
        for (y, x, n) in pixels() {
            let v = self.values.get(y, x);
            if v > self.clip || v > self.depth * peaks[n] {
                kept.set(y, x);
            }
        }
        kept
    }
}

/// Islands of extended emission in `image`, `[y, x]`, of the candidates of all scales, put together. NaN is no data, and
/// never in an island.
pub(super) fn extended_islands(
    image: ArrayView2<'_, f32>,
    candidates: &[Candidates],
    halo: &Halo<'_>,
    limits: &ExtendedLimits,
) -> (BitMask, Vec<ScaleFound>) {
    let (ny, nx) = image.dim();
    let mut all = BitMask::new(ny, nx);
    let mut found = Vec::new();
    for scale in candidates {
        let islands = scale.islands(image, halo, limits);
        let mut pixels = BitMask::new(ny, nx);
        let block = scale.block;
        for run in islands.run_list() {
            let (y, x) = (run.y as usize * block, run.start as usize * block);
            (y..(y + block).min(ny)).for_each(|y| pixels.set_run(y, x, (run.end as usize * block).min(nx)));
        }
        if limits.has_no_data {
            clear_no_data(&mut pixels, image);
        }
        found.push(ScaleFound { pixels: pixels.count(), ..scale.found });
        all.or_with(&pixels);
    }
    (all, found)
}

/// Takes pixels that are NaN in the image out of a mask.
pub(super) fn clear_no_data(mask: &mut BitMask, image: ArrayView2<'_, f32>) {
    for run in mask.run_list() {
        for x in (run.start as usize..run.end as usize).filter(|&x| image[(run.y as usize, x)].is_nan()) {
            mask.clear_run(run.y as usize, x, x + 1);
        }
    }
}

/// The image without point-like islands: 0 there, and where there are no data.
fn without_points<'a>(image: ArrayView2<'a, f32>, compact: &MaskIslands, limits: &ExtendedLimits) -> Without<'a> {
    let is_point = |island: &Island| {
        let above = f64::from(island.peak.max(0.0) as f32) / f64::from(island.least).max(limits.rms);
        let area = limits.beam_area * (POINT_AREA * above.ln().max(0.0) + 0.5);
        island.pixels as f64 <= area
    };
    without(image, compact.pixels_of(image.dim(), |n| is_point(&compact.list[n])), limits.fwhm)
}

/// The image with 0 at these pixels, around them, and where there are no data.
fn without(image: ArrayView2<'_, f32>, pixels: BitMask, fwhm: f64) -> Without<'_> {
    let margin = (POINT_MARGIN_BEAMS * fwhm).ceil() as usize;
    Without { image, pixels: dilation_bits(pixels, Connectivity::Eight, margin), over: 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::FWHM_PER_SIGMA;
    use crate::masking::auto::smoothing::gaussian;
    use crate::noise::NoiseMaps;

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
        has_no_data: true,
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
        gaussian(&white.view(), sigma) * (2.0 * std::f64::consts::PI.sqrt() * sigma) as f32
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

    /// Islands with this noise and the brightest pixel near each; `compact` are the pixels of the image's own mask.
    fn islands(
        image: &Array2<f32>,
        compact: &Array2<bool>,
        halo: (&Array2<f32>, f32),
        scales: &[Scale],
        limits: &ExtendedLimits,
    ) -> Array2<bool> {
        let compact = MaskIslands::of(&BitMask::from_bools(compact.view()), image.view());
        let noise = NoiseModel::Full(NoiseMaps { background: Array2::zeros(image.dim()), rms: halo.0.clone() });
        let everywhere = BitMask::full(SIDE, SIDE);
        let brightest = ValuesAt::new(everywhere, vec![halo.1; SIDE * SIDE]);
        let candidates = candidates(image.view(), &compact, scales, limits);
        let halo = Halo { noise: &noise, brightest: &brightest };
        extended_islands(image.view(), &candidates, &halo, limits).0.to_bools()
    }

    static ONES: std::sync::LazyLock<Array2<f32>> = std::sync::LazyLock::new(|| Array2::ones((SIDE, SIDE)));

    fn found(image: &Array2<f32>, compact: &Array2<bool>) -> Array2<bool> {
        islands(image, compact, (&ONES, 1.0), &clean(), &LIMITS)
    }

    fn clean() -> [Scale; 3] {
        [2.0, 4.0, 8.0].map(Scale::clean)
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
        let beside = |brightest: f32| islands(&image, &nothing(), (&noisy, brightest), &clean(), &LIMITS);
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
            islands(&image, &nothing(), (&ONES, 1.0), &scales, &limits)
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
        let limits = ExtendedLimits { peak: 1.0, ..LIMITS };
        let islands = |scales: &[Scale]| islands(&image, &nothing(), (&ONES, 1.0), scales, &limits);
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
