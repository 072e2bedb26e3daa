//! Images smoothed to a scale, row by row: what is smoothed is never stored, and neither is a half-smoothed image.

use crate::kernels::FWHM_PER_SIGMA;
use crate::kernels::bitmask::BitMask;
use crate::kernels::rows::{Rows, bands, split_rows};
use multiversion::multiversion;
use ndarray::{Array2, ArrayView2, s};
use rayon::prelude::*;

/// A scale is looked at in blocks of pixels of which about this many lie within its FWHM: enough to sample it, and the
/// cost does not grow with the scale.
const PIXELS_PER_FWHM: f64 = 6.0;
/// The Gaussian is cut off at this many sigma.
const CUT_SIGMA: f64 = 3.0;

/// An image without some of its pixels: 0 there, and where there are no data; all divided by a number.
pub(super) struct Without<'a> {
    /// The image, `[y, x]`.
    pub(super) image: ArrayView2<'a, f32>,
    /// Pixels that are left out.
    pub(super) pixels: BitMask,
    /// The number.
    pub(super) over: f32,
}

impl Rows for Without<'_> {
    fn dim(&self) -> (usize, usize) {
        self.image.dim()
    }

    fn row_into(&self, y: usize, out: &mut [f32]) {
        match self.image.row(y).to_slice() {
            Some(row) => copy_zero_where_no_data(row, out),
            None => out.iter_mut().zip(self.image.row(y)).for_each(|(o, &v)| *o = if v.is_finite() { v } else { 0.0 }),
        }
        self.pixels.for_each_run(y, |x0, x1| out[x0..x1].fill(0.0));
        if self.over != 1.0 {
            divide(out, self.over);
        }
    }
}

#[multiversion(targets("x86_64+avx2"))]
fn divide(row: &mut [f32], by: f32) {
    row.iter_mut().for_each(|v| *v /= by);
}

#[multiversion(targets("x86_64+avx2"))]
fn copy_zero_where_no_data(row: &[f32], out: &mut [f32]) {
    out.iter_mut().zip(row).for_each(|(o, &v)| *o = if v.is_finite() { v } else { 0.0 });
}

/// Side of the blocks in which a scale is looked at, pixels.
fn block_of(fwhm: f64) -> usize {
    ((fwhm / PIXELS_PER_FWHM) as usize).max(1)
}

/// The image smoothed to `fwhm` pixels, in blocks of as many pixels as the second value says.
pub(super) fn smoothed(image: &impl Rows, fwhm: f64) -> (Array2<f32>, usize) {
    let block = block_of(fwhm);
    (gaussian(&Blocks { image, block }, fwhm / block as f64 / FWHM_PER_SIGMA), block)
}

/// Means of blocks of `block` x `block` pixels; those at the upper edges may hold fewer.
struct Blocks<'a, R> {
    image: &'a R,
    block: usize,
}

impl<R: Rows> Rows for Blocks<'_, R> {
    fn dim(&self) -> (usize, usize) {
        let (ny, nx) = self.image.dim();
        (ny.div_ceil(self.block), nx.div_ceil(self.block))
    }

    fn row_into(&self, y: usize, out: &mut [f32]) {
        let (block, (ny, nx)) = (self.block, self.image.dim());
        if block == 1 {
            return self.image.row_into(y, out);
        }
        let count = block.min(ny - y * block);
        let mut strip = Array2::zeros((count, nx));
        for (i, mut row) in strip.rows_mut().into_iter().enumerate() {
            self.image.row_into(y * block + i, row.as_slice_mut().expect("standard order"));
        }
        let whole = nx / block;
        let pixels = strip.as_slice().expect("standard order");
        let small = match block {
            _ if nx <= block => false,
            2 => means_of::<2>(pixels, nx, &mut out[..whole]),
            3 => means_of::<3>(pixels, nx, &mut out[..whole]),
            4 => means_of::<4>(pixels, nx, &mut out[..whole]),
            5 => means_of::<5>(pixels, nx, &mut out[..whole]),
            6 => means_of::<6>(pixels, nx, &mut out[..whole]),
            7 => means_of::<7>(pixels, nx, &mut out[..whole]),
            _ => false,
        };
        for (x, mean) in out.iter_mut().enumerate().skip(if small { whole } else { 0 }) {
            let part = strip.slice(s![.., x * block..((x + 1) * block).min(nx)]);
            *mean = part.sum() / part.len() as f32;
        }
    }
}

