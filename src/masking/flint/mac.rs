//! The minimum absolute clip, also with boxes that are enlarged where positive emission fills them.
//!
//! Few pixels need the minimum of their own box: bounds of it settle the others (`bounds`).

use super::bounds::{Bounds, BoxSize, LastRows};
use super::options::MaskingOptions;
use super::seeds::{SeedsAndFloor, pixels_where};
use crate::kernels::bitmask::{BitMask, WORD, pack_row, pack_rows, pack_word_of};
use crate::kernels::box_count::CountRows;
use crate::kernels::rows::{Least, RowStream, Rows, RowsFrom, bands, pick_into};
use multiversion::multiversion;
use ndarray::ArrayView2;
use rayon::prelude::*;

/// A box around which positive and negative pixels balance has this fraction of positive ones.
const BALANCED_FRACTION: f64 = 0.5;

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
    let larger = larger_boxes(image, options);
    clip(image.dim(), |next| RowsFrom { image, next, nan: f32::NAN }, options, &larger)
}

/// The minimum absolute clip of an image of `shape`, `(ny, nx)`, whose rows from a given one on `rows_from` gives: beyond
/// its edges it repeats. Boxes are not enlarged. Neither the image nor its minima are ever stored.
pub(super) fn mac_seeds_of_rows<S: RowStream>(
    shape: (usize, usize),
    rows_from: impl Fn(isize) -> S + Sync,
    options: &MacOptions,
) -> SeedsAndFloor {
    clip(shape, rows_from, options, &[])
}

/// A box that is larger than the smallest, and the pixels that have it.
struct LargerBox {
    side: usize,
    pixels: BitMask,
}

/// The boxes that are enlarged; no pixel has two.
fn larger_boxes(image: &impl Rows, options: &MacOptions) -> Vec<LargerBox> {
    let (ny, nx) = image.dim();
    let mut boxes: Vec<LargerBox> = Vec::new();
    let most = options.adaptive_max_depth.unwrap_or(0);
    if most == 0 || ny == 0 || nx == 0 {
        return boxes;
    }
    let positive = pixels_where(image, |v| v > 0.0);
    let mut side = options.box_size;
    for _ in 0..most {
        if side > ny || side > nx {
            break;
        }
        let pixels = skewed_boxes(&positive, side, options.adaptive_skew_delta);
        if pixels.is_empty() {
            break;
        }
        side = (side as f64 * options.adaptive_step_factor) as usize;
        // The last box that is asked for counts.
        let others = pixels.inverted();
        boxes.iter_mut().for_each(|smaller| smaller.pixels.and_with(&others));
        boxes.push(LargerBox { side, pixels });
    }
    boxes
}

/// Seeds and floor by the minima of boxes.
fn clip<S: RowStream>(
    shape: (usize, usize),
    rows_from: impl Fn(isize) -> S + Sync,
    options: &MacOptions,
    larger: &[LargerBox],
) -> SeedsAndFloor {
    let (ny, nx) = shape;
    let mut found = SeedsAndFloor { seeds: BitMask::new(ny, nx), floor: BitMask::new(ny, nx) };
    if ny == 0 || nx == 0 {
        return found;
    }
    let (bands, stride) = (bands(ny), found.seeds.stride());
    let parts = found.seeds.split_rows(&bands).into_par_iter().zip(found.floor.split_rows(&bands));
    parts.zip(&bands).for_each(|((seeds, floor), &(first, _))| {
        let mut band = Band::new(shape, first, &rows_from, options, larger);
        let rows = seeds.chunks_exact_mut(stride).zip(floor.chunks_exact_mut(stride));
        rows.enumerate().for_each(|(y, (seeds, floor))| band.clip_row(y, seeds, floor));
    });
    found
}

/// Rows of an image that one thread clips.
struct Band<'a, S> {
    source: LastRows<S>,
    /// Rows that come before those of the band.
    above: usize,
    /// Factors of the minimum for seeds and floor.
    factors: (f32, f32),
    smallest: Bounds,
    larger: Vec<(Bounds, &'a BitMask)>,
    /// The number of the band's first row in the image.
    first: usize,
    /// The least of the magnitudes of the minima of all boxes.
    least: Vec<f32>,
    /// Pixels of a row that may be seeds or floor.
    open: Vec<u64>,
}

