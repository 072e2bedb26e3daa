//! Connected islands of a mask.

use super::Connectivity;
use super::bitmask::BitMask;
use super::runs::{Run, row_starts, runs_equal_to};
use ndarray::{Array2, ArrayView2};

/// The islands of a mask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Labels {
    /// `[y, x]`: 0 outside the mask, else the island's number, from 1 in the raster order of first pixels.
    pub labels: Array2<u32>,
    /// Number of pixels of island `i + 1`.
    pub sizes: Vec<usize>,
}

impl Labels {
    /// Number of islands.
    pub fn count(&self) -> usize {
        self.sizes.len()
    }
}

/// Islands as runs: cheaper than an array of labels.
pub(crate) struct Islands {
    /// All runs in raster order.
    pub runs: Vec<Run>,
    /// For each run, its island's number, from 0 in the raster order of first pixels.
    pub island: Vec<u32>,
    /// Number of pixels of each island.
    pub sizes: Vec<usize>,
}

/// Smallest member of the set of `i`, halving the path on the way.
pub(crate) fn root(parent: &mut [u32], mut i: u32) -> u32 {
    while parent[i as usize] != i {
        parent[i as usize] = parent[parent[i as usize] as usize];
        i = parent[i as usize];
    }
    i
}

/// Islands of the pixels equal to `wanted`: two passes over the runs with union-find.
pub(crate) fn islands_of(mask: ArrayView2<'_, bool>, wanted: bool, connectivity: Connectivity) -> Islands {
    islands_of_runs(runs_equal_to(mask, wanted), mask.nrows(), connectivity)
}

/// Islands of runs in raster order, of an image of `ny` rows.
pub(crate) fn islands_of_runs(runs: Vec<Run>, ny: usize, connectivity: Connectivity) -> Islands {
    assert!(runs.len() < u32::MAX as usize, "fewer than 2^32 runs");
    let starts = row_starts(&runs, ny);
    let mut parent: Vec<u32> = (0..runs.len() as u32).collect();
    // Runs that share a corner touch when one begins where the other ends.
    let corner = u32::from(connectivity == Connectivity::Eight);
    for y in 1..ny {
        let (mut above, mut here) = (starts[y - 1], starts[y]);
        while above < starts[y] && here < starts[y + 1] {
            let (a, b) = (runs[above], runs[here]);
            if a.start < b.end + corner && b.start < a.end + corner {
                let (p, q) = (root(&mut parent, above as u32), root(&mut parent, here as u32));
                parent[p.max(q) as usize] = p.min(q);
            }
            if a.end < b.end {
                above += 1;
            } else {
                here += 1;
            }
        }
    }
    // Roots are the smallest of their set: seen in order, each run's root is settled before the run itself, and the
    // numbers of islands, which rise in raster order, can take the parents' places.
    for i in 0..parent.len() {
        parent[i] = parent[parent[i] as usize];
    }
    let mut sizes = Vec::new();
    for (i, run) in runs.iter().enumerate() {
        let set = parent[i] as usize;
        parent[i] = if set == i {
            sizes.push(0);
            sizes.len() as u32 - 1
        } else {
            parent[set]
        };
        sizes[parent[i] as usize] += run.len();
    }
    let island = parent;
    Islands { runs, island, sizes }
}

/// Numbers the islands of a mask (as `scipy.ndimage.label`), and measures them. O(runs).
///
/// ```text
/// # # . .    4-connected   1 1 0 0    8-connected   1 1 0 0
/// . . # .   ------------>  0 0 2 0   ------------>  0 0 1 0
/// # . . .                  3 0 0 0                  2 0 0 0
/// ```
///
/// # Panics
/// When the mask has 2^32 runs or more.
pub fn label(mask: ArrayView2<'_, bool>, connectivity: Connectivity) -> Labels {
    let Islands { runs, island, sizes } = islands_of(mask, true, connectivity);
    let mut labels = Array2::zeros(mask.dim());
    for (run, &number) in runs.iter().zip(&island) {
        labels.slice_mut(ndarray::s![run.y as usize, run.start as usize..run.end as usize]).fill(number + 1);
    }
    Labels { labels, sizes }
}

