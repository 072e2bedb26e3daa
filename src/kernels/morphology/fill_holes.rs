//! Holes of a mask.

use crate::kernels::Connectivity;
use crate::kernels::bitmask::BitMask;
use crate::kernels::labels::{Islands, islands_of, islands_of_runs};
use ndarray::Array2;

/// Fills, in place, the false regions that do not reach the image's border (as `scipy.ndimage.binary_fill_holes`
/// with its default structure: the background is 4-connected). O(runs).
///
/// ```text
/// . # # .        . # # .
/// # . . #  --->  # # # #
/// . # # .        . # # .
/// ```
///
/// # Panics
/// When the mask has 2^32 runs or more.
pub fn fill_holes(mask: &mut Array2<bool>) {
    let islands = islands_of(mask.view(), false, Connectivity::Four);
    for_each_hole(&islands, mask.dim(), |y, start, end| mask.slice_mut(ndarray::s![y, start..end]).fill(true));
}

/// [`fill_holes`] of a mask of bits.
pub fn fill_holes_bits(mask: &mut BitMask) {
    let islands = islands_of_runs(mask.inverted().run_list(), mask.dim().0, Connectivity::Four);
    for_each_hole(&islands, mask.dim(), |y, start, end| mask.set_run(y, start, end));
}

/// Calls `visit(y, start, end)` for each run of the islands that do not reach the border.
fn for_each_hole(islands: &Islands, (ny, nx): (usize, usize), mut visit: impl FnMut(usize, usize, usize)) {
    let Islands { runs, island, sizes } = islands;
    let mut open = vec![false; sizes.len()];
    for (run, &number) in runs.iter().zip(island) {
        let y = run.y as usize;
        if y == 0 || y + 1 == ny || run.start == 0 || run.end as usize == nx {
            open[number as usize] = true;
        }
    }
    for (run, &number) in runs.iter().zip(island) {
        if !open[number as usize] {
            visit(run.y as usize, run.start as usize, run.end as usize);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::picture::{any, draw, mask};
    use proptest::prelude::*;

    #[test]
    fn a_corner_is_no_way_out() {
        let mut mask = mask(&[".##.", "#..#", ".##.", "...#"]);
        fill_holes(&mut mask);
        assert_eq!(draw(mask.view()), [".##.", "####", ".##.", "...#"]);
    }

    proptest! {
        #[test]
        fn equals_flooding_from_the_border(mask in any::mask()) {
            let (ny, nx) = mask.dim();
            let mut reached = Array2::from_elem((ny, nx), false);
            let mut stack: Vec<(isize, isize)> = ndarray::indices((ny, nx))
                .into_iter()
                .filter(|&(y, x)| y == 0 || x == 0 || y + 1 == ny || x + 1 == nx)
                .map(|(y, x)| (y as isize, x as isize))
                .collect();
            while let Some((y, x)) = stack.pop() {
                let p = (y as usize, x as usize);
                if mask.get(p) == Some(&false) && !reached[p] {
                    reached[p] = true;
                    stack.extend([(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)]);
                }
            }
            let mut filled = mask.clone();
            fill_holes(&mut filled);
            let mut bits = BitMask::from_bools(mask.view());
            fill_holes_bits(&mut bits);
            prop_assert_eq!(bits.to_bools(), filled.clone());
            prop_assert_eq!(filled, reached.mapv(|r| !r));
        }
    }
}
