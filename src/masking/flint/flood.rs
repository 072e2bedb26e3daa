//! Islands grown from seeds, and large islands of low signal.

use super::seeds::SeedsAndFloor;
use crate::kernels::bitmask::BitMask;
use crate::kernels::{Connectivity, closing_bits, geodesic_dilation_bits, remove_small_islands_bits};

/// Seeds grow at most this many pixels (flint's number of dilations).
pub(crate) const MOST_GROWTH_STEPS: usize = 1000;
/// Dilations, and then erosions, that close the gaps of an island of low signal.
const CLOSING_ITERATIONS: usize = 2;

/// Grows the seeds inside the floor, corners included, at most [`MOST_GROWTH_STEPS`] pixels far.
pub(crate) fn grow(found: SeedsAndFloor) -> BitMask {
    let SeedsAndFloor { mut seeds, floor } = found;
    geodesic_dilation_bits(&mut seeds, &floor, Connectivity::Eight, Some(MOST_GROWTH_STEPS));
    seeds
}

/// Islands of at least `size` pixels of `above`, the pixels above a clip, gaps closed. Pixels outside `valid`, those
/// without data, are never among them.
pub(crate) fn islands_above(above: BitMask, valid: &BitMask, size: usize) -> BitMask {
    let mut islands = closing_bits(above, Connectivity::Eight, CLOSING_ITERATIONS);
    remove_small_islands_bits(&mut islands, size, Connectivity::Eight);
    islands.and_with(valid);
    islands
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::picture::{draw, mask};
    use crate::masking::flint::seeds::{Clip, clip_rows, rows_of};
    use ndarray::{Array2, ArrayView2};

    /// Islands of at least `size` pixels of signal above `clip`, gaps closed. Pixels without data are never among them.
    fn low_snr_islands(signal: ArrayView2<'_, f32>, clip: f64, size: usize) -> Array2<bool> {
        let Ok((mut masks, _)) = clip_rows(signal.dim(), &rows_of(signal), &[Clip::Exceeds(clip as f32), Clip::Valid]);
        let (valid, above) = (masks.pop().expect("two"), masks.pop().expect("two"));
        islands_above(above, &valid, size).to_bools()
    }

    #[test]
    fn gaps_are_closed_and_small_islands_dropped() {
        let rows = [
            "............",
            "............",
            "..##.##.....",
            "..##.##.....",
            "............",
            "............",
            "..........#.",
            "............",
            "............",
        ];
        let signal = mask(&rows).mapv(|b| if b { 2.0 } else { 0.0 });
        let islands = draw(low_snr_islands(signal.view(), 1.75, 10).view());
        let mut expected = vec!["............".to_string(); rows.len()];
        expected[2] = "..#####.....".into();
        expected[3] = "..#####.....".into();
        assert_eq!(islands, expected);
        assert!(low_snr_islands(signal.view(), 1.75, 11).iter().all(|&m| !m));
        assert!(low_snr_islands(signal.view(), 2.0, 1).iter().all(|&m| !m), "the clip itself is not above the clip");
    }

    #[test]
    fn a_closed_gap_without_data_stays_open() {
        let mut signal =
            mask(&[".......", ".......", "..#.#..", ".......", "......."]).mapv(|b| if b { 2.0 } else { 0.0 });
        assert_eq!(draw(low_snr_islands(signal.view(), 1.0, 3).view())[2], "..###..");
        signal[[2, 3]] = f32::NAN;
        assert_eq!(draw(low_snr_islands(signal.view(), 1.0, 3).view())[2], "..#.#..");
    }
}
