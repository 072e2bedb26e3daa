//! Metrics of image files.

use super::{BeamOnPixels, ImageMetrics, PlaneArrays, of_channels, of_plane};
use crate::Result;
use crate::image::FitsImage;
use ndarray::{Array2, ArrayView2};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The files of one round (or of anyone's image).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RoundFiles {
    /// The restored image, Jy/beam: a plane or a cube.
    pub image: PathBuf,
    /// The residual of the same shape.
    pub residual: Option<PathBuf>,
    /// The model of the same shape, Jy/pixel.
    pub model: Option<PathBuf>,
    /// The clean mask: of the same shape, or one plane for all channels.
    pub mask: Option<PathBuf>,
    /// Islands of the earlier rounds: of the same shape, or one plane for all channels.
    pub islands: Option<PathBuf>,
    /// An earlier image, to say how much this one changed; not used where its shape is another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<PathBuf>,
}

/// Metrics of a round's files: of the first Stokes plane; of a cube all channels and an overall summary.
/// Channels stream: as many are in memory as there are threads.
///
/// # Errors
/// A file that cannot be read or is no image; planes that differ in size; a number of channels that differs.
pub fn of_files(files: &RoundFiles) -> Result<ImageMetrics> {
    let mut image = FitsImage::open(&files.image)?;
    let channels = image.channels();
    let open = |path: &Option<PathBuf>, may_be_plane: bool| -> Result<Option<FitsImage>> {
        let fitting = |p| if may_be_plane { image.companion(p) } else { image.companion_of_all_channels(p) };
        Ok(path.as_deref().map(fitting).transpose()?)
    };
    let mut residual = open(&files.residual, false)?;
    let mut model = open(&files.model, false)?;
    let mut mask = open(&files.mask, true)?;
    let mut islands = open(&files.islands, true)?;
    let mut before = files.before.as_deref().and_then(|path| image.companion_of_all_channels(path).ok());
    let pixel_deg = image.pixel_deg().ok();
    let mut all = Vec::with_capacity(channels);
    let batch = rayon::current_num_threads().max(1);
    for first in (0..channels).step_by(batch) {
        let mut planes = Vec::with_capacity(batch);
        for c in first..(first + batch).min(channels) {
            let read = |file: &mut Option<FitsImage>| -> Result<Option<Array2<f32>>> {
                let plane = file.as_mut().map(|f| f.read_plane(0, c.min(f.channels() - 1)));
                Ok(plane.transpose()?)
            };
            let others =
                [read(&mut residual)?, read(&mut model)?, read(&mut mask)?, read(&mut islands)?, read(&mut before)?];
            let on_pixels = |beam| Some(BeamOnPixels { beam, pixel_deg: pixel_deg? });
            let beam = image.plane_beam(0, c)?.and_then(on_pixels);
            planes.push((image.read_plane(0, c)?, others, beam));
        }
        fn view(plane: &Option<Array2<f32>>) -> Option<ArrayView2<'_, f32>> {
            plane.as_ref().map(|p| p.view())
        }
        all.par_extend(planes.par_iter().map(|(image, [residual, model, mask, islands, before], beam)| {
            let arrays = PlaneArrays {
                image: image.view(),
                residual: view(residual),
                model: view(model),
                mask: view(mask),
                islands: view(islands),
                before: view(before),
            };
            of_plane(&arrays, *beam)
        }));
    }
    Ok(if channels == 1 { all.remove(0) } else { of_channels(all) })
}
