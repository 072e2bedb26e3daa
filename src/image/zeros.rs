//! Zeros that stand for no data: borders of mosaics, planes of flagged channels.

use crate::kernels::rows::Rows;
use crate::kernels::{Connectivity, label};
use ndarray::{Array2, Zip};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A region of zeros counts as no data when a square of this side fits into it. Of an image whose unit of quantisation
/// is as large as its noise 38 % of the pixels are 0, but with a beam of 5 pixels not even a square of 8 is.
const SIDE: usize = 16;
/// Every square of [`SIDE`] pixels holds one of the pixels that are this far apart.
const STRIDE: usize = SIDE / 2;

/// The meaning of large connected regions of exact zeros.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, clap::ValueEnum, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Zeros {
    /// They are not part of the image, as if they were NaN.
    #[default]
    NoData,
    /// They are measured values.
    Data,
}

impl Zeros {
    /// Nothing was changed.
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Whether zeros of an image may stand for no data: almost all images have none. One of the pixels that a square must
    /// hold is looked at, with its neighbours.
    pub(crate) fn may_be_no_data(self, image: &impl Rows) -> bool {
        let (ny, nx) = image.dim();
        let mut row = vec![0.0; nx];
        let mut holds_zeros = |y| {
            image.row_into(y, &mut row);
            (0..nx.saturating_sub(STRIDE - 1)).step_by(STRIDE).any(|x| row[x..x + STRIDE].iter().all(|v| *v == 0.0))
        };
        self == Self::NoData && (0..ny).step_by(STRIDE).any(&mut holds_zeros)
    }

    /// Turns zeros of a plane, `[y, x]`, that stand for no data into NaN, and returns their number.
    pub fn blank(self, plane: &mut Array2<f32>) -> usize {
        if !self.may_be_no_data(&plane.view()) {
            return 0;
        }
        let regions = label(plane.mapv(|v| v == 0.0).view(), Connectivity::Four);
        let is_large = large_regions(&regions.labels, regions.count());
        let mut count = 0;
        Zip::from(plane).and(&regions.labels).for_each(|v, &l| {
            if is_large[l as usize] {
                *v = f32::NAN;
                count += 1;
            }
        });
        count
    }
}

/// Which labels (0 is none) hold a square of [`SIDE`] pixels.
fn large_regions(labels: &Array2<u32>, count: usize) -> Vec<bool> {
    let mut is_large = vec![false; count + 1];
    // Labelled pixels from here upwards, column by column.
    let mut heights = vec![0usize; labels.ncols()];
    for row in labels.rows() {
        let mut width = 0;
        for (height, &l) in heights.iter_mut().zip(row) {
            *height = if l == 0 { 0 } else { *height + 1 };
            width = if *height < SIDE { 0 } else { width + 1 };
            // Neighbours in a row and a column are 4-connected: the whole square has this label.
            if width >= SIDE {
                is_large[l as usize] = true;
            }
        }
    }
    is_large
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn noise(shape: (usize, usize), seed: u64) -> Array2<f32> {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        Array2::from_shape_fn(shape, |_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 40) as f32 / (1u64 << 24) as f32 - 0.5
        })
    }

    #[test]
    fn borders_are_no_data_and_single_zeros_are() {
        let mut plane = noise((100, 120), 1);
        plane[[50, 50]] = 0.0;
        for ((y, x), v) in plane.indexed_iter_mut() {
            // A slanted border, and a square that is too small.
            if x + y / 2 < 40 || ((70..85).contains(&y) && (90..110).contains(&x)) {
                *v = if x % 2 == 0 { 0.0 } else { -0.0 };
            }
        }
        let border = plane.indexed_iter().filter(|((y, x), _)| x + y / 2 < 40).count();
        let before = plane.clone();
        assert_eq!(Zeros::Data.blank(&mut plane), 0);
        assert_eq!(Zeros::NoData.blank(&mut plane), border);
        assert!(plane.indexed_iter().all(|((y, x), v)| v.is_nan() == (x + y / 2 < 40)));
        assert!(before.iter().zip(&plane).all(|(b, v)| v.is_nan() || b == v));
        let mut empty = Array2::zeros((20, 20));
        assert_eq!(Zeros::NoData.blank(&mut empty), 400);
    }

    #[test]
    fn a_coarsely_quantised_image_is_data() {
        let mut plane = noise((300, 300), 2).mapv(|v| (v * 1.9).round());
        assert!(plane.iter().filter(|v| **v == 0.0).count() > 45_000);
        assert_eq!(Zeros::NoData.blank(&mut plane), 0);
    }

    proptest! {
        #[test]
        fn a_square_anywhere_is_found(y in 0..40usize, x in 0..40usize, seed in 0..1000u64) {
            let mut plane = noise((64, 64), seed).mapv(|v| v + 1.0);
            plane.slice_mut(ndarray::s![y..y + SIDE, x..x + SIDE]).fill(0.0);
            prop_assert_eq!(Zeros::NoData.blank(&mut plane), SIDE * SIDE);
        }
    }
}
