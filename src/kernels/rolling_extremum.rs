//! Minimum and maximum of the box around each pixel.

use super::bitmask::BitMask;
use super::rows::{Extremum, Greatest, ImageRows, Least, Outside, RollingRows, RowStream, bands, collect};
use super::values_at::ValuesAt;
use ndarray::{Array2, ArrayView2};
use rayon::prelude::*;

/// Minimum of the `box_size` x `box_size` pixels around each pixel, `[y, x]` in and out.
///
/// The window of pixel `i` holds `i - box_size / 2 ..= i + box_size - 1 - box_size / 2` (integer division): an even
/// box reaches one pixel further down than up. The image repeats periodically (scipy's `mode="wrap"`), so a box as
/// large as the image or larger gives the image's minimum. NaN is ignored; a box of NaN alone gives NaN.
///
/// ```text
/// 1 9 9 9      box 2     1 1 9 9
/// 9 9 9 9     ------>    1 1 9 9
/// 9 9 5 9                9 9 5 5
/// ```
///
/// # Panics
/// When `box_size` is 0.
pub fn rolling_minimum(image: ArrayView2<'_, f32>, box_size: usize) -> Array2<f32> {
    rolling::<Least>(image, box_size)
}

/// Maximum of the box around each pixel; window, boundary and NaN as in [`rolling_minimum`].
///
/// # Panics
/// When `box_size` is 0.
pub fn rolling_maximum(image: ArrayView2<'_, f32>, box_size: usize) -> Array2<f32> {
    rolling::<Greatest>(image, box_size)
}

fn rolling<E: Extremum>(image: ArrayView2<'_, f32>, box_size: usize) -> Array2<f32> {
    assert!(box_size > 0, "a box has at least one pixel");
    let shape = image.dim();
    let stream_from = |first: usize| {
        let source = |y| ImageRows::new(image, y, E::NEUTRAL, Outside::Wrap);
        RollingRows::<_, E>::new(source, first as isize, shape, (box_size, box_size))
    };
    collect(shape, stream_from, |v| if v == E::NEUTRAL { f32::NAN } else { v })
}

/// [`rolling_minimum`] at the pixels of `wanted` alone: nothing else is stored.
///
/// # Panics
/// When `box_size` is 0, or the shapes differ.
pub(crate) fn rolling_minimum_at(image: ArrayView2<'_, f32>, box_size: usize, wanted: BitMask) -> ValuesAt {
    assert_eq!(image.dim(), wanted.dim());
    rolling_at::<_, Least>(|y| ImageRows::new(image, y, Least::NEUTRAL, Outside::Wrap), box_size, wanted)
}

/// [`rolling_maximum`] at the pixels of `wanted` alone, of an image as large as it, whose rows from a given one on
/// `rows_from` gives: beyond its edges it repeats, and minus infinity is no data.
///
/// # Panics
/// When `box_size` is 0.
pub(crate) fn rolling_maximum_at<S: RowStream>(
    rows_from: impl Fn(isize) -> S + Sync,
    box_size: usize,
    wanted: BitMask,
) -> ValuesAt {
    rolling_at::<_, Greatest>(rows_from, box_size, wanted)
}