/// Means of whole blocks of `N` columns, in the order in which an array of fewer than 8 columns is summed: each row by
/// itself. Always true.
#[multiversion(targets("x86_64+avx2"))]
fn means_of<const N: usize>(strip: &[f32], nx: usize, means: &mut [f32]) -> bool {
    means.fill(0.0);
    for row in strip.chunks_exact(nx) {
        for (mean, part) in means.iter_mut().zip(row.chunks_exact(N)) {
            *mean += part[1..].iter().fold(part[0], |sum, v| sum + v);
        }
    }
    let pixels = (strip.len() / nx * N) as f32;
    means.iter_mut().for_each(|mean| *mean /= pixels);
    true
}

/// Convolution with a circular Gaussian of unit sum, `sigma` in pixels; nothing (0) is outside the image, so that edges,
/// where less is averaged, do not stand out.
pub(super) fn gaussian(image: &impl Rows, sigma: f64) -> Array2<f32> {
    let (ny, nx) = image.dim();
    let mut out = Array2::zeros((ny, nx));
    if nx == 0 {
        return out;
    }
    let (bands, taps) = (bands(ny), taps_of(sigma));
    split_rows(&mut out, &bands).into_par_iter().zip(&bands).for_each(|(part, &(first, _))| {
        let mut smoothed = SmoothedRows::new(image, &taps, first);
        // Summed in the cache: memory of the image is written once.
        let mut row = vec![0.0; nx];
        for out in part.chunks_exact_mut(nx) {
            smoothed.next_row(&mut row);
            out.copy_from_slice(&row);
        }
    });
    out
}

/// The greatest value of an image that is smoothed as [`smoothed`] does, at least 0.
pub(super) fn greatest_smoothed(image: &impl Rows, fwhm: f64) -> f32 {
    let block = block_of(fwhm);
    let blocks = Blocks { image, block };
    let (ny, nx) = blocks.dim();
    let taps = taps_of(fwhm / block as f64 / FWHM_PER_SIGMA);
    let of_band = |(first, count): (usize, usize)| {
        let mut smoothed = SmoothedRows::new(&blocks, &taps, first);
        let mut row = vec![0.0; nx];
        (0..count).fold(0f32, |greatest, _| {
            smoothed.next_row(&mut row);
            greatest.max(greatest_of(&row))
        })
    };
    bands(ny).into_par_iter().map(of_band).reduce(|| 0.0, f32::max)
}

/// The greatest value of an image, at least 0; NaN is none.
pub(super) fn greatest(image: &impl Rows) -> f32 {
    let (ny, nx) = image.dim();
    let of_row = |row: &mut Vec<f32>, y: usize| {
        image.row_into(y, row);
        greatest_of(row)
    };
    (0..ny).into_par_iter().map_init(|| vec![0.0; nx], of_row).reduce(|| 0.0, f32::max)
}

#[multiversion(targets("x86_64+avx2"))]
fn greatest_of(row: &[f32]) -> f32 {
    const LANES: usize = 16;
    let mut greatest = [0f32; LANES];
    let mut look = |chunk: &[f32]| {
        greatest.iter_mut().zip(chunk).for_each(|(g, &v)| *g = g.max(v));
    };
    let chunks = row.chunks_exact(LANES);
    look(chunks.remainder());
    chunks.for_each(look);
    greatest.into_iter().fold(0.0, f32::max)
}

/// One side of a circular Gaussian of unit sum, from its middle on.
fn taps_of(sigma: f64) -> Vec<f32> {
    let reach = (CUT_SIGMA * sigma).ceil() as usize;
    let taps: Vec<f64> = (0..=reach).map(|k| (-0.5 * (k as f64 / sigma).powi(2)).exp()).collect();
    let sum = taps[0] + 2.0 * taps[1..].iter().sum::<f64>();
    taps.iter().map(|t| (t / sum) as f32).collect()
}

