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
use ndarray::{ArrayView2, Zip};

/// A point in pixels, `[x, y]`.
pub(crate) type Point = [f64; 2];

/// A pixel of a model.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Component {
    /// Its centre.
    pub(crate) at: Point,
    /// Its flux, Jy.
    pub(crate) flux: f64,
}

/// An island of a mask with flux in it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Source {
    /// Centre of its flux.
    pub(crate) at: Point,
    /// Its flux, Jy; above 0.
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

/// The pixels of a model that are not 0, in raster order.
pub(crate) fn components(model: ArrayView2<'_, f32>) -> Vec<Component> {
    let set = model.indexed_iter().filter(|(_, flux)| flux.is_finite() && **flux != 0.0);
    set.map(|((y, x), flux)| Component { at: [x as f64, y as f64], flux: f64::from(*flux) }).collect()
}

/// The components of each of so many directions, in their order; `of` tells the direction of a place.
fn divided(components: &[Component], count: usize, of: impl Fn(Point) -> usize) -> Vec<Vec<Component>> {
    let mut parts = vec![Vec::new(); count];
    for component in components {
        parts[of(component.at)].push(*component);
    }
    parts
}

/// The islands of a mask that hold flux of the model, the brightest first. Without a mask those of the model's own pixels.
pub(crate) fn sources(model: ArrayView2<'_, f32>, mask: Option<ArrayView2<'_, bool>>) -> Vec<Source> {
    let own = || model.mapv(|flux| flux.is_finite() && flux != 0.0);
    let islands = mask.map_or_else(own, |mask| mask.to_owned());
    let labels = label(islands.view(), Connectivity::Eight);
    let mut sums = vec![[0.0f64; 3]; labels.count()];
    Zip::indexed(&labels.labels).and(&model).for_each(|(y, x), &island, &flux| {
        // Negative components would put the centre anywhere.
        if island > 0 && flux > 0.0 {
            let (sum, flux) = (&mut sums[island as usize - 1], f64::from(flux));
            *sum = [sum[0] + flux, sum[1] + flux * x as f64, sum[2] + flux * y as f64];
        }
    });
    let with_flux = sums.iter().filter(|sum| sum[0] > 0.0 && sum[0].is_finite());
    let mut found: Vec<Source> =
        with_flux.map(|[flux, x, y]| Source { at: [x / flux, y / flux], flux: *flux }).collect();
    found.sort_by(|a, b| b.flux.total_cmp(&a.flux));
    found
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
        let found = sources(model.view(), Some(mask.view()));
        assert_eq!(found[0], Source { at: [0.0, 2.0], flux: 9.0 });
        assert_eq!(found[1], Source { at: [0.75, 0.0], flux: 4.0 });
        assert_eq!(found[2], Source { at: [4.0, 2.0], flux: 2.0 });
        assert_eq!(found.len(), 3);
        assert_eq!(sources(model.view(), None).len(), 3, "the model's own pixels do for a mask");
    }

    #[test]
    fn components_are_what_is_not_zero_and_go_to_the_nearest_direction() {
        let model = array![[1f32, 0., -2.], [f32::NAN, 0., 4.]];
        let all = components(model.view());
        assert_eq!(all.iter().map(|c| c.flux).collect::<Vec<_>>(), [1.0, -2.0, 4.0]);
        let parts = divided(&all, 2, |at| nearest(&[[0.0, 0.0], [2.0, 1.0]], at));
        assert_eq!(parts.iter().map(|part| part.iter().map(|c| c.flux).sum::<f64>()).collect::<Vec<_>>(), [1.0, 2.0]);
        assert_eq!(nearest(&[[0.0, 0.0], [2.0, 0.0]], [1.0, 5.0]), 0, "of two at the same distance the first");
    }
}
