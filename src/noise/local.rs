//! Median and median absolute deviation, of a plane or of a sliding box.

use super::NoiseMaps;
use super::grid::Grid;
use crate::kernels::order_statistics::SIGMA_PER_MAD;
use ndarray::{Array2, ArrayView2, Axis, s};
use rayon::prelude::*;

/// Median of `values`, which are reordered; the mean of the middle two of an even number. NaN for none.
pub(super) fn median_in_place(values: &mut [f32]) -> f64 {
    if values.is_empty() {
        return f64::NAN;
    }
    let middle = values.len() / 2;
    let even = values.len().is_multiple_of(2);
    let (below, &mut upper, _) = values.select_nth_unstable_by(middle, f32::total_cmp);
    if even {
        let lower = below.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        (f64::from(lower) + f64::from(upper)) / 2.0
    } else {
        f64::from(upper)
    }
}

/// Median and 1.4826 times the median absolute deviation from it of `values`, which are overwritten.
pub(super) fn median_and_sigma(values: &mut [f32]) -> (f64, f64) {
    let median = median_in_place(values);
    values.iter_mut().for_each(|v| *v = (f64::from(*v) - median).abs() as f32);
    (median, SIGMA_PER_MAD * median_in_place(values))
}

/// The part of a window of `side` pixels around `position` that lies inside an axis of `size` pixels: offsets
/// -(side/2) ... side-1-(side/2).
pub(super) fn window(position: usize, side: usize, size: usize) -> std::ops::Range<usize> {
    position.saturating_sub(side / 2)..size.min(position + side - side / 2)
}

/// Median and 1.4826 MADFM in boxes around grid positions 0, step, 2 step, ... and the last pixel.
pub(super) fn on_grid(image: ArrayView2<'_, f32>, side: usize, step: usize) -> (Grid, Grid) {
    let (ny, nx) = image.dim();
    let positions = |size: usize| (0..size - 1).step_by(step).chain([size - 1]).collect::<Vec<_>>();
    let (ys, xs) = (positions(ny), positions(nx));
    let values: Vec<(f64, f64)> = (0..ys.len() * xs.len())
        .into_par_iter()
        .map_init(Vec::new, |scratch: &mut Vec<f32>, i| {
            let (y, x) = (ys[i / xs.len()], xs[i % xs.len()]);
            scratch.clear();
            for row in image.slice(s![window(y, side, ny), window(x, side, nx)]).rows() {
                scratch.extend(row.iter().copied().filter(|v| v.is_finite()));
            }
            median_and_sigma(scratch)
        })
        .collect();
    let grid = |pick: fn(&(f64, f64)) -> f64| Grid {
        ys: ys.clone(),
        xs: xs.clone(),
        values: Array2::from_shape_vec((ys.len(), xs.len()), values.iter().map(pick).collect())
            .expect("one value a grid position"),
    };
    (grid(|v| v.0), grid(|v| v.1))
}

/// Rows of output that share one sorting of their pixels, at least.
const LEAST_BAND: usize = 32;

/// Median and 1.4826 MADFM in the box around every pixel.
///
/// Bands of rows are sorted once, so that a pixel is its rank. The box slides along a row as a set of ranks with
/// counts in two levels; adding or removing a pixel costs three additions, finding the k-th a short scan, and the
/// median deviation is a selection from the two sorted halves beside the median. O(pixels x side).
pub(super) fn exact(image: ArrayView2<'_, f32>, side: usize) -> NoiseMaps {
    let (ny, nx) = image.dim();
    let band = side.max(LEAST_BAND);
    let mut background = Array2::zeros((ny, nx));
    let mut rms = Array2::zeros((ny, nx));
    background
        .axis_chunks_iter_mut(Axis(0), band)
        .into_par_iter()
        .zip(rms.axis_chunks_iter_mut(Axis(0), band))
        .enumerate()
        .for_each(|(i, (mut background, mut rms))| {
            let y0 = i * band;
            let top = window(y0, side, ny).start;
            let bottom = window(y0 + background.nrows() - 1, side, ny).end;
            let (values, ranks) = ranked(image.slice(s![top..bottom, ..]));
            let mut set = RankSet::new(values.len());
            for j in 0..background.nrows() {
                let ys = window(y0 + j, side, ny);
                let rows = ranks.slice(s![ys.start - top..ys.end - top, ..]);
                set.clear();
                let mut inside = 0..0;
                for x in 0..nx {
                    let xs = window(x, side, nx);
                    for column in inside.end..xs.end {
                        rows.column(column).iter().filter(|&&r| r != NO_RANK).for_each(|&r| set.insert(r));
                    }
                    for column in inside.start..xs.start {
                        rows.column(column).iter().filter(|&&r| r != NO_RANK).for_each(|&r| set.remove(r));
                    }
                    inside = xs;
                    let (median, deviation) = if image[[y0 + j, x]].is_finite() {
                        set.median_and_deviation(&values)
                    } else {
                        (f64::NAN, f64::NAN)
                    };
                    background[[j, x]] = median as f32;
                    rms[[j, x]] = (SIGMA_PER_MAD * deviation) as f32;
                }
            }
        });
    NoiseMaps { background, rms }
}

