//! Masks of several scales: one bit per scale.

use crate::image::{ImageError, PlaneWriter};
use crate::kernels::bitmask::{BitMask, pack_row};
use ndarray::{Array2, ArrayView2, Zip};
use std::ops::Range;

/// A mask with one bit per scale, `[y, x]`; a plain mask has bit 0 alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MaskBits {
    /// One scale.
    Plain(BitMask),
    /// 2 to 8 scales.
    Narrow(Array2<u8>),
    /// Up to 31 scales.
    Wide(Array2<i32>),
}

impl MaskBits {
    /// Nothing masked, with room for `scales` bits.
    ///
    /// # Panics
    /// With more than 31 scales.
    pub fn empty(shape: (usize, usize), scales: usize) -> Self {
        assert!(scales <= super::MOST_SCALES, "at most 31 scales");
        match scales {
            0 | 1 => Self::Plain(BitMask::new(shape.0, shape.1)),
            2..=8 => Self::Narrow(Array2::zeros(shape)),
            _ => Self::Wide(Array2::zeros(shape)),
        }
    }

    /// `(ny, nx)`.
    pub fn dim(&self) -> (usize, usize) {
        match self {
            Self::Plain(mask) => mask.dim(),
            Self::Narrow(a) => a.dim(),
            Self::Wide(a) => a.dim(),
        }
    }

    /// Sets bit `n` of a stretch of row `y`.
    pub(crate) fn set_run(&mut self, n: usize, y: usize, columns: Range<usize>) {
        match self {
            Self::Plain(mask) => {
                debug_assert_eq!(n, 0, "a plain mask has bit 0 alone");
                mask.set_run(y, columns.start, columns.end);
            }
            Self::Narrow(a) => a.slice_mut(ndarray::s![y, columns]).mapv_inplace(|v| v | 1 << n),
            Self::Wide(a) => a.slice_mut(ndarray::s![y, columns]).mapv_inplace(|v| v | 1 << n),
        }
    }

    /// Sets bit `n` where `mask` is true.
    pub(crate) fn set(&mut self, n: usize, mask: ArrayView2<'_, bool>) {
        match self {
            Self::Plain(bits) => bits.or_with(&BitMask::from_bools(mask)),
            Self::Narrow(a) => Zip::from(a).and(mask).par_for_each(|v, &m| *v |= u8::from(m) << n),
            Self::Wide(a) => Zip::from(a).and(mask).par_for_each(|v, &m| *v |= i32::from(m) << n),
        }
    }

    /// Sets bit `n` where `mask` is true.
    pub(crate) fn set_bits(&mut self, n: usize, mask: &BitMask) {
        match self {
            Self::Plain(bits) => bits.or_with(mask),
            _ => {
                for y in 0..mask.dim().0 {
                    mask.for_each_run(y, |x0, x1| self.set_run(n, y, x0..x1));
                }
            }
        }
    }

    /// Each pixel's bits as a number, `[y, x]`.
    pub fn values(&self) -> Array2<i32> {
        match self {
            Self::Plain(mask) => mask.to_bools().mapv(i32::from),
            Self::Narrow(a) => a.mapv(i32::from),
            Self::Wide(a) => a.clone(),
        }
    }

    /// Writes the mask as plane number `index` of a file.
    ///
    /// # Errors
    /// Those of the file.
    pub fn write(&self, writer: &mut PlaneWriter, index: usize) -> Result<(), ImageError> {
        match self {
            Self::Plain(mask) => writer.write_bits(index, mask),
            Self::Narrow(mask) => writer.write_plane(index, mask.view()),
            Self::Wide(mask) => writer.write_plane(index, mask.view()),
        }
    }

    /// Clears every bit where `mask` is true.
    pub(crate) fn clear(&mut self, mask: ArrayView2<'_, bool>) {
        match self {
            Self::Plain(bits) => bits.and_with(&BitMask::from_bools(mask).inverted()),
            Self::Narrow(a) => Zip::from(a).and(mask).par_for_each(|v, &m| *v = if m { 0 } else { *v }),
            Self::Wide(a) => Zip::from(a).and(mask).par_for_each(|v, &m| *v = if m { 0 } else { *v }),
        }
    }

