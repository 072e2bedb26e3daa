//! Background and rms as BANE (AegeanTools 2.3.5) estimates them with one stripe.
//!
//! Boxes around grid positions overlap, with BANE's own sizes 36 times. Their edges cut the image into tiles; each
//! tile's pixels are sorted once, and a box is a rectangle of whole tiles. A clip then changes only tiles that hold
//! a pixel beyond it, and of those the kept pixels are a range of sorted values whose sum is known in blocks.
//! So a clip costs a few operations per tile instead of per pixel, and no sum ever cancels.

use super::grid::Grid;
use crate::image::PixelBeam;
use ndarray::{Array2, ArrayView2};
use rayon::prelude::*;
use std::collections::VecDeque;

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
    let clipped = clip_boxes(&rows, &columns, |y, out| {
        out.iter_mut().zip(image.row(y)).for_each(|(o, v)| *o = f64::from(*v) - origin);
    });
    let background =
        Grid { ys: rows.grid.clone(), xs: columns.grid.clone(), values: clipped.mapv(|(mean, _)| mean + origin) };
    let clipped = clip_boxes(&rows, &columns, |y, out| {
        let row = image.row(y);
        background.row_to(y, nx, |x, b| out[x] = f64::from(row[x]) - b);
    });
    let rms = Grid { values: clipped.mapv(|(_, sd)| sd), ..background.clone() };
    (background, rms)
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

struct Tile {
    least: f64,
    greatest: f64,
    all: BlockMoments,
    /// First of its values, and of its blocks, in the row of tiles.
    value_start: usize,
    block_start: usize,
}

/// The tiles between two neighbouring row edges, from left to right.
struct TileRow {
    tiles: Vec<Tile>,
    /// Finite pixels, ascending in each tile.
    values: Vec<f64>,
    /// Moments of each tile's whole blocks of sorted values.
    blocks: Vec<BlockMoments>,
}

impl TileRow {
    fn new(ys: std::ops::Range<usize>, columns: &BoxCuts, fill: &impl Fn(usize, &mut [f64])) -> Self {
        let nx = *columns.grid.last().expect("a grid has a last position");
        let height = ys.len();
        let mut pixels = vec![0.0; height * nx];
        for (row, y) in pixels.chunks_exact_mut(nx).zip(ys) {
            fill(y, row);
        }
        let mut values = Vec::with_capacity(height * nx);
        let mut tiles = Vec::with_capacity(columns.intervals());
        let mut blocks = Vec::new();
        for edges in columns.edges.windows(2) {
            let value_start = values.len();
            for row in pixels.chunks_exact(nx) {
                values.extend(row[edges[0]..edges[1]].iter().copied().filter(|v| v.is_finite()));
            }
            let own = &mut values[value_start..];
            own.sort_unstable_by(f64::total_cmp);
            let block_start = blocks.len();
            let mut all = BlockMoments::default();
            for block in own.chunks(BLOCK) {
                let moments = BlockMoments::of(block);
                all.add(moments);
                blocks.push(moments);
            }
            tiles.push(Tile {
                least: own.first().copied().unwrap_or(f64::INFINITY),
                greatest: own.last().copied().unwrap_or(f64::NEG_INFINITY),
                all,
                value_start,
                block_start,
            });
        }
        Self { tiles, values, blocks }
    }

    /// Adds the moments of the pixels strictly between `low` and `high` in tiles `range`.
    fn add_between(&self, range: (usize, usize), low: f64, high: f64, to: &mut BlockMoments) {
        for tile in &self.tiles[range.0..range.1] {
            if tile.least > low && tile.greatest < high {
                to.add(tile.all);
            } else if tile.all.count > 0 {
                let values = &self.values[tile.value_start..tile.value_start + tile.all.count];
                let first = values.partition_point(|&v| v <= low);
                let end = values.partition_point(|&v| v < high).max(first);
                let (first_block, end_block) = (first.div_ceil(BLOCK), end / BLOCK);
                if first_block < end_block {
                    to.add(BlockMoments::of(&values[first..first_block * BLOCK]));
                    for block in &self.blocks[tile.block_start + first_block..tile.block_start + end_block] {
                        to.add(*block);
                    }
                    to.add(BlockMoments::of(&values[end_block * BLOCK..end]));
                } else {
                    to.add(BlockMoments::of(&values[first..end]));
                }
            }
        }
    }
}

/// Sigma-clipped mean and standard deviation of one box. None finite: NaN.
fn clip_box<'a>(rows: impl Iterator<Item = &'a TileRow> + Clone, columns: (usize, usize)) -> (f64, f64) {
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
    let mut first = 0;
    let mut done = 0;
    while done < rows.grid.len() {
        let needed = rows.ranges[done];
        while first < needed.0 {
            window.pop_front();
            first += 1;
        }
        let built = first + window.len();
        let target = rows.intervals().min(needed.1 + ahead);
        window.extend(
            (built..target)
                .into_par_iter()
                .map(|i| TileRow::new(rows.edges[i]..rows.edges[i + 1], columns, &fill))
                .collect::<Vec<_>>(),
        );
        let ready = done + rows.ranges[done..].partition_point(|range| range.1 <= target);
        let width = columns.grid.len();
        result.as_slice_mut().expect("own array")[done * width..ready * width]
            .par_iter_mut()
            .enumerate()
            .with_min_len(8)
            .for_each(|(i, out)| {
                let range = rows.ranges[done + i / width];
                *out = clip_box(window.range(range.0 - first..range.1 - first), columns.ranges[i % width]);
            });
        done = ready;
    }
    result
}
