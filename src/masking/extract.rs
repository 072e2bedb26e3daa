//! A mask made on one grid (a mosaic) put onto the grid of another image (a beam), nearest neighbour.

use crate::image::{CelestialWcs, PixelMap};
use ndarray::{Array2, ArrayView2, Axis};
use rayon::prelude::*;

/// Side of the blocks of output pixels that are skipped together where the source is empty.
const BLOCK: usize = 32;
/// Source pixels by which a skipped block's outline is widened.
const MARGIN: f64 = 2.0;

/// Masked pixels of `source` (`[y, x]`, true: masked) on a grid of `shape` `(ny, nx)`.
///
/// Each output pixel takes the source pixel that holds its centre; outside the source, and outside either
/// projection, it is false. The result is what reproject's nearest neighbour gives (see `tests/suite/fields.rs`).
/// Blocks of pixels are mapped only where the source has masked pixels near; the cost follows the masked area.
pub fn extract(
    source: ArrayView2<'_, bool>,
    source_wcs: &CelestialWcs,
    target_wcs: &CelestialWcs,
    shape: (usize, usize),
) -> Array2<bool> {
    let map = target_wcs.to_pixels_of(source_wcs);
    let coverage = Coverage::new(source);
    let mut out = Array2::from_elem(shape, false);
    out.axis_chunks_iter_mut(Axis(0), BLOCK).into_par_iter().enumerate().for_each(|(band, mut rows)| {
        let y0 = band * BLOCK;
        for (block, mut pixels) in rows.axis_chunks_iter_mut(Axis(1), BLOCK).enumerate() {
            let x0 = block * BLOCK;
            let (height, width) = pixels.dim();
            if block_is_empty(&map, &coverage, (x0, y0), (width, height)) {
                continue;
            }
            for ((y, x), pixel) in pixels.indexed_iter_mut() {
                *pixel = map
                    .map((x0 + x) as f64, (y0 + y) as f64)
                    .and_then(|(sx, sy)| nearest(sx, sy, source.dim()))
                    .is_some_and(|at| source[at]);
            }
        }
    });
    out
}

/// `[y, x]` of the pixel that holds the point; `None` outside.
fn nearest(x: f64, y: f64, (ny, nx): (usize, usize)) -> Option<[usize; 2]> {
    let (x, y) = ((x + 0.5).floor(), (y + 0.5).floor());
    (x >= 0.0 && y >= 0.0 && x < nx as f64 && y < ny as f64).then_some([y as usize, x as usize])
}

/// Number of masked pixels in any rectangle of blocks.
struct Coverage {
    /// Sums over blocks above and to the left, `[block row, block column]`, with a leading row and column of 0.
    sums: Array2<u64>,
    shape: (usize, usize),
}

impl Coverage {
    fn new(source: ArrayView2<'_, bool>) -> Self {
        let (ny, nx) = source.dim();
        let counts: Vec<Vec<u64>> = source
            .axis_chunks_iter(Axis(0), BLOCK)
            .into_par_iter()
            .map(|band| {
                let mut counts = vec![0; nx.div_ceil(BLOCK)];
                for row in band.rows() {
                    row.indexed_iter().filter(|(_, v)| **v).for_each(|(x, _)| counts[x / BLOCK] += 1);
                }
                counts
            })
            .collect();
        let mut sums = Array2::zeros((ny.div_ceil(BLOCK) + 1, nx.div_ceil(BLOCK) + 1));
        for (j, row) in counts.iter().enumerate() {
            for (i, n) in row.iter().enumerate() {
                sums[[j + 1, i + 1]] = n + sums[[j, i + 1]] + sums[[j + 1, i]] - sums[[j, i]];
            }
        }
        Self { sums, shape: (ny, nx) }
    }

    /// No masked pixel in the rectangle of pixel coordinates, inclusive.
    fn is_empty(&self, x: (f64, f64), y: (f64, f64)) -> bool {
        let (ny, nx) = self.shape;
        let blocks = |(low, high): (f64, f64), size: usize| {
            // Casts saturate; a range outside the source is empty.
            let first = ((low.max(0.0)) as usize).min(size) / BLOCK;
            let end = if high < 0.0 { 0 } else { (high as usize).min(size - 1) / BLOCK + 1 };
            (low <= size as f64).then_some((first, end.max(first)))
        };
        let (Some((i0, i1)), Some((j0, j1))) = (blocks(x, nx), blocks(y, ny)) else { return true };
        let last = |j: usize, axis: usize| j.min(self.sums.len_of(Axis(axis)) - 1);
        let (i0, i1, j0, j1) = (last(i0, 1), last(i1, 1), last(j0, 0), last(j1, 0));
        self.sums[[j1, i1]] + self.sums[[j0, i0]] == self.sums[[j0, i1]] + self.sums[[j1, i0]]
    }
}

/// True when no pixel of the block can fall on a masked pixel.
///
/// The block's corners, edge middles and centre are mapped. Where the map is far from linear (near the edge of a
/// projection) or undefined, the answer is false.
fn block_is_empty(
    map: &PixelMap<'_>,
    coverage: &Coverage,
    (x0, y0): (usize, usize),
    (width, height): (usize, usize),
) -> bool {
    let mut points = [(0.0, 0.0); 9];
    for (i, point) in points.iter_mut().enumerate() {
        let x = x0 as f64 + (width - 1) as f64 * (i % 3) as f64 / 2.0;
        let y = y0 as f64 + (height - 1) as f64 * (i / 3) as f64 / 2.0;
        match map.map(x, y) {
            Some(mapped) => *point = mapped,
            None => return false,
        }
    }
    // On each line of three, the middle's distance from the mean of the ends bounds the bend between them.
    let lines = [[0, 1, 2], [3, 4, 5], [6, 7, 8], [0, 3, 6], [1, 4, 7], [2, 5, 8], [0, 4, 8], [2, 4, 6]];
    let bent = lines.iter().any(|&[a, b, c]| {
        let bend = |pick: fn(&(f64, f64)) -> f64| {
            (pick(&points[b]) - (pick(&points[a]) + pick(&points[c])) / 2.0).abs() > MARGIN / 4.0
        };
        bend(|p| p.0) || bend(|p| p.1)
    });
    if bent {
        return false;
    }
    let range = |pick: fn(&(f64, f64)) -> f64| {
        let (low, high) = points.iter().map(pick).fold((f64::MAX, f64::MIN), |(l, h), v| (l.min(v), h.max(v)));
        (low - MARGIN, high + MARGIN)
    };
    coverage.is_empty(range(|p| p.0), range(|p| p.1))
}
