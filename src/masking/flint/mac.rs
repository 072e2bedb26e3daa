//! The minimum absolute clip, also with boxes that are enlarged where positive emission fills them.
//!
//! A window of twice the box is covered by four boxes, one of four times by sixteen: where larger windows are asked for,
//! their minima come from those of the smallest box, of which only the rows that windows look at are kept.

use super::options::MaskingOptions;
use super::seeds::{SeedsAndFloor, pixels_where};
use crate::kernels::bitmask::{BitMask, WORD, pack_row, pack_rows, runs_of};
use crate::kernels::box_count::CountRows;
use crate::kernels::rows::{Extremum, Least, RollingRows, RowStream, Rows, RowsFrom, bands};
use multiversion::multiversion;
use ndarray::ArrayView2;
use rayon::prelude::*;

/// A box around which positive and negative pixels balance has this fraction of positive ones.
const BALANCED_FRACTION: f64 = 0.5;
/// Columns that are worked on together: their part of as many rows as a large window has stays in a core's cache.
const STRIP: usize = 512;
/// Rows that are worked on together: those around them that windows look at are read again for the next ones.
const BLOCK: usize = 128;

/// The box of the minimum absolute clip.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MacOptions {
    /// Side of the box, pixels.
    pub box_size: usize,
    /// Seeds exceed this factor times |minimum|.
    pub seed_factor: f64,
    /// The floor exceeds this factor times |minimum|.
    pub flood_factor: f64,
    /// How often the box is enlarged where it is too small; `None`: never.
    pub adaptive_max_depth: Option<usize>,
    /// By which factor.
    pub adaptive_step_factor: f64,
    /// A box is too small where its fraction of positive pixels exceeds 0.5 + this.
    pub adaptive_skew_delta: f64,
}

impl From<&MaskingOptions> for MacOptions {
    fn from(o: &MaskingOptions) -> Self {
        Self {
            box_size: o.flood_fill_use_mac_box_size,
            seed_factor: o.flood_fill_positive_seed_clip,
            flood_factor: o.flood_fill_positive_flood_clip,
            adaptive_max_depth: o.flood_fill_use_mac_adaptive_max_depth,
            adaptive_step_factor: o.flood_fill_use_mac_adaptive_step_factor,
            adaptive_skew_delta: o.flood_fill_use_mac_adaptive_skew_delta,
        }
    }
}

/// The minimum absolute clip: with M the minimum of the box around a pixel, seeds exceed `seed_factor` |M| and the floor
/// exceeds `flood_factor` |M|. `image` is `[y, x]`, in any unit. Window and periodic boundary: [`crate::kernels::rolling_minimum`].
///
/// With `adaptive_max_depth`, boxes filled by positive emission are enlarged: where more than 0.5 + delta of the box's
/// pixels are positive, M comes from a box enlarged by the step factor; again with that box, until none is too small, the
/// box exceeds a side of the image, or the depth is used up (flint, 2026-08).
pub fn mac_seeds(image: ArrayView2<'_, f32>, options: &MacOptions) -> SeedsAndFloor {
    mac_seeds_of(&image, options)
}

/// [`mac_seeds`] of an image whose rows any thread gets, and which is never stored.
pub(super) fn mac_seeds_of(image: &impl Rows, options: &MacOptions) -> SeedsAndFloor {
    let shape = image.dim();
    if shape.0 == 0 || shape.1 == 0 {
        return SeedsAndFloor { seeds: BitMask::new(shape.0, shape.1), floor: BitMask::new(shape.0, shape.1) };
    }
    match options.adaptive_max_depth {
        Some(most) if most > 0 => enlarged_seeds(image, options, most),
        _ => mac_seeds_of_rows(shape, |next| RowsFrom { image, next, nan: f32::NAN }, options),
    }
}

