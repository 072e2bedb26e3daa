//! A plane of booleans, one bit per pixel, and its runs.
//!
//! ```text
//! . # # . #        runs of the row: [1, 3) and [4, 5)
//! ```

use super::rows::bands;
use super::runs::Run;
use multiversion::multiversion;
use ndarray::{Array2, ArrayView2};
use rayon::prelude::*;

/// Pixels in a machine word.
pub const WORD: usize = u64::BITS as usize;

/// A boolean plane, `[y, x]`, one bit per pixel; each row starts at a word. Bits beyond the row's end are zero.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BitMask {
    ny: usize,
    nx: usize,
    stride: usize,
    words: Vec<u64>,
}

impl BitMask {
    /// A plane of `ny` rows of `nx` pixels, all false.
    pub fn new(ny: usize, nx: usize) -> Self {
        let stride = nx.div_ceil(WORD);
        Self { ny, nx, stride, words: vec![0; ny * stride] }
    }

    /// A plane, all true.
    pub fn full(ny: usize, nx: usize) -> Self {
        let mut mask = Self::new(ny, nx);
        for y in 0..ny {
            set_range(mask.row_mut(y), 0, nx);
        }
        mask
    }

    /// True where `keep` is true of the pixel of a row-major plane.
    ///
    /// # Panics
    /// When the plane has another length than `ny * nx`.
    pub fn from_plane<T: Copy>(ny: usize, nx: usize, plane: &[T], keep: impl Fn(T) -> bool) -> Self {
        assert_eq!(plane.len(), ny * nx);
        let mut mask = Self::new(ny, nx);
        if nx > 0 {
            for (y, row) in plane.chunks_exact(nx).enumerate() {
                pack_row(row, mask.row_mut(y), &keep);
            }
        }
        mask
    }

    /// The same mask as bits.
    pub fn from_bools(plane: ArrayView2<'_, bool>) -> Self {
        let (ny, nx) = plane.dim();
        let mut mask = Self::new(ny, nx);
        let plane = plane.as_standard_layout();
        mask.for_rows_mut(|y, words| {
            pack_row(plane.row(y).as_slice().expect("standard order"), words, |on| on);
        });
        mask
    }

    /// The mask as an array of booleans, `[y, x]`.
    pub fn to_bools(&self) -> Array2<bool> {
        let mut plane = Array2::from_elem((self.ny, self.nx), false);
        if self.nx > 0 {
            let pixels = plane.as_slice_mut().expect("standard order");
            pixels.par_chunks_exact_mut(self.nx).enumerate().for_each(|(y, out)| unpack_row(self.row(y), out, |on| on));
        }
        plane
    }

    /// Calls `work(y, words)` for each row, on all threads.
    pub fn for_rows_mut(&mut self, work: impl Fn(usize, &mut [u64]) + Sync) {
        if self.stride > 0 {
            self.words.par_chunks_exact_mut(self.stride).with_min_len(16).enumerate().for_each(|(y, row)| work(y, row));
        }
    }

    /// Splits the words of the rows into bands of `(first row, rows)`, which must cover the mask in order.
    pub(crate) fn split_rows(&mut self, bands: &[(usize, usize)]) -> Vec<&mut [u64]> {
        let mut rest = &mut self.words[..];
        let mut parts = Vec::with_capacity(bands.len());
        for &(_, rows) in bands {
            let (part, tail) = rest.split_at_mut(rows * self.stride);
            parts.push(part);
            rest = tail;
        }
        parts
    }

    /// The mask of the rows that `rule(above, row, below, out)` makes of each row and its neighbours; rows outside the
    /// image are false. Bits beyond the row's end may be left behind: they are cleared.
    pub(crate) fn neighbourhood(&self, rule: impl Fn(&[u64], &[u64], &[u64], &mut [u64]) + Sync) -> Self {
        let outside = vec![0; self.stride];
        let mut out = Self::new(self.ny, self.nx);
        let row = |y: Option<usize>| y.filter(|&y| y < self.ny).map_or(&outside[..], |y| self.row(y));
        let tail = self.tail();
        out.for_rows_mut(|y, words| {
            rule(row(y.checked_sub(1)), self.row(y), row(Some(y + 1)), words);
            if let Some(last) = words.last_mut() {
                *last &= tail;
            }
        });
        out
    }

    /// The bits of a row's last word that are pixels.
    fn tail(&self) -> u64 {
        if self.nx.is_multiple_of(WORD) { !0 } else { !(!0 << (self.nx % WORD)) }
    }

    /// The complement.
    pub fn inverted(&self) -> Self {
        self.neighbourhood(|_, row, _, out| out.iter_mut().zip(row).for_each(|(o, w)| *o = !w))
    }

