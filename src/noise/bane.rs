//! Background and rms as BANE (AegeanTools 2.3.5) estimates them with one stripe.
//!
//! Boxes around grid positions overlap, with BANE's own sizes 36 times. Their edges cut the image into tiles, whose
//! moments are summed once, and a box is a rectangle of whole tiles. A clip then changes only tiles that hold
//! a pixel beyond it. Of those the few pixels far from the middle are sorted once, and where a clip cuts into the middle,
//! all of them, with sums in blocks. So a clip costs a few operations per tile instead of per pixel, and no sum ever
//! cancels.

use super::grid::Grid;
use crate::image::PixelBeam;
use multiversion::multiversion;
use ndarray::{Array2, ArrayView2};
use rayon::prelude::*;
use std::collections::VecDeque;
use std::sync::{Mutex, OnceLock};

/// Box side in grid steps.
pub(super) const STEPS_PER_BOX: usize = 6;
/// Grid step in beams (geometric mean of the axes' full widths).
const BEAMS_PER_STEP: f64 = 4.0;
/// Grid step in pixels for an image without a beam.
const STEP_WITHOUT_BEAM: usize = 16;
/// Pixels are kept strictly within this many standard deviations of the mean.
const CLIP_SIGMA: f64 = 3.0;
/// The most often a box is clipped.
const MAX_CLIPS: usize = 10;
/// Sorted pixels per partial sum.
const BLOCK: usize = 16;
/// Pixels of a tile from which its quartiles are taken.
const QUARTILE_SAMPLES: usize = 64;
/// Half the width of a tile's middle in quartile ranges: two standard deviations of a Gaussian.
const MIDDLE_QUARTILE_RANGES: f64 = 1.48;

/// BANE's grid step for a beam, pixels.
pub(super) fn default_step(beam: Option<PixelBeam>) -> usize {
    beam.map_or(STEP_WITHOUT_BEAM, |b| ((BEAMS_PER_STEP * (b.major * b.minor).sqrt()).ceil() as usize).max(1))
}

/// Background and rms at grid positions 0, step, 2 step, ..., and the size itself.
pub(super) fn model(image: ArrayView2<'_, f32>, step: usize, box_size: usize) -> (Grid, Grid) {
    let (ny, nx) = image.dim();
    let (rows, columns) = (BoxCuts::new(ny, step, box_size), BoxCuts::new(nx, step, box_size));
    // Sums of squares keep their digits when the values are not far from 0.
    let origin = typical(image);
    let clipped = clip_boxes(&rows, &columns, |y, out| match image.row(y).to_slice() {
        Some(row) => subtract(row, origin, out),
        None => out.iter_mut().zip(image.row(y)).for_each(|(o, v)| *o = f64::from(*v) - origin),
    });
    let background =
        Grid { ys: rows.grid.clone(), xs: columns.grid.clone(), values: clipped.mapv(|(mean, _)| mean + origin) };
    let clipped = clip_boxes(&rows, &columns, |y, out| {
        background.row_to(y, out, |b| b);
        match image.row(y).to_slice() {
            Some(row) => subtract_each(row, out),
            None => out.iter_mut().zip(image.row(y)).for_each(|(o, v)| *o = f64::from(*v) - *o),
        }
    });
    let rms = Grid { values: clipped.mapv(|(_, sd)| sd), ..background.clone() };
    (background, rms)
}

#[multiversion(targets("x86_64+avx2"))]
fn subtract(row: &[f32], origin: f64, out: &mut [f64]) {
    out.iter_mut().zip(row).for_each(|(o, &v)| *o = f64::from(v) - origin);
}

/// Takes the values in `out` from those of a row.
#[multiversion(targets("x86_64+avx2"))]
fn subtract_each(row: &[f32], out: &mut [f64]) {
    out.iter_mut().zip(row).for_each(|(o, &v)| *o = f64::from(v) - *o);
}

