//! How much an image differs from an earlier one.

use ndarray::{ArrayView2, Zip};
use rayon::prelude::*;

/// Sums over the pixels that both images have.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    pixels: f64,
    now: f64,
    before: f64,
    now_now: f64,
    now_before: f64,
    before_before: f64,
}

impl Sums {
    fn of_row((now, before): (ndarray::ArrayView1<'_, f32>, ndarray::ArrayView1<'_, f32>)) -> Self {
        let mut sums = Self::default();
        Zip::from(now).and(before).for_each(|&a, &b| {
            if a.is_finite() && b.is_finite() {
                let (a, b) = (f64::from(a), f64::from(b));
                sums.pixels += 1.0;
                sums.now += a;
                sums.before += b;
                sums.now_now += a * a;
                sums.now_before += a * b;
                sums.before_before += b * b;
            }
        });
        sums
    }

    fn plus(self, other: Self) -> Self {
        Self {
            pixels: self.pixels + other.pixels,
            now: self.now + other.now,
            before: self.before + other.before,
            now_now: self.now_now + other.now_now,
            now_before: self.now_before + other.now_before,
            before_before: self.before_before + other.before_before,
        }
    }
}

/// The standard deviation of `now` minus `before`, `[y, x]` both, in the scale of `before` that fits best: two images of
/// other flux scales are alike. `None` without a pixel in common, or with an image of nothing.
///
/// Threads over rows, which are added up in their order: the same for any number of threads.
pub(super) fn change(now: ArrayView2<'_, f32>, before: ArrayView2<'_, f32>) -> Option<f64> {
    let rows = 0..now.nrows();
    let rows: Vec<Sums> = rows.into_par_iter().map(|y| Sums::of_row((now.row(y), before.row(y)))).collect();
    let all = rows.into_iter().fold(Sums::default(), Sums::plus);
    if all.pixels == 0.0 || all.before_before <= 0.0 {
        return None;
    }
    let scale = all.now_before / all.before_before;
    let mean = (all.now - scale * all.before) / all.pixels;
    let square = (all.now_now - 2.0 * scale * all.now_before + scale * scale * all.before_before) / all.pixels;
    Some((square - mean * mean).max(0.0).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array2, array};

    #[test]
    fn another_scale_is_no_change() {
        let before = array![[1.0f32, 2.0], [3.0, f32::NAN]];
        assert!(change((&before * 1.5).view(), before.view()).expect("pixels in common") < 1e-6);
    }

    #[test]
    fn it_is_the_scatter_of_the_difference() {
        let mut before = Array2::<f32>::zeros((40, 40));
        before[[20, 20]] = 100.0;
        let now = &before + &Array2::from_shape_fn((40, 40), |(y, x)| if (x + y) % 2 == 0 { 0.1 } else { -0.1 });
        let found = change(now.view(), before.view()).expect("pixels in common");
        assert!((found - 0.1).abs() < 1e-3, "{found}");
    }

    #[test]
    fn nothing_is_known_without_pixels() {
        let nothing = array![[f32::NAN, 0.0]];
        assert_eq!(change(array![[1.0f32, f32::NAN]].view(), nothing.view()), None);
        assert_eq!(change(array![[1.0f32, 1.0]].view(), array![[0.0f32, 0.0]].view()), None);
    }
}
