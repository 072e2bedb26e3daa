//! `cleanloop mosaic IMAGES...`: the images of a field's beams on one grid.

use crate::image::{CelestialWcs, FitsImage, Header, ImageError, MaskType, sidecar_path, write_plane};
use crate::kernels::order_statistics::median_and_mad;
use crate::masking::mosaic::{self, Mosaic, Response};
use crate::{Error, ExitStatus, Result};
use ndarray::Array2;
use std::path::{Path, PathBuf};

/// Arguments of `mosaic`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Images of one plane each, with the same restoring beam.
    #[arg(required = true, value_name = "IMAGE")]
    pub images: Vec<PathBuf>,

    /// Where to write the mosaic; its weights (1 / variance) go beside it, X.fits gives X.weight.fits.
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,

    /// Image whose grid the mosaic gets. Default: the smallest SIN grid, north up, that holds all images.
    #[arg(long, value_name = "IMAGE")]
    pub like: Option<PathBuf>,

    /// Primary-beam response of each image on its own grid, in the same order. The images must not be corrected for it.
    #[arg(long, value_name = "FILE", num_args = 1.., conflicts_with = "dish")]
    pub pb: Vec<PathBuf>,

    /// Diameter of the dishes, metres: a Gaussian primary beam of 1.09 wavelengths over diameters about CRVAL1, CRVAL2.
    /// The images must not be corrected for it.
    #[arg(long, value_name = "METRES")]
    pub dish: Option<f64>,

    /// Response below which an image takes no part.
    #[arg(long, value_name = "FRACTION", default_value_t = mosaic::DEFAULT_CUTOFF)]
    pub cutoff: f64,
}

/// Adds up the images and writes mosaic and weights.
///
/// # Errors
/// Images that cannot be read, are cubes, or have no celestial coordinates or no data; options that do not fit.
pub fn run(args: Args) -> Result<ExitStatus> {
    if !(0.0..1.0).contains(&args.cutoff) {
        return Err(Error::bad_input(format!("--cutoff {}: a fraction from 0 to below 1 was expected", args.cutoff)));
    }
    if let Some(dish) = args.dish.filter(|&d| !(d.is_finite() && d > 0.0)) {
        return Err(Error::bad_input(format!("--dish {dish}: a diameter in metres was expected")));
    }
    if !args.pb.is_empty() && args.pb.len() != args.images.len() {
        return Err(Error::bad_input(format!(
            "--pb names {} files for {} images: one for each image was expected",
            args.pb.len(),
            args.images.len()
        )));
    }
    let weights = sidecar_path(&args.output, "weight");
    for input in args.images.iter().chain(&args.pb).chain(&args.like) {
        if super::same_file(&args.output, input) || super::same_file(&weights, input) {
            return Err(Error::bad_input(format!("{}: the output would replace an input", input.display())));
        }
    }
    // Headers first: bad files are found before the work begins.
    let mut inputs = Vec::with_capacity(args.images.len());
    for path in &args.images {
        let image = open_plane(path)?;
        inputs.push((image.header().clone(), image.wcs()?, image.plane_shape(), image.axes().len()));
    }
    let (mut header, shape) = match &args.like {
        Some(path) => {
            let like = FitsImage::open(path)?;
            like.wcs()?;
            (like.header().clone(), like.plane_shape())
        }
        None => {
            let list: Vec<_> = inputs.iter().map(|(h, w, s, _)| (h, w, *s)).collect();
            mosaic::common_grid(&list)
                .map_err(|e| ImageError::Unsuitable { path: args.images[0].clone(), reason: e.to_string() })?
        }
    };
    copy_beam(&inputs[0].0, &mut header);
    let beam_of = |h: &Header| [h.get_f64("BMAJ"), h.get_f64("BMIN"), h.get_f64("BPA")];
    for (path, input) in args.images.iter().zip(&inputs) {
        if beam_of(&input.0) != beam_of(&inputs[0].0) {
            tracing::warn!(
                "{}: its restoring beam differs from that of {}, whose beam the mosaic's header gets",
                path.display(),
                args.images[0].display()
            );
        }
    }
    let wcs = CelestialWcs::from_header(&header).map_err(|e| Error::bad_input(e.to_string()))?;
    let mut sum = Mosaic::new(wcs, shape, args.cutoff);
    for (i, path) in args.images.iter().enumerate() {
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
        let map: Option<Array2<f32>> = match args.pb.get(i) {
            None => None,
            Some(pb) => {
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
                Some(response.read_plane(0, 0)?)
            }
        };
        let wcs = &inputs[i].1;
        let response = match (&map, args.dish) {
            (Some(map), _) => Response::Map(map.view()),
            (None, Some(dish)) => Response::Gaussian {
                centre: wcs.reference(),
                fwhm_deg: mosaic::primary_beam_fwhm(dish, frequency(path, image.header())?),
            },
            (None, None) => Response::Unity,
        };
        sum.add(plane.view(), wcs, sigma, response);
    }
    let (sky, weight) = sum.finish();
    let naxis = inputs[0].3;
    let seen = weight.iter().filter(|w| **w > 0.0).count();
    write_plane(&args.output, sky.view(), MaskType::F32, &header, naxis)?;
    header.set_str("BUNIT", "1/variance");
    write_plane(&weights, weight.view(), MaskType::F32, &header, naxis)?;
    println!(
        "{}: {} images on {} x {} pixels, {:.1} % of them with data",
        args.output.display(),
        args.images.len(),
        shape.1,
        shape.0,
        100.0 * seen as f64 / (shape.0 * shape.1) as f64
    );
    Ok(ExitStatus::Done)
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
                reason: "has no frequency in its header (an axis of type FREQ, or RESTFRQ), which --dish needs".into(),
            }
            .into()
        })
}
