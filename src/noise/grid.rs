//! Values at grid positions, linear in between.

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
    /// Calls `put(x, value)` for each pixel x of row `y` up to the last grid column, ascending.
    pub fn row_to(&self, y: usize, nx: usize, mut put: impl FnMut(usize, f64)) {
        let upper = self.ys.partition_point(|&g| g <= y).clamp(1, self.ys.len().max(2) - 1).min(self.ys.len() - 1);
        let lower = upper.saturating_sub(1);
        let t = fraction(self.ys[lower], self.ys[upper], y);
        let at = |column: usize| lerp(self.values[[lower, column]], self.values[[upper, column]], t);
        let mut left = at(0);
        if self.xs.len() == 1 {
            (0..nx).for_each(|x| put(x, left));
            return;
        }
        for column in 1..self.xs.len() {
            let right = at(column);
            let (x0, x1) = (self.xs[column - 1], self.xs[column]);
            let end = if column + 1 == self.xs.len() { nx } else { x1.min(nx) };
            for x in x0..end {
                put(x, lerp(left, right, fraction(x0, x1, x)));
            }
            left = right;
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    fn render(grid: &Grid, ny: usize, nx: usize) -> Vec<Vec<f64>> {
        (0..ny)
            .map(|y| {
                let mut row = vec![f64::INFINITY; nx];
                grid.row_to(y, nx, |x, v| row[x] = v);
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
