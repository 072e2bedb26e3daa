//! Values of a few pixels of a plane.

use super::bitmask::{BitMask, WORD};

/// A value for each pixel of a mask: what is left of a plane of which few pixels matter.
#[derive(Debug, Clone)]
pub(crate) struct ValuesAt {
    pixels: BitMask,
    /// Number of the first value of each row.
    starts: Vec<usize>,
    /// Values in raster order.
    values: Vec<f32>,
}

impl ValuesAt {
    /// Values of the pixels of a mask, in raster order.
    ///
    /// # Panics
    /// When there are more or fewer than pixels.
    pub(crate) fn new(pixels: BitMask, values: Vec<f32>) -> Self {
        let mut starts = Vec::with_capacity(pixels.dim().0);
        let mut count = 0;
        for y in 0..pixels.dim().0 {
            starts.push(count);
            count += pixels.row(y).iter().map(|w| w.count_ones() as usize).sum::<usize>();
        }
        assert_eq!(count, values.len(), "a value for each pixel");
        Self { pixels, starts, values }
    }

    /// The pixels that have a value.
    pub(crate) fn pixels(&self) -> &BitMask {
        &self.pixels
    }

    /// The value of a pixel.
    ///
    /// # Panics
    /// When it has none.
    pub(crate) fn get(&self, y: usize, x: usize) -> f32 {
        assert!(self.pixels.get(y, x), "the pixel has a value");
        let row = self.pixels.row(y);
        let before: u32 = row[..x / WORD].iter().map(|w| w.count_ones()).sum();
        let beside = (row[x / WORD] & ((1 << (x % WORD)) - 1)).count_ones();
        self.values[self.starts[y] + (before + beside) as usize]
    }

    /// Calls `visit(y, x, value)` for each pixel that has a value, in raster order.
    pub(crate) fn for_each(&self, mut visit: impl FnMut(usize, usize, f32)) {
        let mut values = self.values.iter();
        for y in 0..self.pixels.dim().0 {
            self.pixels.for_each_run(y, |x0, x1| {
                for (x, &v) in (x0..x1).zip(values.by_ref()) {
                    visit(y, x, v);
                }
            });
        }
    }
}