/// Seeds and floor with boxes that are enlarged at most `most` times.
fn enlarged_seeds(image: &impl Rows, options: &MacOptions, most: usize) -> SeedsAndFloor {
    let (ny, nx) = image.dim();
    let rows_from = |next| RowsFrom { image, next, nan: f32::NAN };
    let windows = Windows::new(image, options, most);
    if windows.0.is_empty() {
        return mac_seeds_of_rows((ny, nx), rows_from, options);
    }
    let mut found = SeedsAndFloor { seeds: BitMask::new(ny, nx), floor: BitMask::new(ny, nx) };
    let (bands, stride) = (bands(ny), found.seeds.stride());
    let factors = (options.seed_factor as f32, options.flood_factor as f32);
    let parts = found.seeds.split_rows(&bands).into_par_iter().zip(found.floor.split_rows(&bands));
    parts.zip(&bands).for_each(|((seeds, floor), &(first, count))| {
        let mut minima = MinimaAround::new(rows_from, first, (ny, nx), options.box_size, windows.reach());
        let mut scratch = Vec::new();
        for block in (first..first + count).step_by(BLOCK) {
            let rows = block..(block + BLOCK).min(first + count);
            minima.reach_for(rows.end - 1);
            for y in rows.clone() {
                let words = (y - first) * stride..(y + 1 - first) * stride;
                clip_row(
                    minima.pixels(y),
                    minima.row(y as isize),
                    factors,
                    &mut seeds[words.clone()],
                    &mut floor[words],
                );
            }
            for x in (0..nx).step_by(STRIP) {
                for y in rows.clone() {
                    let start = (y - first) * stride;
                    let words = start + x / WORD..start + (x + STRIP).min(nx).div_ceil(WORD);
                    let found = (&mut seeds[words.clone()], &mut floor[words]);
                    windows.look_again(&minima, (y, x), factors, found, &mut scratch);
                }
            }
        }
    });
    found
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

/// Windows larger than the smallest box, each with the pixels that it is for; no pixel has two.
struct Windows(Vec<(BitMask, Window)>);

impl Windows {
    fn new(image: &impl Rows, options: &MacOptions, most: usize) -> Self {
        let (ny, nx) = image.dim();
        let mut windows: Vec<(BitMask, Window)> = Vec::new();
        let mut side = options.box_size;
        let positive = pixels_where(image, |v| v > 0.0);
        for _ in 0..most {
            if side > ny || side > nx {
                break;
            }
            let skewed = skewed_boxes(&positive, side, options.adaptive_skew_delta);
            if skewed.is_empty() {
                break;
            }
            side = (side as f64 * options.adaptive_step_factor) as usize;
            // The last window that is asked for counts.
            let others = skewed.inverted();
            windows.iter_mut().for_each(|(pixels, _)| pixels.and_with(&others));
            windows.push((skewed, Window::new(side, options.box_size, (ny, nx))));
        }
        Self(windows)
    }

    /// From how many rows above (not positive) to how many below (not negative) windows look at.
    fn reach(&self) -> (isize, isize) {
        let all = || self.0.iter().flat_map(|(_, window)| &window.rows).copied();
        (all().min().unwrap_or(0).min(0), all().max().unwrap_or(0).max(0))
    }

    /// Looks again at the pixels of a row, from column `x` on, a multiple of [`WORD`], that have larger windows: at seeds and
    /// floor by the smallest box, as the minimum of a window is no greater, and where that box has nothing negative.
    /// (Factors are not negative: a deeper minimum never adds a pixel.)
    fn look_again<S: RowStream>(
        &self,
        smallest: &MinimaAround<S>,
        (y, x): (usize, usize),
        (seed_factor, flood_factor): (f32, f32),
        (seeds, floor): (&mut [u64], &mut [u64]),
        scratch: &mut Vec<f32>,
    ) {
        let mut open = [0u64; STRIP / WORD];
        let columns = x..(x + STRIP).min(smallest.nx);
        pack_row(&smallest.row(y as isize)[columns.clone()], &mut open, |m| m > 0.0);
        open.iter_mut().zip(&*seeds).zip(&*floor).for_each(|((o, s), f)| *o |= s | f);
        let pixels = &smallest.pixels(y)[columns];
        for (asked, window) in &self.0 {
            let mut again = open;
            again.iter_mut().zip(&asked.row(y)[x / WORD..]).for_each(|(a, w)| *a &= w);
            if again.iter().all(|&word| word == 0) {
                continue;
            }
            for part in parts_of(&again, window.width()) {
                let minima = window.minima(smallest, y, x + part.start..x + part.end, scratch);
                runs_of(&again, |x0, x1| {
                    for p in (x0..x1).filter(|p| part.contains(p)) {
                        let deepest = minima[p - part.start].abs();
                        put(seeds, p, pixels[p] > seed_factor * deepest);
                        put(floor, p, pixels[p] > flood_factor * deepest);
                    }
                });
            }
        }
    }
}

/// The parts of a row of words that hold its bits, joined where fewer pixels than `gap` are between them.
fn parts_of(words: &[u64], gap: usize) -> Vec<std::ops::Range<usize>> {
    let mut parts: Vec<std::ops::Range<usize>> = Vec::new();
    runs_of(words, |x0, x1| match parts.last_mut() {
        Some(part) if x0 - part.end < gap => part.end = x1,
        _ => parts.push(x0..x1),
    });
    parts
}

/// Sets or clears a bit of a row.
fn put(words: &mut [u64], x: usize, on: bool) {
    let bit = 1 << (x % WORD);
    if on { words[x / WORD] |= bit } else { words[x / WORD] &= !bit }
}

impl Window {
    /// From the centre of the first box of a row to that of the last.
    fn width(&self) -> usize {
        (self.columns[self.columns.len() - 1] - self.columns[0]) as usize
    }

    /// The minima of the windows around some pixels of a row.
    fn minima<'a, S: RowStream>(
        &self,
        smallest: &MinimaAround<S>,
        y: usize,
        pixels: std::ops::Range<usize>,
        scratch: &'a mut Vec<f32>,
    ) -> &'a [f32] {
        let (nx, left) = (smallest.nx, self.columns[0]);
        // Minima of the columns of boxes, then of the boxes of a row.
        let wide = pixels.len() + self.width();
        scratch.clear();
        scratch.resize(wide + pixels.len(), f32::INFINITY);
        let (columns, found) = scratch.split_at_mut(wide);
        let mut done = 0;
        while done < wide {
            let from = (pixels.start as isize + left + done as isize).rem_euclid(nx as isize) as usize;
            let n = (nx - from).min(wide - done);
            take_least(&mut columns[done..done + n], &self.rows, |dy| &smallest.row(y as isize + dy)[from..from + n]);
            done += n;
        }
        take_least(found, &self.columns, |dx| &columns[(dx - left) as usize..][..pixels.len()]);
        found
    }
}

