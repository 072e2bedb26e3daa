//! Number of pixels in the box around each pixel that satisfy a condition.

use super::bitmask::{BitMask, WORD};
use super::rows::{bands, split_rows};
use multiversion::multiversion;
use ndarray::{Array2, ArrayView2};
use rayon::prelude::*;

/// Counts the pixels for which `counted` is true in the `box_size` x `box_size` pixels around each pixel.
///
/// The window is that of [`super::rolling_minimum`]; nothing outside the image is counted. By running sums of whole
/// numbers: exact, and O(pixels) whatever the box.
///
/// ```text
/// # . .     box 3     2 2 1
/// . # .    ------>    2 3 2
/// . . #               1 2 2
/// ```
///
/// # Panics
/// When `box_size` is 0.
pub fn box_count<T: Sync>(
    image: ArrayView2<'_, T>,
    box_size: usize,
    counted: impl Fn(&T) -> bool + Sync,
) -> Array2<u32> {
    assert!(box_size > 0, "a box has at least one pixel");
    let (ny, nx) = image.dim();
    let mut out = Array2::zeros((ny, nx));
    if nx == 0 || ny == 0 {
        return out;
    }
    let bands = bands(ny);
    split_rows(&mut out, &bands).into_par_iter().zip(&bands).for_each(|(part, &(first, _))| {
        let mut rows = CountRows::new(Counted { image, counted: &counted }, box_size, first);
        part.chunks_exact_mut(nx).for_each(|row| rows.next_row(row));
    });
    out
}

/// Pixels that are counted or not.
pub(crate) trait Countable {
    /// `(ny, nx)`.
    fn dim(&self) -> (usize, usize);
    /// Adds one to each column that is counted in the row that enters, and takes one off for the row that leaves.
    fn exchange(&self, enters: Option<usize>, leaves: Option<usize>, columns: &mut [u32]);
}

/// The pixels of an image that satisfy a condition.
struct Counted<'a, T, F> {
    /// The image, `[y, x]`.
    image: ArrayView2<'a, T>,
    /// The condition.
    counted: F,
}

impl<T, F: Fn(&T) -> bool> Countable for Counted<'_, T, F> {
    fn dim(&self) -> (usize, usize) {
        self.image.dim()
    }

    fn exchange(&self, enters: Option<usize>, leaves: Option<usize>, columns: &mut [u32]) {
        let counted = &self.counted;
        // Subtracting one is adding its two's complement.
        let plus = |count: &mut u32, value: &T| *count = count.wrapping_add(u32::from(counted(value)));
        let minus = |count: &mut u32, value: &T| *count = count.wrapping_sub(u32::from(counted(value)));
        let row = |y: usize| self.image.row(y).to_slice();
        match (enters.map(row), leaves.map(row)) {
            (Some(Some(new)), Some(Some(old))) => exchange_each(new, old, columns, counted),
            (Some(Some(new)), None) => add_each(new, columns, plus),
            (None, Some(Some(old))) => add_each(old, columns, minus),
            _ => {
                enters.iter().for_each(|&y| columns.iter_mut().zip(self.image.row(y)).for_each(|(c, v)| plus(c, v)));
                leaves.iter().for_each(|&y| columns.iter_mut().zip(self.image.row(y)).for_each(|(c, v)| minus(c, v)));
            }
        }
    }
}

impl Countable for &BitMask {
    fn dim(&self) -> (usize, usize) {
        BitMask::dim(self)
    }

    fn exchange(&self, enters: Option<usize>, leaves: Option<usize>, columns: &mut [u32]) {
        let row = |y: usize| BitMask::row(self, y);
        match (enters.map(row), leaves.map(row)) {
            (Some(new), Some(old)) => add_bits(new, columns, Some(old)),
            (Some(new), None) => add_bits(new, columns, None),
            (None, Some(old)) => subtract_bits(old, columns),
            (None, None) => {}
        }
    }
}

/// The bits of half a word, one by one.
#[inline(always)]
fn bit_of(word: u64, place: usize) -> u32 {
    ((word >> (place & 32)) as u32 >> (place & 31)) & 1
}

/// Adds the bits of a row to the counts of its pixels, and takes those of another off.
#[multiversion(targets("x86_64+avx2"))]
fn add_bits(new: &[u64], counts: &mut [u32], old: Option<&[u64]>) {
    for (i, (counts, &new)) in counts.chunks_mut(WORD).zip(new).enumerate() {
        let old = old.map_or(0, |old| old[i]);
        for (half, counts) in counts.chunks_mut(WORD / 2).enumerate() {
            for (bit, count) in counts.iter_mut().enumerate() {
                let place = half * (WORD / 2) + bit;
                *count = count.wrapping_add(bit_of(new, place)).wrapping_sub(bit_of(old, place));
            }
        }
    }
}

