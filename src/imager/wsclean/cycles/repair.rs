//! Another model for the present state of a chain: channel by channel, the residual changes by the difference
//! convolved with the point-spread function. Exact for the image plane; the next call computes the residual from the data again.

use super::state::{Part, WscleanState};
use crate::image::{FitsImage, PixelType, PlaneWriter};
use crate::imager::wsclean::error::WscleanError;
use crate::imager::wsclean::files::{self, PREFIX};
use crate::imager::wsclean::imaging::Imaging;
use ndarray::{Array2, ArrayView2, s};
use std::path::{Path, PathBuf};

/// Replaces model, residual and restored image of every channel whose model differs from the plane of the cube `model`.
pub(crate) fn repair(imaging: &Imaging, state: &WscleanState, model: &Path) -> Result<(), WscleanError> {
    let mut cube = FitsImage::open(model)?;
    for (index, part) in state.parts().iter().enumerate() {
        repair_part(imaging, state, part, &cube.read_plane(0, index)?)?;
    }
    state.assemble(&state.present_folder(), &["residual", "model"])
}

fn repair_part(imaging: &Imaging, state: &WscleanState, part: &Part, wanted: &Array2<f32>) -> Result<(), WscleanError> {
    let (folder, start) = (state.present_folder().join(&part.name), state.start_folder().join(&part.name));
    let file = |kind: &str| -> PathBuf { folder.join(format!("{PREFIX}-{kind}.fits")) };
    let mut old = FitsImage::open(file("model"))?;
    let before = old.read_plane(0, 0)?;
    let changes: Vec<Change> = wanted
        .indexed_iter()
        .filter(|&(p, &v)| v != before[p])
        .map(|(pixel, &v)| Change { pixel, amount: v - before[pixel] })
        .collect();
    if changes.is_empty() {
        return Ok(());
    }
    let mut psf = FitsImage::open(start.join(format!("{PREFIX}-psf.fits")))?;
    let beam = psf.beam();
    let psf = psf.read_plane(0, 0)?;
    let mut image = FitsImage::open(file("residual"))?;
    let mut residual = image.read_plane(0, 0)?;
    subtract(&mut residual, psf.view(), &changes);
    // Other cycles may hold the same files under other names: a new file takes each name.
    write(&file("residual"), &image, &residual)?;
    write(&file("model"), &old, wanted)?;
    if let Some(beam) = beam {
        let restored = folder.join("restored.fits");
        imaging.run(imaging.calls().restore(&beam, &file("residual"), &file("model"), &restored))?;
        files::rename(&restored, &file("image"))?;
    }
    Ok(())
}

/// A change of the model.
struct Change {
    /// y, x.
    pixel: (usize, usize),
    /// Jy/pixel.
    amount: f32,
}

fn write(path: &Path, like: &FitsImage, plane: &Array2<f32>) -> Result<(), WscleanError> {
    let mut writer = PlaneWriter::create(path, like.axes(), PixelType::F32, like.header(), false)?;
    writer.write_plane(0, plane.view())?;
    writer.finish()?;
    Ok(())
}

/// Subtracts these changes of the model as the PSF shows them: `residual -= sum of change x psf shifted to its pixel`. Both
/// planes `[y, x]`, the PSF's peak anywhere. O(changes x pixels).
///
/// ```text
/// changes: +2 at (y 0, x 1)    psf  0 .5 0     residual before  1 1 1    after  0 -1 0
///                                  .5  1 .5                     1 1 1           1  0 1
///                                   0 .5 0
/// ```
fn subtract(residual: &mut Array2<f32>, psf: ArrayView2<'_, f32>, changes: &[Change]) {
    let mut peak = ((0, 0), f32::NEG_INFINITY);
    for (p, &v) in psf.indexed_iter() {
        if v > peak.1 {
            peak = (p, v);
        }
    }
    let (ny, nx) = residual.dim();
    let (py, px) = psf.dim();
    let (cy, cx) = peak.0;
    for &Change { pixel: (y, x), amount } in changes {
        // Pixels of the residual that the shifted PSF covers.
        let (y0, y1) = (y.saturating_sub(cy), (y + py - cy).min(ny));
        let (x0, x1) = (x.saturating_sub(cx), (x + px - cx).min(nx));
        let mut part = residual.slice_mut(s![y0..y1, x0..x1]);
        let (v0, u0) = (y0 + cy - y, x0 + cx - x);
        part.scaled_add(-amount, &psf.slice(s![v0..v0 + y1 - y0, u0..u0 + x1 - x0]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn a_change_of_the_model_is_seen_through_the_psf() {
        let psf = array![[0.0, 0.5, 0.0], [0.5, 1.0, 0.5], [0.0, 0.5, 0.0]];
        let mut residual = Array2::<f32>::ones((2, 3));
        subtract(&mut residual, psf.view(), &[Change { pixel: (0, 1), amount: 2.0 }]);
        assert_eq!(residual, array![[0.0, -1.0, 0.0], [1.0, 0.0, 1.0]]);
        subtract(&mut residual, psf.view(), &[Change { pixel: (1, 2), amount: -1.0 }]);
        assert_eq!(residual, array![[0.0, -1.0, 0.5], [1.0, 0.5, 2.0]]);
    }
}