/// Minima of the smallest boxes of the rows around those that are worked on.
struct MinimaAround<S> {
    minima: RollingRows<KeptRows<S>, Least>,
    /// The row that comes next, which may be outside the image.
    next: isize,
    /// A ring: row y has the place y modulo their number.
    ring: Vec<f32>,
    nx: usize,
    /// Rows below the one that is worked on that windows look at.
    below: isize,
    /// Rows of a smallest box below its middle.
    after: usize,
}

impl<S: RowStream> MinimaAround<S> {
    fn new(
        rows_from: impl Fn(isize) -> S,
        first: usize,
        (ny, nx): (usize, usize),
        side: usize,
        (above, below): (isize, isize),
    ) -> Self {
        let (rows, after) = ((below - above) as usize + BLOCK, rows_after(side, ny));
        let next = first as isize + above;
        let kept_from = |y| KeptRows::new(rows_from(y), after + below as usize + BLOCK, nx);
        let minima = RollingRows::<_, Least>::new(kept_from, next, (ny, nx), (side, side));
        Self { minima, next, ring: vec![0.0; rows * nx], nx, below, after }
    }

    /// Has all rows that windows of a row look at; those of the [`BLOCK`] rows before it stay.
    fn reach_for(&mut self, y: usize) {
        while self.next <= y as isize + self.below {
            let place = self.place(self.next);
            self.minima.next_row(&mut self.ring[place..place + self.nx]);
            self.next += 1;
        }
    }

    fn place(&self, y: isize) -> usize {
        y.rem_euclid((self.ring.len() / self.nx) as isize) as usize * self.nx
    }

    /// The minima of the smallest boxes of a row; infinity where a box holds no data.
    fn row(&self, y: isize) -> &[f32] {
        let place = self.place(y);
        &self.ring[place..place + self.nx]
    }

