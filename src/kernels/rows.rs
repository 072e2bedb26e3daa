//! Images as streams of rows: neighbourhood operators are stages that pull rows from the stage before them and keep
//! only the rows their window needs. A chain of stages needs no full-size intermediate image, stays in the cache,
//! and runs on as many bands of rows as there are threads (each band pulls its own margin).
//!
//! Every output pixel is computed in the same order of operations in whichever band it falls, so results do not
//! depend on the number of threads.

use multiversion::multiversion;
use ndarray::{Array2, ArrayView2};
use rayon::prelude::*;

/// A source of image rows, top row number fixed at construction, each call giving the next.
pub(crate) trait RowStream {
    /// Writes the next row into `out` (as long as the image is wide).
    fn next_row(&mut self, out: &mut [f32]);
}

/// An image whose rows can be had from any thread.
pub(crate) trait Rows: Sync {
    /// `(ny, nx)`.
    fn dim(&self) -> (usize, usize);
    /// Writes row `y`.
    fn row_into(&self, y: usize, out: &mut [f32]);
}

impl Rows for ArrayView2<'_, f32> {
    fn dim(&self) -> (usize, usize) {
        ArrayView2::dim(self)
    }

    fn row_into(&self, y: usize, out: &mut [f32]) {
        match self.row(y).to_slice() {
            Some(row) => out.copy_from_slice(row),
            None => out.iter_mut().zip(self.row(y)).for_each(|(o, &v)| *o = v),
        }
    }
}

/// The next rows of an image that repeats beyond its edges, with `nan` in place of NaN.
pub(crate) struct RowsFrom<'a> {
    /// The image.
    pub(crate) image: &'a dyn Rows,
    /// The next row, which may be outside.
    pub(crate) next: isize,
    /// Stands for NaN: an infinity, or NaN.
    pub(crate) nan: f32,
}

impl RowStream for RowsFrom<'_> {
    fn next_row(&mut self, out: &mut [f32]) {
        self.image.row_into(self.next.rem_euclid(self.image.dim().0 as isize) as usize, out);
        self.next += 1;
        replace_nan(out, self.nan);
    }
}

/// An infinity in place of NaN: the smaller or greater of the two is the other number.
fn replace_nan(row: &mut [f32], with: f32) {
    if with == f32::INFINITY {
        at_most(row, with);
    } else if with == f32::NEG_INFINITY {
        at_least(row, with);
    } else {
        debug_assert!(with.is_nan(), "NaN is replaced by infinities only");
    }
}

#[multiversion(targets("x86_64+avx2"))]
fn at_most(row: &mut [f32], most: f32) {
    row.iter_mut().for_each(|v| *v = v.min(most));
}

#[multiversion(targets("x86_64+avx2"))]
fn at_least(row: &mut [f32], least: f32) {
    row.iter_mut().for_each(|v| *v = v.max(least));
}

/// Values beyond the first and last row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outside {
    /// The image repeats.
    Wrap,
    /// Zeros.
    Zero,
}

/// Rows of an image in memory, NaN replaced.
pub(crate) struct ImageRows<'a> {
    image: ArrayView2<'a, f32>,
    next: isize,
    nan: f32,
    outside: Outside,
}

impl<'a> ImageRows<'a> {
    /// Rows from `first` on (may be negative), with `nan` in place of NaN.
    pub(crate) fn new(image: ArrayView2<'a, f32>, first: isize, nan: f32, outside: Outside) -> Self {
        Self { image, next: first, nan, outside }
    }
}

impl RowStream for ImageRows<'_> {
    fn next_row(&mut self, out: &mut [f32]) {
        let ny = self.image.nrows() as isize;
        let y = self.next;
        self.next += 1;
        if self.outside == Outside::Zero && !(0..ny).contains(&y) {
            out.fill(0.0);
            return;
        }
        let row = self.image.row(y.rem_euclid(ny) as usize);
        let nan = self.nan;
        let clean = |&v: &f32| if v.is_nan() { nan } else { v };
        match row.as_slice() {
            Some(row) => copy_with(row, out, clean),
            None => out.iter_mut().zip(row).for_each(|(o, v)| *o = clean(v)),
        }
    }
}

/// Smaller or greater of two numbers that are not NaN.
pub(crate) trait Extremum: Send + Sync + 'static {
    /// Leaves every other number as it is; stands for "no data".
    const NEUTRAL: f32;
    /// Whether the first is the winner.
    fn wins(a: f32, b: f32) -> bool;
    /// The winner. Not written as a comparison: of `*a = if *a < b { *a } else { b }` compilers make a masked store, which takes
    /// an AMD processor ten times as long.
    fn pick(a: f32, b: f32) -> f32;
}

