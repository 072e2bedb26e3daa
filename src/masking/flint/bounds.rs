//! Minima of boxes from the minima of blocks of rows.
//!
//! Blocks of rows that lie within the boxes of all pixels of a block, and those that touch any of these boxes, bound the
//! minima of the boxes from above and from below. That settles nearly every comparison with a pixel; the others take the
//! minimum of their own box, and look at the pixels of a block only where it holds something lower.

use crate::kernels::bitmask::WORD;
use crate::kernels::rows::{Least, RowStream, extremum_around, pick_into};
use multiversion::multiversion;
use std::ops::Range;

/// A box has at least the rows of so many blocks: bounds that lie too far apart settle too little.
const BLOCKS_IN_A_BOX: usize = 6;
/// Most rows of a block.
const LARGEST_BLOCK: usize = 16;

/// A box of an image that repeats beyond its edges, no larger than the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BoxSize {
    rows: usize,
    columns: usize,
}

impl BoxSize {
    /// A box of `side` pixels of an image of `(ny, nx)`: as large as the image, it sees all of it.
    pub(super) fn new(side: usize, (ny, nx): (usize, usize)) -> Self {
        Self { rows: side.min(ny), columns: side.min(nx) }
    }

    /// Rows above the middle.
    pub(super) fn above(self) -> usize {
        self.rows / 2
    }

    /// Rows of a block, a power of two.
    pub(super) fn block(self) -> usize {
        1 << (self.rows / BLOCKS_IN_A_BOX).clamp(1, LARGEST_BLOCK).ilog2()
    }
}

/// The last rows of an image, as they came, counted from the first that came.
pub(super) struct LastRows<S> {
    source: S,
    nx: usize,
    /// A ring of rows, each as long as whole words, with NaN beyond the image.
    ring: Vec<f32>,
    /// Rows that came.
    taken: usize,
}

impl<S: RowStream> LastRows<S> {
    /// Nothing came yet of rows of `nx` pixels; the last `rows` are kept.
    pub(super) fn new(source: S, rows: usize, nx: usize) -> Self {
        let stride = nx.next_multiple_of(WORD);
        let mut ring = vec![0.0; rows * stride];
        ring.chunks_exact_mut(stride).for_each(|row| row[nx..].fill(f32::NAN));
        Self { source, nx, ring, taken: 0 }
    }

    /// Rows that came.
    pub(super) fn taken(&self) -> usize {
        self.taken
    }

    /// Takes the next row.
    pub(super) fn take(&mut self) {
        let start = self.start(self.taken);
        self.source.next_row(&mut self.ring[start..start + self.nx]);
        self.taken += 1;
    }

    /// The pixels of a row, and NaN up to a whole word.
    pub(super) fn row(&self, y: usize) -> &[f32] {
        let start = self.start(y);
        &self.ring[start..start + self.stride()]
    }

    fn stride(&self) -> usize {
        self.nx.next_multiple_of(WORD)
    }

    fn start(&self, y: usize) -> usize {
        y % (self.ring.len() / self.stride()) * self.stride()
    }
}

/// The columns from one on, of an image that repeats, as columns of the image.
fn parts_of_columns(first: isize, count: usize, nx: usize) -> impl Iterator<Item = Range<usize>> {
    let first = first.rem_euclid(nx as isize) as usize;
    let end = (first + count).min(nx);
    [first..end, 0..first + count - end].into_iter().filter(|part| !part.is_empty())
}

/// The blocks within the boxes of all rows of a block, and those that any of these boxes touches, from the block on.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Blocks {
    within: Range<usize>,
    touched: Range<usize>,
}

impl Blocks {
    /// `first` is where the box of the block's first row begins, from the block on, in rows; boxes have `count` rows.
    fn new(first: usize, count: usize, block: usize) -> Self {
        let end = first + count;
        Self {
            within: (first + block - 1).div_ceil(block)..end / block,
            touched: first / block..(end + block - 1).div_ceil(block),
        }
    }

