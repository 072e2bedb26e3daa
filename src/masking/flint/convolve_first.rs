//! The scale-by-scale pipeline: smooth to a scale, then clip, fill, grow and erode.

use super::mac::{MacOptions, mac_seeds, mac_seeds_of, mac_seeds_of_rows};
use super::seeds::{SeedsAndFloor, pixels_where};
use super::{erosion, flood};
use crate::image::PixelBeam;
use crate::kernels::bitmask::{BitMask, WORD};
use crate::kernels::fill_holes_bits;
use crate::kernels::rows::{Extremum, Greatest, Least, RollingRows, RowStream, Rows, RowsFrom, collect, copy_with};
use crate::masking::{MaskBits, MaskingOptions};
use multiversion::multiversion;
use ndarray::{Array2, ArrayView2};
use rayon::prelude::*;

/// The smoothing Gaussian's FWHM in units of the scale.
const FWHM_PER_SCALE: f64 = 0.45;
/// flint's FWHM / sigma, with its three decimals.
const FWHM_PER_SIGMA: f64 = 2.355;
/// Side of the smoothing kernel in sigma.
const KERNEL_SIDE_IN_SIGMA: f64 = 5.0;
/// Least flood factor at scale 0.
const LEAST_FLOOD_FACTOR_AT_SCALE_0: f64 = 0.8;

/// One bit per scale: the image opened and smoothed to the scale, seeds and floor by the minimum absolute clip with a box
/// enlarged by the scale, holes of the floor filled, seeds grown, and (with a beam) eroded by the beam at that scale.
///
/// Any thread gets the rows of `image`, which is never stored; `valid` are its pixels that are no NaN. Behaves as flint's
/// `convolve_first` (2026-08); see docs/masking.md for its oddities.
pub(super) fn convolve_first(
    image: &impl Rows,
    valid: &BitMask,
    beam: Option<&PixelBeam>,
    options: &MaskingOptions,
) -> MaskBits {
    let scales = options.scales();
    let of_scale = |&scale: &u32| {
        let grown = grown(seeds_at_scale(image, valid, scale, options), valid);
        let response = options.beam_shape_erode_minimum_response;
        match beam {
            Some(beam) => erosion::erode_scales(&grown, beam, response, &[scale]).plane_bits(0),
            None => grown,
        }
    };
    // Growth is the work of one thread: meanwhile the others work on another scale. Enlarged boxes need the smoothed image
    // in memory: one at a time.
    let made: Vec<BitMask> = if options.flood_fill_use_mac_adaptive_max_depth.is_some() {
        scales.iter().map(of_scale).collect()
    } else {
        scales.par_iter().map(of_scale).collect()
    };
    let mut bits = MaskBits::empty(image.dim(), scales.len());
    made.iter().enumerate().for_each(|(n, mask)| bits.set_bits(n, mask));
    bits
}

/// Seeds and floor in the image smoothed to a scale.
fn seeds_at_scale(image: &impl Rows, valid: &BitMask, scale: u32, options: &MaskingOptions) -> SeedsAndFloor {
    let mut mac = MacOptions::from(options);
    mac.box_size += scale as usize;
    if scale == 0 {
        mac.flood_factor = mac.flood_factor.max(LEAST_FLOOD_FACTOR_AT_SCALE_0);
    }
    let Some(kernel) = smoothing_kernel(scale) else { return mac_seeds_of(image, &mac) };
    if mac.adaptive_max_depth.is_some_and(|depth| depth > 0) {
        return mac_seeds(smoothed(image, valid, scale, &kernel).view(), &mac);
    }
    let ny = image.dim().0 as isize;
    let rows_from = |first: isize| {
        let from = smoothed_from(image, scale, &kernel);
        let y = if ny == 0 { 0 } else { first.rem_euclid(ny) as usize };
        RepeatedRows { rows: from(y), from, y, valid }
    };
    mac_seeds_of_rows(image.dim(), rows_from, &mac)
}