impl<'a, S: RowStream> Band<'a, S> {
    fn new(
        shape: (usize, usize),
        first: usize,
        rows_from: impl Fn(isize) -> S,
        options: &MacOptions,
        larger: &'a [LargerBox],
    ) -> Self {
        let nx = shape.1;
        let size = |side| BoxSize::new(side, shape);
        let above = larger.iter().map(|larger| larger.side).chain([options.box_size]);
        let above = above.map(|side| size(side).above()).max().unwrap_or(0);
        let bounds = |side| Bounds::new(size(side), above, nx);
        let smallest = bounds(options.box_size);
        let larger: Vec<_> = larger.iter().map(|larger| (bounds(larger.side), &larger.pixels)).collect();
        let kept = larger.iter().map(|(bounds, _)| bounds).chain([&smallest]).map(|bounds| bounds.rows_for(1));
        Self {
            source: LastRows::new(rows_from(first as isize - above as isize), kept.max().unwrap_or(1), nx),
            above,
            factors: (options.seed_factor as f32, options.flood_factor as f32),
            smallest,
            larger,
            first,
            least: Vec::new(),
            open: vec![0; nx.div_ceil(WORD)],
        }
    }

    /// Finds the seeds and the floor of a row of the band; rows come in order.
    fn clip_row(&mut self, y: usize, seeds: &mut [u64], floor: &mut [u64]) {
        self.find_bounds(y);
        let pixels = self.source.row(self.above + y);
        let lower = self.factors.0.min(self.factors.1);
        pack_rows(pixels, &self.least, &mut self.open, |v, m| v > lower * m);
        for (word, &open) in self.open.iter().enumerate().filter(|(_, open)| **open != 0) {
            let mut rest = open;
            for (bounds, asked) in &self.larger {
                let pixels = rest & asked.row(self.first + y)[word];
                rest &= !pixels;
                self.clip_word((y, word), pixels, bounds, (&mut seeds[word], &mut floor[word]));
            }
            self.clip_word((y, word), rest, &self.smallest, (&mut seeds[word], &mut floor[word]));
        }
    }

    /// Finds the bounds of the blocks that begin with a row of the band.
    fn find_bounds(&mut self, y: usize) {
        let Self { source, smallest, larger, least, .. } = self;
        let mut found = false;
        for bounds in larger.iter_mut().map(|(bounds, _)| bounds).chain([&mut *smallest]) {
            let Some(number) = bounds.begins(y) else { continue };
            while source.taken() < bounds.rows_for(number) {
                source.take();
            }
            bounds.find(source, number);
            found = true;
        }
        if found {
            least.clear();
            least.extend_from_slice(smallest.least());
            larger.iter().for_each(|(bounds, _)| pick_into::<Least>(least, bounds.least()));
        }
    }

    /// Adds the seeds and the floor among some pixels of a word of a row, which have boxes with these bounds.
    fn clip_word(&self, (y, word): (usize, usize), pixels: u64, bounds: &Bounds, (seeds, floor): (&mut u64, &mut u64)) {
        if pixels == 0 {
            return;
        }
        let (x, row) = (word * WORD, self.above + y);
        let part = x..x + WORD;
        let values = &self.source.row(row)[part.clone()];
        let settled = settle(values, &bounds.least()[part.clone()], &bounds.most()[part], self.factors);
        *seeds |= settled.seeds & pixels;
        *floor |= settled.floor & pixels;
        let mut open = settled.open & pixels;
        while open != 0 {
            let bit = open.trailing_zeros() as usize;
            open &= open - 1;
            let exceeds = |minimum: f32| {
                let minimum = minimum.abs();
                (values[bit] > self.factors.0 * minimum, values[bit] > self.factors.1 * minimum)
            };
            let (seed, flood) = bounds.decide(&self.source, (row, x + bit), exceeds);
            *seeds |= u64::from(seed) << bit;
            *floor |= u64::from(flood) << bit;
        }
    }
}

/// What bounds say of the pixels of a word.
struct Settled {
    seeds: u64,
    floor: u64,
    /// Pixels of which they do not say both.
    open: u64,
}

/// Compares the pixels of a word with what their minima have at least and at most. A greater minimum never adds a pixel, as
/// factors are not negative.
#[multiversion(targets("x86_64+avx2"))]
fn settle(values: &[f32], least: &[f32], most: &[f32], (seed, flood): (f32, f32)) -> Settled {
    let exceeds = |factor: f32, limits: &[f32]| pack_word_of(values, limits, |v, m| v > factor * m);
    let (seeds, floor) = (exceeds(seed, most), exceeds(flood, most));
    let open = (exceeds(seed, least) & !seeds) | (exceeds(flood, least) & !floor);
    Settled { seeds, floor, open }
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
