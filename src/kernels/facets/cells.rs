//! The Voronoi cells of directions, cut off around the image.

use super::Point;

/// The cells of directions inside the rectangle from `low` to `high`, in the order of the directions: convex polygons, their
/// corners one after the other, none where a direction's cell has no area. Together they fill the rectangle: there are no
/// holes, in which sources would be neither corrected nor cleaned.
///
/// Each cell begins as the rectangle, and the bisector with every other direction cuts a half-plane off. O(directions²).
pub(crate) fn cells(directions: &[Point], low: Point, high: Point) -> Vec<Vec<Point>> {
    let cell = |(k, &own): (usize, &Point)| {
        let mut corners = vec![low, [high[0], low[1]], high, [low[0], high[1]]];
        for (other, &there) in directions.iter().enumerate() {
            if other != k {
                corners = cut(&corners, own, there);
            }
        }
        corners
    };
    directions.iter().enumerate().map(cell).collect()
}

/// The part of a convex polygon that is nearer to `own` than to `there`.
fn cut(corners: &[Point], own: Point, there: Point) -> Vec<Point> {
    let normal = [there[0] - own[0], there[1] - own[1]];
    let middle = [(there[0] + own[0]) / 2.0, (there[1] + own[1]) / 2.0];
    // Above 0: on the other side.
    let side = |p: Point| (p[0] - middle[0]) * normal[0] + (p[1] - middle[1]) * normal[1];
    let mut kept = Vec::with_capacity(corners.len() + 1);
    for (k, &here) in corners.iter().enumerate() {
        let next = corners[(k + 1) % corners.len()];
        let (a, b) = (side(here), side(next));
        if a <= 0.0 {
            kept.push(here);
        }
        if (a < 0.0 && b > 0.0) || (a > 0.0 && b < 0.0) {
            let part = a / (a - b);
            kept.push([here[0] + part * (next[0] - here[0]), here[1] + part * (next[1] - here[1])]);
        }
    }
    if kept.len() < 3 { Vec::new() } else { kept }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::facets::{nearest, squared_distance};
    use proptest::prelude::*;

    /// Twice the area, above 0 where the corners go round against the clock.
    fn doubled_area(cell: &[Point]) -> f64 {
        let cross = |k: usize| {
            let (a, b) = (cell[k], cell[(k + 1) % cell.len()]);
            a[0] * b[1] - b[0] * a[1]
        };
        (0..cell.len()).map(cross).sum()
    }

    /// The least distance from the inside of the polygon's edges, below 0 outside.
    fn depth(cell: &[Point], p: Point) -> f64 {
        let from_edge = |k: usize| {
            let (a, b) = (cell[k], cell[(k + 1) % cell.len()]);
            let length = squared_distance(a, b).sqrt();
            ((b[0] - a[0]) * (p[1] - a[1]) - (b[1] - a[1]) * (p[0] - a[0])) / length
        };
        let edges = (0..cell.len()).filter(|k| squared_distance(cell[*k], cell[(k + 1) % cell.len()]) > 1e-18);
        edges.map(from_edge).fold(f64::INFINITY, f64::min)
    }

    fn any_directions() -> impl Strategy<Value = Vec<Point>> {
        prop::collection::vec([-3.0f64..43.0, -3.0f64..33.0], 1..14)
    }

    proptest! {
        #[test]
        fn every_pixel_is_in_the_cell_of_its_nearest_direction_and_in_no_other(directions in any_directions()) {
            let (low, high) = ([-4.5, -4.5], [44.5, 34.5]);
            let cells = cells(&directions, low, high);
            prop_assert_eq!(cells.len(), directions.len());
            for (y, x) in (0..30).flat_map(|y| (0..40).map(move |x| (y, x))) {
                let pixel = [f64::from(x), f64::from(y)];
                let inside: Vec<usize> =
                    (0..cells.len()).filter(|k| cells[*k].len() > 2 && depth(&cells[*k], pixel) > 1e-9).collect();
                let own = nearest(&directions, pixel);
                let rival = (0..directions.len()).filter(|k| *k != own);
                let gap = rival.map(|k| squared_distance(directions[k], pixel)).fold(f64::INFINITY, f64::min)
                    - squared_distance(directions[own], pixel);
                if gap > 1e-6 {
                    prop_assert_eq!(inside, vec![own], "pixel {:?}", pixel);
                }
            }
        }

        #[test]
        fn cells_fill_the_rectangle(directions in any_directions()) {
            let cells = cells(&directions, [-4.5, -4.5], [44.5, 34.5]);
            let mut distinct = directions.clone();
            distinct.dedup();
            let total: f64 = cells.iter().map(|cell| doubled_area(cell) / 2.0).sum();
            prop_assert!((total - 49.0 * 39.0).abs() < 1e-6, "{total}");
            prop_assert!(cells.iter().all(|cell| doubled_area(cell) >= 0.0), "all go round the same way");
        }
    }

    #[test]
    fn one_direction_has_all_and_two_share_at_the_middle() {
        assert_eq!(
            cells(&[[3.0, 3.0]], [0.0, 0.0], [9.0, 9.0]),
            [vec![[0.0, 0.0], [9.0, 0.0], [9.0, 9.0], [0.0, 9.0]]]
        );
        let two = cells(&[[2.0, 5.0], [6.0, 5.0]], [0.0, 0.0], [10.0, 10.0]);
        assert_eq!(two[0], [[0.0, 0.0], [4.0, 0.0], [4.0, 10.0], [0.0, 10.0]]);
        assert_eq!(two[1], [[4.0, 0.0], [10.0, 0.0], [10.0, 10.0], [4.0, 10.0]]);
    }
}