/// Rows of an image that repeats beyond its edges, NaN where it has no data.
struct RepeatedRows<'a, F, S> {
    /// Makes the rows from a given one on.
    from: F,
    rows: S,
    /// Number of the next row.
    y: usize,
    valid: &'a BitMask,
}

impl<S: RowStream, F: Fn(usize) -> S> RowStream for RepeatedRows<'_, F, S> {
    fn next_row(&mut self, out: &mut [f32]) {
        if self.y == self.valid.dim().0 {
            (self.rows, self.y) = ((self.from)(0), 0);
        }
        self.rows.next_row(out);
        for (out, &valid) in out.chunks_mut(WORD).zip(self.valid.row(self.y)) {
            if valid != !0 {
                out.iter_mut().enumerate().filter(|(x, _)| valid >> x & 1 == 0).for_each(|(_, v)| *v = f32::NAN);
            }
        }
        self.y += 1;
    }
}

/// Islands with their holes.
fn grown(SeedsAndFloor { seeds, mut floor }: SeedsAndFloor, valid: &BitMask) -> BitMask {
    fill_holes_bits(&mut floor);
    // A hole may hold pixels without data; they are never masked.
    floor.and_with(valid);
    flood::grow(SeedsAndFloor { seeds, floor })
}

/// The image opened (rolling minimum, then maximum, box = scale, periodic), then convolved with a Gaussian of FWHM 0.45
/// scale (zero outside, not normalised). `None` when that leaves the image as it is (scales 0 and 1).
///
/// Minimum and maximum use the same window, so an even scale displaces the opened image by one pixel, as in flint.
/// NaN counts as nothing in minima, maxima and sums, and stays NaN.
pub fn smooth_to_scale(image: ArrayView2<'_, f32>, scale: u32) -> Option<Array2<f32>> {
    let valid = pixels_where(&image, |v| !v.is_nan());
    smoothing_kernel(scale).map(|kernel| smoothed(&image, &valid, scale, &kernel))
}

fn smoothed(image: &impl Rows, valid: &BitMask, scale: u32, kernel: &[f32]) -> Array2<f32> {
    let from = smoothed_from(image, scale, kernel);
    collect(image.dim(), |y| RepeatedRows { rows: from(y), from, y, valid }, |v| v)
}

/// What makes the rows of the smoothed image from a given one on; pixels without data have values, too.
///
/// One pass: each stage pulls rows from the one before, so that no opened image is ever stored.
fn smoothed_from<'a>(
    image: &'a impl Rows,
    scale: u32,
    kernel: &'a [f32],
) -> impl Fn(usize) -> SmoothedRows<'a, RollingRows<Minima<'a>, Greatest>> + Copy {
    let (shape, side) = (image.dim(), scale as usize);
    let minimum_from = move |y| {
        let source = |next| RowsFrom { image, next, nan: Least::NEUTRAL };
        NoDataFor::<_, Greatest>::new(RollingRows::<_, Least>::new(source, y, shape, (side, side)), shape.1)
    };
    let opened_from = move |y| RollingRows::<_, Greatest>::new(minimum_from, y, shape, (side, side));
    move |first| SmoothedRows::new(opened_from, first, shape, kernel)
}

/// Rolling minima of an image, as maxima are taken of them.
type Minima<'a> = NoDataFor<RollingRows<RowsFrom<'a>, Least>, Greatest>;

/// One axis of the separable, unnormalised Gaussian: `m = int(5 sigma)` samples spread evenly from -m/2 to m/2, both
/// included (so their spacing is m / (m - 1), and a single one lies at -1/2). `None` without any.
fn smoothing_kernel(scale: u32) -> Option<Vec<f32>> {
    let sigma = FWHM_PER_SCALE * f64::from(scale) / FWHM_PER_SIGMA;
    let side = (KERNEL_SIDE_IN_SIGMA * sigma) as usize;
    let half = side as f64 / 2.0;
    let spacing = if side > 1 { side as f64 / (side as f64 - 1.0) } else { 0.0 };
    let sample = |i: usize| (-0.5 * ((i as f64 * spacing - half) / sigma).powi(2)).exp() as f32;
    (side > 0).then(|| (0..side).map(sample).collect())
}

