//! Runs of consecutive pixels along rows: masks of images are sparse, and most work on them is work on runs.

use ndarray::ArrayView2;
use rayon::prelude::*;

/// Pixels `start .. end` of one row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// Row.
    pub y: u32,
    /// First column.
    pub start: u32,
    /// Column after the last.
    pub end: u32,
}

impl Run {
    /// Number of pixels.
    pub fn len(&self) -> usize {
        (self.end - self.start) as usize
    }

    /// Runs made here never are.
    pub fn is_empty(&self) -> bool {
        self.end == self.start
    }
}

/// Appends the runs of pixels equal to `wanted` in one row.
pub(crate) fn push_runs(row: &[bool], y: u32, wanted: bool, runs: &mut Vec<Run>) {
    let find = |from: usize, value: bool| {
        let mut at = from;
        // Eight pixels at a time: a `bool` is a byte of 0 or 1.
        while let Some(eight) = row.get(at..at + 8) {
            if eight.contains(&value) {
                break;
            }
            at += 8;
        }
        row[at..].iter().position(|&b| b == value).map_or(row.len(), |p| at + p)
    };
    let mut at = 0;
    loop {
        let start = find(at, wanted);
        if start == row.len() {
            return;
        }
        let end = find(start, !wanted);
        runs.push(Run { y, start: start as u32, end: end as u32 });
        at = end;
    }
}

/// Runs of the true pixels, in raster order.
pub fn runs_of_rows(mask: ArrayView2<'_, bool>) -> Vec<Run> {
    runs_equal_to(mask, true)
}

/// Runs of the pixels equal to `wanted`, in raster order.
pub(crate) fn runs_equal_to(mask: ArrayView2<'_, bool>, wanted: bool) -> Vec<Run> {
    let mask = mask.as_standard_layout();
    let parts: Vec<Vec<Run>> = super::rows::bands(mask.nrows())
        .into_par_iter()
        .map(|(first, count)| {
            let mut runs = Vec::new();
            for y in first..first + count {
                let row = mask.row(y);
                push_runs(row.as_slice().expect("standard order"), y as u32, wanted, &mut runs);
            }
            runs
        })
        .collect();
    joined(parts)
}

/// One list of several, one by one, so that the whole is never in memory twice.
pub(crate) fn joined(mut parts: Vec<Vec<Run>>) -> Vec<Run> {
    let mut runs = parts.first_mut().map(std::mem::take).unwrap_or_default();
    for part in parts.into_iter().skip(1) {
        runs.extend_from_slice(&part);
    }
    runs
}

/// Index of the first run of each row, and the number of runs at the end: row `y` owns `starts[y] .. starts[y + 1]`.
pub(crate) fn row_starts(runs: &[Run], ny: usize) -> Vec<usize> {
    let mut starts = vec![0; ny + 1];
    for run in runs {
        starts[run.y as usize + 1] += 1;
    }
    for y in 0..ny {
        starts[y + 1] += starts[y];
    }
    starts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::picture::{any, mask};
    use ndarray::Array2;
    use proptest::prelude::*;

    #[test]
    fn runs_are_listed_in_raster_order() {
        let runs = runs_of_rows(mask(&["##..#", ".....", "....#"]).view());
        assert_eq!(runs.iter().map(|r| (r.y, r.start, r.end)).collect::<Vec<_>>(), [(0, 0, 2), (0, 4, 5), (2, 4, 5)]);
    }

    proptest! {
        #[test]
        fn runs_paint_the_mask_again(mask in any::mask(), wanted: bool) {
            let mut again = Array2::from_elem(mask.dim(), !wanted);
            for run in runs_equal_to(mask.view(), wanted) {
                for x in run.start..run.end {
                    again[[run.y as usize, x as usize]] = wanted;
                }
            }
            prop_assert_eq!(again, mask);
        }
    }
}
