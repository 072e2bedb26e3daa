//! `cleanloop deconvolve RESIDUAL`: one minor cycle of CASA's deconvolvers, without visibilities.

use super::automask::Parameters;
use super::given::Given;
use super::mask::refuse_levels;
use crate::image::{FitsImage, Zeros};
use crate::imager::Residual;
use crate::imager::tclean::{Deconvolution, DeconvolveInputs, DeconvolveOptions, Deconvolved};
use crate::masking::auto::FlatOptions;
use crate::masking::maker::{self, AutomaticInputs, Mask, MaskRequest, MultithreshInputs, Polarisations};
use crate::masking::multithresh::CycleInputs;
use crate::masking::{CombineRule, MaskMethod, MaskRecipe, MaskingOptions};
use crate::noise::{NoiseMethod, NoiseOptions};
use crate::options::Validate;
use crate::programs::casa::Casa;
use crate::util::fs::same_file;
use crate::{Error, ExitStatus, Result};
use std::path::{Path, PathBuf};

/// The manual, above the list of options.
const ABOUT: &str = "\
Deconvolve a residual with its PSF, without visibilities: one minor cycle of CASA's tools.

RESIDUAL, --psf, --model and --pb are FITS files or CASA images. The results are named after --output: X.model.fits, \
X.residual.fits, X.image.fits and X.mask.fits, or CASA images with --casa. The model is the sum of --model and the new \
components. Inputs are not changed.

Components are placed only inside the mask: one that is given (--mask), or one that is made from the residual (--method). \
Without either, they may be anywhere. Cleaning ends at the threshold, after niter iterations, or, with --one-cycle, at \
the level at which tclean would return to the visibilities.

With --deconvolver mtmfs each input is a list, one image per Taylor term: n residuals, 2 n - 1 PSFs.

Needs CASA: `cleanloop setup casa`.";

/// Examples, below the list of options.
const EXAMPLES: &str = "\
Examples:
  One minor cycle of tclean with CASA's automask, in place of tclean's own:
    cleanloop deconvolve X.residual --psf X.psf --model X.model --one-cycle \\
        --method multithresh --preset alma-7m --casa --output Y
  Inside a mask whose levels are chosen from the residual:
    cleanloop deconvolve dirty.fits --psf psf.fits --method auto --threshold 1mJy --output Y
  Multi-scale, down to 1 mJy inside a mask:
    cleanloop deconvolve dirty.fits --psf psf.fits --mask mask.fits --deconvolver multiscale \\
        --scales 0,5,15 --niter 20000 --threshold 1mJy --output Y";

/// Arguments of `deconvolve`.
#[derive(Debug, clap::Args)]
#[command(about = "Deconvolve a residual without visibilities (CASA)", long_about = ABOUT, after_long_help = EXAMPLES)]
pub struct Args {
    /// The residual (FITS or CASA image); for mtmfs one per Taylor term.
    #[arg(required = true)]
    pub residual: Vec<PathBuf>,

    /// The PSF; for mtmfs two per Taylor term, less one.
    #[arg(long, required = true, num_args = 1.., value_name = "IMAGE")]
    pub psf: Vec<PathBuf>,

    /// The model so far; new components are added to it.
    #[arg(long, num_args = 1.., value_name = "IMAGE")]
    pub model: Vec<PathBuf>,

    /// The primary beam, for an image that is corrected for it, for --pbmask and for --nsigma.
    #[arg(long, value_name = "IMAGE")]
    pub pb: Option<PathBuf>,

    /// Common start of the output names.
    #[arg(short, long, value_name = "BASE")]
    pub output: PathBuf,

    /// Write CASA images instead of FITS files.
    #[arg(long)]
    pub casa: bool,

    /// The clean mask (FITS): one plane for all channels, or a cube.
    #[arg(long, value_name = "MASK", conflicts_with = "method")]
    pub mask: Option<PathBuf>,

    /// Make the mask from the residual.
    #[arg(long, value_enum, value_name = "METHOD", default_value = "none")]
    pub method: MaskMethod,

    /// With --method both: how the two masks are combined.
    #[arg(long, value_enum, default_value = "union")]
    pub combine: CombineRule,

    /// With --method auto: the image before cleaning, with its bright sources; needed if the model is not empty.
    #[arg(long, value_name = "IMAGE")]
    pub dirty: Option<PathBuf>,

    /// Noise estimator of flint's masks by signal to noise, and of automatic masks [default: box; bane with --method
    /// auto].
    #[arg(long, value_enum, value_name = "METHOD")]
    pub noise: Option<NoiseMethod>,

    /// With --method flint, both or auto: meaning of large connected regions of exact zeros (a square of 16 pixels fits in).
    #[arg(long, value_enum, default_value_t = Zeros::NoData)]
    pub zeros: Zeros,

    /// End where tclean would return to the visibilities, not at the threshold.
    #[arg(long)]
    pub one_cycle: bool,

