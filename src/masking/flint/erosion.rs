//! Erosion by the shape of the restoring beam, at one or several scales.

use crate::image::PixelBeam;
use crate::kernels::beam_footprint;
use crate::kernels::bitmask::BitMask;
use crate::kernels::morphology::footprint_erosion::eroded_rows;
use crate::kernels::runs::{Run, row_starts};
use crate::masking::MaskBits;

/// Erodes at each scale; pixels that survive at scale number n, from 0, have bit n.
pub(crate) fn erode_scales(mask: &BitMask, beam: &PixelBeam, response: f64, scales: &[u32]) -> MaskBits {
    let mut bits = MaskBits::empty(mask.dim(), scales.len());
    let (runs, starts) = runs_and_starts(mask);
    for (n, &scale) in scales.iter().enumerate() {
        let footprint = beam_footprint(beam, response, f64::from(scale));
        set_rows(&mut bits, n, eroded_rows(&runs, &starts, mask.dim(), footprint.view()));
    }
    bits
}

fn runs_and_starts(mask: &BitMask) -> (Vec<Run>, Vec<usize>) {
    let runs = mask.run_list();
    let starts = row_starts(&runs, mask.dim().0);
    (runs, starts)
}

fn set_rows(bits: &mut MaskBits, n: usize, rows: Vec<(usize, Vec<(isize, isize)>)>) {
    for (y, intervals) in rows {
        for (start, end) in intervals {
            bits.set_run(n, y, start as usize..end as usize);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::footprint_erosion;
    use ndarray::{Array2, ArrayView2};

    /// Keeps the pixels around which the beam, smoothed to `scale` pixels and cut at `response`, lies in the mask.
    fn erode(mask: ArrayView2<'_, bool>, beam: &PixelBeam, response: f64, scale: u32) -> Array2<bool> {
        footprint_erosion(mask, beam_footprint(beam, response, f64::from(scale)).view())
    }

    #[test]
    fn wider_scales_keep_less() {
        let mut mask = Array2::from_elem((40, 40), false);
        mask.slice_mut(ndarray::s![5..30, 5..25]).fill(true);
        let beam = PixelBeam { major: 4.0, minor: 3.0, pa_deg: 30.0 };
        let bits = erode_scales(&BitMask::from_bools(mask.view()), &beam, 0.6, &[0, 8, 100]);
        for (n, scale) in [0, 8, 100].into_iter().enumerate() {
            assert_eq!(bits.plane(n), erode(mask.view(), &beam, 0.6, scale));
        }
        let counts = [0, 1, 2].map(|n| bits.plane(n).iter().filter(|&&m| m).count());
        assert!(counts[0] > counts[1] && counts[1] > 0 && counts[2] == 0, "{counts:?}");
    }
}
