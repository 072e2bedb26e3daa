//! Median and median absolute deviation, of a plane or of a sliding box.

use super::MAD_TO_SIGMA;
use super::grid::Grid;
use ndarray::{Array2, ArrayView2, s};
use rayon::prelude::*;

/// Median of `values`, which are reordered; the mean of the middle two of an even number. NaN for none.
pub fn median_in_place(values: &mut [f32]) -> f64 {
    if values.is_empty() {
        return f64::NAN;
    }
    let middle = values.len() / 2;
    let even = values.len().is_multiple_of(2);
    let (below, &mut upper, _) = values.select_nth_unstable_by(middle, f32::total_cmp);
    if even {
        let lower = below.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        (f64::from(lower) + f64::from(upper)) / 2.0
    } else {
        f64::from(upper)
    }
}

/// Median and 1.4826 times the median absolute deviation from it of `values`, which are overwritten.
pub fn median_and_sigma(values: &mut [f32]) -> (f64, f64) {
    let median = median_in_place(values);
    values.iter_mut().for_each(|v| *v = (f64::from(*v) - median).abs() as f32);
    (median, MAD_TO_SIGMA * median_in_place(values))
}

/// The part of a window of `side` pixels around `position` that lies inside an axis of `size` pixels: offsets
/// -(side/2) ... side-1-(side/2).
pub fn window(position: usize, side: usize, size: usize) -> std::ops::Range<usize> {
    position.saturating_sub(side / 2)..size.min(position + side - side / 2)
}

/// Median and 1.4826 MADFM in boxes around grid positions 0, step, 2 step, ... and the last pixel.
pub fn on_grid(image: ArrayView2<'_, f32>, side: usize, step: usize) -> (Grid, Grid) {
    let (ny, nx) = image.dim();
    let positions = |size: usize| (0..size - 1).step_by(step).chain([size - 1]).collect::<Vec<_>>();
    let (ys, xs) = (positions(ny), positions(nx));
    let values: Vec<(f64, f64)> = (0..ys.len() * xs.len())
        .into_par_iter()
        .map_init(Vec::new, |scratch: &mut Vec<f32>, i| {
            let (y, x) = (ys[i / xs.len()], xs[i % xs.len()]);
            scratch.clear();
            for row in image.slice(s![window(y, side, ny), window(x, side, nx)]).rows() {
                scratch.extend(row.iter().copied().filter(|v| v.is_finite()));
            }
            median_and_sigma(scratch)
        })
        .collect();
    let grid = |pick: fn(&(f64, f64)) -> f64| Grid {
        ys: ys.clone(),
        xs: xs.clone(),
        values: Array2::from_shape_vec((ys.len(), xs.len()), values.iter().map(pick).collect())
            .expect("one value a grid position"),
    };
    (grid(|v| v.0), grid(|v| v.1))
}