    /// The pixels of a row that is worked on.
    fn pixels(&self, y: usize) -> &[f32] {
        self.minima.source().row(self.after + (self.next - 1 - y as isize) as usize)
    }
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
        *least = rows.iter().fold(*least, |least, row| least.min(row[x]));
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

/// Rows of a box below its middle, in an image of `ny` rows.
pub(super) fn rows_after(side: usize, ny: usize) -> usize {
    side.min(ny) - 1 - side.min(ny) / 2
}

/// The minimum absolute clip of an image of `shape`, `(ny, nx)`, whose rows from a given one on `rows_from` gives: beyond
/// its edges it repeats. Boxes are not enlarged. Neither the image nor its minima are ever stored.
pub(super) fn mac_seeds_of_rows<S: RowStream>(
    shape: (usize, usize),
    rows_from: impl Fn(isize) -> S + Sync,
    options: &MacOptions,
) -> SeedsAndFloor {
    let (ny, nx) = shape;
    let mut found = SeedsAndFloor { seeds: BitMask::new(ny, nx), floor: BitMask::new(ny, nx) };
    if ny == 0 || nx == 0 {
        return found;
    }
    let (bands, stride) = (bands(ny), found.seeds.stride());
    let factors = (options.seed_factor as f32, options.flood_factor as f32);
    let side = options.box_size;
    let after = rows_after(side, ny);
    let parts = found.seeds.split_rows(&bands).into_par_iter().zip(found.floor.split_rows(&bands));
    parts.zip(&bands).for_each(|((seeds, floor), &(first, _))| {
        let kept_from = |y| KeptRows::new(rows_from(y), after + 1, nx);
        let mut minima = RollingRows::<_, Least>::new(kept_from, first as isize, shape, (side, side));
        let mut row = vec![0.0; nx];
        for (seeds, floor) in seeds.chunks_exact_mut(stride).zip(floor.chunks_exact_mut(stride)) {
            minima.next_row(&mut row);
            clip_row(minima.source().row(after), &row, factors, seeds, floor);
        }
    });
    found
}

/// Seeds and floor of some pixels of a row with the minima of their boxes.
pub(super) fn clip_row(
    pixels: &[f32],
    minima: &[f32],
    (seed_factor, flood_factor): (f32, f32),
    seeds: &mut [u64],
    floor: &mut [u64],
) {
    pack_rows(pixels, minima, seeds, |v, m| v > seed_factor * m.abs());
    pack_rows(pixels, minima, floor, |v, m| v > flood_factor * m.abs());
}

/// Rows with infinity in place of NaN; the last of them are kept as they came.
pub(super) struct KeptRows<S> {
    source: S,
    /// A ring of rows.
    ring: Vec<f32>,
    nx: usize,
    newest: usize,
}

impl<S> KeptRows<S> {
    pub(super) fn new(source: S, rows: usize, nx: usize) -> Self {
        Self { source, ring: vec![0.0; rows * nx], nx, newest: rows - 1 }
    }

