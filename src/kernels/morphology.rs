//! Dilation and erosion with the 3 x 3 square or the 3 x 3 cross.

use super::Connectivity;
use ndarray::{Array2, ArrayView2};
use rayon::prelude::*;

/// Dilates `iterations` times by the 3 x 3 square ([`Connectivity::Eight`]) or cross ([`Connectivity::Four`]).
/// Outside the image is false.
///
/// ```text
/// . . . .    square   # # # .    cross   . # . .
/// . # . .   ------->  # # # .   ------>  # # # .
/// . . . .             # # # .            . # . .
/// ```
pub fn binary_dilation(mask: ArrayView2<'_, bool>, connectivity: Connectivity, iterations: usize) -> Array2<bool> {
    repeat(mask, iterations, |above, row, below, x| match connectivity {
        Connectivity::Eight => [above, row, below].iter().any(|r| r[x] || r[x + 1] || r[x + 2]),
        Connectivity::Four => above[x + 1] || below[x + 1] || row[x] || row[x + 1] || row[x + 2],
    })
}

/// Erodes `iterations` times by the 3 x 3 square or cross. Outside the image is false, so the mask also shrinks from
/// the border.
pub fn binary_erosion(mask: ArrayView2<'_, bool>, connectivity: Connectivity, iterations: usize) -> Array2<bool> {
    repeat(mask, iterations, |above, row, below, x| match connectivity {
        Connectivity::Eight => [above, row, below].iter().all(|r| r[x] && r[x + 1] && r[x + 2]),
        Connectivity::Four => above[x + 1] && below[x + 1] && row[x] && row[x + 1] && row[x + 2],
    })
}

/// `iterations` dilations, then as many erosions. Outside the image is false in both (as
/// `scipy.ndimage.binary_closing`), so closing also removes what is true within `iterations` pixels of the border.
pub fn binary_closing(mask: ArrayView2<'_, bool>, connectivity: Connectivity, iterations: usize) -> Array2<bool> {
    binary_erosion(binary_dilation(mask, connectivity, iterations).view(), connectivity, iterations)
}

/// Replaces each pixel by `rule` of the three rows around it (padded by one false pixel on either side; `x` is the
/// column of the left neighbour).
fn repeat(
    mask: ArrayView2<'_, bool>,
    iterations: usize,
    rule: impl Fn(&[bool], &[bool], &[bool], usize) -> bool + Sync,
) -> Array2<bool> {
    let (ny, nx) = mask.dim();
    let mut now = mask.as_standard_layout().into_owned();
    if ny == 0 || nx == 0 {
        return now;
    }
    let mut then = now.clone();
    for _ in 0..iterations {
        let bands = super::rows::bands(ny);
        super::rows::split_rows(&mut then, &bands).into_par_iter().zip(&bands).for_each(|(part, &(first, _))| {
            let padded = |y: Option<usize>, row: &mut Vec<bool>| match y.filter(|&y| y < ny) {
                Some(y) => row[1..=nx].copy_from_slice(now.row(y).as_slice().expect("standard order")),
                None => row.fill(false),
            };
            let mut rows = [vec![false; nx + 2], vec![false; nx + 2], vec![false; nx + 2]];
            padded(first.checked_sub(1), &mut rows[0]);
            padded(Some(first), &mut rows[1]);
            for (k, out) in part.chunks_exact_mut(nx).enumerate() {
                padded(Some(first + k + 1), &mut rows[2]);
                for (x, o) in out.iter_mut().enumerate() {
                    *o = rule(&rows[0], &rows[1], &rows[2], x);
                }
                rows.rotate_left(1);
            }
        });
        std::mem::swap(&mut now, &mut then);
    }
    now
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::picture::{any, draw, mask};
    use proptest::prelude::*;

    #[test]
    fn square_and_cross() {
        let dot = mask(&["....", ".#..", "...."]);
        assert_eq!(draw(binary_dilation(dot.view(), Connectivity::Eight, 1).view()), ["###.", "###.", "###."]);
        assert_eq!(draw(binary_dilation(dot.view(), Connectivity::Four, 1).view()), [".#..", "###.", ".#.."]);
    }

    #[test]
    fn closing_eats_at_the_border() {
        let bar = mask(&["#####", "##.##", "#####", "#####"]);
        assert_eq!(
            draw(binary_closing(bar.view(), Connectivity::Eight, 1).view()),
            [".....", ".###.", ".###.", "....."]
        );
    }

    proptest! {
        #[test]
        fn erosion_is_dilation_of_the_complement(mask in any::mask(), n in 0usize..4) {
            for connectivity in [Connectivity::Four, Connectivity::Eight] {
                // Dilation of the complement, which is true outside the image: pad it.
                let (ny, nx) = mask.dim();
                let pad = n + 1;
                let mut outside = Array2::from_elem((ny + 2 * pad, nx + 2 * pad), true);
                let inner = ndarray::s![pad..pad + ny, pad..pad + nx];
                outside.slice_mut(inner).assign(&mask.mapv(|b| !b));
                let grown = binary_dilation(outside.view(), connectivity, n);
                let eroded = binary_erosion(mask.view(), connectivity, n);
                prop_assert_eq!(eroded, grown.slice(inner).mapv(|b| !b));
            }
        }

        #[test]
        fn dilation_reaches_n_pixels(mask in any::mask(), n in 0usize..4) {
            let grown = binary_dilation(mask.view(), Connectivity::Eight, n);
            let cross = binary_dilation(mask.view(), Connectivity::Four, n);
            for ((y, x), &g) in grown.indexed_iter() {
                let distances = mask.indexed_iter().filter(|(_, m)| **m).map(|((j, i), _)| (y.abs_diff(j), x.abs_diff(i)));
                let (mut square, mut city) = (false, false);
                for (dy, dx) in distances {
                    square |= dy.max(dx) <= n;
                    city |= dy + dx <= n;
                }
                prop_assert_eq!((g, cross[[y, x]]), (square, city));
            }
        }
    }
}
