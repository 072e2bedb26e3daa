//! The rms from the distribution of box minima (breizorro 0.2): sources are positive, so they hardly move a minimum.

use super::{NoiseMaps, local};
use crate::kernels::rolling_minimum;
use ndarray::{Array2, ArrayView2, s};
use statrs::distribution::{ContinuousCDF, Normal};

/// Median of the least of `count` independent values of a Gaussian of unit variance and zero mean: negative.
///
/// With the Gaussian's distribution function P, the least of n is above x with probability (1 - P(x))^n.
fn median_of_minimum(count: f64) -> f64 {
    let p = -(-std::f64::consts::LN_2 / count).exp_m1();
    Normal::standard().inverse_cdf(p)
}

/// Background 0; rms = box minimum / expected minimum, nowhere below its own median.
///
/// The window of `side` pixels has offsets -(side/2) ... side-1-(side/2) and is cut at the image's edges; as in
/// breizorro all its pixels count as independent, whatever the beam, and cut boxes count as whole.
pub(super) fn maps(image: ArrayView2<'_, f32>, side: usize) -> NoiseMaps {
    let (ny, nx) = image.dim();
    // A rim without data keeps the periodic box from reaching across the image.
    let mut padded = Array2::from_elem((ny + side, nx + side), f32::NAN);
    padded.slice_mut(s![..ny, ..nx]).assign(&image);
    padded.mapv_inplace(|v| if v.is_finite() { v } else { f32::NAN });
    let minimum = rolling_minimum(padded.view(), side);
    drop(padded);
    let expected = median_of_minimum((side * side) as f64);
    let mut rms = minimum.slice(s![..ny, ..nx]).mapv(|v| (f64::from(v) / expected) as f32);
    drop(minimum);
    // Boxes inside bright emission have positive minima: they say nothing.
    rms.mapv_inplace(|v| if v < 0.0 { f32::MIN_POSITIVE } else { v });
    let floor = {
        let mut known: Vec<f32> = rms.iter().copied().filter(|v| v.is_finite()).collect();
        local::median_in_place(&mut known) as f32
    };
    ndarray::Zip::from(&mut rms).and(image).for_each(|r, v| {
        *r = if v.is_finite() { r.max(floor) } else { f32::NAN };
    });
    let background = image.mapv(|v| if v.is_finite() { 0.0 } else { f32::NAN });
    NoiseMaps { background, rms }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn half_of_all_minima_lie_below_the_expected_one() {
        // One value: the median of a Gaussian. Values for n = 100 and 2500 from integrating (1 - P)^n numerically.
        assert!(median_of_minimum(1.0).abs() < 1e-9);
        for (count, expected) in [(100.0, -2.462_037_8), (2500.0, -3.452_974_8)] {
            assert!((median_of_minimum(count) - expected).abs() < 1e-6, "{count}: {}", median_of_minimum(count));
        }
    }

    #[test]
    fn the_minimum_of_the_box_sets_the_rms_but_not_below_the_median() {
        let image = array![[-2f32, 9., 9., -1., 9., f32::NAN, -4.]];
        // Box of 2 pixels: the pixel and its left neighbour (a box wraps round in neither direction).
        // Minima: -2 -2 9 -1 -1 9 -4, where no data is 9's place: rms 2 2 0 1 1 - 4 over the expectation; median 1.5.
        let unit = -median_of_minimum(4.0) as f32;
        let rms = maps(image.view(), 2).rms.mapv(|v| v * unit);
        for (ours, expected) in rms.iter().zip([2.0, 2.0, 1.0, 1.0, 1.0, f32::NAN, 4.0]) {
            assert!((ours - expected).abs() < 1e-5 || (ours.is_nan() && expected.is_nan()), "{rms}");
        }
    }
}
