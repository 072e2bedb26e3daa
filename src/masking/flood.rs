//! Islands grown from seeds, and large islands of low signal.

use super::seeds::SeedsAndFloor;
use crate::kernels::{Connectivity, binary_closing, geodesic_dilation_in_place, remove_small_islands};
use ndarray::{Array2, ArrayView2, Zip};

/// Seeds grow at most this many pixels (flint's number of dilations).
pub const MOST_GROWTH_STEPS: usize = 1000;
/// Dilations, and then erosions, that close the gaps of an island of low signal.
const CLOSING_ITERATIONS: usize = 2;

/// Grows the seeds inside the floor, corners included, at most [`MOST_GROWTH_STEPS`] pixels far.
pub fn grow(found: SeedsAndFloor) -> Array2<bool> {
    let SeedsAndFloor { mut seeds, floor } = found;
    geodesic_dilation_in_place(&mut seeds, floor.view(), Connectivity::Eight, Some(MOST_GROWTH_STEPS));
    seeds
}

/// Islands of at least `size` pixels of signal above `clip`, gaps closed. Pixels without data are never among them.
pub fn low_snr_islands(signal: ArrayView2<'_, f32>, clip: f64, size: usize) -> Array2<bool> {
    let above = Zip::from(signal).par_map_collect(|&v| v > clip as f32);
    let mut islands = binary_closing(above.view(), Connectivity::Eight, CLOSING_ITERATIONS);
    remove_small_islands(&mut islands, size, Connectivity::Eight);
    Zip::from(&mut islands).and(signal).par_for_each(|m, v| *m &= !v.is_nan());
    islands
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::picture::{draw, mask};

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
