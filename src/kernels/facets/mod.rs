//! Facets: directions chosen among the sources of a model, the cells around them, the components of each cell.
//!
//! Coordinates are pixels, `[x, y]`, the centre of the first pixel at `[0, 0]`. Every point belongs to the direction nearest
//! to it, of two at the same distance to the first: cells, components and pixels are divided in the same way.

mod cells;
mod directions;
mod whole;

pub(crate) use cells::cells;
pub(crate) use directions::{Choice, Limits, choose, keep_bright};
pub(crate) use whole::{Cells, Disc, discs};

use crate::kernels::Connectivity;
use crate::kernels::labels::label;
use ndarray::{Array2, ArrayView2};
use std::f64::consts::LN_2;

/// The part of its maximum from which on a Gaussian is left out.
const NEXT_TO_NOTHING: f64 = 1e-3;

/// A point in pixels, `[x, y]`.
pub(crate) type Point = [f64; 2];

/// A pixel of a model.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Component {
    /// Its centre.
    pub(crate) at: Point,
    /// Its flux, Jy.
    pub(crate) flux: f64,
    /// Number of its island; 0: it is in none.
    pub(crate) island: u32,
    /// Its part of the mean squared visibility of all components, Jy²: a compact source has the square of its flux, a resolved
    /// one less.
    pub(crate) power: f64,
}

/// The flux of a point source that has the mean squared visibility of these components, Jy: what gains can be solved from.
pub(crate) fn seen_flux(components: &[Component]) -> f64 {
    flux_of(components.iter().map(|c| c.power).sum())
}

/// The flux of a point source with this squared visibility, Jy; between negative components there may be none.
fn flux_of(power: f64) -> f64 {
    power.max(0.0).sqrt()
}

/// An island of a mask with flux in it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Source {
    /// Centre of its flux.
    pub(crate) at: Point,
    /// Its flux as [`seen_flux`] has it, Jy; above 0.
    pub(crate) flux: f64,
}

/// Squared distance of two points.
fn squared_distance(a: Point, b: Point) -> f64 {
    (a[0] - b[0]).powi(2) + (a[1] - b[1]).powi(2)
}

/// Number of the direction nearest to a point.
///
/// # Panics
/// When there is none.
pub(crate) fn nearest(directions: &[Point], at: Point) -> usize {
    let distance = |k: &usize| squared_distance(directions[*k], at);
    (0..directions.len()).min_by(|a, b| distance(a).total_cmp(&distance(b))).expect("at least one direction")
}

/// The pixels of a model that are not 0, in raster order, each with its island of a mask. Fluxes of an island within a Gaussian of
/// this FWHM, pixels, are seen as one source: over baselines whose weights are that Gaussian's transform the mean squared
/// visibility is the sum of all products of two fluxes with the Gaussian at their distance.
pub(crate) fn components(model: ArrayView2<'_, f32>, mask: ArrayView2<'_, bool>, fwhm: f64) -> Vec<Component> {
    let (islands, near) = (label(mask, Connectivity::Eight).labels, gaussian(fwhm));
    let reach = near.len() - 1;
    let around = |at: usize, length: usize| at.saturating_sub(reach)..length.min(at + reach + 1);
    let power = |y: usize, x: usize| {
        let mut seen = 0.0;
        for row in around(y, model.nrows()) {
            for column in around(x, model.ncols()) {
                if is_set(model[[row, column]]) && islands[[row, column]] == islands[[y, x]] {
                    let weight = near[row.abs_diff(y)] * near[column.abs_diff(x)];
                    seen += weight * f64::from(model[[row, column]]);
                }
            }
        }
        seen * f64::from(model[[y, x]])
    };
    let set = model.indexed_iter().filter(|(_, flux)| is_set(**flux));
    set.map(|((y, x), flux)| Component {
        at: [x as f64, y as f64],
        flux: f64::from(*flux),
        island: islands[[y, x]],
        power: power(y, x),
    })
    .collect()
}

fn is_set(flux: f32) -> bool {
    flux.is_finite() && flux != 0.0
}

/// A Gaussian of this FWHM at whole distances from 0 on, until next to nothing is left of it.
fn gaussian(fwhm: f64) -> Vec<f64> {
    let at = |distance: usize| (-4.0 * LN_2 * (distance as f64 / fwhm).powi(2)).exp();
    (0..).map(at).take_while(|value| *value > NEXT_TO_NOTHING).collect()
}

/// The components of each of so many directions, in their order; `of` tells the direction of a place.
fn divided(components: &[Component], count: usize, of: impl Fn(Point) -> usize) -> Vec<Vec<Component>> {
    let mut parts = vec![Vec::new(); count];
    for component in components {
        parts[of(component.at)].push(*component);
    }
    parts
}

