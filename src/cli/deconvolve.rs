//! `cleanloop deconvolve RESIDUAL`: one minor cycle of CASA's deconvolvers, without visibilities.

use super::automask::Parameters;
use crate::campaign::file::{MaskCombine, MaskMethod};
use crate::imager::Residual;
use crate::imager::tclean::{Deconvolution, DeconvolveInputs, DeconvolveOptions, Deconvolved};
use crate::masking::MaskingOptions;
use crate::masking::files::{self, MaskFileRequest, Together};
use crate::masking::multithresh::{CycleInputs, run_cycle};
use crate::noise::{NoiseMethod, NoiseOptions};
use crate::options::Validate;
use crate::programs::casa::Casa;
use crate::util::fs::same_file;
use crate::{Error, ExitStatus, Result};
use std::path::{Path, PathBuf};

/// The manual, above the list of options.
const ABOUT: &str = "\
Deconvolves a residual with its PSF, without visibilities: one minor cycle of CASA's tools.

RESIDUAL, --psf, --model and --pb are FITS files or CASA images. The results are named after --output: X.model.fits, \
X.residual.fits, X.image.fits and X.mask.fits, or CASA images with --casa. The model is the sum of --model and the new \
components. Inputs are not changed.

Components are only put inside the mask: one that is given (--mask), or one that is made from the residual (--method). \
Without either, everywhere. It ends at the threshold, after niter iterations, or, with --one-cycle, at the level at \
which tclean would go back to the visibilities.

With --deconvolver mtmfs each input is a list, one image a Taylor term: n residuals, 2 n - 1 PSFs.

CASA is needed: `cleanloop setup casa`.";

/// Examples, below the list of options.
const EXAMPLES: &str = "\
Examples:
  One minor cycle of tclean with CASA's automask, in place of tclean's own:
    cleanloop deconvolve X.residual --psf X.psf --model X.model --one-cycle --method multithresh --preset alma-7m \\
        --casa --output Y
  Multi-scale, down to 1 mJy inside a mask:
    cleanloop deconvolve dirty.fits --psf psf.fits --mask mask.fits --deconvolver multiscale --scales 0,5,15 \\
        --niter 20000 --threshold 1mJy --output Y";

/// Arguments of `deconvolve`.
#[derive(Debug, clap::Args)]
#[command(about = "Deconvolve a residual without visibilities (CASA)", long_about = ABOUT, after_long_help = EXAMPLES)]
pub struct Args {
    /// The residual (FITS or CASA image); mtmfs: one for each Taylor term.
    #[arg(required = true)]
    pub residual: Vec<PathBuf>,

    /// The PSF; mtmfs: two for each Taylor term, less one.
    #[arg(long, required = true, num_args = 1.., value_name = "IMAGE")]
    pub psf: Vec<PathBuf>,

    /// The model so far; new components are added to it.
    #[arg(long, num_args = 1.., value_name = "IMAGE")]
    pub model: Vec<PathBuf>,

    /// The primary beam: gives an image that is corrected for it, and serves --pbmask and --nsigma.
    #[arg(long, value_name = "IMAGE")]
    pub pb: Option<PathBuf>,

    /// Start of the names of the results.
    #[arg(short, long, value_name = "BASE")]
    pub output: PathBuf,

    /// Write CASA images instead of FITS files.
    #[arg(long)]
    pub casa: bool,

    /// The clean mask (FITS): a plane for all channels, or a cube.
    #[arg(long, value_name = "MASK", conflicts_with = "method")]
    pub mask: Option<PathBuf>,

    /// Make the mask from the residual.
    #[arg(long, value_enum, value_name = "METHOD", default_value = "none")]
    pub method: MaskMethod,

    /// With --method both: how the two masks become one.
    #[arg(long, value_enum, default_value = "union")]
    pub combine: MaskCombine,

    /// How the noise is estimated for flint's masks by signal to noise.
    #[arg(long, value_enum, value_name = "METHOD", default_value = "box")]
    pub noise: NoiseMethod,

    /// End where tclean would go back to the visibilities, not at the threshold.
    #[arg(long)]
    pub one_cycle: bool,

    /// Python that has casatasks, instead of cleanloop's own environment: the words of its command.
    #[arg(long, num_args = 1.., value_name = "WORD", allow_hyphen_values = true, value_terminator = ";")]
    pub python: Vec<String>,

    /// Where CASA's own words go.
    #[arg(long, value_name = "FILE")]
    pub log: Option<PathBuf>,

    /// Print the result as JSON.
    #[arg(long)]
    pub json: bool,

    #[command(flatten)]
    pub options: DeconvolveOptions,

    #[command(flatten, next_help_heading = "Masks by auto-multithresh")]
    pub automask: Parameters,

    #[command(flatten)]
    pub masking: MaskingOptions,
}