/// Rank of a pixel without data.
const NO_RANK: u32 = u32::MAX;

/// The finite pixels in ascending order, and the place of each pixel in that order.
fn ranked(pixels: ArrayView2<'_, f32>) -> (Vec<f32>, Array2<u32>) {
    let mut order: Vec<(f32, u32)> =
        pixels.iter().enumerate().filter(|(_, v)| v.is_finite()).map(|(i, &v)| (v, i as u32)).collect();
    order.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let mut ranks = vec![NO_RANK; pixels.len()];
    for (rank, &(_, i)) in order.iter().enumerate() {
        ranks[i as usize] = rank as u32;
    }
    let values = order.into_iter().map(|(v, _)| v).collect();
    (values, Array2::from_shape_vec(pixels.dim(), ranks).expect("one rank a pixel"))
}

/// A set of ranks that knows its k-th member.
struct RankSet {
    words: Vec<u64>,
    /// Members in each group of 16 words, and of 256.
    groups: [Vec<u32>; 2],
    count: usize,
}

impl RankSet {
    const WORD: usize = 64;
    const FAN: usize = 16;

    fn new(ranks: usize) -> Self {
        let words = ranks.div_ceil(Self::WORD);
        let groups = words.div_ceil(Self::FAN);
        Self { words: vec![0; words], groups: [vec![0; groups], vec![0; groups.div_ceil(Self::FAN)]], count: 0 }
    }

    fn clear(&mut self) {
        self.words.fill(0);
        self.groups.iter_mut().for_each(|g| g.fill(0));
        self.count = 0;
    }

    fn insert(&mut self, rank: u32) {
        let word = rank as usize / Self::WORD;
        self.words[word] |= 1 << (rank as usize % Self::WORD);
        self.groups[0][word / Self::FAN] += 1;
        self.groups[1][word / Self::FAN / Self::FAN] += 1;
        self.count += 1;
    }

    fn remove(&mut self, rank: u32) {
        let word = rank as usize / Self::WORD;
        self.words[word] &= !(1 << (rank as usize % Self::WORD));
        self.groups[0][word / Self::FAN] -= 1;
        self.groups[1][word / Self::FAN / Self::FAN] -= 1;
        self.count -= 1;
    }

    /// The `k`-th member from below, from 0.
    fn select(&self, k: usize) -> usize {
        let mut left = k as u32;
        let mut place = 0;
        for level in [1, 0] {
            place *= if level == 1 { 1 } else { Self::FAN };
            while self.groups[level][place] <= left {
                left -= self.groups[level][place];
                place += 1;
            }
        }
        place *= Self::FAN;
        while self.words[place].count_ones() <= left {
            left -= self.words[place].count_ones();
            place += 1;
        }
        let mut word = self.words[place];
        for _ in 0..left {
            word &= word - 1;
        }
        place * Self::WORD + word.trailing_zeros() as usize
    }

    /// Median of the members' values, and median deviation from it; the mean of the middle two of an even number.
    fn median_and_deviation(&self, values: &[f32]) -> (f64, f64) {
        let n = self.count;
        if n == 0 {
            return (f64::NAN, f64::NAN);
        }
        let value = |k: usize| f64::from(values[self.select(k)]);
        let half = n / 2;
        let median = if n % 2 == 1 { value(half) } else { (value(half - 1) + value(half)) / 2.0 };
        // Deviations below and above the median, each ascending; as float32, like those of the grid.
        let below = |i: usize| f64::from((median - value(half - 1 - i)).abs() as f32);
        let above = |j: usize| f64::from((value(half + j) - median).abs() as f32);
        // How many of the `half + 1` least deviations are below: the first i for which the next one is not needed.
        let wanted = half + 1;
        let (mut low, mut high) = (wanted.saturating_sub(n - half), half);
        while low < high {
            let i = (low + high) / 2;
            if below(i) < above(wanted - i - 1) {
                low = i + 1;
            } else {
                high = i;
            }
        }
        let (i, j) = (low, wanted - low);
        let mut last = [f64::NEG_INFINITY; 4];
        last[..2].iter_mut().zip((0..i).rev()).for_each(|(d, i)| *d = below(i));
        last[2..].iter_mut().zip((0..j).rev()).for_each(|(d, j)| *d = above(j));
        last.sort_unstable_by(f64::total_cmp);
        (median, if n % 2 == 1 { last[3] } else { (last[2] + last[3]) / 2.0 })
    }
}