    /// Clears every bit where `mask` is true.
    pub(crate) fn clear_bits(&mut self, mask: &BitMask) {
        match self {
            Self::Plain(bits) => bits.and_with(&mask.inverted()),
            Self::Narrow(a) => clear_runs(a, mask),
            Self::Wide(a) => clear_runs(a, mask),
        }
    }

    /// The mask of scale number `n`.
    pub(crate) fn plane_bits(&self, n: usize) -> BitMask {
        match self {
            Self::Plain(mask) if n == 0 => mask.clone(),
            Self::Plain(mask) => BitMask::new(mask.dim().0, mask.dim().1),
            Self::Narrow(a) => bits_where(a, |v| v >> n & 1 == 1),
            Self::Wide(a) => bits_where(a, |v| v >> n & 1 == 1),
        }
    }

    /// True where any bit is set.
    pub(crate) fn any_bits(&self) -> BitMask {
        match self {
            Self::Plain(mask) => mask.clone(),
            Self::Narrow(a) => bits_where(a, |v| v != 0),
            Self::Wide(a) => bits_where(a, |v| v != 0),
        }
    }

    /// The mask of scale number `n`.
    pub fn plane(&self, n: usize) -> Array2<bool> {
        match self {
            Self::Plain(mask) if n == 0 => mask.to_bools(),
            Self::Plain(mask) => Array2::from_elem(mask.dim(), false),
            Self::Narrow(a) => a.mapv(|v| v >> n & 1 == 1),
            Self::Wide(a) => a.mapv(|v| v >> n & 1 == 1),
        }
    }

    /// True where any bit is set.
    pub fn any(&self) -> Array2<bool> {
        match self {
            Self::Plain(mask) => mask.to_bools(),
            Self::Narrow(a) => a.mapv(|v| v != 0),
            Self::Wide(a) => a.mapv(|v| v != 0),
        }
    }

    /// Number of pixels with any bit set.
    pub fn masked_pixels(&self) -> usize {
        match self {
            Self::Plain(mask) => mask.count(),
            Self::Narrow(a) => Zip::from(a).par_fold(|| 0, |n, &v| n + usize::from(v != 0), |a, b| a + b),
            Self::Wide(a) => Zip::from(a).par_fold(|| 0, |n, &v| n + usize::from(v != 0), |a, b| a + b),
        }
    }
}

fn clear_runs<T: Default + Clone>(values: &mut Array2<T>, mask: &BitMask) {
    for y in 0..mask.dim().0 {
        mask.for_each_run(y, |x0, x1| values.slice_mut(ndarray::s![y, x0..x1]).fill(T::default()));
    }
}

fn bits_where<T: Copy + Sync>(values: &Array2<T>, keep: impl Fn(T) -> bool + Sync) -> BitMask {
    let mut bits = BitMask::new(values.nrows(), values.ncols());
    bits.for_rows_mut(|y, words| pack_row(values.row(y).to_slice().expect("standard order"), words, &keep));
    bits
}

impl From<BitMask> for MaskBits {
    fn from(mask: BitMask) -> Self {
        Self::Plain(mask)
    }
}

impl From<Array2<bool>> for MaskBits {
    fn from(mask: Array2<bool>) -> Self {
        Self::Plain(BitMask::from_bools(mask.view()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::picture::mask;

    #[test]
    fn bits_do_not_disturb_each_other() {
        for scales in [3, 20] {
            let mut bits = MaskBits::empty((1, 4), scales);
            bits.set(0, mask(&["##.."]).view());
            bits.set_run(scales - 1, 0, 1..3);
            assert_eq!(bits.plane(0), mask(&["##.."]));
            assert_eq!(bits.plane(scales - 1), mask(&[".##."]));
            assert_eq!(bits.plane(1), mask(&["...."]));
            assert_eq!((bits.any(), bits.masked_pixels()), (mask(&["###."]), 3));
            assert_eq!((bits.any_bits().to_bools(), bits.plane_bits(0).to_bools()), (bits.any(), bits.plane(0)));
            bits.clear_bits(&BitMask::from_bools(mask(&[".#.#"]).view()));
            assert_eq!(bits.any(), mask(&["#.#."]));
        }
        let plain = MaskBits::from(mask(&["#."]));
        assert_eq!((plain.values(), plain.masked_pixels()), (ndarray::array![[1, 0]], 1));
    }
}
