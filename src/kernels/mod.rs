//! Pixels in, pixels out: pure functions of array views and plain numbers. Arrays are `[y, x]`.
//!
//! Masks are `bool` arrays (one byte per pixel) or [`bitmask::BitMask`] (one bit per pixel; the functions named `..._bits`
//! work on it, and are what large images are masked with), never floats. NaN is *no data*: minima, maxima, counts and medians
//! ignore it. Hot loops are compiled for AVX2, too, and chosen at run time (`multiversion`): the same
//! operations in the same order. Kernels use rayon's threads; results do not depend on how many there are.
//!
//! | kernel | what | cost |
//! |---|---|---|
//! | [`rolling_minimum`], [`rolling_maximum`] | extremum of a periodic box around each pixel | O(pixels), whatever the box |
//! | [`box_count`] | how many pixels of a box satisfy a condition | O(pixels) |
//! | [`geodesic_dilation`] | seeds grown inside a floor, with a step limit | O(pixels in the mask) |
//! | [`label`], [`remove_small_islands`] | connected islands and their sizes | O(runs) |
//! | [`fill_holes`] | holes of a mask | O(runs) |
//! | [`binary_dilation`], [`binary_erosion`] | 3 x 3 square or cross, several times | O(pixels x iterations) |
//! | [`footprint_erosion`] | erosion with any footprint | O(runs x footprint rows) |
//! | [`beam_kernel`], [`beam_footprint`] | a restoring beam as an array of numbers | O(kernel) |
//! | [`gaussian_convolution`] | an image as a wider beam sees it, by Fourier transforms | O(pixels log pixels) |
//! | `facets` | directions among the sources of a model, and their Voronoi cells | O(components x directions) |
//! | [`order_statistics`] | exact medians of large planes | O(pixels) |

pub mod bitmask;
pub(crate) mod box_count;
mod convolution;
pub(crate) mod facets;
mod gaussian;
pub(crate) mod labels;
pub(crate) mod morphology;
pub mod order_statistics;
mod rolling_extremum;
pub mod row_runs;
pub(crate) mod rows;
pub(crate) mod runs;
pub(crate) mod values_at;

pub use box_count::box_count;
pub use convolution::{Covariance, gaussian_convolution};
pub use gaussian::{FWHM_PER_SIGMA, PixelBeam, beam_footprint, beam_kernel};
pub use labels::{Labels, label, remove_small_islands, remove_small_islands_bits};
pub use morphology::{
    binary_closing, binary_dilation, binary_erosion, closing_bits, dilation_bits, erosion_bits, fill_holes,
    fill_holes_bits, footprint_erosion, geodesic_dilation, geodesic_dilation_bits,
};
pub use rolling_extremum::{rolling_maximum, rolling_minimum};
pub(crate) use rolling_extremum::{rolling_maximum_at, rolling_minimum_at};
pub use runs::{Run, runs_of_rows};

/// Which neighbours of a pixel touch it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Connectivity {
    /// The four that share a side (scipy's `generate_binary_structure(2, 1)`, a cross).
    Four,
    /// Also the four that share a corner (scipy's `generate_binary_structure(2, 2)`, a square).
    Eight,
}

/// Small masks drawn as text, for tests: `#` is true, everything else false.
#[cfg(test)]
pub(crate) mod picture {
    use ndarray::{Array2, ArrayView2};

    /// The mask drawn by `rows`.
    pub(crate) fn mask(rows: &[&str]) -> Array2<bool> {
        let nx = rows.first().map_or(0, |r| r.len());
        let pixels = rows.iter().flat_map(|r| r.bytes().map(|b| b == b'#')).collect();
        Array2::from_shape_vec((rows.len(), nx), pixels).expect("all rows have the same length")
    }

    /// The picture of a mask.
    pub(crate) fn draw(mask: ArrayView2<'_, bool>) -> Vec<String> {
        mask.rows().into_iter().map(|r| r.iter().map(|&b| if b { '#' } else { '.' }).collect()).collect()
    }

    /// Random masks and images of awkward shapes, for property tests.
    pub(crate) mod any {
        use ndarray::Array2;
        use proptest::prelude::*;

        /// Shapes with odd, even and 1-pixel sides.
        pub(crate) fn shape() -> impl Strategy<Value = (usize, usize)> {
            prop_oneof![(1usize..24, 1usize..24), (Just(1usize), 1usize..80), (1usize..80, Just(1usize))]
        }

        /// Masks of any filling, all false and all true included.
        pub(crate) fn mask() -> impl Strategy<Value = Array2<bool>> {
            (shape(), prop_oneof![Just(0.0), Just(1.0), 0.05..0.95]).prop_flat_map(|(shape, p)| mask_of(shape, p))
        }

        /// Masks of a given shape and filling.
        pub(crate) fn mask_of(shape: (usize, usize), p: f64) -> impl Strategy<Value = Array2<bool>> {
            prop::collection::vec(prop::bool::weighted(p), shape.0 * shape.1)
                .prop_map(move |v| Array2::from_shape_vec(shape, v).expect("length fits"))
        }

        /// Two masks of one shape.
        pub(crate) fn two_masks() -> impl Strategy<Value = (Array2<bool>, Array2<bool>)> {
            (shape(), 0.0..0.3, 0.2..1.0).prop_flat_map(|(s, p, q)| (mask_of(s, p), mask_of(s, q)))
        }

        /// Images with repeated values and a few NaN.
        pub(crate) fn image() -> impl Strategy<Value = Array2<f32>> {
            shape().prop_flat_map(|shape| {
                prop::collection::vec(prop_oneof![1 => Just(f32::NAN), 8 => -5.0f32..5.0], shape.0 * shape.1)
                    .prop_map(move |v| Array2::from_shape_vec(shape, v).expect("length fits"))
            })
        }
    }
}