/// A finite value near most others: the median of at most a few thousand regularly spaced pixels.
fn typical(image: ArrayView2<'_, f32>) -> f64 {
    const SAMPLES: usize = 4096;
    let stride = (image.len() / SAMPLES).max(1);
    let mut sample: Vec<f32> = image.iter().step_by(stride).copied().filter(|v| v.is_finite()).collect();
    if sample.is_empty() {
        return 0.0;
    }
    let middle = sample.len() / 2;
    f64::from(*sample.select_nth_unstable_by(middle, f32::total_cmp).1)
}

/// Along one axis: grid positions, the edges of their boxes, and each box as a range of intervals between edges.
struct BoxCuts {
    grid: Vec<usize>,
    edges: Vec<usize>,
    ranges: Vec<(usize, usize)>,
}

impl BoxCuts {
    fn new(size: usize, step: usize, box_size: usize) -> Self {
        let grid: Vec<usize> = (0..size).step_by(step).chain([size]).collect();
        // The last row and column of the image are in no box, unless they are the only ones.
        let end = size.saturating_sub(1).max(1);
        let boxes: Vec<(usize, usize)> = grid
            .iter()
            .map(|&p| {
                let high = end.min(p + box_size / 2);
                (p.saturating_sub(box_size / 2).min(high), high)
            })
            .collect();
        let mut edges: Vec<usize> = boxes.iter().flat_map(|&(low, high)| [low, high]).collect();
        edges.sort_unstable();
        edges.dedup();
        let index = |edge: usize| edges.partition_point(|&e| e < edge);
        let ranges = boxes.iter().map(|&(low, high)| (index(low), index(high))).collect();
        Self { grid, edges, ranges }
    }

    fn intervals(&self) -> usize {
        self.edges.len() - 1
    }
}

/// Number, sum and sum of squares of some pixels.
#[derive(Debug, Clone, Copy, Default)]
struct BlockMoments {
    count: usize,
    sum: f64,
    squares: f64,
}

impl BlockMoments {
    fn of(values: &[f64]) -> Self {
        let (mut sum, mut squares) = (0.0, 0.0);
        for v in values {
            sum += v;
            squares += v * v;
        }
        Self { count: values.len(), sum, squares }
    }

    fn add(&mut self, other: Self) {
        self.count += other.count;
        self.sum += other.sum;
        self.squares += other.squares;
    }

    /// Mean and population standard deviation.
    fn mean_and_deviation(&self) -> (f64, f64) {
        let n = self.count as f64;
        let mean = self.sum / n;
        (mean, (self.squares / n - mean * mean).max(0.0).sqrt())
    }
}

/// Moments and extremes of a tile's pixels.
struct Tile {
    least: f64,
    greatest: f64,
    all: BlockMoments,
}

impl Default for Tile {
    fn default() -> Self {
        Self { least: f64::INFINITY, greatest: f64::NEG_INFINITY, all: BlockMoments::default() }
    }
}

impl Tile {
    /// This tile and another together.
    fn with(mut self, other: &Self) -> Self {
        self.all.add(other.all);
        Self { least: self.least.min(other.least), greatest: self.greatest.max(other.greatest), all: self.all }
    }
}

/// The columns of a box: its place in the grid, and its tiles in a row of them.
struct BoxColumns {
    number: usize,
    tiles: (usize, usize),
}

/// A tile's pixels with those far from its middle in order: the moments between two limits that spare the middle need no
/// look at the others.
struct Ends {
    /// Least and greatest value of the middle.
    middle: (f64, f64),
    of_middle: BlockMoments,
    below: End,
    above: End,
}

/// Values on one side of the middle, the nearest first, and the moments of the first so many.
struct End {
    values: Vec<f64>,
    moments: Vec<BlockMoments>,
}

impl End {
    fn new(mut values: Vec<f64>, order: fn(&f64, &f64) -> std::cmp::Ordering) -> Self {
        values.sort_unstable_by(order);
        let mut sum = BlockMoments::default();
        let mut moments = vec![sum];
        moments.extend(values.iter().map(|&v| {
            sum.add(BlockMoments { count: 1, sum: v, squares: v * v });
            sum
        }));
        Self { values, moments }
    }
}