    /// The blocks that are touched, but are not within.
    fn others(&self) -> impl Iterator<Item = usize> {
        let Range { start, end } = self.within.clone();
        self.touched.clone().filter(move |n| *n < start || *n >= end)
    }
}

/// Bounds of the magnitudes of the minima of the boxes around the pixels of a block of rows.
pub(super) struct Bounds {
    size: BoxSize,
    /// Rows of a block.
    block: usize,
    /// From that of the boxes' first row on.
    rows: Blocks,
    nx: usize,
    /// Minima of the boxes' columns in each block: a ring of rows.
    minima: Vec<f32>,
    /// The next block that is taken.
    taken: usize,
    /// The block that is looked at.
    number: usize,
    /// Minima of the blocks within, and of those that are touched, for each pixel of a row.
    within: Vec<f32>,
    touched: Vec<f32>,
    /// Magnitudes, and NaN up to a whole word.
    least: Vec<f32>,
    most: Vec<f32>,
    /// Minima of columns, beyond the edges, too.
    padded: [Vec<f32>; 2],
}

impl Bounds {
    /// Bounds for boxes of `size` of an image with rows of `nx` pixels, which come after `above` others.
    pub(super) fn new(size: BoxSize, above: usize, nx: usize) -> Self {
        let block = size.block();
        let rows = Blocks::new(above - size.above(), size.rows, block);
        let words = vec![f32::NAN; nx.next_multiple_of(WORD)];
        Self {
            size,
            block,
            nx,
            minima: vec![0.0; rows.touched.len() * nx],
            taken: rows.touched.start,
            rows,
            number: 0,
            within: vec![0.0; nx],
            touched: vec![0.0; nx],
            least: words.clone(),
            most: words,
            padded: std::array::from_fn(|_| vec![0.0; nx + size.columns]),
        }
    }

    /// Each minimum's magnitude is at least this.
    pub(super) fn least(&self) -> &[f32] {
        &self.least
    }

    /// Each minimum's magnitude is at most this.
    pub(super) fn most(&self) -> &[f32] {
        &self.most
    }

    /// The number of a block that begins with this row of the image; `None` inside of one.
    pub(super) fn begins(&self, y: usize) -> Option<usize> {
        y.is_multiple_of(self.block).then(|| y / self.block)
    }

    /// Rows that must have come for a block.
    pub(super) fn rows_for(&self, number: usize) -> usize {
        (number + self.rows.touched.end) * self.block
    }

    /// Takes the next block.
    fn take<S: RowStream>(&mut self, rows: &LastRows<S>) {
        let first = self.taken * self.block;
        let (before, nx) = (self.size.columns / 2, self.nx);
        let [padded, other] = &mut self.padded;
        let middle = &mut padded[before..before + nx];
        least_of_rows(middle, first..first + self.block, |y| rows.row(y));
        let place = self.taken % self.rows.touched.len() * nx;
        extremum_around::<Least>(padded, other, self.size.columns, &mut self.minima[place..place + nx]);
        self.taken += 1;
    }

    /// Minima of the boxes' columns in a block.
    fn minima(&self, block: usize) -> &[f32] {
        let place = block % self.rows.touched.len() * self.nx;
        &self.minima[place..place + self.nx]
    }

    /// Finds the bounds of a block of the image, whose [rows](Self::rows_for) must have come. Blocks come in order.
    pub(super) fn find<S: RowStream>(&mut self, rows: &LastRows<S>, number: usize) {
        while self.taken < number + self.rows.touched.end {
            self.take(rows);
        }
        self.number = number;
        let mut within = std::mem::take(&mut self.within);
        let mut touched = std::mem::take(&mut self.touched);
        least_of_rows(&mut within, self.rows.within.clone(), |n| self.minima(number + n));
        touched.copy_from_slice(&within);
        self.rows.others().for_each(|n| pick_into::<Least>(&mut touched, self.minima(number + n)));
        magnitudes(&within, &touched, (&mut self.least[..self.nx], &mut self.most[..self.nx]));
        (self.within, self.touched) = (within, touched);
    }