/// Minimum.
pub(crate) struct Least;
/// Maximum.
pub(crate) struct Greatest;

impl Extremum for Least {
    const NEUTRAL: f32 = f32::INFINITY;
    #[inline(always)]
    fn wins(a: f32, b: f32) -> bool {
        a < b
    }
    #[inline(always)]
    fn pick(a: f32, b: f32) -> f32 {
        a.min(b)
    }
}

impl Extremum for Greatest {
    const NEUTRAL: f32 = f32::NEG_INFINITY;
    #[inline(always)]
    fn wins(a: f32, b: f32) -> bool {
        a > b
    }
    #[inline(always)]
    fn pick(a: f32, b: f32) -> f32 {
        a.max(b)
    }
}

/// Rolling extremum of a periodic box; see [`super::rolling_minimum`] for the window.
///
/// Along a row: windows of 1, 2, 4, ... pixels by pairwise extrema, the last two overlapping to the asked length
/// (log2(box) passes over a row in the nearest cache, all vectorised). Across rows: van Herk (1992) and Gil & Werman
/// (1993): suffix extrema of a block of `box` rows meet prefix extrema of the next, 3 comparisons a pixel.
pub(crate) struct RollingRows<S, E> {
    source: S,
    box_x: usize,
    box_y: usize,
    /// `box_y` rows: suffix extrema of the block whose windows are being given out; slots already used hold the raw
    /// rows of the next block.
    block: Vec<f32>,
    prefix: Vec<f32>,
    padded: Vec<f32>,
    padded_other: Vec<f32>,
    /// Position of the next output within its block; `None` before the first row.
    phase: Option<usize>,
    extremum: std::marker::PhantomData<E>,
}

impl<S: RowStream, E: Extremum> RollingRows<S, E> {
    /// Rows `first`, `first + 1`, ... of the rolling extremum of an image of `(ny, nx)` pixels; `source_from` makes the
    /// source that starts at the row it is given. The source must not hold NaN; [`Extremum::NEUTRAL`] is no data.
    pub(crate) fn new(
        source_from: impl FnOnce(isize) -> S,
        first: isize,
        (ny, nx): (usize, usize),
        (box_y, box_x): (usize, usize),
    ) -> Self {
        assert!(box_y > 0 && box_x > 0, "a box has at least one pixel");
        // A periodic box as large as the image sees all of it, wherever it stands.
        let (lean_y, lean_x) = (box_y.min(ny), box_x.min(nx));
        Self {
            source: source_from(first - (lean_y / 2) as isize),
            box_x: lean_x,
            box_y: lean_y,
            block: vec![0.0; lean_y * nx],
            prefix: vec![0.0; nx],
            padded: vec![0.0; nx + lean_x],
            padded_other: vec![0.0; nx + lean_x],
            phase: None,
            extremum: std::marker::PhantomData,
        }
    }

    /// The next source row with the extremum along the row taken, into slot `i` of the block.
    fn pull_into_slot(&mut self, i: usize) {
        let nx = self.prefix.len();
        let slot = &mut self.block[i * nx..(i + 1) * nx];
        let n = self.box_x;
        if n == 1 {
            self.source.next_row(slot);
            return;
        }
        let before = n / 2;
        self.source.next_row(&mut self.padded[before..before + nx]);
        extremum_around::<E>(&mut self.padded, &mut self.padded_other, n, slot);
    }

    /// Turns the raw rows of the block into suffix extrema.
    fn close_block(&mut self) {
        let nx = self.prefix.len();
        for i in (0..self.box_y - 1).rev() {
            let (head, tail) = self.block.split_at_mut((i + 1) * nx);
            let (head, tail) = (&mut head[i * nx..], &tail[..nx]);
            pick_into::<E>(head, tail);
        }
        self.prefix.fill(E::NEUTRAL);
    }
}

impl<S: RowStream, E: Extremum> RowStream for RollingRows<S, E> {
    fn next_row(&mut self, out: &mut [f32]) {
        let n = self.box_y;
        let phase = match self.phase {
            None => {
                for i in 0..n {
                    self.pull_into_slot(i);
                }
                0
            }
            Some(phase) if phase == n => {
                self.pull_into_slot(n - 1);
                0
            }
            Some(phase) => phase,
        };
        if phase == 0 {
            self.close_block();
            out.copy_from_slice(&self.block[..self.prefix.len()]);
        } else {
            self.pull_into_slot(phase - 1);
            let nx = self.prefix.len();
            let (before, suffix) = self.block.split_at(phase * nx);
            pick_between::<E>(&before[(phase - 1) * nx..], &suffix[..nx], &mut self.prefix, out);
        }
        self.phase = Some(phase + 1);
    }
}

