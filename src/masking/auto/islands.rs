//! The islands of an automatic mask, as runs of pixels.

use crate::kernels::Connectivity;
use crate::kernels::bitmask::BitMask;
use crate::kernels::labels::{Islands, islands_of_runs};
use crate::kernels::runs::Run;
use ndarray::ArrayView2;

/// An island with its brightest pixel.
#[derive(Debug, Clone, Copy)]
pub(super) struct Island {
    /// `(y, x)` of the brightest pixel, the first of several.
    pub(super) at: (usize, usize),
    /// Its value, Jy/beam; -infinity of an island without numbers.
    pub(super) peak: f64,
    /// The faintest pixel, Jy/beam; infinity without numbers.
    pub(super) least: f32,
    /// Number of pixels.
    pub(super) pixels: usize,
}

/// The 8-connected islands of a mask, in the raster order of their first pixels.
pub(super) struct MaskIslands {
    runs: Islands,
    /// The islands.
    pub(super) list: Vec<Island>,
}

impl MaskIslands {
    /// The islands of a mask of `image`, `[y, x]`.
    pub(super) fn of(mask: &BitMask, image: ArrayView2<'_, f32>) -> Self {
        let runs = islands_of_runs(mask.run_list(), mask.dim().0, Connectivity::Eight);
        let unknown = Island { at: (0, 0), peak: f64::NEG_INFINITY, least: f32::INFINITY, pixels: 0 };
        let mut islands = Self { list: vec![unknown; runs.sizes.len()], runs };
        for (run, &number) in islands.runs.runs.iter().zip(&islands.runs.island) {
            let island = &mut islands.list[number as usize];
            island.pixels += run.len();
            for x in run.start as usize..run.end as usize {
                let at = (run.y as usize, x);
                let v = image[at];
                island.least = island.least.min(v);
                if f64::from(v) > island.peak {
                    (island.at, island.peak) = (at, f64::from(v));
                }
            }
        }
        islands
    }

    /// Runs with the number of their island, in raster order.
    pub(super) fn runs(&self) -> impl Iterator<Item = (&Run, usize)> {
        self.runs.runs.iter().zip(self.runs.island.iter().map(|&n| n as usize))
    }

    /// The pixels of the islands whose number satisfies `wanted`.
    pub(super) fn pixels_of(&self, shape: (usize, usize), wanted: impl Fn(usize) -> bool) -> BitMask {
        let mut pixels = BitMask::new(shape.0, shape.1);
        for (run, _) in self.runs().filter(|(_, number)| wanted(*number)) {
            pixels.set_run(run.y as usize, run.start as usize, run.end as usize);
        }
        pixels
    }

    /// The islands with a pixel that satisfies `wanted`, which is given `(y, x)`.
    pub(super) fn with_a_pixel(&self, wanted: impl Fn((usize, usize)) -> bool) -> Vec<bool> {
        let mut found = vec![false; self.list.len()];
        for (run, number) in self.runs() {
            let y = run.y as usize;
            found[number] = found[number] || (run.start as usize..run.end as usize).any(|x| wanted((y, x)));
        }
        found
    }
}
