//! Another model for the present state of a chain: channel by channel, the residual changes by what the point-spread
//! function makes of the difference. Exact for the image plane; the next call computes the residual from the data again.

use super::error::WscleanError;
use super::files::{self, PREFIX};
use super::imager::{WscleanImager, beam_words};
use crate::image::{FitsImage, PixelType, PlaneWriter};
use ndarray::{Array2, ArrayView2, s};
use std::path::Path;

impl WscleanImager {
    /// Replaces model, residual and restored image of every channel whose model differs from the cube's plane.
    pub(super) fn repair(&self, model: &Path) -> Result<(), WscleanError> {
        let mut cube = FitsImage::open(model)?;
        let state = self.state_folder();
        let lanes = self.lanes();
        for (index, lane) in lanes.iter().enumerate() {
            let (folder, start) = (state.join(&lane.name), self.start_folder().join(&lane.name));
            let file = |folder: &Path, kind: &str| folder.join(format!("{PREFIX}-{kind}.fits"));
            let wanted = cube.read_plane(0, index)?;
            let mut old = FitsImage::open(file(&folder, "model"))?;
            let before = old.read_plane(0, 0)?;
            let changes: Vec<((usize, usize), f32)> =
                wanted.indexed_iter().filter(|&(p, &v)| v != before[p]).map(|(p, &v)| (p, v - before[p])).collect();
            if changes.is_empty() {
                continue;
            }
            let mut psf = FitsImage::open(file(&start, "psf"))?;
            let beam = psf.beam();
            let psf = psf.read_plane(0, 0)?;
            let mut image = FitsImage::open(file(&folder, "residual"))?;
            let mut residual = image.read_plane(0, 0)?;
            subtract(&mut residual, psf.view(), &changes);
            // Other cycles may hold the same files under other names: a new file takes each name.
            write(&file(&folder, "residual"), &image, &residual)?;
            write(&file(&folder, "model"), &old, &wanted)?;
            if let Some(beam) = beam {
                let path = |p: &Path| p.to_string_lossy().into_owned();
                let restored = folder.join("restored.fits");
                let mut line = self.executable().to_vec();
                line.push("-beam-shape".to_owned());
                line.extend(beam_words(&beam));
                let inputs = [file(&folder, "residual"), file(&folder, "model")];
                line.extend(["-restore".to_owned(), path(&inputs[0]), path(&inputs[1]), path(&restored)]);
                self.run(line)?;
                files::rename(&restored, &file(&folder, "image"))?;
            }
        }
        for kind in ["residual", "model"] {
            self.assemble_lanes(&state, &state, kind, kind)?;
        }
        Ok(())
    }
}

fn write(path: &Path, like: &FitsImage, plane: &Array2<f32>) -> Result<(), WscleanError> {
    let mut writer = PlaneWriter::create(path, like.axes(), PixelType::F32, like.header(), false)?;
    writer.write_plane(0, plane.view())?;
    writer.finish()?;
    Ok(())
}

/// Subtracts what these changes of the model look like: `residual -= sum of change x psf shifted to its pixel`. Both
/// planes `[y, x]`, the PSF's peak anywhere. O(changes x pixels).
///
/// ```text
/// changes: +2 at (y 0, x 1)    psf  0 .5 0     residual before  1 1 1    after  0 -1 0
///                                  .5  1 .5                     1 1 1           1  0 1
///                                   0 .5 0
/// ```
fn subtract(residual: &mut Array2<f32>, psf: ArrayView2<'_, f32>, changes: &[((usize, usize), f32)]) {
    let mut peak = ((0, 0), f32::NEG_INFINITY);
    for (p, &v) in psf.indexed_iter() {
        if v > peak.1 {
            peak = (p, v);
        }
    }
    let (ny, nx) = residual.dim();
    let (py, px) = psf.dim();
    let (cy, cx) = peak.0;
    for &((y, x), change) in changes {
        // Pixels of the residual that the shifted PSF covers.
        let (y0, y1) = (y.saturating_sub(cy), (y + py - cy).min(ny));
        let (x0, x1) = (x.saturating_sub(cx), (x + px - cx).min(nx));
        let mut part = residual.slice_mut(s![y0..y1, x0..x1]);
        let (v0, u0) = (y0 + cy - y, x0 + cx - x);
        part.scaled_add(-change, &psf.slice(s![v0..v0 + y1 - y0, u0..u0 + x1 - x0]));
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
        subtract(&mut residual, psf.view(), &[((0, 1), 2.0)]);
        assert_eq!(residual, array![[0.0, -1.0, 0.0], [1.0, 0.0, 1.0]]);
        subtract(&mut residual, psf.view(), &[((1, 2), -1.0)]);
        assert_eq!(residual, array![[0.0, -1.0, 0.5], [1.0, 0.5, 2.0]]);
    }
}