/// Drops the islands with fewer than `least` pixels, in place. O(runs).
///
/// # Panics
/// When the mask has 2^32 runs or more.
pub fn remove_small_islands(mask: &mut Array2<bool>, least: usize, connectivity: Connectivity) {
    let Islands { runs, island, sizes } = islands_of(mask.view(), true, connectivity);
    for (run, &number) in runs.iter().zip(&island) {
        if sizes[number as usize] < least {
            mask.slice_mut(ndarray::s![run.y as usize, run.start as usize..run.end as usize]).fill(false);
        }
    }
}

/// [`remove_small_islands`] of a mask of bits.
pub fn remove_small_islands_bits(mask: &mut BitMask, least: usize, connectivity: Connectivity) {
    let Islands { runs, island, sizes } = islands_of_runs(mask.run_list(), mask.dim().0, connectivity);
    for (run, &number) in runs.iter().zip(&island) {
        if sizes[number as usize] < least {
            mask.clear_run(run.y as usize, run.start as usize, run.end as usize);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::picture::{any, draw, mask};
    use ndarray::array;
    use proptest::prelude::*;

    #[test]
    fn corners_touch_only_with_eight_neighbours() {
        let mask = mask(&["##..", "..#.", "#..."]);
        let four = label(mask.view(), Connectivity::Four);
        assert_eq!(four.labels, array![[1, 1, 0, 0], [0, 0, 2, 0], [3, 0, 0, 0]]);
        assert_eq!(four.sizes, [2, 1, 1]);
        let eight = label(mask.view(), Connectivity::Eight);
        assert_eq!(eight.labels, array![[1, 1, 0, 0], [0, 0, 1, 0], [2, 0, 0, 0]]);
        assert_eq!(eight.sizes, [3, 1]);
    }

    #[test]
    fn small_islands_go() {
        let mut mask = mask(&["##..#", "#....", "....#"]);
        remove_small_islands(&mut mask, 3, Connectivity::Eight);
        assert_eq!(draw(mask.view()), ["##...", "#....", "....."]);
    }

    /// Numbers by flooding from each pixel not yet numbered, in raster order.
    fn brute(mask: &Array2<bool>, connectivity: Connectivity) -> Labels {
        let mut labels = Array2::<u32>::zeros(mask.dim());
        let mut sizes = Vec::new();
        for (y, x) in ndarray::indices(mask.dim()) {
            if !mask[[y, x]] || labels[[y, x]] > 0 {
                continue;
            }
            sizes.push(0);
            let mut stack = vec![(y as isize, x as isize)];
            while let Some((j, i)) = stack.pop() {
                let Some(true) = mask.get((j as usize, i as usize)) else { continue };
                if labels[[j as usize, i as usize]] > 0 {
                    continue;
                }
                labels[[j as usize, i as usize]] = sizes.len() as u32;
                *sizes.last_mut().unwrap() += 1;
                for (dj, di) in (-1..=1).flat_map(|a| (-1..=1).map(move |b| (a, b))) {
                    if connectivity == Connectivity::Eight || dj == 0 || di == 0 {
                        stack.push((j + dj, i + di));
                    }
                }
            }
        }
        Labels { labels, sizes }
    }

    proptest! {
        #[test]
        fn equals_flooding(mask in any::mask()) {
            for connectivity in [Connectivity::Four, Connectivity::Eight] {
                prop_assert_eq!(label(mask.view(), connectivity), brute(&mask, connectivity));
            }
        }

        #[test]
        fn what_remains_is_large(mask in any::mask(), least in 0usize..9) {
            let mut left = mask.clone();
            remove_small_islands(&mut left, least, Connectivity::Four);
            let mut bits = BitMask::from_bools(mask.view());
            remove_small_islands_bits(&mut bits, least, Connectivity::Four);
            prop_assert_eq!(bits.to_bools(), left.clone());
            let all = brute(&mask, Connectivity::Four);
            for (p, &number) in all.labels.indexed_iter() {
                prop_assert_eq!(left[p], number > 0 && all.sizes[number as usize - 1] >= least);
            }
        }
    }
}