    /// The runs of set pixels, in raster order.
    pub(crate) fn run_list(&self) -> Vec<Run> {
        let parts: Vec<Vec<Run>> = bands(self.ny)
            .into_par_iter()
            .map(|(first, count)| {
                let mut runs = Vec::new();
                for y in first..first + count {
                    self.for_each_run(y, |x0, x1| runs.push(Run { y: y as u32, start: x0 as u32, end: x1 as u32 }));
                }
                runs
            })
            .collect();
        super::runs::joined(parts)
    }

    /// `(ny, nx)`.
    pub fn dim(&self) -> (usize, usize) {
        (self.ny, self.nx)
    }

    /// Whether the pixel is set.
    pub fn get(&self, y: usize, x: usize) -> bool {
        assert!(x < self.nx);
        self.words[y * self.stride + x / WORD] >> (x % WORD) & 1 == 1
    }

    /// Sets a pixel.
    pub fn set(&mut self, y: usize, x: usize) {
        assert!(x < self.nx);
        self.words[y * self.stride + x / WORD] |= 1 << (x % WORD);
    }

    /// The words of a row: pixel `x` is bit `x % 64` of word `x / 64`.
    pub fn row(&self, y: usize) -> &[u64] {
        &self.words[y * self.stride..(y + 1) * self.stride]
    }

    /// The words of a row; bits beyond the row's end must stay zero.
    pub fn row_mut(&mut self, y: usize) -> &mut [u64] {
        &mut self.words[y * self.stride..(y + 1) * self.stride]
    }

    /// All words, row after row, [`BitMask::stride`] words a row; bits beyond a row's end must stay zero.
    pub fn words_mut(&mut self) -> &mut [u64] {
        &mut self.words
    }

    /// All words, row after row.
    pub fn words(&self) -> &[u64] {
        &self.words
    }

    /// Words in a row.
    pub fn stride(&self) -> usize {
        self.stride
    }

    /// Number of pixels that are set.
    pub fn count(&self) -> usize {
        self.words.iter().map(|w| w.count_ones() as usize).sum()
    }

    /// Whether no pixel is set.
    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|&w| w == 0)
    }

    /// Whether every pixel is set (true of a plane without pixels).
    pub fn is_full(&self) -> bool {
        self.count() == self.ny * self.nx
    }

    /// Adds the pixels of `other`.
    ///
    /// # Panics
    /// When the planes differ in size.
    pub fn or_with(&mut self, other: &Self) {
        assert_eq!(self.dim(), other.dim());
        self.words.iter_mut().zip(&other.words).for_each(|(a, b)| *a |= b);
    }

    /// Keeps only the pixels of `other`.
    ///
    /// # Panics
    /// When the planes differ in size.
    pub fn and_with(&mut self, other: &Self) {
        assert_eq!(self.dim(), other.dim());
        self.words.iter_mut().zip(&other.words).for_each(|(a, b)| *a &= b);
    }

    /// Calls `visit(x0, x1)` for each run of set pixels of a row, left to right; `x1` is one past the last.
    pub fn for_each_run(&self, y: usize, visit: impl FnMut(usize, usize)) {
        runs_of(self.row(y), visit);
    }

    /// Clears the pixels `x0..x1` of a row.
    pub fn clear_run(&mut self, y: usize, x0: usize, x1: usize) {
        assert!(x0 <= x1 && x1 <= self.nx);
        if x0 == x1 {
            return;
        }
        for i in x0 / WORD..=(x1 - 1) / WORD {
            let (low, high) = (x0.max(i * WORD), x1.min((i + 1) * WORD));
            let ones = if high - low == WORD { !0 } else { !(!0 << (high - low)) };
            self.words[y * self.stride + i] &= !(ones << (low % WORD));
        }
    }

    /// Sets the pixels `x0..x1` of a row.
    pub fn set_run(&mut self, y: usize, x0: usize, x1: usize) {
        assert!(x0 <= x1 && x1 <= self.nx);
        set_range(self.row_mut(y), x0, x1);
    }
}

/// Packs `keep` of each pixel of a row into words; the words are overwritten.
#[multiversion(targets("x86_64+avx2"))]
pub fn pack_row<T: Copy>(row: &[T], words: &mut [u64], keep: impl Fn(T) -> bool) {
    let mut chunks = row.chunks_exact(WORD);
    let mut out = words.iter_mut();
    for chunk in &mut chunks {
        let chunk: &[T; WORD] = chunk.try_into().expect("chunks are a word long");
        *out.next().expect("a word for each 64 pixels") = pack_word(chunk, &keep);
    }
    let rest = chunks.remainder();
    if !rest.is_empty() {
        let word = rest.iter().enumerate().fold(0, |w, (i, &v)| w | u64::from(keep(v)) << i);
        *out.next().expect("a word for the rest") = word;
    }
}

/// Writes a value for each pixel of a row of words.
#[multiversion(targets("x86_64+avx2"))]
pub fn unpack_row<T>(words: &[u64], out: &mut [T], value: impl Fn(bool) -> T) {
    for (chunk, &word) in out.chunks_mut(WORD).zip(words) {
        for (bit, v) in chunk.iter_mut().enumerate() {
            *v = value(word >> bit & 1 == 1);
        }
    }
}