/// Rows of a smoothed image, one after the other.
struct SmoothedRows<'a, R> {
    image: &'a R,
    taps: &'a [f32],
    /// The next row to be given out.
    y: usize,
    /// The next row to be smoothed along x.
    next: usize,
    row: Vec<f32>,
    /// The last rows, smoothed along x: row y has the place y modulo their number.
    ring: Vec<f32>,
}

impl<'a, R: Rows> SmoothedRows<'a, R> {
    fn new(image: &'a R, taps: &'a [f32], first: usize) -> Self {
        let (nx, reach) = (image.dim().1, taps.len() - 1);
        let ring = vec![0.0; (2 * reach + 1) * nx];
        Self { image, taps, y: first, next: first.saturating_sub(reach), row: vec![0.0; nx], ring }
    }

    fn next_row(&mut self, out: &mut [f32]) {
        let (ny, nx) = self.image.dim();
        let (taps, reach) = (self.taps, self.taps.len() - 1);
        let places = 2 * reach + 1;
        let y = self.y;
        self.y += 1;
        while self.next < ny && self.next <= y + reach {
            self.image.row_into(self.next, &mut self.row);
            let place = self.next % places * nx;
            along_row(&self.row, taps, &mut self.ring[place..place + nx]);
            self.next += 1;
        }
        let smooth = |y: usize| &self.ring[y % places * nx..][..nx];
        let both = |k: usize| [Some(y + k).filter(|&y| y < ny), y.checked_sub(k).filter(|_| k > 0)];
        let rows: Vec<(f32, &[f32])> = (taps.iter().enumerate())
            .flat_map(|(k, &tap)| both(k).into_iter().flatten().map(move |y| (tap, y)))
            .map(|(tap, y)| (tap, smooth(y)))
            .collect();
        out.fill(0.0);
        let fours = rows.chunks_exact(4);
        let rest = fours.remainder();
        fours.for_each(|four| add_four(out, [four[0], four[1], four[2], four[3]]));
        rest.iter().for_each(|&(tap, row)| add_scaled(out, row, tap));
    }
}

/// Convolves a row with a kernel that is symmetric about `taps[0]`.
fn along_row(row: &[f32], taps: &[f32], out: &mut [f32]) {
    out.fill(0.0);
    // Where the kernel sees nothing outside, all taps at once; at the ends, one by one in the same order.
    let reach = taps.len() - 1;
    let inner = reach..row.len().saturating_sub(reach).max(reach);
    if !inner.is_empty() {
        inner_of_row(row, taps, &mut out[inner.clone()]);
    }
    for x in (0..inner.start.min(row.len())).chain(inner.end..row.len()) {
        let mut sum = taps[0] * row[x];
        for (k, &tap) in taps.iter().enumerate().skip(1) {
            if let Some(v) = row.get(x + k) {
                sum += tap * v;
            }
            if k <= x {
                sum += tap * row[x - k];
            }
        }
        out[x] = sum;
    }
}

/// The pixels of a row that are at least the kernel's reach from its ends.
fn inner_of_row(row: &[f32], taps: &[f32], out: &mut [f32]) {
    let (n, reach) = (out.len(), taps.len() - 1);
    let shifted = |by: isize| &row[(reach as isize + by) as usize..][..n];
    add_scaled(out, shifted(0), taps[0]);
    let mut pairs = (1..).zip(&taps[1..]);
    while let Some((k, &p)) = pairs.next() {
        match pairs.next() {
            Some((l, &q)) => add_four(out, [(p, shifted(k)), (p, shifted(-k)), (q, shifted(l)), (q, shifted(-l))]),
            None => {
                add_scaled(out, shifted(k), p);
                add_scaled(out, shifted(-k), p);
            }
        }
    }
}

#[multiversion(targets("x86_64+avx2"))]
fn add_scaled(out: &mut [f32], row: &[f32], tap: f32) {
    out.iter_mut().zip(row).for_each(|(o, &v)| *o += tap * v);
}

