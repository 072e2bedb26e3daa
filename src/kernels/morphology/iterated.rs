//! Dilation and erosion with the 3 x 3 square or the 3 x 3 cross.

use crate::kernels::Connectivity;
use crate::kernels::bitmask::{BitMask, WORD};
use ndarray::{Array2, ArrayView2};

/// Dilates `iterations` times by the 3 x 3 square ([`Connectivity::Eight`]) or cross ([`Connectivity::Four`]).
/// Outside the image is false.
///
/// ```text
/// . . . .    square   # # # .    cross   . # . .
/// . # . .   ------->  # # # .   ------>  # # # .
/// . . . .             # # # .            . # . .
/// ```
pub fn binary_dilation(mask: ArrayView2<'_, bool>, connectivity: Connectivity, iterations: usize) -> Array2<bool> {
    dilation_bits(BitMask::from_bools(mask), connectivity, iterations).to_bools()
}

/// Erodes `iterations` times by the 3 x 3 square or cross. Outside the image is false, so the mask also shrinks from
/// the border.
pub fn binary_erosion(mask: ArrayView2<'_, bool>, connectivity: Connectivity, iterations: usize) -> Array2<bool> {
    erosion_bits(BitMask::from_bools(mask), connectivity, iterations).to_bools()
}

/// `iterations` dilations, then as many erosions. Outside the image is false in both (as
/// `scipy.ndimage.binary_closing`), so closing also removes what is true within `iterations` pixels of the border.
pub fn binary_closing(mask: ArrayView2<'_, bool>, connectivity: Connectivity, iterations: usize) -> Array2<bool> {
    closing_bits(BitMask::from_bools(mask), connectivity, iterations).to_bools()
}

/// [`binary_dilation`] of a mask of bits, 64 pixels at a time.
pub fn dilation_bits(mask: BitMask, connectivity: Connectivity, iterations: usize) -> BitMask {
    repeat(mask, connectivity, iterations, |a, b| a | b)
}

/// [`binary_erosion`] of a mask of bits.
pub fn erosion_bits(mask: BitMask, connectivity: Connectivity, iterations: usize) -> BitMask {
    repeat(mask, connectivity, iterations, |a, b| a & b)
}

/// [`binary_closing`] of a mask of bits.
pub fn closing_bits(mask: BitMask, connectivity: Connectivity, iterations: usize) -> BitMask {
    erosion_bits(dilation_bits(mask, connectivity, iterations), connectivity, iterations)
}

/// Joins each pixel with its neighbours by `join`, `iterations` times.
fn repeat(
    mut mask: BitMask,
    connectivity: Connectivity,
    iterations: usize,
    join: impl Fn(u64, u64) -> u64 + Sync,
) -> BitMask {
    for _ in 0..iterations {
        let next = mask.neighbourhood(|above, row, below, out| {
            let beside = |row: &[u64], i: usize| {
                let left = row[i] << 1 | i.checked_sub(1).map_or(0, |i| row[i] >> (WORD - 1));
                let right = row[i] >> 1 | row.get(i + 1).map_or(0, |w| w << (WORD - 1));
                join(join(row[i], left), right)
            };
            for (i, o) in out.iter_mut().enumerate() {
                let (a, b) = match connectivity {
                    Connectivity::Four => (above[i], below[i]),
                    Connectivity::Eight => (beside(above, i), beside(below, i)),
                };
                *o = join(join(a, beside(row, i)), b);
            }
        });
        // All that follow would do as little.
        if next == mask {
            break;
        }
        mask = next;
    }
    mask
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
    fn what_changes_nothing_is_not_repeated() {
        // Would take days.
        let dot = mask(&["....", ".#..", "...."]);
        assert!(binary_dilation(dot.view(), Connectivity::Four, usize::MAX).iter().all(|m| *m));
        assert!(!binary_erosion(dot.view(), Connectivity::Four, usize::MAX).iter().any(|m| *m));
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
