//! The outline of a mask as an SVG path, along pixel edges.

use ndarray::ArrayView2;
use std::fmt::Write;

/// Directions along pixel edges, in turning order; y runs upwards.
const STEPS: [(isize, isize); 4] = [(1, 0), (0, 1), (-1, 0), (0, -1)];

/// Closed loops around the set pixels of `mask` (`[y, x]`), as corners `(x, y)` in pixel edges: pixel (x, y) reaches
/// from corner (x, y) to (x + 1, y + 1). The set side is on the left; holes are loops of their own; pixels that touch
/// only at a corner get separate loops. Cost O(pixels).
///
/// ```text
/// . # #        one loop: (1,0) (3,0) (3,1) (2,1) (2,2) (1,2)
/// . # .   ->   (row 0 is drawn below row 1)
/// ```
pub(crate) fn loops(mask: ArrayView2<'_, bool>) -> Vec<Vec<(usize, usize)>> {
    let (ny, nx) = mask.dim();
    let width = nx + 1;
    // Bit d of a corner: an edge leaves it in direction d.
    let mut leaving = vec![0u8; width * (ny + 1)];
    for ((y, x), &on) in mask.indexed_iter() {
        if !on {
            continue;
        }
        if y == 0 || !mask[(y - 1, x)] {
            leaving[y * width + x] |= 1;
        }
        if x + 1 == nx || !mask[(y, x + 1)] {
            leaving[y * width + x + 1] |= 2;
        }
        if y + 1 == ny || !mask[(y + 1, x)] {
            leaving[(y + 1) * width + x + 1] |= 4;
        }
        if x == 0 || !mask[(y, x - 1)] {
            leaving[(y + 1) * width + x] |= 8;
        }
    }
    let mut found = Vec::new();
    for start in 0..leaving.len() {
        // Every loop has an edge to the right: begin there.
        while leaving[start] & 1 != 0 {
            let mut corners = Vec::new();
            let (mut at, mut direction) = (start, 0usize);
            let mut came = 4;
            loop {
                leaving[at] &= !(1 << direction);
                if direction != came {
                    corners.push((at % width, at / width));
                    came = direction;
                }
                let (dx, dy) = STEPS[direction];
                at = at.wrapping_add_signed(dx + dy * width as isize);
                // Turning left first keeps to the same pixel where two touch at a corner.
                match [1, 0, 3].map(|turn| (direction + turn) % 4).into_iter().find(|d| leaving[at] & (1 << d) != 0) {
                    Some(next) => direction = next,
                    None => break,
                }
            }
            found.push(corners);
        }
    }
    found
}

/// The loops as the `d` of an SVG path, in units of `unit` with the origin at the top left of a picture `height` pixels
/// high; `None` when it would be longer than `limit` bytes.
pub(crate) fn path(mask: ArrayView2<'_, bool>, unit: f64, limit: usize) -> Option<String> {
    let height = mask.nrows();
    let mut d = String::new();
    let number = crate::report::numbers::coordinate;
    for corners in loops(mask) {
        let (mut px, mut py) = corners[0];
        let _ = write!(d, "M{} {}", number(px as f64 * unit), number((height - py) as f64 * unit));
        for &(x, y) in &corners[1..] {
            // Absolute positions: rounding errors do not add up.
            if x != px {
                let _ = write!(d, "H{}", number(x as f64 * unit));
            }
            if y != py {
                let _ = write!(d, "V{}", number((height - y) as f64 * unit));
            }
            (px, py) = (x, y);
        }
        d.push('z');
        if d.len() > limit {
            return None;
        }
    }
    Some(d)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array2, array};
    use proptest::prelude::*;

    fn mask(rows: &[&str]) -> Array2<bool> {
        Array2::from_shape_fn((rows.len(), rows[0].len()), |(y, x)| rows[y].as_bytes()[x] == b'#')
    }

    #[test]
    fn a_corner_piece() {
        let loops = loops(mask(&[".##", ".#."]).view());
        assert_eq!(loops, [[(1, 0), (3, 0), (3, 1), (2, 1), (2, 2), (1, 2)]]);
    }

    #[test]
    fn holes_and_touching_corners() {
        assert_eq!(loops(mask(&["###", "#.#", "###"]).view()).len(), 2);
        assert_eq!(loops(mask(&["#.", ".#"]).view()).len(), 2);
        assert!(loops(mask(&["..", ".."]).view()).is_empty());
    }

    #[test]
    fn paths_have_the_sky_upwards_and_a_limit() {
        let one = array![[true, false], [false, false]];
        assert_eq!(path(one.view(), 2.0, 1000).unwrap(), "M0 4H2V2H0z");
        assert_eq!(path(one.view(), 2.0, 5), None);
    }

    proptest! {
        /// The loops enclose exactly the set pixels: their signed areas add up to the count.
        #[test]
        fn areas_add_up(bits in proptest::collection::vec(any::<bool>(), 48)) {
            let mask = Array2::from_shape_vec((6, 8), bits).unwrap();
            let area: f64 = loops(mask.view()).iter().map(|corners| {
                let next = corners.iter().cycle().skip(1);
                corners.iter().zip(next).map(|(a, b)| a.0 as f64 * b.1 as f64 - b.0 as f64 * a.1 as f64).sum::<f64>() / 2.0
            }).sum();
            prop_assert_eq!(area as usize, mask.iter().filter(|on| **on).count());
        }
    }
}