/// [`add_scaled`] of four rows, one after the other, so that the sums stay in registers.
#[multiversion(targets("x86_64+avx2"))]
fn add_four(out: &mut [f32], [(p, a), (q, b), (r, c), (s, d)]: [(f32, &[f32]); 4]) {
    for (o, (((a, b), c), d)) in out.iter_mut().zip(a.iter().zip(b).zip(c).zip(d)) {
        *o = (((*o + p * a) + q * b) + r * c) + s * d;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(rows: &impl Rows) -> Array2<f32> {
        let mut out = Array2::zeros(rows.dim());
        out.rows_mut().into_iter().enumerate().for_each(|(y, mut r)| rows.row_into(y, r.as_slice_mut().unwrap()));
        out
    }

    #[test]
    fn smoothing_keeps_the_flux_and_makes_the_wanted_width() {
        let mut image = Array2::zeros((61, 41));
        image[(30, 20)] = 1.0;
        let smoothed = gaussian(&image.view(), 3.0);
        assert!((smoothed.sum() - 1.0).abs() < 1e-5);
        assert_eq!(smoothed[(30, 24)], smoothed[(30, 16)]);
        assert!((smoothed[(34, 20)] - smoothed[(30, 24)]).abs() < 1e-8);
        assert!((smoothed[(30, 23)] / smoothed[(30, 20)] - (-0.5f32).exp()).abs() < 1e-4);
        // Smaller than the kernel.
        assert_eq!(gaussian(&Array2::ones((2, 1)).view(), 3.0).dim(), (2, 1));
    }

    #[test]
    fn blocks_are_means_and_those_at_the_edge_may_be_smaller() {
        let image = ndarray::array![[1f32, 3.0, 5.0], [1.0, 3.0, 7.0], [2.0, 4.0, 9.0]];
        assert_eq!(all(&Blocks { image: &image.view(), block: 2 }), ndarray::array![[2f32, 6.0], [3.0, 9.0]]);
        assert_eq!(all(&Blocks { image: &image.view(), block: 1 }), image);
    }

    proptest! {
        #[test]
        fn the_greatest_is_that_of_the_smoothed_image(ny in 1usize..60, nx in 1usize..60, fwhm in 1f64..30.0) {
            let image = Array2::from_shape_fn((ny, nx), |(y, x)| ((y * 31 + x * x) % 17) as f32 * 0.3 - 2.0);
            let greatest_of = |image: &Array2<f32>| image.iter().fold(0f32, |m, &v| m.max(v));
            prop_assert_eq!(greatest_smoothed(&image.view(), fwhm), greatest_of(&smoothed(&image.view(), fwhm).0));
            prop_assert_eq!(greatest(&image.view()), greatest_of(&image));
        }

        #[test]
        fn blocks_are_the_means_of_slices(ny in 1usize..40, nx in 1usize..40, block in 2usize..12, seed in any::<u32>()) {
            let value = |(y, x): (usize, usize)| ((seed as usize + 7919 * y + 104_729 * x) % 1000) as f32 * 0.37 - 100.0;
            let image = Array2::from_shape_fn((ny, nx), value);
            let means = all(&Blocks { image: &image.view(), block });
            for ((y, x), &mean) in means.indexed_iter() {
                let (y, x) = (y * block, x * block);
                let part = image.slice(s![y..(y + block).min(ny), x..(x + block).min(nx)]);
                prop_assert_eq!(mean, part.sum() / part.len() as f32);
            }
        }

        #[test]
        fn threads_make_no_difference(ny in 1usize..50, nx in 1usize..50, sigma in 0.5f64..6.0, threads in 2usize..8) {
            let image = Array2::from_shape_fn((ny, nx), |(y, x)| ((y * 31 + x * x) % 17) as f32 * 0.3);
            let of = |n| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap();
                pool.install(|| gaussian(&image.view(), sigma))
            };
            prop_assert_eq!(of(1), of(threads));
        }
    }
}