    /// The row that came so many rows before the last.
    pub(super) fn row(&self, before: usize) -> &[f32] {
        let rows = self.ring.len() / self.nx;
        let at = (self.newest + rows - before) % rows;
        &self.ring[at * self.nx..(at + 1) * self.nx]
    }
}

impl<S: RowStream> RowStream for KeptRows<S> {
    fn next_row(&mut self, out: &mut [f32]) {
        self.newest = (self.newest + 1) % (self.ring.len() / self.nx);
        let kept = &mut self.ring[self.newest * self.nx..(self.newest + 1) * self.nx];
        self.source.next_row(kept);
        known(kept, out);
    }
}

/// A row with infinity in place of NaN.
#[multiversion(targets("x86_64+avx2"))]
fn known(row: &[f32], out: &mut [f32]) {
    out.iter_mut().zip(row).for_each(|(o, &v)| *o = if v.is_nan() { Least::NEUTRAL } else { v });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::picture::{any, draw};
    use crate::kernels::{box_count, rolling_minimum};
    use ndarray::{Array2, array};
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

    fn drawn(mask: &BitMask) -> Vec<String> {
        draw(mask.to_bools().view())
    }

    #[test]
    fn the_clip_follows_the_most_negative_pixel_of_the_box() {
        let image = array![[3.1, -2.0, 2.1, 0.5, 0.0, -0.1, 0.2, 1.0, 0.0]];
        let options =
            MacOptions { box_size: 3, seed_factor: 1.5, flood_factor: 1.0, ..(&MaskingOptions::default()).into() };
        let found = mac_seeds(image.view(), &options);
        assert_eq!(drawn(&found.seeds), ["#..#..##."]);
        assert_eq!(drawn(&found.floor), ["#.##..##."]);
    }

    /// Minima by the rule as the specification words it, with whole arrays.
    fn by_the_rule(image: &Array2<f32>, options: &MacOptions) -> Array2<f32> {
        let (ny, nx) = image.dim();
        let mut size = options.box_size;
        let mut minimum = rolling_minimum(image.view(), size);
        for _ in 0..options.adaptive_max_depth.unwrap_or(0) {
            let fraction = box_count(image.view(), size, |&v| v > 0.0).mapv(|c| f64::from(c) / (size * size) as f64);
            let skewed = fraction.mapv(|f| f > 0.5 + options.adaptive_skew_delta);
            if !skewed.iter().any(|&s| s) || size > ny || size > nx {
                break;
            }
            size = (size as f64 * options.adaptive_step_factor) as usize;
            let larger = rolling_minimum(image.view(), size);
            for (p, &s) in skewed.indexed_iter() {
                if s {
                    minimum[p] = larger[p];
                }
            }
        }
        minimum
    }

    /// More rows than are worked on together, more columns than a strip, a large source in noise, at the image's edges.
    #[test]
    fn windows_reach_beyond_the_rows_and_columns_that_are_worked_on() {
        let image = Array2::from_shape_fn((300, 600), |(y, x)| {
            let noise = ((y * 7919 + x * 104_729 + y * x * 31) % 2003) as f32 / 1000.0 - 1.0;
            let (dy, dx) = (y.min(300 - y) as f32 - 20.0, x.min(600 - x) as f32 - 30.0);
            let middle = (y as f32 - 130.0).powi(2) + (x as f32 - 500.0).powi(2);
            noise + 3.0 * (-(dy * dy + dx * dx) / 800.0).exp() + 2.0 * (-middle / 1500.0).exp()
        });
        let options = MacOptions {
            box_size: 11,
            adaptive_max_depth: Some(4),
            adaptive_step_factor: 2.0,
            adaptive_skew_delta: 0.1,
            seed_factor: 1.2,
            flood_factor: 0.7,
        };
        let minimum = by_the_rule(&image, &options);
        assert!(minimum != rolling_minimum(image.view(), 11), "some are enlarged");
        for threads in [1, 3] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let found = pool.install(|| mac_seeds(image.view(), &options));
            for (p, &v) in image.indexed_iter() {
                assert_eq!(found.seeds.get(p.0, p.1), v > 1.2 * minimum[p].abs(), "{p:?}, {threads} threads");
                assert_eq!(found.floor.get(p.0, p.1), v > 0.7 * minimum[p].abs(), "{p:?}, {threads} threads");
            }
        }
    }

    proptest! {
        #[test]
        fn minima_are_enlarged_where_boxes_are_skewed(
            image in any::image(), box_size in 1usize..12, depth in 0usize..5, delta in 0.01f64..0.3, step in 1.3f64..3.0,
        ) {
            let options = MacOptions {
                box_size, seed_factor: 1.2, flood_factor: 0.7, adaptive_max_depth: Some(depth),
                adaptive_step_factor: step, adaptive_skew_delta: delta,
            };
            let minimum = by_the_rule(&image, &options);
            let found = mac_seeds(image.view(), &options);
            for (p, &v) in image.indexed_iter() {
                prop_assert_eq!(found.seeds.get(p.0, p.1), v > 1.2 * minimum[p].abs());
                prop_assert_eq!(found.floor.get(p.0, p.1), v > 0.7 * minimum[p].abs());
            }
        }
    }
}