/// The islands that hold flux of these components, the brightest first.
pub(crate) fn sources(components: &[Component]) -> Vec<Source> {
    let count = components.iter().map(|c| c.island as usize).max().unwrap_or(0);
    let mut sums = vec![[0.0f64; 4]; count];
    for component in components.iter().filter(|c| c.island > 0) {
        let sum = &mut sums[component.island as usize - 1];
        // Negative components would put the centre anywhere.
        let ([x, y], flux) = (component.at, component.flux.max(0.0));
        *sum = [sum[0] + flux, sum[1] + flux * x, sum[2] + flux * y, sum[3] + component.power];
    }
    let source = |&[flux, x, y, power]: &[f64; 4]| {
        let seen = flux_of(power);
        (flux > 0.0 && seen > 0.0).then(|| Source { at: [x / flux, y / flux], flux: seen })
    };
    let mut found: Vec<Source> = sums.iter().filter_map(source).collect();
    found.sort_by(|a, b| b.flux.total_cmp(&a.flux));
    found
}

/// The mask of a model's own pixels, where there is no other.
pub(crate) fn own_islands(model: ArrayView2<'_, f32>) -> Array2<bool> {
    model.mapv(is_set)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::picture;
    use ndarray::array;

    #[test]
    fn sources_are_islands_with_flux_the_brightest_first() {
        let model = array![[1f32, 3., 0., 0., 0.], [0., 0., 0., 0., -1.], [9., 0., 0., f32::NAN, 2.]];
        let mask = picture::mask(&["##..#", "....#", "#...#"]);
        let found = sources(&components(model.view(), mask.view(), 1e6));
        let fluxes: Vec<f64> = found.iter().map(|source| source.flux).collect();
        assert!((0..2).all(|k| (fluxes[k] - [9.0, 4.0][k]).abs() < 1e-6), "no island is resolved: {fluxes:?}");
        assert_eq!((found[0].at, found[1].at, found[2].at), ([0.0, 2.0], [0.75, 0.0], [4.0, 2.0]));
        assert_eq!(found.len(), 3);
        let own = own_islands(model.view());
        assert_eq!(
            sources(&components(model.view(), own.view(), 1.0)).len(),
            3,
            "the model's own pixels do for a mask"
        );
    }

    #[test]
    fn what_a_beam_does_not_resolve_is_seen_whole_and_the_rest_as_separate_sources() {
        let mut model = Array2::<f32>::zeros((64, 64));
        let one = Array2::from_elem((64, 64), true);
        let seen = |model: &Array2<f32>| seen_flux(&components(model.view(), one.view(), 6.0));
        model[[10, 10]] = 3.0;
        assert!((seen(&model) - 3.0).abs() < 1e-9);
        model[[10, 11]] = 1.0;
        assert!((3.9..4.0).contains(&seen(&model)), "{}", seen(&model));
        // Two sources apart: the mean square of their sum.
        model[[10, 11]] = 0.0;
        model[[50, 50]] = 4.0;
        assert!((seen(&model) - 5.0).abs() < 1e-9);
        // 4 Jy over 40 by 40 pixels: the beam holds 51 of them.
        let wide = Array2::from_shape_fn((64, 64), |(y, x)| if y < 40 && x < 40 { 4.0 / 1600.0 } else { 0.0 });
        let part: f64 = std::f64::consts::PI * 9.0 / LN_2 / 1600.0;
        assert!((seen(&wide) / 4.0 / part.sqrt() - 1.0).abs() < 0.1, "{}", seen(&wide));
        // A faint source beside a bright one is no brighter for that.
        model[[10, 15]] = 0.1;
        let apart = components(model.view(), own_islands(model.view()).view(), 6.0);
        assert!((sources(&apart)[2].flux - 0.1).abs() < 1e-6);
    }

    #[test]
    fn components_are_what_is_not_zero_and_go_to_the_nearest_direction() {
        let model = array![[1f32, 0., -2.], [f32::NAN, 0., 4.]];
        let all = components(model.view(), own_islands(model.view()).view(), 1.0);
        assert_eq!(all.iter().map(|c| c.flux).collect::<Vec<_>>(), [1.0, -2.0, 4.0]);
        let parts = divided(&all, 2, |at| nearest(&[[0.0, 0.0], [2.0, 1.0]], at));
        assert_eq!(parts.iter().map(|part| part.iter().map(|c| c.flux).sum::<f64>()).collect::<Vec<_>>(), [1.0, 2.0]);
        assert_eq!(nearest(&[[0.0, 0.0], [2.0, 0.0]], [1.0, 5.0]), 0, "of two at the same distance the first");
    }
}
