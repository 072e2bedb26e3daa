//! A linear mosaic from image files to a file.

use super::mosaic::{self, Mosaic, Response};
use crate::image::{CelestialWcs, FitsImage, Header, ImageError, MaskType, write_plane};
use crate::kernels::order_statistics::median_and_mad;
use crate::{Error, Result};
use ndarray::Array2;
use std::path::{Path, PathBuf};

/// What is known of an image's primary beam.
#[derive(Debug, Clone, PartialEq)]
pub enum PrimaryBeam {
    /// Nothing: it counts as 1.
    Unknown,
    /// A map on the image's own grid.
    Map(PathBuf),
    /// A Gaussian about the reference position, for dishes of this diameter, metres.
    Dish(f64),
}

/// One image of a mosaic.
#[derive(Debug, Clone, PartialEq)]
pub struct MosaicInput {
    /// An image of one plane, not corrected for the primary beam.
    pub image: PathBuf,
    /// Its primary beam.
    pub primary_beam: PrimaryBeam,
}

/// What a mosaic is made from.
#[derive(Debug, Clone, PartialEq)]
pub struct MosaicRequest<'a> {
    /// The images, at least one.
    pub inputs: &'a [MosaicInput],
    /// Image whose grid the mosaic gets; `None`: the smallest SIN grid, north up, that holds all images.
    pub like: Option<&'a Path>,
    /// Response below which an image takes no part.
    pub cutoff: f64,
    /// The mosaic's file.
    pub output: &'a Path,
    /// The file of its weights, 1 / variance.
    pub weights: &'a Path,
}

/// What came out.
#[derive(Debug, Clone, PartialEq)]
pub struct MosaicSummary {
    /// `(ny, nx)`.
    pub shape: (usize, usize),
    /// Pixels that an image has data for.
    pub seen: usize,
    /// Images whose restoring beam is another than the first one's, which the header gets.
    pub other_beams: Vec<PathBuf>,
}

/// Adds up the images and writes mosaic and weights; one image is in memory at a time.
///
/// # Errors
/// Images that cannot be read, are cubes, or have no celestial coordinates, no data or no noise.
pub fn write(request: &MosaicRequest<'_>) -> Result<MosaicSummary> {
    // Headers first: bad files are found before the work begins.
    let mut inputs = Vec::with_capacity(request.inputs.len());
    for input in request.inputs {
        let image = open_plane(&input.image)?;
        inputs.push((image.header().clone(), image.wcs()?, image.plane_shape(), image.axes().len()));
    }
    let first = &request.inputs[0].image;
    let (mut header, shape) = match request.like {
        Some(path) => {
            let like = FitsImage::open(path)?;
            like.wcs()?;
            (like.header().clone(), like.plane_shape())
        }
        None => {
            let list: Vec<_> = inputs.iter().map(|(h, w, s, _)| (h, w, *s)).collect();
            mosaic::common_grid(&list)
                .map_err(|e| ImageError::Unsuitable { path: first.clone(), reason: e.to_string() })?
        }
    };
    copy_beam(&inputs[0].0, &mut header);
    let beam_of = |h: &Header| [h.get_f64("BMAJ"), h.get_f64("BMIN"), h.get_f64("BPA")];
    let differs = |(_, other): &(_, &(Header, _, _, _))| beam_of(&other.0) != beam_of(&inputs[0].0);
    let other_beams =
        request.inputs.iter().zip(&inputs).filter(differs).map(|(input, _)| input.image.clone()).collect();
    let wcs = CelestialWcs::from_header(&header).map_err(|e| Error::bad_input(e.to_string()))?;
    let mut sum = Mosaic::new(wcs, shape, request.cutoff);
    for (input, (_, wcs, _, _)) in request.inputs.iter().zip(&inputs) {
        let path = &input.image;
        let mut image = open_plane(path)?;
        let plane = image.read_plane(0, 0)?;
        let sigma = median_and_mad(plane.as_slice().expect("own array"), |_| true).map(|m| m.sigma());
        let Some(sigma) = sigma.filter(|&s| s > 0.0) else {
            return Err(ImageError::Unsuitable {
                path: path.clone(),
                reason: "has no noise that could give it a weight (no data, or more than half of its pixels alike)"
                    .into(),
            }
            .into());
        };
        let map: Array2<f32>;
        let response = match &input.primary_beam {
            PrimaryBeam::Unknown => Response::Unity,
            PrimaryBeam::Dish(metres) => Response::Gaussian {
                centre: wcs.reference(),
                fwhm_deg: mosaic::primary_beam_fwhm(*metres, frequency(path, image.header())?),
            },
            PrimaryBeam::Map(pb) => {
                let mut response = open_plane(pb)?;
                if response.plane_shape() != image.plane_shape() {
                    return Err(ImageError::ShapesDiffer {
                        left: path.clone(),
                        left_shape: image.plane_shape(),
                        right: pb.clone(),
                        right_shape: response.plane_shape(),
                    }
                    .into());
                }
                map = response.read_plane(0, 0)?;
                Response::Map(map.view())
            }
        };
        sum.add(plane.view(), wcs, sigma, response);
    }
    let (sky, weight) = sum.finish();
    let naxis = inputs[0].3;
    let seen = weight.iter().filter(|w| **w > 0.0).count();
    write_plane(request.output, sky.view(), MaskType::F32, &header, naxis)?;
    header.set_str("BUNIT", "1/variance");
    write_plane(request.weights, weight.view(), MaskType::F32, &header, naxis)?;
    Ok(MosaicSummary { shape, seen, other_beams })
}

fn open_plane(path: &Path) -> Result<FitsImage> {
    let image = FitsImage::open(path)?;
    if image.channels() * image.polarisations() > 1 {
        return Err(ImageError::Unsuitable {
            path: path.to_path_buf(),
            reason: format!(
                "has {} channels and {} polarisations; an image of one plane was expected",
                image.channels(),
                image.polarisations()
            ),
        }
        .into());
    }
    Ok(image)
}

fn copy_beam(from: &Header, to: &mut Header) {
    for key in ["BMAJ", "BMIN", "BPA"] {
        match from.get_f64(key) {
            Some(value) => to.set_f64(key, value),
            None => to.remove(key),
        }
    }
    if let Some(unit) = from.get("BUNIT") {
        to.set_str("BUNIT", &unit);
    }
}

/// The frequency of an image, Hz.
fn frequency(path: &Path, header: &Header) -> Result<f64> {
    (1..=4)
        .find(|axis| header.get(&format!("CTYPE{axis}")).is_some_and(|t| t.to_uppercase().starts_with("FREQ")))
        .and_then(|axis| header.get_f64(&format!("CRVAL{axis}")))
        .or_else(|| header.get_f64("RESTFRQ"))
        .filter(|&f| f > 0.0)
        .ok_or_else(|| {
            ImageError::Unsuitable {
                path: path.to_path_buf(),
                reason: "has no frequency in its header (an axis of type FREQ, or RESTFRQ), which the size of the \
                         primary beam of a dish follows from"
                    .into(),
            }
            .into()
        })
}