    /// What follows from the minimum of the box around a pixel of the block that was looked at last: `y` from the first row
    /// that came on. The minimum is infinity where the box holds no data. Each thing that `of` says changes once, if ever, as the
    /// magnitude grows.
    pub(super) fn decide<S: RowStream, D: PartialEq>(
        &self,
        rows: &LastRows<S>,
        (y, x): (usize, usize),
        of: impl Fn(f32) -> D,
    ) -> D {
        let top = y - self.size.above();
        let first = x as isize - (self.size.columns / 2) as isize;
        let mut least = self.within[x];
        // Between two negative numbers magnitudes have an order: nothing lies between two minima that say the same.
        let says_the_same = |lower: f32, least: f32| lower >= least || least <= 0.0 && of(lower) == of(least);
        for block in self.rows.others().map(|n| self.number + n) {
            let lower = self.minima(block)[x];
            // Of the block only the rows in the box count.
            let part = (block * self.block).max(top)..((block + 1) * self.block).min(top + self.size.rows);
            for y in part {
                if says_the_same(lower, least) {
                    break;
                }
                for columns in parts_of_columns(first, self.size.columns, self.nx) {
                    least = least.min(least_of(&rows.row(y)[columns]));
                }
            }
        }
        of(least)
    }
}

/// Bounds of the magnitudes of minima that are at most `within` and at least `touched`. Infinity is no data.
#[multiversion(targets("x86_64+avx2"))]
fn magnitudes(within: &[f32], touched: &[f32], (least, most): (&mut [f32], &mut [f32])) {
    for (((&within, &touched), least), most) in within.iter().zip(touched).zip(least).zip(most) {
        *least = if touched > 0.0 { touched } else { (-within).max(0.0) };
        *most = within.abs().max(touched.abs());
    }
}

/// The least of each column of some rows, infinity where all are NaN; four rows at a time, so that it stays in a register.
fn least_of_rows<'a>(least: &mut [f32], rows: Range<usize>, row: impl Fn(usize) -> &'a [f32]) {
    least.fill(f32::INFINITY);
    for first in rows.clone().step_by(4) {
        if first + 4 <= rows.end {
            lower(least, std::array::from_fn::<_, 4, _>(|n| row(first + n)));
        } else {
            (first..rows.end).for_each(|n| lower(least, [row(n)]));
        }
    }
}

#[multiversion(targets("x86_64+avx2"))]
fn lower<const N: usize>(least: &mut [f32], rows: [&[f32]; N]) {
    let rows = rows.map(|row| &row[..least.len()]);
    for (x, least) in least.iter_mut().enumerate() {
        *least = rows.iter().fold(*least, |least, row| least.min(row[x]));
    }
}

/// Running minima side by side.
const LANES: usize = 8;