/// Replaces one extremum's "no data" by the next one's.
struct NoDataFor<S, E> {
    source: S,
    row: Vec<f32>,
    next: std::marker::PhantomData<E>,
}

impl<S, E> NoDataFor<S, E> {
    fn new(source: S, nx: usize) -> Self {
        Self { source, row: vec![0.0; nx], next: std::marker::PhantomData }
    }
}

impl<S: RowStream, E: Extremum> RowStream for NoDataFor<S, E> {
    fn next_row(&mut self, out: &mut [f32]) {
        self.source.next_row(&mut self.row);
        copy_with(&self.row, out, |v| if v.is_infinite() { E::NEUTRAL } else { *v });
    }
}

/// Convolution with a separable symmetric kernel, zero outside the image, same size as the image: output pixel i is the
/// sum over inputs i - m/2 ..= i + m - 1 - m/2 (integer division; scipy's `mode="same"`).
struct SmoothedRows<'k, S> {
    source: S,
    kernel: &'k [f32],
    ny: isize,
    /// Row of the next source row to be taken.
    incoming: isize,
    /// The last `kernel.len()` rows, smoothed along x; a ring.
    ring: Vec<f32>,
    newest: usize,
    row: Vec<f32>,
    wide: Vec<f32>,
    started: bool,
}

impl<'k, S: RowStream> SmoothedRows<'k, S> {
    fn new(source_from: impl FnOnce(isize) -> S, first: usize, (ny, nx): (usize, usize), kernel: &'k [f32]) -> Self {
        let m = kernel.len();
        // The source is asked for rows of the image only.
        let incoming = first as isize - (m / 2) as isize;
        Self {
            source: source_from(incoming.max(0)),
            kernel,
            ny: ny as isize,
            incoming,
            ring: vec![0.0; m * nx],
            newest: m - 1,
            row: vec![0.0; nx],
            wide: vec![0.0; nx + m - 1],
            started: false,
        }
    }

    fn pull(&mut self) {
        let m = self.kernel.len();
        let nx = self.wide.len() + 1 - m;
        self.newest = (self.newest + 1) % m;
        let slot = &mut self.ring[self.newest * nx..(self.newest + 1) * nx];
        if (0..self.ny).contains(&self.incoming) {
            self.source.next_row(&mut self.row);
            // No data adds nothing.
            copy_with(&self.row, &mut self.wide[m / 2..m / 2 + nx], |v| if v.is_infinite() { 0.0 } else { *v });
            sum_products(slot, self.kernel, |j| &self.wide[j..j + nx]);
        } else {
            slot.fill(0.0);
        }
        self.incoming += 1;
    }
}

impl<S: RowStream> RowStream for SmoothedRows<'_, S> {
    fn next_row(&mut self, out: &mut [f32]) {
        let m = self.kernel.len();
        let nx = out.len();
        for _ in 0..if self.started { 1 } else { m } {
            self.pull();
        }
        self.started = true;
        let row = |j: usize| {
            let at = (self.newest + 1 + j) % m;
            &self.ring[at * nx..(at + 1) * nx]
        };
        sum_products(out, self.kernel, row);
    }
}

/// Weights that are worked on together.
const TOGETHER: usize = 8;

