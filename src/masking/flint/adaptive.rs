//! Minima of boxes that are enlarged where positive emission fills them.
//!
//! A window of twice the box is covered by four boxes, one of four times by sixteen: where larger windows are asked for,
//! their minima come from those of the smallest box, which are computed once.

use crate::kernels::bitmask::{BitMask, pack_row};
use crate::kernels::box_count::CountRows;
use crate::kernels::rows::{Extremum, ImageRows, Least, Outside, RollingRows, RowStream, bands, split_rows};
use multiversion::multiversion;
use ndarray::{Array2, ArrayView2};
use rayon::prelude::*;

/// A box around which positive and negative pixels balance has this fraction of positive ones.
const BALANCED_FRACTION: f64 = 0.5;
/// Columns that are worked on together: their part of as many rows as a large window has stays in a core's cache.
const STRIP: usize = 512;

/// The minimum of the box around each pixel, with boxes enlarged where they hold too many positive pixels.
pub(super) struct AdaptiveMinima {
    /// Those of the smallest box, `[y, x]`; infinity where a box holds no data.
    smallest: Array2<f32>,
    /// Larger windows, each with the pixels that it is for.
    windows: Vec<(BitMask, Window)>,
}

/// A window as boxes that cover it: how far the centres of the boxes are from its own, pixels.
struct Window {
    rows: Vec<isize>,
    columns: Vec<isize>,
}

impl Window {
    /// A window of `side` pixels of an image of `(ny, nx)` that repeats, covered by boxes of `box_size`, which are no larger
    /// than window and image.
    fn new(side: usize, box_size: usize, (ny, nx): (usize, usize)) -> Self {
        let along = |n: usize| {
            // As large as the image, it sees all of it.
            let side = side.min(n) as isize;
            let half = box_size as isize / 2;
            let (first, last) = (half - side / 2, side - side / 2 - box_size as isize + half);
            let mut centres: Vec<isize> = (first..last).step_by(box_size).collect();
            centres.push(last);
            centres
        };
        Self { rows: along(ny), columns: along(nx) }
    }
}

/// How boxes are enlarged.
pub(super) struct Enlargement {
    /// At most so often.
    pub(super) most: usize,
    /// By this factor each time.
    pub(super) factor: f64,
    /// Where the fraction of positive pixels exceeds 0.5 + this.
    pub(super) skew: f64,
}

impl AdaptiveMinima {
    /// The minima of boxes of `box_size` pixels of an image in standard order, `[y, x]`, enlarged where they must be.
    pub(super) fn new(image: ArrayView2<'_, f32>, box_size: usize, how: &Enlargement) -> Self {
        let (ny, nx) = image.dim();
        let bands = bands(ny);
        let (mut smallest, mut positive) = (Array2::zeros((ny, nx)), BitMask::new(ny, nx));
        let stride = positive.stride();
        let parts = split_rows(&mut smallest, &bands).into_par_iter().zip(positive.split_rows(&bands));
        parts.zip(&bands).for_each(|((part, words), &(first, _))| {
            let mut stream = minimum_rows(image, box_size, first);
            let rows = part.chunks_exact_mut(nx).zip(words.chunks_exact_mut(stride));
            for (y, (row, words)) in (first..).zip(rows) {
                stream.next_row(row);
                pack_row(image.row(y).to_slice().expect("standard order"), words, |v| v > 0.0);
            }
        });
        let mut windows: Vec<(BitMask, Window)> = Vec::new();
        let mut side = box_size;
        for _ in 0..how.most {
            if side > ny || side > nx {
                break;
            }
            let skewed = skewed_boxes(&positive, side, how.skew);
            if skewed.is_empty() {
                break;
            }
            side = (side as f64 * how.factor) as usize;
            // The last window that is asked for counts.
            let others = skewed.inverted();
            windows.iter_mut().for_each(|(pixels, _)| pixels.and_with(&others));
            windows.push((skewed, Window::new(side, box_size, (ny, nx))));
        }
        Self { smallest, windows }
    }

    /// Calls `visit(y, x, minima)` for strips of the rows `first .. first + count`: `minima` are those of row `y` from
    /// column `x` on. Strips begin at multiples of 64 columns; each follows the same one of the row above.
    pub(super) fn for_strips(&self, (first, count): (usize, usize), mut visit: impl FnMut(usize, usize, &[f32])) {
        let nx = self.smallest.ncols();
        let mut scratch = Vec::new();
        let mut minima = [0f32; STRIP];
        for x in (0..nx).step_by(STRIP) {
            let minima = &mut minima[..STRIP.min(nx - x)];
            for y in first..first + count {
                let row = self.smallest.row(y).to_slice().expect("standard order");
                minima.copy_from_slice(&row[x..x + minima.len()]);
                for (pixels, window) in &self.windows {
                    self.enlarge(pixels, window, (y, x), minima, &mut scratch);
                }
                visit(y, x, minima);
            }
        }
    }

