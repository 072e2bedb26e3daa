//! Seeds grown inside a floor.

use super::Connectivity;
use ndarray::{Array2, ArrayView2};

/// Dilates `seeds` one neighbour a step, only into true pixels of `floor`, at most `max_steps` times (`None`: until
/// nothing changes). Seeds outside the floor stay, and may grow into it (as `scipy.ndimage.binary_dilation` with
/// `mask`). Nothing is outside the image.
///
/// A breadth-first fill that starts from the seeds' edges: O(pixels) to find them, then O(pixels gained).
///
/// ```text
/// seeds . . S . . .   floor . . # # # .   8-connected, 2 steps   . . # # # .
///       . . . . . .         # . . . . #  --------------------->  . . . . . .
///       . . . . . .         # # # # # #                          . . . . . .
/// ```
///
/// # Panics
/// When the shapes differ.
pub fn geodesic_dilation(
    seeds: ArrayView2<'_, bool>,
    floor: ArrayView2<'_, bool>,
    connectivity: Connectivity,
    max_steps: Option<usize>,
) -> Array2<bool> {
    let mut mask = seeds.as_standard_layout().into_owned();
    geodesic_dilation_in_place(&mut mask, floor, connectivity, max_steps);
    mask
}

/// [`geodesic_dilation`], with the seeds in `mask`, which becomes the result.
///
/// # Panics
/// When the shapes differ, or `mask` is not in standard (row-major) order.
pub fn geodesic_dilation_in_place(
    mask: &mut Array2<bool>,
    floor: ArrayView2<'_, bool>,
    connectivity: Connectivity,
    max_steps: Option<usize>,
) {
    assert_eq!(mask.dim(), floor.dim(), "seeds and floor have the same shape");
    let (ny, nx) = mask.dim();
    let floor = floor.as_standard_layout();
    let floor = floor.as_slice().expect("standard order");
    let mask = mask.as_slice_mut().expect("standard order");
    let mut frontier = Vec::new();
    if max_steps != Some(0) {
        // The first step straight from the seeds: gains are collected first, so that none of them counts as a seed.
        for (y, row) in mask.chunks_exact(nx.max(1)).enumerate() {
            let mut at = 0;
            while at < nx {
                // Most of an image holds no seeds: look at eight pixels at a time.
                if let Some(eight) = row.get(at..at + 8)
                    && !eight.iter().any(|&b| b)
                {
                    at += 8;
                    continue;
                }
                if row[at] {
                    neighbours(y * nx + at, (ny, nx), connectivity, |i| {
                        if floor[i] && !mask[i] {
                            frontier.push(i);
                        }
                    });
                }
                at += 1;
            }
        }
        frontier.retain(|&i| !std::mem::replace(&mut mask[i], true));
    }
    let mut steps = 1;
    let mut next = Vec::new();
    while !frontier.is_empty() && max_steps.is_none_or(|most| steps < most) {
        for &i in &frontier {
            neighbours(i, (ny, nx), connectivity, |i| {
                if floor[i] && !mask[i] {
                    mask[i] = true;
                    next.push(i);
                }
            });
        }
        frontier.clear();
        std::mem::swap(&mut frontier, &mut next);
        steps += 1;
    }
}

/// Calls `visit` with the index of each neighbour of pixel `i` that is inside the image.
#[inline(always)]
fn neighbours(i: usize, (ny, nx): (usize, usize), connectivity: Connectivity, mut visit: impl FnMut(usize)) {
    let (y, x) = (i / nx, i % nx);
    let (left, right) = (x > 0, x + 1 < nx);
    let corners = connectivity == Connectivity::Eight;
    if y > 0 {
        visit(i - nx);
        if corners && left {
            visit(i - nx - 1);
        }
        if corners && right {
            visit(i - nx + 1);
        }
    }
    if left {
        visit(i - 1);
    }
    if right {
        visit(i + 1);
    }
    if y + 1 < ny {
        visit(i + nx);
        if corners && left {
            visit(i + nx - 1);
        }
        if corners && right {
            visit(i + nx + 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::picture::{any, draw, mask};
    use proptest::prelude::*;

    #[test]
    fn growth_stops_after_the_last_step() {
        let seeds = mask(&["..#...", "......", "......"]);
        let floor = mask(&["..###.", "#....#", "######"]);
        let grow = |steps| draw(geodesic_dilation(seeds.view(), floor.view(), Connectivity::Eight, steps).view());
        assert_eq!(grow(Some(0)), ["..#...", "......", "......"]);
        assert_eq!(grow(Some(2)), ["..###.", "......", "......"]);
        assert_eq!(grow(Some(4)), ["..###.", ".....#", "....##"]);
        assert_eq!(grow(None), ["..###.", "#....#", "######"]);
        let four = geodesic_dilation(seeds.view(), floor.view(), Connectivity::Four, None);
        assert_eq!(draw(four.view()), ["..###.", "......", "......"]);
    }

    #[test]
    fn seeds_outside_the_floor_stay_and_grow() {
        let grown = geodesic_dilation(mask(&["#...#"]).view(), mask(&[".##.."]).view(), Connectivity::Four, None);
        assert_eq!(draw(grown.view()), ["###.#"]);
    }

    proptest! {
        #[test]
        fn equals_repeated_dilation((seeds, floor) in any::two_masks(), steps in 0usize..12) {
            let (ny, nx) = seeds.dim();
            for connectivity in [Connectivity::Four, Connectivity::Eight] {
                let mut expected = seeds.clone();
                for _ in 0..steps {
                    let before = expected.clone();
                    for (p, grown) in expected.indexed_iter_mut() {
                        let mut touched = false;
                        if nx > 0 {
                            neighbours(p.0 * nx + p.1, (ny, nx), connectivity, |i| touched |= before[[i / nx, i % nx]]);
                        }
                        *grown |= touched && floor[p];
                    }
                }
                let grown = geodesic_dilation(seeds.view(), floor.view(), connectivity, Some(steps));
                prop_assert_eq!(grown, expected);
            }
        }
    }
}
