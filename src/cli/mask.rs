//! `cleanloop mask IMAGE`: the flint mask pipeline.

use crate::masking::{self, MaskRequest, MaskingOptions};
use crate::noise::{NoiseMethod, NoiseOptions};
use crate::{ExitStatus, Result};
use std::path::PathBuf;

/// The manual, above the list of options.
const ABOUT: &str = "\
Makes a clean mask of an image: which pixels a deconvolver may put components into.

Stands where flint_masking mask stood: the same option names, the same pixels. The mask is written beside the image, \
X.fits giving X.mask.fits (X.scalemask.fits with --convolve-first), with the image's axes and header. Pixels without \
data (NaN) are never masked.

The statistic decides what counts as emission:
  signal to noise     default. Needs background and rms: give maps (--rms-fits, --bkg-fits, such as BANE's), or have them \
estimated (--noise). Reaches deepest in quiet fields; too generous around bright sources with artefacts, and blind \
inside diffuse sources larger than the noise boxes.
  minimum absolute    --flood-fill --flood-fill-use-mac. A pixel must be brighter than the deepest negative nearby. Needs \
no noise maps, and keeps artefacts out of the mask; the choice for self-calibration. \
--flood-fill-use-mac-adaptive-max-depth for fields with diffuse emission.
  scale by scale      --convolve-first. A bit for each scale of a multi-scale clean.

Cubes: each plane (channel, polarisation) is masked by itself with the same options; one plane is in memory at a time.";

/// Examples, below the list of options.
const EXAMPLES: &str = "\
Examples:
  Signal to noise with BANE's maps, islands from 5 sigma down to 1.5 sigma:
    cleanloop mask X.fits --rms-fits X_rms.fits --bkg-fits X_bkg.fits --flood-fill --flood-fill-positive-seed-clip 5
  The same with the built-in noise estimate:
    cleanloop mask X.fits --flood-fill --noise bane
  Minimum absolute clip, eroded by the beam, for self-calibration:
    cleanloop mask X.fits --flood-fill --flood-fill-use-mac --flood-fill-positive-seed-clip 1.5 \\
        --flood-fill-positive-flood-clip 1.2 --beam-shape-erode
  A bit for each scale of a multi-scale clean:
    cleanloop mask X.fits --flood-fill --flood-fill-use-mac --flood-fill-positive-seed-clip 1.2 \\
        --flood-fill-positive-flood-clip 0.8 --beam-shape-erode --beam-shape-erode-scales 0 8 16 32

docs/masking.md shows each statistic with pictures.";

/// Arguments of `mask`.
#[derive(Debug, clap::Args)]
#[command(about = "Make a clean mask of an image or cube", long_about = ABOUT, after_long_help = EXAMPLES)]
pub struct Args {
    /// Image or cube (FITS; 2 to 4 axes; float or integer; also .gz and .fz).
    pub image: PathBuf,

    /// The rms of the noise, an image of the same size (needs --bkg-fits).
    #[arg(long, value_name = "FILE")]
    pub rms_fits: Option<PathBuf>,

    /// The background, an image of the same size (needs --rms-fits).
    #[arg(long, value_name = "FILE")]
    pub bkg_fits: Option<PathBuf>,

    /// How background and rms are estimated when no maps are given.
    #[arg(long, value_enum, value_name = "METHOD", default_value = "box", conflicts_with_all = ["rms_fits", "bkg_fits"])]
    pub noise: NoiseMethod,

    /// Where the mask goes. Default: beside the image, X.mask.fits or X.scalemask.fits.
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// Also write the signal, (image - background) / rms, beside the image: X.signal.fits.
    #[arg(long)]
    pub save_signal: bool,

    /// Write flint's pixel types: int32; float64 for several scales; the image's own for --convolve-first.
    ///
    /// By default a mask has the smallest integer type that holds its bits: 8 bits for a plain mask.
    #[arg(long)]
    pub flint_types: bool,

    #[command(flatten)]
    pub options: MaskingOptions,
}

/// Writes the mask and says what became of it.
///
/// # Errors
/// As [`masking::mask_file`].
pub fn run(args: Args) -> Result<ExitStatus> {
    let uses_noise = args.options.needs_noise();
    if !uses_noise {
        for (given, flag) in [
            (args.rms_fits.is_some(), "--rms-fits"),
            (args.bkg_fits.is_some(), "--bkg-fits"),
            (args.save_signal, "--save-signal"),
        ] {
            if given {
                tracing::warn!("{flag} is not used: the options look at the image itself, not at its signal to noise");
            }
        }
    }
    let request = MaskRequest {
        image: args.image,
        rms: args.rms_fits,
        background: args.bkg_fits,
        noise: NoiseOptions::with_method(args.noise),
        options: args.options,
        output: args.output,
        save_signal: args.save_signal,
        flint_types: args.flint_types,
    };
    let report = masking::mask_file(&request)?;
    for sentence in report.sentences() {
        tracing::warn!("{}: {sentence}", request.image.display());
    }
    let part = 100.0 * report.masked_pixels as f64 / report.pixels as f64;
    let planes = if report.planes > 1 { format!(" in {} planes", report.planes) } else { String::new() };
    let scales = if report.bits > 1 { format!(", {} scales", report.bits) } else { String::new() };
    println!("{}: {} pixels masked ({part:.3} %){planes}{scales}", report.mask.display(), report.masked_pixels);
    if let Some(signal) = report.signal {
        println!("{}: signal to noise", signal.display());
    }
    Ok(ExitStatus::Done)
}