    /// Command of a Python that has casatasks, instead of cleanloop's own environment.
    #[arg(long, num_args = 1.., value_name = "WORD", allow_hyphen_values = true, value_terminator = ";")]
    pub python: Vec<String>,

    /// File for CASA's log.
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
    pub limits: Given<FlatOptions>,

    #[command(flatten)]
    pub masking: Given<MaskingOptions>,
}

/// Deconvolves and prints the result.
///
/// # Errors
/// Images that are not there or do not fit each other, invalid options, an empty mask, CASA's failure.
pub(crate) fn run(args: Args) -> Result<ExitStatus> {
    let failed =
        |e: std::io::Error, path: &Path| Error::bad_input(format!("{}: cannot be written: {e}", path.display()));
    let base = std::path::absolute(&args.output).map_err(|e| failed(e, &args.output))?;
    let folder = base.parent().unwrap_or(Path::new("/"));
    if !folder.is_dir() {
        let (output, folder) = (args.output.display(), folder.display());
        return Err(Error::bad_input(format!("{output}: cannot be written: the folder {folder} does not exist")));
    }
    let inputs = [&args.residual, &args.psf, &args.model].into_iter().flatten().chain(&args.pb).chain(&args.mask);
    let inputs = inputs.chain(&args.dirty);
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
    let recipe = recipe_of(&args)?;
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
        None => made_mask(&args, &recipe, &residual, scratch.path())?,
    };
    let done = work.run(mask.as_deref(), args.one_cycle, &base, args.casa)?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&done).map_err(Error::internal)?);
    } else {
        print!("{}", report(&done));
    }
    Ok(ExitStatus::Done)
}

/// The method of the mask and its options; options that have no effect are refused.
fn recipe_of(args: &Args) -> Result<MaskRecipe> {
    let is_automatic = args.method == MaskMethod::Auto;
    let noise = match args.noise {
        Some(method) => NoiseOptions::with_method(method),
        None if is_automatic => NoiseOptions::default(),
        None => NoiseOptions::with_method(NoiseMethod::Box),
    };
    if is_automatic {
        refuse_levels(&args.masking, "--method auto")?;
    } else {
        args.limits.refuse_typed(|_| false, "a limit of automatic masks; it goes with --method auto only")?;
        if args.dirty.is_some() {
            return Err(Error::bad_input("--dirty goes with --method auto only"));
        }
    }
    Ok(MaskRecipe {
        method: args.method,
        combine: args.combine,
        flint: args.masking.options.clone(),
        auto: args.limits.options.clone().into(),
        multithresh: args.automask.options.clone(),
        noise,
        caution: 1.0,
        zeros: args.zeros,
    })
}

/// The mask that the options ask for, made from the residual.
fn made_mask(args: &Args, recipe: &MaskRecipe, residual: &Residual, folder: &Path) -> Result<Option<PathBuf>> {
    let sidelobes = match recipe.method {
        MaskMethod::None => return Ok(None),
        MaskMethod::Auto => Some(maker::sidelobes(&residual.psf, &residual.residual, &recipe.auto)?),
        _ => None,
    };
    if let Some(dirty) = &args.dirty {
        let (found, wanted) = (FitsImage::open(dirty)?, FitsImage::open(&residual.residual)?);
        let ((ny, nx), (rows, columns)) = (found.plane_shape(), wanted.plane_shape());
        if (ny, nx) != (rows, columns) {
            let dirty = dirty.display();
            let words = format!("{dirty} has {nx} x {ny} pixels; the residual has {columns} x {rows} pixels");
            return Err(Error::bad_input(words));
        }
        wanted.check_same_sky(&found)?;
    }
    let (output, state) = (folder.join("mask.fits"), folder.join("state"));
    let inputs = CycleInputs {
        residual: residual.residual.clone(),
        psf: Some(residual.psf.clone()),
        pb: residual.pb.clone(),
        pixelmask: residual.pixel_mask.clone(),
        iterdone: Some(u64::from(!args.model.is_empty())),
        ..CycleInputs::default()
    };
    let made = maker::make(&MaskRequest {
        automatic: AutomaticInputs {
            left: 0.0,
            previous_image: None,
            sidelobes: sidelobes.as_deref(),
            uncleaned: args.dirty.as_deref(),
        },
        multithresh: Some(MultithreshInputs { inputs, state: &state }),
        polarisations: Polarisations::First,
        ..MaskRequest::new(&residual.residual, recipe, &output)
    })?;
    explain(args, &made);
    if made.stats.masked == 0 {
        return Err(Error::bad_input(format!(
            "the mask is empty: nothing in {} is above the levels asked for; lower them, or give a mask (--mask)",
            args.residual[0].display()
        )));
    }
    Ok(Some(made.path))
}

/// Logs the mask's warnings, and prints the reasons of an automatic mask.
fn explain(args: &Args, made: &Mask) {
    for warning in &made.warnings {
        tracing::warn!("{warning}");
    }
    if made.automatic.is_some() && !args.json {
        made.why().iter().for_each(|why| println!("mask: {why}"));
    }
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