impl Ends {
    fn new(values: &mut [f64]) -> Self {
        let middle = middle_of(values);
        let (mut below, mut above) = (Vec::new(), Vec::new());
        // The middle's values move to the front, in their order.
        let mut count = 0;
        for i in 0..values.len() {
            let v = values[i];
            if v < middle.0 {
                below.push(v);
            } else if v > middle.1 {
                above.push(v);
            } else {
                values[count] = v;
                count += 1;
            }
        }
        Self {
            middle,
            of_middle: BlockMoments::of(&values[..count]),
            below: End::new(below, |a, b| b.total_cmp(a)),
            above: End::new(above, f64::total_cmp),
        }
    }

    /// Adds the moments of the values strictly between `low` and `high`, and returns whether they spare the middle.
    fn add_between(&self, low: f64, high: f64, to: &mut BlockMoments) -> bool {
        if low >= self.middle.0 || high <= self.middle.1 {
            return false;
        }
        let (below, above) = (&self.below, &self.above);
        to.add(self.of_middle);
        to.add(below.moments[below.values.partition_point(|&v| v > low)]);
        to.add(above.moments[above.values.partition_point(|&v| v < high)]);
        true
    }
}

/// A tile's pixels, ascending, and the moments of their blocks.
struct Sorted {
    values: Vec<f64>,
    blocks: Vec<BlockMoments>,
}

impl Sorted {
    fn new(mut values: Vec<f64>) -> Self {
        values.sort_unstable_by(f64::total_cmp);
        let blocks = values.chunks(BLOCK).map(BlockMoments::of).collect();
        Self { values, blocks }
    }

    /// Adds the moments of the values strictly between `low` and `high`.
    fn add_between(&self, low: f64, high: f64, to: &mut BlockMoments) {
        let values = &self.values[..];
        let first = values.partition_point(|&v| v <= low);
        let end = values.partition_point(|&v| v < high).max(first);
        let (first_block, end_block) = (first.div_ceil(BLOCK), end / BLOCK);
        if first_block < end_block {
            to.add(BlockMoments::of(&values[first..first_block * BLOCK]));
            for block in &self.blocks[first_block..end_block] {
                to.add(*block);
            }
            to.add(BlockMoments::of(&values[end_block * BLOCK..end]));
        } else {
            to.add(BlockMoments::of(&values[first..end]));
        }
    }
}

/// Limits that hold most of the values, and lie well inside a clip at three standard deviations.
fn middle_of(values: &[f64]) -> (f64, f64) {
    let mut sample: Vec<f64> = values.iter().copied().step_by((values.len() / QUARTILE_SAMPLES).max(1)).collect();
    let n = sample.len();
    let (quarter, half, three) = (n / 4, n / 2, 3 * n / 4);
    let (below, &mut middle, above) = sample.select_nth_unstable_by(half, f64::total_cmp);
    let nth = |values: &mut [f64], n: usize| *values.select_nth_unstable_by(n, f64::total_cmp).1;
    let low = if quarter < half { nth(below, quarter) } else { middle };
    let high = if three > half { nth(above, three - half - 1) } else { middle };
    let reach = MIDDLE_QUARTILE_RANGES * (high - low);
    (middle - reach, middle + reach)
}

/// The tiles between two neighbouring row edges, from left to right.
struct TileRow {
    tiles: Vec<Tile>,
    /// Those of each box of columns together.
    boxes: Vec<Tile>,
    /// The pixels of tiles that a clip has cut into.
    ends: Vec<OnceLock<Ends>>,
    /// Those of tiles whose middle a clip has cut.
    sorted: Vec<OnceLock<Sorted>>,
    /// Pixels of the image, row by row.
    pixels: Vec<f64>,
    nx: usize,
    /// Column edges of the tiles.
    edges: Vec<usize>,
}

