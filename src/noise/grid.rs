//! Values at grid positions, linear in between.

use multiversion::multiversion;
use ndarray::Array2;

/// Values at the crossings of grid rows and columns; pixels in between are interpolated linearly along y, then x.
///
/// A grid value that is NaN (a box without data) is replaced by its finite neighbour, so that a pixel with data
/// gets a value wherever one of its four grid positions has one.
#[derive(Debug, Clone, PartialEq)]
pub struct Grid {
    /// Pixel rows of the grid, ascending, the first 0, the last not before the last pixel row.
    pub ys: Vec<usize>,
    /// Pixel columns of the grid, as `ys`.
    pub xs: Vec<usize>,
    /// Values, `[grid row, grid column]`.
    pub values: Array2<f64>,
}

impl Grid {
    /// Writes the value of each pixel of row `y` into `out`, as long as the row.
    pub(crate) fn row_to<T>(&self, y: usize, out: &mut [T], cast: impl Fn(f64) -> T + Copy) {
        let (lower, upper, t) = self.rows_around(y);
        let (lower, upper) = (self.values.row(lower), self.values.row(upper));
        let values: Vec<f64> = lower.iter().zip(upper).map(|(&l, &u)| lerp(l, u, t)).collect();
        match values[..] {
            [value] => out.iter_mut().for_each(|o| *o = cast(value)),
            _ => ramps(&self.xs, &values, out, cast),
        }
    }

    /// The value of one pixel, as [`Grid::row_to`] has it.
    pub(crate) fn at(&self, y: usize, x: usize) -> f64 {
        let (lower, upper, t) = self.rows_around(y);
        let at = |column: usize| lerp(self.values[[lower, column]], self.values[[upper, column]], t);
        if self.xs.len() == 1 {
            return at(0);
        }
        let right = self.xs.partition_point(|&g| g <= x).clamp(1, self.xs.len() - 1);
        lerp(at(right - 1), at(right), fraction(self.xs[right - 1], self.xs[right], x))
    }

    /// The grid rows above and below row `y`, and how far it is on the way from one to the other.
    fn rows_around(&self, y: usize) -> (usize, usize, f64) {
        let upper = self.ys.partition_point(|&g| g <= y).clamp(1, self.ys.len().max(2) - 1).min(self.ys.len() - 1);
        let lower = upper.saturating_sub(1);
        (lower, upper, fraction(self.ys[lower], self.ys[upper], y))
    }
}

fn fraction(from: usize, to: usize, at: usize) -> f64 {
    if to > from { (at - from) as f64 / (to - from) as f64 } else { 0.0 }
}

fn lerp(a: f64, b: f64, t: f64) -> f64 {
    if a.is_nan() {
        b
    } else if b.is_nan() {
        a
    } else {
        a * (1.0 - t) + b * t
    }
}

/// Values that are linear between those at the positions `xs`; what is beyond the last continues.
#[multiversion(targets("x86_64+avx2"))]
fn ramps<T>(xs: &[usize], values: &[f64], out: &mut [T], cast: impl Fn(f64) -> T) {
    let (nx, last) = (out.len(), xs.len() - 2);
    // How far pixels are on the way from one position to the next, `length` pixels away: the same for most.
    let (mut ways, mut length): (Vec<f64>, _) = (Vec::new(), 0);
    for (i, (xs, values)) in xs.windows(2).zip(values.windows(2)).enumerate() {
        let end = if i == last { nx } else { xs[1].min(nx) };
        if xs[0] >= end {
            continue;
        }
        let (out, left, right) = (&mut out[xs[0]..end], values[0], values[1]);
        let distance = xs[1].saturating_sub(xs[0]);
        if left.is_nan() || right.is_nan() || distance == 0 {
            let value = if left.is_nan() { right } else { left };
            out.iter_mut().for_each(|o| *o = cast(value));
            continue;
        }
        if distance != length || ways.len() < out.len() {
            length = distance;
            ways.clear();
            ways.extend((0..out.len()).map(|k| k as f64 / length as f64));
        }
        out.iter_mut().zip(&ways).for_each(|(o, &t)| *o = cast(left * (1.0 - t) + right * t));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    fn render(grid: &Grid, ny: usize, nx: usize) -> Vec<Vec<f64>> {
        (0..ny)
            .map(|y| {
                let mut row = vec![f64::INFINITY; nx];
                grid.row_to(y, &mut row, |v| v);
                assert!((0..nx).all(|x| grid.at(y, x) == row[x]));
                row
            })
            .collect()
    }

    #[test]
    fn values_are_linear_between_grid_positions() {
        // The last grid row and column may lie one pixel outside the image (BANE), or on its last pixel.
        let grid = Grid { ys: vec![0, 2], xs: vec![0, 2, 3], values: array![[0., 4., 6.], [2., 6., 8.]] };
        assert_eq!(render(&grid, 3, 3), [[0., 2., 4.], [1., 3., 5.], [2., 4., 6.]]);
        assert_eq!(render(&grid, 2, 4), [[0., 2., 4., 6.], [1., 3., 5., 7.]]);
        let point = Grid { ys: vec![0], xs: vec![0], values: array![[5.]] };
        assert_eq!(render(&point, 1, 1), [[5.]]);
    }

    #[test]
    fn boxes_without_data_borrow_from_their_neighbour() {
        let grid = Grid { ys: vec![0, 2], xs: vec![0, 2], values: array![[f64::NAN, 4.], [2., 4.]] };
        assert_eq!(render(&grid, 3, 3), [[2., 3., 4.], [2., 3., 4.], [2., 3., 4.]]);
    }
}
