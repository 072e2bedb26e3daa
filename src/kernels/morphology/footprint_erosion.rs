//! Erosion with a footprint such as a beam's.

use crate::kernels::runs::{Run, push_runs, row_starts, runs_of_rows};
use ndarray::{Array2, ArrayView2};
use rayon::prelude::*;

/// A run of the footprint relative to its origin: columns `left ..= right` of row `dy`.
#[derive(Debug, Clone, Copy)]
struct Stroke {
    dy: isize,
    left: isize,
    right: isize,
}

/// Keeps the pixels around which every true pixel of `footprint` lies on a true pixel of `mask`.
///
/// The footprint's origin is its pixel `(rows / 2, columns / 2)` (integer division; as `scipy.ndimage.binary_erosion`).
/// Outside the image is false. A footprint without true pixels keeps everything that is inside the image.
///
/// Each run of the footprint fits into a run of the mask for an interval of columns; the intervals of all the
/// footprint's rows are intersected, longest footprint run first, which rejects nearly all candidates at once.
/// Memory is linear in the number of runs.
///
/// ```text
/// . # # #              . # .        . . . .
/// # # # #   eroded by  # # #  --->  . # # .
/// . # # #              . # .        . . . .
/// ```
pub fn footprint_erosion(mask: ArrayView2<'_, bool>, footprint: ArrayView2<'_, bool>) -> Array2<bool> {
    let runs = runs_of_rows(mask);
    let starts = row_starts(&runs, mask.nrows());
    let mut out = Array2::from_elem(mask.dim(), false);
    for (y, row) in eroded_rows(&runs, &starts, mask.dim(), footprint) {
        for (start, end) in row {
            out.slice_mut(ndarray::s![y, start as usize..end as usize]).fill(true);
        }
    }
    out
}

/// The rows of the eroded mask that hold anything, as intervals `start .. end`; `runs` and `starts` describe the mask.
pub(crate) fn eroded_rows(
    runs: &[Run],
    starts: &[usize],
    (ny, nx): (usize, usize),
    footprint: ArrayView2<'_, bool>,
) -> Vec<(usize, Vec<(isize, isize)>)> {
    let strokes = strokes(footprint);
    (0..ny)
        .into_par_iter()
        .filter_map(|y| {
            let mut kept = vec![(0, nx as isize)];
            let mut next = Vec::new();
            for stroke in &strokes {
                let row = y as isize + stroke.dy;
                if !(0..ny as isize).contains(&row) {
                    return None;
                }
                let row = &runs[starts[row as usize]..starts[row as usize + 1]];
                let fits = row.iter().map(|r| (r.start as isize - stroke.left, r.end as isize - stroke.right));
                intersect(&kept, fits.filter(|(start, end)| start < end), &mut next);
                std::mem::swap(&mut kept, &mut next);
                if kept.is_empty() {
                    return None;
                }
            }
            Some((y, kept))
        })
        .collect()
}

/// The footprint's runs, longest first.
fn strokes(footprint: ArrayView2<'_, bool>) -> Vec<Stroke> {
    let (rows, columns) = footprint.dim();
    let footprint = footprint.as_standard_layout();
    let mut runs = Vec::new();
    for (y, row) in footprint.rows().into_iter().enumerate() {
        push_runs(row.as_slice().expect("standard order"), y as u32, true, &mut runs);
    }
    let (origin_y, origin_x) = ((rows / 2) as isize, (columns / 2) as isize);
    let mut strokes: Vec<Stroke> = runs
        .iter()
        .map(|r| Stroke {
            dy: r.y as isize - origin_y,
            left: r.start as isize - origin_x,
            right: r.end as isize - 1 - origin_x,
        })
        .collect();
    strokes.sort_by_key(|s| (s.left - s.right, -s.dy.abs()));
    strokes
}

/// Intersection of two rising lists of disjoint intervals.
fn intersect(a: &[(isize, isize)], b: impl Iterator<Item = (isize, isize)>, out: &mut Vec<(isize, isize)>) {
    out.clear();
    let mut at = 0;
    for (start, end) in b {
        while at < a.len() && a[at].1 <= start {
            at += 1;
        }
        let mut k = at;
        while k < a.len() && a[k].0 < end {
            out.push((a[k].0.max(start), a[k].1.min(end)));
            k += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::picture::{any, draw, mask};
    use proptest::prelude::*;

    #[test]
    fn a_cross_must_fit() {
        let cross = mask(&[".#.", "###", ".#."]);
        let eroded = footprint_erosion(mask(&[".###", "####", ".###"]).view(), cross.view());
        assert_eq!(draw(eroded.view()), ["....", ".##.", "...."]);
    }

    #[test]
    fn outside_is_false_and_an_even_footprint_reaches_to_the_low_side() {
        let all = mask(&["####", "####"]);
        let eroded = footprint_erosion(all.view(), mask(&["##"]).view());
        assert_eq!(draw(eroded.view()), [".###", ".###"]);
    }

    proptest! {
        #[test]
        fn equals_the_definition(mask in any::mask(), shape in (1usize..6, 1usize..7), bits: u64) {
            let footprint = Array2::from_shape_fn(shape, |(y, x)| bits >> (y * 7 + x) & 1 == 1);
            let eroded = footprint_erosion(mask.view(), footprint.view());
            for ((y, x), &kept) in eroded.indexed_iter() {
                let fits = footprint.indexed_iter().filter(|(_, f)| **f).all(|((j, i), _)| {
                    let row = (y + j).wrapping_sub(shape.0 / 2);
                    mask.get((row, (x + i).wrapping_sub(shape.1 / 2))) == Some(&true)
                });
                prop_assert_eq!(kept, fits);
            }
        }

        #[test]
        fn solid_masks_and_discs(mask in any::mask(), side in 1usize..12) {
            // A filled mask and a disc: the case that beams make.
            let mut solid = mask.clone();
            crate::kernels::fill_holes(&mut solid);
            let centre = side as f64 / 2.0 - 0.5;
            let disc = Array2::from_shape_fn((side, side), |(y, x)| {
                (y as f64 - centre).hypot(x as f64 - centre) <= side as f64 / 2.0
            });
            let eroded = footprint_erosion(solid.view(), disc.view());
            for ((y, x), &kept) in eroded.indexed_iter() {
                let fits = disc.indexed_iter().filter(|(_, f)| **f).all(|((j, i), _)| {
                    solid.get(((y + j).wrapping_sub(side / 2), (x + i).wrapping_sub(side / 2))) == Some(&true)
                });
                prop_assert_eq!(kept, fits);
            }
        }
    }
}
