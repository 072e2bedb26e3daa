//! `cleanloop noise IMAGE`: background and rms maps, named as BANE names them.

use crate::image::{Zeros, sidecar_path};
use crate::masking::MaskNote;
use crate::noise::{self, MapRange, NoiseOptions};
use crate::{ExitStatus, Result};
use std::path::PathBuf;

/// Arguments of `noise`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Image or cube (FITS).
    pub image: PathBuf,

    /// Start of the output names, BASE_bkg.fits and BASE_rms.fits [default: the image's name without its suffix].
    #[arg(short, long, value_name = "BASE")]
    pub output: Option<PathBuf>,

    /// Meaning of large connected regions of exact zeros (a square of 16 pixels fits in).
    #[arg(long, value_enum, default_value_t = Zeros::NoData)]
    pub zeros: Zeros,

    #[command(flatten)]
    pub noise: NoiseOptions,
}

/// Writes the maps and prints a summary.
///
/// # Errors
/// An image that cannot be read or has no finite pixel, options that cannot be used.
pub(crate) fn run(args: Args) -> Result<ExitStatus> {
    let base = args.output.unwrap_or_else(|| {
        // `X.fits`, `X.fits.gz` and `X.fits.fz` give X.
        sidecar_path(&args.image, "").with_extension("").with_extension("")
    });
    let maps = noise::write_maps(&args.image, &base, &args.noise, args.zeros)?;
    if maps.zeros > 0 {
        let note = MaskNote::ZerosAreNoData { pixels: maps.zeros };
        tracing::warn!("{}: {note}", args.image.display());
    }
    let of = if maps.planes > 1 { format!(" ({} planes, {} blank)", maps.planes, maps.blank) } else { String::new() };
    println!("{}: {}{of}", maps.background.display(), words(&maps.background_range));
    println!("{}: {}{of}", maps.rms.display(), words(&maps.rms_range));
    Ok(ExitStatus::Done)
}

fn words(range: &MapRange) -> String {
    match (range.mean(), range.ends()) {
        (Some(mean), Some((low, high))) => format!("mean {mean:.4e}, {low:.4e} to {high:.4e}"),
        _ => "no data".to_owned(),
    }
}