    /// Puts the minima of a window in the place of others, where it is asked for.
    fn enlarge(
        &self,
        pixels: &BitMask,
        window: &Window,
        (y, x): (usize, usize),
        minima: &mut [f32],
        scratch: &mut Vec<f32>,
    ) {
        let (mut start, mut end) = (usize::MAX, 0);
        pixels.for_each_run_of(y, x..x + minima.len(), |x0, x1| (start, end) = (start.min(x0), end.max(x1)));
        if start >= end {
            return;
        }
        let (ny, nx) = self.smallest.dim();
        let (left, right) = (window.columns[0], window.columns[window.columns.len() - 1]);
        // Minima of the columns of boxes, then of the boxes of a row.
        let wide = end - start + (right - left) as usize;
        scratch.clear();
        scratch.resize(wide + (end - start), f32::INFINITY);
        let (columns, found) = scratch.split_at_mut(wide);
        let rows = self.smallest.as_slice().expect("standard order");
        let row = |dy: &isize| &rows[(y as isize + dy).rem_euclid(ny as isize) as usize * nx..][..nx];
        let mut done = 0;
        while done < wide {
            let from = (start as isize + left + done as isize).rem_euclid(nx as isize) as usize;
            let n = (nx - from).min(wide - done);
            take_least(&mut columns[done..done + n], &window.rows, |dy| &row(dy)[from..from + n]);
            done += n;
        }
        take_least(found, &window.columns, |dx| &columns[(dx - left) as usize..][..end - start]);
        pixels.for_each_run_of(y, x..x + minima.len(), |x0, x1| {
            minima[x0 - x..x1 - x].copy_from_slice(&found[x0 - start..x1 - start]);
        });
    }
}

/// Rows of the rolling minimum from `first` on; boxes without data give infinity, which no pixel exceeds.
fn minimum_rows<'a>(image: ArrayView2<'a, f32>, box_size: usize, first: usize) -> RollingRows<ImageRows<'a>, Least> {
    let source = move |y| ImageRows::new(image, y, Least::NEUTRAL, Outside::Wrap);
    RollingRows::new(source, first as isize, image.dim(), (box_size, box_size))
}

/// The least of each pixel and those of some rows; four at a time, so that it stays in registers.
fn take_least<'a>(least: &mut [f32], offsets: &[isize], row: impl Fn(&isize) -> &'a [f32]) {
    let fours = offsets.chunks_exact(4);
    for one in fours.remainder() {
        take_least_of(least, [row(one)]);
    }
    for four in fours {
        take_least_of(least, [row(&four[0]), row(&four[1]), row(&four[2]), row(&four[3])]);
    }
}

#[multiversion(targets("x86_64+avx2"))]
fn take_least_of<const N: usize>(least: &mut [f32], rows: [&[f32]; N]) {
    let rows = rows.map(|row| &row[..least.len()]);
    for (x, least) in least.iter_mut().enumerate() {
        *least = rows.iter().fold(*least, |least, row| if row[x] < least { row[x] } else { least });
    }
}

/// The pixels in whose box more than 0.5 + `delta` of the pixels are positive.
fn skewed_boxes(positive: &BitMask, side: usize, delta: f64) -> BitMask {
    let (ny, nx) = positive.dim();
    let limit = least_skewed_count(side, delta);
    let mut skewed = BitMask::new(ny, nx);
    let (bands, stride) = (bands(ny), skewed.stride());
    skewed.split_rows(&bands).into_par_iter().zip(&bands).for_each(|(part, &(first, _))| {
        let mut counts = CountRows::new(positive, side, first);
        let mut row = vec![0u32; nx];
        for words in part.chunks_exact_mut(stride) {
            counts.next_row(&mut row);
            pack_row(&row, words, |count| count >= limit);
        }
    });
    skewed
}

/// The least count of positive pixels whose fraction of the box exceeds 0.5 + delta.
fn least_skewed_count(box_size: usize, delta: f64) -> u32 {
    let pixels = (box_size * box_size) as f64;
    let exceeds = |count: f64| count / pixels > BALANCED_FRACTION + delta;
    // The division rounds: settle the last step by the comparison itself.
    let mut count = ((BALANCED_FRACTION + delta) * pixels).floor() - 1.0;
    while !exceeds(count) {
        count += 1.0;
    }
    count as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_least_skewed_count_is_exact() {
        // 0.5 + 0.2 of 10 x 10 pixels: 70 does not exceed it, 71 does.
        assert_eq!(least_skewed_count(10, 0.2), 71);
        assert_eq!(least_skewed_count(1, 0.2), 1);
        assert_eq!(least_skewed_count(2, 0.49), 4);
    }

    proptest! {
        #[test]
        fn boxes_cover_a_window_and_nothing_else(box_size in 1usize..20, more in 0usize..60, n in 20usize..60) {
            let side = box_size + more;
            for (offsets, n) in [(Window::new(side, box_size, (n, 100)).rows, n), (Window::new(side, box_size, (100, n)).columns, n)] {
                let (size, wide) = (box_size as isize, side.min(n) as isize);
                let mut covered: Vec<isize> =
                    offsets.iter().flat_map(|c| c - size / 2..c + size - size / 2).collect();
                covered.sort_unstable();
                covered.dedup();
                prop_assert_eq!(covered, (-(wide / 2)..wide - wide / 2).collect::<Vec<_>>());
            }
        }
    }
}