/// The least of some numbers; infinity where there are none.
#[multiversion(targets("x86_64+avx2"))]
fn least_of(row: &[f32]) -> f32 {
    // Lanes keep the compiler's hands free: a minimum of floats is not associative to it.
    let mut least = [f32::INFINITY; LANES];
    let chunks = row.chunks_exact(LANES);
    let rest = chunks.remainder();
    chunks.for_each(|chunk| least.iter_mut().zip(chunk).for_each(|(least, v)| *least = least.min(*v)));
    least.iter().chain(rest).fold(f32::INFINITY, |least, v| least.min(*v))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::rolling_minimum;
    use crate::kernels::rows::RowsFrom;
    use ndarray::Array2;
    use proptest::prelude::*;

    /// Noise with some pixels without data.
    fn image(ny: usize, nx: usize, seed: u32) -> Array2<f32> {
        let mut state = seed;
        Array2::from_shape_fn((ny, nx), |_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            if state >> 28 == 0 { f32::NAN } else { (state >> 8) as f32 / 65536.0 - 100.0 }
        })
    }

    #[test]
    fn blocks_within_the_boxes_and_touched_by_them() {
        // Blocks of four, boxes of 13 rows from the second on: those of rows 0 to 3 have 5 to 14 in common, and touch 2 to 17.
        let blocks = Blocks::new(2, 13, 4);
        assert_eq!((&blocks.within, &blocks.touched), (&(2..3), &(0..5)));
        assert_eq!(blocks.others().collect::<Vec<_>>(), [0, 1, 3, 4]);
        let pixels = Blocks::new(0, 3, 1);
        assert_eq!((pixels.within, pixels.touched), (0..3, 0..3), "single rows: the box itself");
    }

    #[test]
    fn several_blocks_fit_into_a_box() {
        let blocks = [1, 11, 12, 31, 75, 400, 4000].map(|side| BoxSize::new(side, (4096, 4096)).block());
        assert_eq!(blocks, [1, 1, 2, 4, 8, 16, 16]);
        assert_eq!(BoxSize::new(75, (30, 4096)).block(), 4, "a box is no larger than the image");
    }

    #[test]
    fn magnitudes_of_minima_between_two_values() {
        let of = |within: f32, touched: f32| {
            let (mut least, mut most) = ([0.0], [0.0]);
            magnitudes(&[within], &[touched], (&mut least, &mut most));
            (least[0], most[0])
        };
        assert_eq!(of(-2.0, -3.0), (2.0, 3.0));
        assert_eq!(of(3.0, 2.0), (2.0, 3.0));
        assert_eq!(of(1.0, -3.0), (0.0, 3.0), "it may be anything between");
        assert_eq!(of(f32::INFINITY, -3.0), (0.0, f32::INFINITY), "no data within, but some beyond");
        assert_eq!(of(f32::INFINITY, f32::INFINITY), (f32::INFINITY, f32::INFINITY), "no data");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn minima_lie_between_their_bounds_and_are_those_of_the_box(
            (ny, nx) in (1usize..90, 1usize..150), side in 1usize..120, further in 0usize..40, seed: u32, first in 0usize..90,
        ) {
            let (image, first) = (image(ny, nx, seed), first % ny);
            let minima = rolling_minimum(image.view(), side);
            let size = BoxSize::new(side, (ny, nx));
            // Other boxes may reach further up.
            let above = size.above() + further;
            let view = image.view();
            let source = RowsFrom { image: &view, next: first as isize - above as isize, nan: f32::NAN };
            let mut bounds = Bounds::new(size, above, nx);
            let mut rows = LastRows::new(source, bounds.rows_for(1), nx);
            for y in 0..2 * size.block() + 1 {
                if let Some(number) = bounds.begins(y) {
                    while rows.taken() < bounds.rows_for(number) {
                        rows.take();
                    }
                    bounds.find(&rows, number);
                }
                for x in 0..nx {
                    let minimum = minima[[(first + y) % ny, x]];
                    let expected = if minimum.is_nan() { f32::INFINITY } else { minimum };
                    prop_assert_eq!(bounds.decide(&rows, (above + y, x), |m| m.to_bits()), expected.to_bits(), "{} {}", y, x);
                    let exceeds = |m: f32| [0.0, 0.3, 1.0].map(|factor| 40.0 > factor * m.abs());
                    prop_assert_eq!(bounds.decide(&rows, (above + y, x), exceeds), exceeds(expected), "{} {}", y, x);
                    prop_assert!(bounds.least()[x] <= expected.abs() && expected.abs() <= bounds.most()[x], "{} {}", y, x);
                }
                let beyond = bounds.least()[nx..].iter().chain(&bounds.most()[nx..]).chain(&rows.row(y)[nx..]);
                prop_assert!(beyond.copied().all(f32::is_nan));
            }
        }
    }
}
