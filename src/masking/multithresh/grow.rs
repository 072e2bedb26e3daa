//! Growing the mask of the cycle before into the low-noise region.

use crate::kernels::bitmask::BitMask;
use crate::kernels::{Connectivity, geodesic_dilation_bits};

/// Dilates `seeds & allowed` inside `allowed` by up to `steps` steps through the four neighbours.
///
/// CASA's growth: in each step every pixel of the mask that is in the constraint sets its neighbours; at the end
/// the mask is multiplied by the constraint. Pixels outside it never spread, so both give the same.
///
/// ```text
/// seeds       allowed     1 step      2 steps
/// # . . . .   . . # # .   . . . . .   . . . . .
/// . # . . .   . # # . .   . # # . .   . # # . .
/// . . . . .   . # . . #   . # . . .   . # . . .   and in 3 steps (0, 3)
/// ```
pub fn grow(seeds: &BitMask, allowed: &BitMask, steps: u32) -> BitMask {
    let mut grown = seeds.clone();
    grown.and_with(allowed);
    geodesic_dilation_bits(&mut grown, allowed, Connectivity::Four, Some(steps as usize));
    grown
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;
    use proptest::prelude::*;

    fn plane(rows: &[&str]) -> BitMask {
        BitMask::from_plane(rows.len(), rows[0].len(), rows.concat().as_bytes(), |c| c == b'#')
    }

    #[test]
    fn picture() {
        let seeds = plane(&["#....", ".#...", "....."]);
        let allowed = plane(&["..##.", ".##..", ".#..#"]);
        assert_eq!(grow(&seeds, &allowed, 0), plane(&[".....", ".#...", "....."]));
        assert_eq!(grow(&seeds, &allowed, 1), plane(&[".....", ".##..", ".#..."]));
        assert_eq!(grow(&seeds, &allowed, 2), plane(&["..#..", ".##..", ".#..."]));
        assert_eq!(grow(&seeds, &allowed, 75), plane(&["..##.", ".##..", ".#..."]));
    }

    /// CASA's formulation, step by step over the whole plane.
    fn slowly_grown(seeds: &Array2<bool>, allowed: &Array2<bool>, steps: u32) -> Array2<bool> {
        let mut mask = seeds.clone();
        for _ in 0..steps {
            let before = mask.clone();
            for ((y, x), _) in before.indexed_iter().filter(|(at, on)| **on && allowed[*at]) {
                for at in [(y + 1, x), (y.wrapping_sub(1), x), (y, x + 1), (y, x.wrapping_sub(1))] {
                    if let Some(pixel) = mask.get_mut(at) {
                        *pixel = true;
                    }
                }
            }
        }
        Array2::from_shape_fn(mask.dim(), |at| mask[at] && allowed[at])
    }

    proptest! {
        #[test]
        fn agrees_with_casas_formulation(ny in 1usize..12, nx in 1usize..140, seed in any::<u64>(), steps in 0u32..9) {
            let mut state = seed;
            let mut random = |share: u64| Array2::from_shape_simple_fn((ny, nx), || {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                (state >> 40) % 100 < share
            });
            let (seeds, allowed) = (random(5), random(70));
            let grown = grow(&BitMask::from_bools(seeds.view()), &BitMask::from_bools(allowed.view()), steps);
            prop_assert_eq!(grown.to_bools(), slowly_grown(&seeds, &allowed, steps));
        }
    }
}