fn rolling_at<S: RowStream, E: Extremum>(
    rows_from: impl Fn(isize) -> S + Sync,
    box_size: usize,
    wanted: BitMask,
) -> ValuesAt {
    let (ny, nx) = wanted.dim();
    let of_band = |(first, count): (usize, usize)| {
        let mut values = Vec::new();
        let mut row = vec![0.0; nx];
        let is_wanted = |y: &usize| wanted.row(*y).iter().any(|&w| w != 0);
        let mut stream: Option<RollingRows<S, E>> = None;
        let mut next = first;
        for y in (first..first + count).filter(is_wanted) {
            // What lies further away than a box is not worth the way there.
            let stream = match &mut stream {
                Some(stream) if y - next < box_size => stream,
                _ => {
                    next = y;
                    stream.insert(RollingRows::new(&rows_from, y as isize, (ny, nx), (box_size, box_size)))
                }
            };
            while next <= y {
                stream.next_row(&mut row);
                next += 1;
            }
            let finish = |v: f32| if v == E::NEUTRAL { f32::NAN } else { v };
            wanted.for_each_run(y, |x0, x1| values.extend(row[x0..x1].iter().map(|&v| finish(v))));
        }
        values
    };
    let parts: Vec<Vec<f32>> = bands(ny).into_par_iter().map(of_band).collect();
    ValuesAt::new(wanted, parts.concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::picture::any;
    use ndarray::array;
    use proptest::prelude::*;

    /// The definition, pixel by pixel.
    fn brute(image: &Array2<f32>, n: usize, pick: fn(f32, f32) -> f32) -> Array2<f32> {
        let (ny, nx) = image.dim();
        Array2::from_shape_fn((ny, nx), |(y, x)| {
            let mut best = f32::NAN;
            for j in 0..n as isize {
                for i in 0..n as isize {
                    let row = (y as isize + j - (n / 2) as isize).rem_euclid(ny as isize);
                    let column = (x as isize + i - (n / 2) as isize).rem_euclid(nx as isize);
                    best = pick(best, image[[row as usize, column as usize]]);
                }
            }
            best
        })
    }

    fn same(a: &Array2<f32>, b: &Array2<f32>) -> bool {
        a.dim() == b.dim() && a.iter().zip(b).all(|(a, b)| a == b || (a.is_nan() && b.is_nan()))
    }

    #[test]
    fn an_even_box_reaches_further_to_the_low_side() {
        let image = array![[1., 9., 9., 9.], [9., 9., 9., 9.], [9., 9., 5., 9.]];
        let least = array![[1., 1., 9., 9.], [1., 1., 9., 9.], [9., 9., 5., 5.]];
        // The window of row 0 holds row 2, too: the image wraps round.
        let mut wrapped = least.clone();
        wrapped[[0, 2]] = 5.;
        wrapped[[0, 3]] = 5.;
        assert_eq!(rolling_minimum(image.view(), 2), wrapped);
    }

    #[test]
    fn only_a_box_without_data_is_nan() {
        let image = array![[f32::NAN, 2.0, f32::NAN, f32::NAN, f32::NAN]];
        let out = rolling_maximum(image.view(), 3);
        assert!(same(&out, &array![[2.0, 2.0, 2.0, f32::NAN, f32::NAN]]), "{out}");
    }

    proptest! {
        #[test]
        fn equals_the_definition(image in any::image(), n in 1usize..40) {
            let transposed = image.t();
            prop_assert!(same(&rolling_minimum(image.view(), n), &brute(&image, n, f32::min)));
            prop_assert!(same(&rolling_maximum(image.view(), n), &brute(&image, n, f32::max)));
            let turned = rolling_minimum(transposed, n);
            prop_assert!(same(&turned, &brute(&transposed.to_owned(), n, f32::min)));
        }

        #[test]
        fn single_pixels_are_those_of_the_whole(image in any::image(), n in 1usize..40, every in 1usize..30) {
            let mut wanted = BitMask::new(image.nrows(), image.ncols());
            for (i, (y, x)) in ndarray::indices(image.dim()).into_iter().enumerate() {
                if (i * i) % every == 0 {
                    wanted.set(y, x);
                }
            }
            let (least, greatest) = (rolling_minimum(image.view(), n), rolling_maximum(image.view(), n));
            let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
            let rows_from = |y| ImageRows::new(image.view(), y, Greatest::NEUTRAL, Outside::Wrap);
            let few = pool.install(|| {
                (rolling_minimum_at(image.view(), n, wanted.clone()), rolling_maximum_at(rows_from, n, wanted.clone()))
            });
            for (y, x) in ndarray::indices(image.dim()).into_iter().filter(|&(y, x)| wanted.get(y, x)) {
                for (few, all) in [(&few.0, &least), (&few.1, &greatest)] {
                    let (a, b) = (few.get(y, x), all[[y, x]]);
                    prop_assert!(a == b || (a.is_nan() && b.is_nan()));
                }
            }
        }

        #[test]
        fn threads_make_no_difference(image in any::image(), n in 1usize..12) {
            let alone = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
            let many = rayon::ThreadPoolBuilder::new().num_threads(7).build().unwrap();
            let one = alone.install(|| rolling_minimum(image.view(), n));
            prop_assert!(same(&one, &many.install(|| rolling_minimum(image.view(), n))));
        }
    }
}
