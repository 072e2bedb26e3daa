//! A mask as the runs of its rows: the source of islands, and of the sums of smoothing.

use super::bitmask::BitMask;
use super::labels::root;

/// A mask as runs, row by row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowRuns {
    nx: usize,
    /// `row_starts[y]..row_starts[y + 1]` are the runs of row `y`.
    row_starts: Vec<u32>,
    /// `(x0, x1)`: first pixel, one past the last.
    spans: Vec<(u32, u32)>,
}

impl RowRuns {
    /// The runs of a mask.
    pub fn of(mask: &BitMask) -> Self {
        let (ny, nx) = mask.dim();
        let mut row_starts = Vec::with_capacity(ny + 1);
        let mut spans = Vec::new();
        row_starts.push(0);
        for y in 0..ny {
            mask.for_each_run(y, |x0, x1| spans.push((x0 as u32, x1 as u32)));
            row_starts.push(spans.len() as u32);
        }
        Self { nx, row_starts, spans }
    }

    /// `(ny, nx)`.
    pub fn dim(&self) -> (usize, usize) {
        (self.row_starts.len() - 1, self.nx)
    }

    /// The runs of a row.
    pub fn row(&self, y: usize) -> &[(u32, u32)] {
        &self.spans[self.row_starts[y] as usize..self.row_starts[y + 1] as usize]
    }

    /// Whether there is no run.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Drops the 4-connected regions of fewer than `least` pixels (`least` may be fractional).
    ///
    /// ```text
    /// # # . .              # # . .
    /// # . . #   least 2.5  # . . #   3 regions found: diagonal neighbours do not touch;
    /// . . # #              . . # #   1 dropped
    /// # . . .              . . . .
    /// ```
    pub fn prune(&self, least: f64) -> Pruned {
        let n = self.spans.len();
        let mut parent: Vec<u32> = (0..n as u32).collect();
        for y in 1..self.row_starts.len() - 1 {
            let (mut above, end_above) = (self.row_starts[y - 1] as usize, self.row_starts[y] as usize);
            for here in self.row_starts[y] as usize..self.row_starts[y + 1] as usize {
                let (x0, x1) = self.spans[here];
                while above < end_above && self.spans[above].1 <= x0 {
                    above += 1;
                }
                let mut touching = above;
                while touching < end_above && self.spans[touching].0 < x1 {
                    join(&mut parent, touching as u32, here as u32);
                    touching += 1;
                }
            }
        }
        let mut sizes = vec![0u64; n];
        let mut found = 0;
        for i in 0..n as u32 {
            let set = root(&mut parent, i);
            found += usize::from(set == i);
            let (x0, x1) = self.spans[i as usize];
            sizes[set as usize] += u64::from(x1 - x0);
        }
        let stays = |set: u32| sizes[set as usize] as f64 >= least;
        let dropped = (0..n as u32).filter(|&i| parent[i as usize] == i && !stays(i)).count();
        let mut kept = Self { nx: self.nx, row_starts: vec![0], spans: Vec::with_capacity(n) };
        for y in 0..self.row_starts.len() - 1 {
            for i in self.row_starts[y]..self.row_starts[y + 1] {
                if stays(root(&mut parent, i)) {
                    kept.spans.push(self.spans[i as usize]);
                }
            }
            kept.row_starts.push(kept.spans.len() as u32);
        }
        Pruned { kept, found, dropped }
    }
}

/// The result of [`RowRuns::prune`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pruned {
    /// The regions that are large enough.
    pub kept: RowRuns,
    /// Regions before pruning.
    pub found: usize,
    /// Regions dropped.
    pub dropped: usize,
}

fn join(parent: &mut [u32], a: u32, b: u32) {
    let (a, b) = (root(parent, a), root(parent, b));
    let (first, second) = (a.min(b), a.max(b));
    parent[second as usize] = first;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::picture::any;
    use ndarray::Array2;
    use proptest::prelude::*;

    fn to_mask(runs: &RowRuns) -> BitMask {
        let (ny, nx) = runs.dim();
        let mut mask = BitMask::new(ny, nx);
        for y in 0..ny {
            for &(x0, x1) in runs.row(y) {
                mask.set_run(y, x0 as usize, x1 as usize);
            }
        }
        mask
    }

    fn plane(rows: &[&str]) -> BitMask {
        let nx = rows[0].len();
        BitMask::from_plane(rows.len(), nx, rows.concat().as_bytes(), |c| c == b'#')
    }

    #[test]
    fn picture_of_pruning() {
        let mask = plane(&["##..", "#..#", "..##", "#..."]);
        let pruned = RowRuns::of(&mask).prune(2.5);
        assert_eq!((pruned.found, pruned.dropped), (3, 1));
        assert_eq!(to_mask(&pruned.kept), plane(&["##..", "#..#", "..##", "...."]));
        // A size equal to the limit stays.
        assert_eq!(RowRuns::of(&mask).prune(3.0).dropped, 1);
        assert_eq!(RowRuns::of(&mask).prune(3.01).dropped, 3);
    }

    #[test]
    fn regions_that_meet_late_are_one() {
        let mask = plane(&["#.#.#", "#.#.#", "#####"]);
        let pruned = RowRuns::of(&mask).prune(11.0);
        assert_eq!((pruned.found, pruned.dropped), (1, 0));
    }

    fn slow_regions(mask: &Array2<bool>) -> Vec<usize> {
        let (ny, nx) = mask.dim();
        let mut seen = Array2::from_elem((ny, nx), false);
        let mut sizes = Vec::new();
        for start in mask.indexed_iter().filter(|(_, on)| **on).map(|(at, _)| at) {
            let mut stack = vec![start];
            let mut size = 0;
            while let Some((y, x)) = stack.pop() {
                if y >= ny || x >= nx || !mask[[y, x]] || std::mem::replace(&mut seen[[y, x]], true) {
                    continue;
                }
                size += 1;
                stack.extend([(y + 1, x), (y.wrapping_sub(1), x), (y, x + 1), (y, x.wrapping_sub(1))]);
            }
            if size > 0 {
                sizes.push(size);
            }
        }
        sizes
    }

    proptest! {
        #[test]
        fn agrees_with_flooding(mask in any::mask(), least in 0.0..9.0f64) {
            let bits = BitMask::from_bools(mask.view());
            let runs = RowRuns::of(&bits);
            prop_assert_eq!(to_mask(&runs), bits);
            let pruned = runs.prune(least);
            let sizes = slow_regions(&mask);
            prop_assert_eq!(pruned.found, sizes.len());
            let stay: Vec<usize> = sizes.iter().copied().filter(|&s| s as f64 >= least).collect();
            prop_assert_eq!(pruned.dropped, sizes.len() - stay.len());
            prop_assert_eq!(to_mask(&pruned.kept).count(), stay.iter().sum::<usize>());
        }
    }
}
