//! Growing the mask of the cycle before into the low-noise region.

use crate::kernels::bitmask::BitMask;

/// Dilates `seeds & allowed` inside `allowed` by up to `steps` steps through the four neighbours.
///
/// What CASA does: in each step every pixel of the mask that is in the constraint sets its neighbours; at the end
/// the mask is multiplied by the constraint. Pixels outside it never spread, so both give the same.
///
/// ```text
/// seeds       allowed     1 step      2 steps
/// # . . . .   . . # # .   . . . . .   . . . . .
/// . # . . .   . # # . .   . # # . .   . # # . .
/// . . . . .   . # . . #   . # . . .   . # . . .   and in 3 steps (0, 3)
/// ```
pub fn grow(seeds: &BitMask, allowed: &BitMask, steps: u32) -> BitMask {
    let (ny, nx) = seeds.dim();
    let mut grown = seeds.clone();
    grown.and_with(allowed);
    if steps == 0 || ny == 0 || nx == 0 {
        return grown;
    }
    let mut frontier = first_step(&grown, allowed);
    let mut next = Vec::new();
    for &(y, x) in &frontier {
        grown.set(y as usize, x as usize);
    }
    for _ in 1..steps {
        if frontier.is_empty() {
            break;
        }
        for &(y, x) in &frontier {
            let neighbours =
                [(y.wrapping_sub(1), x), (y + 1, x), (y, x.wrapping_sub(1)), (y, x + 1)].into_iter().filter(
                    // Wrapped indices are far beyond the image, too.
                    |&(y, x)| (y as usize) < ny && (x as usize) < nx,
                );
            for (y, x) in neighbours {
                if allowed.get(y as usize, x as usize) && !grown.get(y as usize, x as usize) {
                    grown.set(y as usize, x as usize);
                    next.push((y, x));
                }
            }
        }
        std::mem::swap(&mut frontier, &mut next);
        next.clear();
    }
    grown
}

/// The pixels that the first step adds, found a word at a time.
fn first_step(seeds: &BitMask, allowed: &BitMask) -> Vec<(u32, u32)> {
    let (ny, _) = seeds.dim();
    let mut added = Vec::new();
    for y in 0..ny {
        let row = seeds.row(y);
        let above = (y > 0).then(|| seeds.row(y - 1));
        let below = (y + 1 < ny).then(|| seeds.row(y + 1));
        let allowed = allowed.row(y);
        for (i, &word) in row.iter().enumerate() {
            let before = if i > 0 { row[i - 1] >> 63 } else { 0 };
            let after = row.get(i + 1).map_or(0, |w| w << 63);
            let mut spread = (word << 1) | before | (word >> 1) | after;
            spread |= above.map_or(0, |r| r[i]) | below.map_or(0, |r| r[i]);
            let mut new = spread & allowed[i] & !word;
            while new != 0 {
                added.push((y as u32, (i * 64) as u32 + new.trailing_zeros()));
                new &= new - 1;
            }
        }
    }
    added
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
