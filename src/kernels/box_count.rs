//! Number of pixels in the box around each pixel that satisfy a condition.

use super::rows::{CountRows, bands, split_rows};
use ndarray::{Array2, ArrayView2};
use rayon::prelude::*;

/// Counts the pixels for which `counted` is true in the `box_size` x `box_size` pixels around each pixel.
///
/// The window is that of [`super::rolling_minimum`]; nothing outside the image is counted. By running sums of whole
/// numbers: exact, and O(pixels) whatever the box.
///
/// ```text
/// # . .     box 3     2 2 1
/// . # .    ------>    2 3 2
/// . . #               1 2 2
/// ```
///
/// # Panics
/// When `box_size` is 0.
pub fn box_count<T: Sync>(
    image: ArrayView2<'_, T>,
    box_size: usize,
    counted: impl Fn(&T) -> bool + Sync,
) -> Array2<u32> {
    assert!(box_size > 0, "a box has at least one pixel");
    let (ny, nx) = image.dim();
    let mut out = Array2::zeros((ny, nx));
    if nx == 0 || ny == 0 {
        return out;
    }
    let bands = bands(ny);
    split_rows(&mut out, &bands).into_par_iter().zip(&bands).for_each(|(part, &(first, _))| {
        let mut rows = CountRows::new(image, &counted, box_size, first);
        part.chunks_exact_mut(nx).for_each(|row| rows.next_row(row));
    });
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::picture::{any, mask};
    use ndarray::array;
    use proptest::prelude::*;

    #[test]
    fn a_box_of_three() {
        let diagonal = mask(&["#..", ".#.", "..#"]);
        assert_eq!(box_count(diagonal.view(), 3, |&b| b), array![[2, 2, 1], [2, 3, 2], [1, 2, 2]]);
    }

    proptest! {
        #[test]
        fn equals_the_definition(mask in any::mask(), n in 1usize..50, threads in 1usize..5) {
            let (ny, nx) = mask.dim();
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let counts = pool.install(|| box_count(mask.view(), n, |&b| b));
            for ((y, x), &count) in counts.indexed_iter() {
                let rows = y.saturating_sub(n / 2)..(y + n - n / 2).min(ny);
                let expected: u32 = rows
                    .flat_map(|j| (x.saturating_sub(n / 2)..(x + n - n / 2).min(nx)).map(move |i| (j, i)))
                    .map(|p| u32::from(mask[p]))
                    .sum();
                prop_assert_eq!(count, expected);
            }
        }
    }
}