/// The sum of `weight x row` over the weights, in their order; some at a time, so that sums stay in registers.
fn sum_products<'a>(out: &mut [f32], weights: &[f32], row: impl Fn(usize) -> &'a [f32]) {
    for first in (0..weights.len()).step_by(TOGETHER) {
        match weights.len() - first {
            1 => add_some::<1>(out, weights, first, &row),
            2 => add_some::<2>(out, weights, first, &row),
            3 => add_some::<3>(out, weights, first, &row),
            4 => add_some::<4>(out, weights, first, &row),
            5 => add_some::<5>(out, weights, first, &row),
            6 => add_some::<6>(out, weights, first, &row),
            7 => add_some::<7>(out, weights, first, &row),
            _ => add_some::<TOGETHER>(out, weights, first, &row),
        }
    }
}

/// Adds the products of `N` weights from one on; the first of all begin the sums.
fn add_some<'a, const N: usize>(out: &mut [f32], weights: &[f32], first: usize, row: impl Fn(usize) -> &'a [f32]) {
    let weights: [f32; N] = std::array::from_fn(|k| weights[first + k]);
    let rows = std::array::from_fn(|k| row(first + k));
    if first == 0 { each_sum(out, weights, rows, |_| 0.0) } else { each_sum(out, weights, rows, |sum| sum) }
}

/// Adds products to what each sum begins with.
#[multiversion(targets("x86_64+avx2"))]
fn each_sum<const N: usize>(out: &mut [f32], weights: [f32; N], rows: [&[f32]; N], begin: impl Fn(f32) -> f32) {
    let rows = rows.map(|row| &row[..out.len()]);
    for (x, out) in out.iter_mut().enumerate() {
        *out = weights.iter().zip(&rows).fold(begin(*out), |sum, (weight, row)| sum + weight * row[x]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::picture::any;
    use crate::kernels::{rolling_maximum, rolling_minimum};
    use proptest::prelude::*;

    #[test]
    fn kernels_are_sampled_as_in_flint() {
        assert_eq!((smoothing_kernel(0), smoothing_kernel(1)), (None, None));
        // sigma = 0.382: a single sample, at -1/2.
        let sigma: f64 = 0.45 * 2.0 / 2.355;
        assert_eq!(smoothing_kernel(2), Some(vec![(-0.125 / (sigma * sigma)).exp() as f32]));
        let kernel = smoothing_kernel(8).unwrap();
        let sigma: f64 = 0.45 * 8.0 / 2.355;
        assert_eq!(kernel.len(), 7);
        assert_eq!(kernel[3], 1.0);
        assert_eq!(kernel[0], (-0.5 * (3.5 / sigma).powi(2)).exp() as f32);
        assert!(kernel.iter().zip(kernel.iter().rev()).all(|(a, b)| (a - b).abs() < 1e-6));
    }

    proptest! {
        #[test]
        fn equals_the_steps_one_by_one(image in any::image(), scale in 2u32..24, threads in 1usize..4) {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let smoothed = pool.install(|| smooth_to_scale(image.view(), scale)).unwrap();
            let opened = rolling_maximum(rolling_minimum(image.view(), scale as usize).view(), scale as usize);
            let kernel = smoothing_kernel(scale).unwrap();
            let (m, (ny, nx)) = (kernel.len(), image.dim());
            for ((y, x), &v) in smoothed.indexed_iter() {
                let (mut sum, mut size) = (0.0f64, 1e-3f64);
                for (j, &p) in kernel.iter().enumerate() {
                    for (i, &q) in kernel.iter().enumerate() {
                        let (row, column) = ((y + j).wrapping_sub(m / 2), (x + i).wrapping_sub(m / 2));
                        if row < ny && column < nx && !opened[[row, column]].is_nan() {
                            let term = f64::from(p) * f64::from(q) * f64::from(opened[[row, column]]);
                            sum += term;
                            size += term.abs();
                        }
                    }
                }
                prop_assert_eq!(v.is_nan(), image[[y, x]].is_nan());
                prop_assert!(v.is_nan() || (f64::from(v) - sum).abs() <= 1e-5 * size, "{v} {sum}");
            }
        }
    }
}