/// Packs `keep` of each pair of pixels of two rows into words; the words are overwritten.
#[multiversion(targets("x86_64+avx2"))]
pub fn pack_rows(row: &[f32], other: &[f32], words: &mut [u64], keep: impl Fn(f32, f32) -> bool) {
    assert_eq!(row.len(), other.len());
    let mut words = words.iter_mut();
    let (mut left, mut right) = (row.chunks_exact(WORD), other.chunks_exact(WORD));
    for ((a, b), out) in (&mut left).zip(&mut right).zip(&mut words) {
        *out = pack_word_of(a, b, &keep);
    }
    let (left, right) = (left.remainder(), right.remainder());
    if !left.is_empty() {
        let rest = left.iter().zip(right).enumerate();
        let word = rest.fold(0, |w, (i, (&a, &b))| w | u64::from(keep(a, b)) << i);
        *words.next().expect("a word for the rest") = word;
    }
}

/// `keep` of 64 pairs of pixels as a word, first pair lowest.
///
/// # Panics
/// With another number of pixels.
#[inline(always)]
pub(crate) fn pack_word_of(row: &[f32], other: &[f32], keep: impl Fn(f32, f32) -> bool) -> u64 {
    let (a, b): (&[f32; WORD], &[f32; WORD]) = (row.try_into().expect("a word"), other.try_into().expect("a word"));
    let mut bytes = [0u8; WORD];
    for ((byte, &a), &b) in bytes.iter_mut().zip(a).zip(b) {
        *byte = u8::from(keep(a, b));
    }
    gather(&bytes)
}

/// 64 booleans as a word, first pixel lowest.
#[inline(always)]
pub fn pack_word<T: Copy>(chunk: &[T; WORD], keep: impl Fn(T) -> bool) -> u64 {
    // Bytes first: compilers turn this loop into vector compares.
    let mut bytes = [0u8; WORD];
    for (b, &v) in bytes.iter_mut().zip(chunk) {
        *b = u8::from(keep(v));
    }
    gather(&bytes)
}

/// The lowest bits of 64 bytes as a word, first byte lowest.
#[inline(always)]
fn gather(bytes: &[u8; WORD]) -> u64 {
    let mut word = 0;
    for (i, eight) in bytes.chunks_exact(8).enumerate() {
        let eight = u64::from_le_bytes(eight.try_into().expect("eight bytes"));
        // The product gathers the lowest bits of the eight bytes in its highest byte.
        word |= (eight.wrapping_mul(0x0102_0408_1020_4080) >> 56) << (8 * i);
    }
    word
}

/// Sets bits `x0..x1` of a row.
fn set_range(words: &mut [u64], x0: usize, x1: usize) {
    if x0 >= x1 {
        return;
    }
    let (first, last) = (x0 / WORD, (x1 - 1) / WORD);
    let low = !0u64 << (x0 % WORD);
    let high = !0u64 >> (WORD - 1 - (x1 - 1) % WORD);
    if first == last {
        words[first] |= low & high;
    } else {
        words[first] |= low;
        words[first + 1..last].fill(!0);
        words[last] |= high;
    }
}

/// Calls `visit(x0, x1)` for each run of set bits of a row of words; `x1` is one past the last.
pub(crate) fn runs_of(words: &[u64], mut visit: impl FnMut(usize, usize)) {
    // Start of a run that reaches the end of the words seen so far.
    let mut open = None;
    for (i, &word) in words.iter().enumerate() {
        if (word == 0 && open.is_none()) || (word == !0 && open.is_some()) {
            continue;
        }
        let base = i * WORD;
        let mut bit = 0;
        while bit < WORD {
            match open {
                None => {
                    let rest = word >> bit;
                    if rest == 0 {
                        break;
                    }
                    bit += rest.trailing_zeros() as usize;
                    open = Some(base + bit);
                }
                Some(start) => {
                    let rest = !word >> bit;
                    if rest == 0 {
                        break;
                    }
                    bit += rest.trailing_zeros() as usize;
                    visit(start, base + bit);
                    open = None;
                }
            }
        }
    }
    if let Some(start) = open {
        visit(start, words.len() * WORD);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn agrees_with_booleans(ny in 1usize..9, nx in 1usize..150, seed in any::<u64>()) {
            let mut state = seed;
            let plane = Array2::from_shape_simple_fn((ny, nx), || {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                state >> 62 > 0
            });
            let mask = BitMask::from_bools(plane.view());
            prop_assert_eq!(mask.to_bools(), plane.clone());
            prop_assert_eq!(mask.count(), plane.iter().filter(|v| **v).count());
            prop_assert_eq!(BitMask::from_plane(ny, nx, plane.as_slice().unwrap(), |v| v), mask.clone());
            prop_assert!(BitMask::full(ny, nx).is_full());
        }
    }
}
