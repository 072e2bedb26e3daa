//! `cleanloop mosaic IMAGES...`: the images of a field's beams on one grid.

use crate::image::mosaic;
use crate::image::mosaic::files::{self, MosaicBeam, MosaicInput, MosaicRequest};
use crate::image::sidecar_path;
use crate::util::fs::same_file;
use crate::{Error, ExitStatus, Result};
use std::path::PathBuf;

/// Arguments of `mosaic`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Images of one plane each. If their restoring beams differ, they are convolved to a common one first.
    #[arg(required = true, value_name = "IMAGE")]
    pub images: Vec<PathBuf>,

    /// The mosaic; its weights (1 / variance) go beside it, as X.weight.fits for X.fits.
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,

    /// Image whose grid the mosaic gets [default: the smallest SIN grid, north up, that holds all images].
    #[arg(long, value_name = "IMAGE")]
    pub like: Option<PathBuf>,

    /// Primary-beam response of each image on its own grid, in the same order. The images must not be corrected for it.
    #[arg(long, value_name = "FILE", num_args = 1.., conflicts_with = "dish")]
    pub pb: Vec<PathBuf>,

    /// Diameter of the dishes, metres: the primary beam is a Gaussian around CRVAL1, CRVAL2 with a FWHM of 1.09
    /// wavelengths over the diameter. The images must not be corrected for it.
    #[arg(long, value_name = "METRES")]
    pub dish: Option<f64>,

    /// Pixels with a lower primary-beam response are left out.
    #[arg(long, value_name = "FRACTION", default_value_t = mosaic::DEFAULT_CUTOFF)]
    pub cutoff: f64,

    /// Add the images up as they are even if their restoring beams differ; the mosaic's header gets the first one's.
    #[arg(long)]
    pub keep_beams: bool,
}

/// Adds up the images and writes mosaic and weights.
///
/// # Errors
/// Images that cannot be read, are cubes, or have no celestial coordinates or no data; options that do not fit.
pub(crate) fn run(args: Args) -> Result<ExitStatus> {
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
        if same_file(&args.output, input) || same_file(&weights, input) {
            return Err(Error::bad_input(format!("{}: the output would replace an input", input.display())));
        }
    }
    let inputs: Vec<MosaicInput> = args
        .images
        .iter()
        .enumerate()
        .map(|(i, image)| MosaicInput {
            image: image.clone(),
            primary_beam: match (args.pb.get(i), args.dish) {
                (Some(map), _) => MosaicBeam::Map(map.clone()),
                (None, Some(metres)) => MosaicBeam::Dish(metres),
                (None, None) => MosaicBeam::Unknown,
            },
        })
        .collect();
    let request = MosaicRequest {
        inputs: &inputs,
        like: args.like.as_deref(),
        cutoff: args.cutoff,
        common_beam: !args.keep_beams,
        output: &args.output,
        weights: &weights,
    };
    let made = files::write(&request)?;
    for path in &made.other_beams {
        tracing::warn!(
            "{}: its restoring beam is another than that of {}, which the mosaic's header gets: the images are not \
             convolved",
            path.display(),
            args.images[0].display()
        );
    }
    if let Some(beam) = made.beam.filter(|_| !made.convolved.is_empty()) {
        println!("{} of the images were convolved to the common beam, {beam}", made.convolved.len());
    }
    let (shape, seen) = (made.shape, made.seen);
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