impl TileRow {
    /// Rows `ys` of the image; `pixels` is memory for them.
    fn new(
        ys: std::ops::Range<usize>,
        columns: &BoxCuts,
        fill: &impl Fn(usize, &mut [f64]),
        mut pixels: Vec<f64>,
    ) -> Self {
        let nx = *columns.grid.last().expect("a grid has a last position");
        pixels.resize(ys.len() * nx, 0.0);
        for (row, y) in pixels.chunks_exact_mut(nx).zip(ys) {
            fill(y, row);
        }
        let tile = |edges: &[usize]| {
            let (all, least, greatest) = lanes_of(&pixels, nx, edges[0]..edges[1]).total();
            Tile { least, greatest, all }
        };
        let tiles: Vec<Tile> = columns.edges.windows(2).map(tile).collect();
        let together = |&(first, end): &(usize, usize)| tiles[first..end].iter().fold(Tile::default(), Tile::with);
        let boxes = columns.ranges.iter().map(together).collect();
        let (ends, sorted) = tiles.iter().map(|_| (OnceLock::new(), OnceLock::new())).unzip();
        Self { tiles, boxes, ends, sorted, pixels, nx, edges: columns.edges.clone() }
    }

    /// The finite pixels of a tile.
    fn values(&self, tile: usize) -> Vec<f64> {
        let columns = self.edges[tile]..self.edges[tile + 1];
        let mut values = Vec::with_capacity(columns.len() * (self.pixels.len() / self.nx));
        for row in self.pixels.chunks_exact(self.nx) {
            values.extend_from_slice(&row[columns.clone()]);
        }
        if values.len() > self.tiles[tile].all.count {
            values.retain(|v| v.is_finite());
        }
        values
    }

    /// Adds the moments of the pixels strictly between `low` and `high` in the tiles of a box.
    fn add_between(&self, of_box: &BoxColumns, low: f64, high: f64, to: &mut BlockMoments) {
        let (whole, range) = (&self.boxes[of_box.number], of_box.tiles);
        if whole.least > low && whole.greatest < high {
            to.add(whole.all);
            return;
        }
        for (i, tile) in (range.0..).zip(&self.tiles[range.0..range.1]) {
            if tile.least > low && tile.greatest < high {
                to.add(tile.all);
            } else if tile.all.count > 0 {
                let ends = self.ends[i].get_or_init(|| Ends::new(&mut self.values(i)));
                if !ends.add_between(low, high, to) {
                    self.sorted[i].get_or_init(|| Sorted::new(self.values(i))).add_between(low, high, to);
                }
            }
        }
    }
}

/// Sums side by side, which a processor adds at once.
const LANES: usize = 8;

/// Moments and extremes of finite pixels, in lanes.
#[derive(Clone, Copy)]
struct Lanes {
    count: [f64; LANES],
    sum: [f64; LANES],
    squares: [f64; LANES],
    least: [f64; LANES],
    greatest: [f64; LANES],
}

impl Default for Lanes {
    fn default() -> Self {
        let zero = [0.0; LANES];
        let (least, greatest) = ([f64::INFINITY; LANES], [f64::NEG_INFINITY; LANES]);
        Self { count: zero, sum: zero, squares: zero, least, greatest }
    }
}

impl Lanes {
    #[inline(always)]
    fn look(&mut self, values: &[f64; LANES]) {
        for (i, &v) in values.iter().enumerate() {
            let is_finite = v.is_finite();
            let known = if is_finite { v } else { 0.0 };
            self.count[i] += if is_finite { 1.0 } else { 0.0 };
            self.sum[i] += known;
            self.squares[i] += known * known;
            self.least[i] = if is_finite && v < self.least[i] { v } else { self.least[i] };
            self.greatest[i] = if is_finite && v > self.greatest[i] { v } else { self.greatest[i] };
        }
    }

    /// Moments, least and greatest.
    fn total(&self) -> (BlockMoments, f64, f64) {
        let sum = |lanes: &[f64; LANES]| lanes.iter().sum::<f64>();
        let moments =
            BlockMoments { count: sum(&self.count) as usize, sum: sum(&self.sum), squares: sum(&self.squares) };
        let least = self.least.iter().copied().fold(f64::INFINITY, f64::min);
        (moments, least, self.greatest.iter().copied().fold(f64::NEG_INFINITY, f64::max))
    }
}

