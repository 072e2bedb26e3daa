//! The noise by which rounds are ranked: a standard deviation that single bad regions cannot decide.
//!
//! The plane is divided into square blocks of a few beams. The variance of a block counts only up to a multiple of the
//! median variance of the blocks around it: artefacts around a bright source spread over many beams and count in full, a
//! bad pixel, a stripe or an edge stands out from its surroundings and does not.

use crate::kernels::order_statistics::median;
use rayon::prelude::*;
use std::ops::Range;

/// Side of a block, in major-axis FWHM of the beam.
const BLOCK_BEAMS: f64 = 3.0;
/// Smallest side of a block, pixels.
const MIN_BLOCK: f64 = 8.0;
/// Blocks to each side that are a block's surroundings: 21 beams in all.
const REACH: usize = 3;
/// The variance of a block counts up to this multiple of the median of its surroundings.
const LARGEST_EXCESS: f64 = 3.0;

/// Noise of the pixels that were used, Jy/beam; 0 when there are none.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Deviation {
    /// Standard deviation.
    pub(super) plain: f64,
    /// Standard deviation from variances that are limited block by block.
    pub(super) safe: f64,
}

/// Number, sum and sum of squares of some values.
#[derive(Debug, Clone, Copy, Default)]
struct Moments {
    count: f64,
    sum: f64,
    squares: f64,
}

impl Moments {
    fn plus(self, other: Self) -> Self {
        Self { count: self.count + other.count, sum: self.sum + other.sum, squares: self.squares + other.squares }
    }

    /// Mean square about `centre`; `None` without a value.
    fn variance(&self, centre: f64) -> Option<f64> {
        let about = self.squares - 2.0 * centre * self.sum + self.count * centre * centre;
        (self.count > 0.0).then(|| (about / self.count).max(0.0))
    }
}

/// Standard deviations of the finite `values` (rows of `nx`) whose index satisfies `used`, with blocks for a beam of `fwhm`
/// pixels. Threads over rows of blocks; the same for any number of threads.
pub(super) fn deviation(values: &[f32], nx: usize, fwhm: f64, used: impl Fn(usize) -> bool + Sync) -> Deviation {
    let side = (BLOCK_BEAMS * fwhm).max(MIN_BLOCK);
    let (bands, columns) = (parts(values.len() / nx.max(1), side), parts(nx, side));
    let blocks: Vec<Moments> =
        bands.par_iter().flat_map_iter(|band| moments_of_band(values, nx, band.clone(), &columns, &used)).collect();
    let all = blocks.iter().fold(Moments::default(), |sum, b| sum.plus(*b));
    if all.count == 0.0 {
        return Deviation::default();
    }
    let mean = all.sum / all.count;
    let variances: Vec<Option<f64>> = blocks.iter().map(|b| b.variance(mean)).collect();
    let limited: Vec<f64> = (0..blocks.len())
        .into_par_iter()
        .map(|at| variances[at].map_or(0.0, |v| blocks[at].count * v.min(largest(&variances, columns.len(), at))))
        .collect();
    Deviation {
        plain: all.variance(mean).unwrap_or(0.0).sqrt(),
        safe: (limited.iter().sum::<f64>() / all.count).sqrt(),
    }
}

/// Divides a length into nearly equal parts of about `side`: a narrow last one would share the edge with its neighbour.
fn parts(length: usize, side: f64) -> Vec<Range<usize>> {
    let n = (length as f64 / side).round().max(1.0) as usize;
    (0..n).map(|i| i * length / n..(i + 1) * length / n).collect()
}

/// The moments of each block of a band of rows, from left to right.
fn moments_of_band(
    values: &[f32],
    nx: usize,
    band: Range<usize>,
    columns: &[Range<usize>],
    used: impl Fn(usize) -> bool,
) -> Vec<Moments> {
    let mut blocks = vec![Moments::default(); columns.len()];
    for y in band {
        for (block, column) in blocks.iter_mut().zip(columns) {
            let first = y * nx + column.start;
            for (i, value) in values[first..y * nx + column.end].iter().enumerate() {
                let value = f64::from(*value);
                if value.is_finite() && used(first + i) {
                    *block = block.plus(Moments { count: 1.0, sum: value, squares: value * value });
                }
            }
        }
    }
    blocks
}

/// The largest variance that counts of the block `at`: a multiple of the median of the blocks around it and itself.
fn largest(variances: &[Option<f64>], columns: usize, at: usize) -> f64 {
    let (row, column) = (at / columns, at % columns);
    let rows = variances.len() / columns;
    let mut around = Vec::with_capacity((2 * REACH + 1).pow(2));
    for y in row.saturating_sub(REACH)..(row + REACH + 1).min(rows) {
        let across = column.saturating_sub(REACH)..(column + REACH + 1).min(columns);
        around.extend(across.filter_map(|x| variances[y * columns + x]));
    }
    LARGEST_EXCESS * median(&mut around).unwrap_or(0.0)
}