/// Deconvolves, and says what came of it.
///
/// # Errors
/// Images that are not there or do not fit each other, options without sense, an empty mask, CASA's failure.
pub fn run(args: Args) -> Result<ExitStatus> {
    let failed =
        |e: std::io::Error, path: &Path| Error::bad_input(format!("{}: cannot be written: {e}", path.display()));
    let base = std::path::absolute(&args.output).map_err(|e| failed(e, &args.output))?;
    let folder = base.parent().unwrap_or(Path::new("/"));
    let inputs = [&args.residual, &args.psf, &args.model].into_iter().flatten().chain(&args.pb).chain(&args.mask);
    if let Some(input) = inputs.clone().find(|p| !p.exists()) {
        return Err(Error::bad_input(format!("{}: no such image", input.display())));
    }
    for kind in ["model", "residual", "image", "mask", "image.pbcor"] {
        let end = if args.casa { String::new() } else { ".fits".into() };
        let result = PathBuf::from(format!("{}.{kind}{end}", base.display()));
        if let Some(input) = inputs.clone().find(|p| same_file(p, &result)) {
            return Err(Error::bad_input(format!(
                "{}: the output would replace an input; name another base with --output",
                input.display()
            )));
        }
    }
    args.options.validate()?;
    let scratch = tempfile::Builder::new().prefix(".deconvolve-").tempdir_in(folder).map_err(|e| failed(e, folder))?;
    let casa = Casa::open(&args.python, args.log.as_deref())?;
    let work = Deconvolution::new(casa, args.options.clone(), scratch.path(), args.log.as_deref())?;
    let residual = work.prepare(&DeconvolveInputs {
        residual: args.residual.clone(),
        psf: args.psf.clone(),
        model: args.model.clone(),
        pb: args.pb.clone(),
    })?;
    let mask = match &args.mask {
        Some(mask) => Some(mask.clone()),
        None => made_mask(&args, &residual, scratch.path())?,
    };
    let done = work.run(mask.as_deref(), args.one_cycle, &base, args.casa)?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&done).map_err(Error::internal)?);
    } else {
        print!("{}", report(&done));
    }
    Ok(ExitStatus::Done)
}

/// The mask that the options ask for, made from the residual.
fn made_mask(args: &Args, residual: &Residual, folder: &Path) -> Result<Option<PathBuf>> {
    let with_automask = matches!(args.method, MaskMethod::Multithresh | MaskMethod::Both);
    let with_flint = matches!(args.method, MaskMethod::Flint | MaskMethod::Both);
    if args.method == MaskMethod::Auto {
        return Err(Error::bad_input("--method auto goes with campaigns; expected none, flint, multithresh or both"));
    }
    let automask = folder.join("automask.fits");
    let flint = folder.join("flint.fits");
    let mut pixels = 0u64;
    if with_automask {
        let inputs = CycleInputs {
            residual: residual.residual.clone(),
            psf: Some(residual.psf.clone()),
            pb: residual.pb.clone(),
            pixelmask: residual.pixel_mask.clone(),
            iterdone: Some(u64::from(!args.model.is_empty())),
            ..CycleInputs::default()
        };
        let made = run_cycle(&inputs, &args.automask.options, &folder.join("state"), &automask)?;
        for warning in &made.warnings {
            tracing::warn!("{warning}");
        }
        pixels = made.mask_pixels as u64;
    }
    if with_flint {
        let made = files::make(&MaskFileRequest {
            image: &residual.residual,
            options: &args.masking,
            noise: &NoiseOptions::with_method(args.noise),
            include: None,
            exclude: None,
            previous: None,
            automatic: None,
            output: &flint,
        })?;
        pixels = made.pixels;
    }
    let mask = match (with_automask, with_flint) {
        (false, false) => return Ok(None),
        (true, false) => automask,
        (false, true) => flint,
        (true, true) => {
            let together = match args.combine {
                MaskCombine::Union => Together::Union,
                MaskCombine::Intersection => Together::Intersection,
                MaskCombine::MultithreshWithinFlint => Together::FirstWithinSecond,
                MaskCombine::FlintWithinMultithresh => Together::SecondWithinFirst,
            };
            let both = folder.join("both.fits");
            let masks = (automask.as_path(), Some(flint.as_path()));
            pixels = files::combine(&residual.residual, masks, together, (None, None), None, None, &both)?.pixels;
            both
        }
    };
    if pixels == 0 {
        return Err(Error::bad_input(format!(
            "the mask is empty: nothing in {} is above the levels asked for; lower them, or give a mask (--mask)",
            args.residual[0].display()
        )));
    }
    Ok(Some(mask))
}

fn report(done: &Deconvolved) -> String {
    let mut text = done.files.iter().map(|f| format!("{}\n", f.display())).collect::<String>();
    let word = match &done.stopped {
        None => "the level of the minor cycle".to_owned(),
        Some(reason) => serde_json::to_value(reason).map_or_else(
            |_| format!("{reason:?}"),
            |v| v.as_str().map_or_else(|| v["other"].as_str().unwrap_or_default().to_owned(), str::to_owned),
        ),
    };
    text.push_str(&format!(
        "{} iterations, peak inside the mask {:.4e} -> {:.4e} Jy/beam; ended by: {word}\n",
        done.iterations, done.peak_before_jy, done.peak_after_jy
    ));
    text
}