/// The lanes of some columns of rows of `nx` pixels.
#[multiversion(targets("x86_64+avx2"))]
fn lanes_of(pixels: &[f64], nx: usize, columns: std::ops::Range<usize>) -> Lanes {
    let mut lanes = Lanes::default();
    for row in pixels.chunks_exact(nx) {
        let chunks = row[columns.clone()].chunks_exact(LANES);
        let rest = chunks.remainder();
        for chunk in chunks {
            lanes.look(chunk.try_into().expect("a chunk has as many values as there are lanes"));
        }
        if !rest.is_empty() {
            let mut last = [f64::NAN; LANES];
            last[..rest.len()].copy_from_slice(rest);
            lanes.look(&last);
        }
    }
    lanes
}

/// Sigma-clipped mean and standard deviation of one box. None finite: NaN.
fn clip_box<'a>(rows: impl Iterator<Item = &'a TileRow> + Clone, columns: &BoxColumns) -> (f64, f64) {
    let between = |low: f64, high: f64| {
        let mut moments = BlockMoments::default();
        for row in rows.clone() {
            row.add_between(columns, low, high, &mut moments);
        }
        moments
    };
    let (mut low, mut high) = (f64::NEG_INFINITY, f64::INFINITY);
    let mut kept = between(low, high);
    if kept.count == 0 {
        return (f64::NAN, f64::NAN);
    }
    let (mut mean, mut deviation) = kept.mean_and_deviation();
    for _ in 0..MAX_CLIPS {
        // A pixel once clipped stays out, even if a later clip would admit it.
        low = low.max(mean - CLIP_SIGMA * deviation);
        high = high.min(mean + CLIP_SIGMA * deviation);
        let next = between(low, high);
        // All pixels alike are all on the clip itself: their statistics stand.
        if next.count == 0 || next.count == kept.count {
            break;
        }
        kept = next;
        (mean, deviation) = kept.mean_and_deviation();
    }
    (mean, deviation)
}

/// Clipped mean and standard deviation of every box, `[grid row, grid column]`; `fill` gives rows of the image.
///
/// Rows of tiles live only while a box needs them.
fn clip_boxes(rows: &BoxCuts, columns: &BoxCuts, fill: impl Fn(usize, &mut [f64]) + Sync) -> Array2<(f64, f64)> {
    let ahead = 8 + 4 * rayon::current_num_threads();
    let mut result = Array2::from_elem((rows.grid.len(), columns.grid.len()), (f64::NAN, f64::NAN));
    let mut window: VecDeque<TileRow> = VecDeque::new();
    // Memory of rows that no box needs any more, for those to come.
    let spare = Mutex::new(Vec::new());
    let lock = || spare.lock().expect("no thread panics with it");
    let mut first = 0;
    let mut done = 0;
    while done < rows.grid.len() {
        let needed = rows.ranges[done];
        while first < needed.0 {
            lock().extend(window.pop_front().map(|row| row.pixels));
            first += 1;
        }
        let built = first + window.len();
        let target = rows.intervals().min(needed.1 + ahead);
        window.extend(
            (built..target)
                .into_par_iter()
                // A row is much work: none waits while another thread has several left.
                .with_max_len(1)
                .map(|i| {
                    let pixels = lock().pop().unwrap_or_default();
                    TileRow::new(rows.edges[i]..rows.edges[i + 1], columns, &fill, pixels)
                })
                .collect::<Vec<_>>(),
        );
        let ready = done + rows.ranges[done..].partition_point(|range| range.1 <= target);
        let width = columns.grid.len();
        result.as_slice_mut().expect("own array")[done * width..ready * width]
            .par_iter_mut()
            .enumerate()
            .with_min_len(8)
            .with_max_len(16)
            .for_each(|(i, out)| {
                let range = rows.ranges[done + i / width];
                let of_box = BoxColumns { number: i % width, tiles: columns.ranges[i % width] };
                *out = clip_box(window.range(range.0 - first..range.1 - first), &of_box);
            });
        done = ready;
    }
    result
}