/// The winner of the `n` values around each value of a row that repeats beyond its edges: from `n / 2` values before it on. The
/// row begins at `n / 2` of `a`; `a` and `b` are used up, and have at least `n` values more than `out`.
pub(crate) fn extremum_around<'a, E: Extremum>(mut a: &'a mut [f32], mut b: &'a mut [f32], n: usize, out: &mut [f32]) {
    let (before, nx) = (n / 2, out.len());
    a.copy_within(nx..nx + before, 0);
    a.copy_within(before..n, nx + before);
    let mut reach = 1;
    let mut length = nx + n - 1;
    while 2 * reach < n {
        length -= reach;
        let (left, right) = (&a[..length], &a[reach..reach + length]);
        pick_each::<E>(left, right, &mut b[..length]);
        std::mem::swap(&mut a, &mut b);
        reach *= 2;
    }
    pick_each::<E>(&a[..nx], &a[n - reach..n - reach + nx], out);
}

/// `value` of each pixel.
#[multiversion(targets("x86_64+avx2"))]
pub(crate) fn copy_with(row: &[f32], out: &mut [f32], value: impl Fn(&f32) -> f32) {
    out.iter_mut().zip(row).for_each(|(o, v)| *o = value(v));
}

/// The winner of each pair.
#[multiversion(targets("x86_64+avx2"))]
fn pick_each<E: Extremum>(left: &[f32], right: &[f32], out: &mut [f32]) {
    out.iter_mut().zip(left).zip(right).for_each(|((o, &l), &r)| *o = if E::wins(l, r) { l } else { r });
}

/// The winner of each pair, in place of the first.
#[multiversion(targets("x86_64+avx2"))]
pub(crate) fn pick_into<E: Extremum>(row: &mut [f32], other: &[f32]) {
    row.iter_mut().zip(other).for_each(|(o, &v)| *o = E::pick(*o, v));
}

/// Takes a row into the prefix extrema; `out` are the winners of prefix and suffix.
#[multiversion(targets("x86_64+avx2"))]
fn pick_between<E: Extremum>(row: &[f32], suffix: &[f32], prefix: &mut [f32], out: &mut [f32]) {
    for (((o, p), &r), &s) in out.iter_mut().zip(prefix).zip(row).zip(suffix) {
        *p = E::pick(*p, r);
        *o = E::pick(*p, s);
    }
}

/// Rows `first .. first + count` of each band, one band a thread.
pub(crate) fn bands(ny: usize) -> Vec<(usize, usize)> {
    let count = rayon::current_num_threads().clamp(1, ny.max(1));
    let bounds: Vec<usize> = (0..=count).map(|i| i * ny / count).collect();
    bounds.windows(2).map(|w| (w[0], w[1] - w[0])).collect()
}

/// Splits the rows of an array into the given bands (which must cover it in order).
pub(crate) fn split_rows<'a, T>(array: &'a mut Array2<T>, bands: &[(usize, usize)]) -> Vec<&'a mut [T]> {
    let nx = array.ncols();
    let mut rest = array.as_slice_mut().expect("arrays made here are in standard order");
    let mut parts = Vec::with_capacity(bands.len());
    for &(_, rows) in bands {
        let (part, tail) = rest.split_at_mut(rows * nx);
        parts.push(part);
        rest = tail;
    }
    parts
}

/// Runs a stream over all rows into an array, one band a thread. `stream_from` makes the stream that starts at a row.
pub(crate) fn collect<S: RowStream>(
    (ny, nx): (usize, usize),
    stream_from: impl Fn(usize) -> S + Sync,
    finish: impl Fn(f32) -> f32 + Sync,
) -> Array2<f32> {
    let mut out = Array2::zeros((ny, nx));
    if nx == 0 || ny == 0 {
        return out;
    }
    let bands = bands(ny);
    split_rows(&mut out, &bands).into_par_iter().zip(&bands).for_each(|(part, &(first, _))| {
        let mut stream = stream_from(first);
        for row in part.chunks_exact_mut(nx) {
            stream.next_row(row);
            row.iter_mut().for_each(|v| *v = finish(*v));
        }
    });
    out
}
