//! `cleanloop extractmask BEAM_IMAGE MOSAIC_MASK`: a field mask for one beam.

use crate::image::{FitsImage, ImageError, PixelType, sidecar_path, write_plane};
use crate::masking::extract;
use crate::util::fs::same_file;
use crate::{Error, ExitStatus, Result};
use std::path::PathBuf;

/// Arguments of `extractmask`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Image whose grid and header the mask gets.
    pub beam_image: PathBuf,

    /// Mask on another grid that covers it, such as a mosaic's. Pixels that are neither 0 nor blank are masked,
    /// as in all commands: a model's components, or probabilities above 0.
    pub mosaic_mask: PathBuf,

    /// The mask file [default: X.mask.fits beside the beam image X.fits].
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// Write 32-bit integers as flint does, instead of bytes.
    #[arg(long)]
    pub flint_types: bool,
}

/// Puts the mosaic mask onto the beam image's grid, nearest neighbour, and writes it.
///
/// # Errors
/// Images that cannot be read or have no celestial coordinates, a mosaic of several planes, an output that would
/// replace the mosaic.
pub(crate) fn run(args: Args) -> Result<ExitStatus> {
    let output = args.output.unwrap_or_else(|| sidecar_path(&args.beam_image, "mask"));
    for input in [&args.mosaic_mask, &args.beam_image] {
        if same_file(&output, input) {
            return Err(Error::bad_input(format!(
                "{}: the output would replace an input; name another file with --output",
                output.display()
            )));
        }
    }
    let beam = FitsImage::open(&args.beam_image)?;
    let mut mosaic = FitsImage::open(&args.mosaic_mask)?;
    if mosaic.channels() * mosaic.polarisations() > 1 {
        return Err(ImageError::Unsuitable {
            path: args.mosaic_mask,
            reason: format!(
                "has {} channels and {} polarisations; a mask of one plane was expected",
                mosaic.channels(),
                mosaic.polarisations()
            ),
        }
        .into());
    }
    let (beam_wcs, mosaic_wcs) = (beam.wcs()?, mosaic.wcs()?);
    let source = mosaic.read_mask(0, 0)?;
    if !source.iter().any(|&m| m) {
        tracing::warn!("{}: no pixel is masked (all are 0 or blank)", args.mosaic_mask.display());
    }
    let mask = extract::extract(source.view(), &mosaic_wcs, &beam_wcs, beam.plane_shape());
    drop(source);
    let (masked, pixels) = (mask.iter().filter(|&&m| m).count(), mask.len());
    let kind = if args.flint_types { PixelType::I32 } else { PixelType::U8 };
    write_plane(&output, mask.mapv(u8::from).view(), kind, beam.header(), 2)?;
    println!(
        "{}: {masked} of {pixels} pixels masked ({:.2} %)",
        output.display(),
        100.0 * masked as f64 / pixels as f64
    );
    Ok(ExitStatus::Done)
}