/// Takes the bits of a row off the counts of its pixels.
fn subtract_bits(old: &[u64], counts: &mut [u32]) {
    for (x, count) in counts.iter_mut().enumerate() {
        *count -= bit_of(old[x / WORD], x % WORD);
    }
}

/// Number of pixels in the box around each pixel that are counted, row by row; see [`box_count`].
pub(crate) struct CountRows<C> {
    pixels: C,
    box_size: usize,
    next: usize,
    columns: Vec<u32>,
    sums: Vec<u32>,
}

impl<C: Countable> CountRows<C> {
    /// Counts of rows `first`, `first + 1`, ...
    pub(crate) fn new(pixels: C, box_size: usize, first: usize) -> Self {
        assert!(box_size > 0, "a box has at least one pixel");
        let (ny, nx) = pixels.dim();
        let mut columns = vec![0; nx];
        // The box of the row before the first, without the row that the first call adds.
        let (before, after) = (box_size / 2, box_size - 1 - box_size / 2);
        for y in first.saturating_sub(before + 1)..(first + after).min(ny) {
            pixels.exchange(Some(y), None, &mut columns);
        }
        Self { pixels, box_size, next: first, columns, sums: vec![0; nx + 1] }
    }

    /// Writes the counts of the next row.
    pub(crate) fn next_row(&mut self, out: &mut [u32]) {
        let (ny, nx) = self.pixels.dim();
        let (before, after) = (self.box_size / 2, self.box_size - 1 - self.box_size / 2);
        let y = self.next;
        self.next += 1;
        let (enters, leaves) = (Some(y + after).filter(|&y| y < ny), (y > before).then(|| y - before - 1));
        self.pixels.exchange(enters, leaves, &mut self.columns);
        let mut sum = 0u32;
        for (s, &c) in self.sums[1..].iter_mut().zip(&self.columns) {
            sum += c;
            *s = sum;
        }
        // Columns x - before ..= x + after, cut at the image's sides: only pixels near them need care.
        let sums = &self.sums;
        let near = |x: usize| sums[(x + after + 1).min(nx)] - sums[x.saturating_sub(before)];
        let (left, right) = (before.min(nx), nx.saturating_sub(after).max(before.min(nx)));
        for x in (0..left).chain(right..nx) {
            out[x] = near(x);
        }
        if left < right {
            let ends = &sums[left + after + 1..right + after + 1];
            let (out, starts) = (&mut out[left..right], &sums[left - before..]);
            differences(ends, starts, out);
        }
    }
}

/// Changes each count as its pixel says.
#[multiversion(targets("x86_64+avx2"))]
fn add_each<T>(row: &[T], counts: &mut [u32], add: impl Fn(&mut u32, &T)) {
    counts.iter_mut().zip(row).for_each(|(c, v)| add(c, v));
}

/// Adds one to the count of each pixel that is counted in the new row, and takes one off for the old row.
#[multiversion(targets("x86_64+avx2"))]
fn exchange_each<T>(new: &[T], old: &[T], counts: &mut [u32], counted: impl Fn(&T) -> bool) {
    for ((count, new), old) in counts.iter_mut().zip(new).zip(old) {
        *count = count.wrapping_add(u32::from(counted(new))).wrapping_sub(u32::from(counted(old)));
    }
}

/// `ends - starts`, one by one.
#[multiversion(targets("x86_64+avx2"))]
fn differences(ends: &[u32], starts: &[u32], out: &mut [u32]) {
    out.iter_mut().zip(ends).zip(starts).for_each(|((o, &end), &start)| *o = end - start);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::picture::{any, mask};
    use ndarray::array;
    use proptest::prelude::*;

    #[test]
    fn a_box_of_three() {
        let diagonal = mask(&["#..", ".#.", "..#"]);
        assert_eq!(box_count(diagonal.view(), 3, |&b| b), array![[2, 2, 1], [2, 3, 2], [1, 2, 2]]);
    }

    proptest! {
        #[test]
        fn equals_the_definition(mask in any::mask(), n in 1usize..50, threads in 1usize..5) {
            let (ny, nx) = mask.dim();
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let counts = pool.install(|| box_count(mask.view(), n, |&b| b));
            for ((y, x), &count) in counts.indexed_iter() {
                let rows = y.saturating_sub(n / 2)..(y + n - n / 2).min(ny);
                let expected: u32 = rows
                    .flat_map(|j| (x.saturating_sub(n / 2)..(x + n - n / 2).min(nx)).map(move |i| (j, i)))
                    .map(|p| u32::from(mask[p]))
                    .sum();
                prop_assert_eq!(count, expected);
            }
        }
    }
}
