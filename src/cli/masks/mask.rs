//! `cleanloop mask IMAGE`: flint's mask pipeline, or levels that are chosen from the image.

use super::given::Given;
use super::groups::{self, Group, GroupArgs, Grouped};
use crate::image::{FitsImage, Zeros, sidecar_path};
use crate::masking::auto::{FlatOptions, PsfSidelobes};
use crate::masking::maker::{self, AutomaticInputs, Mask, MaskGroup, MaskRequest, NoiseFiles};
use crate::masking::{MaskMethod, MaskRecipe, MaskingOptions};
use crate::noise::{NoiseMethod, NoiseOptions};
use crate::util::fs::same_file;
use crate::{Error, ExitStatus, Result};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// The manual, above the list of options.
const ABOUT: &str = "\
Make a clean mask of an image: the pixels in which a deconvolver may place components.

Option names and pixels are those of `flint_masking mask`. The mask is written beside the image, as X.mask.fits for \
X.fits (X.scalemask.fits with --convolve-first), with the image's axes and header. Pixels without data (NaN) are never \
masked.

The statistic decides what counts as emission:
  signal to noise     The default. Needs background and rms: give maps (--rms-fits, --bkg-fits, such as BANE's), or have \
them estimated (--noise). Reaches deepest in quiet fields; too generous around bright sources with artefacts, and blind \
inside diffuse sources larger than the noise boxes.
  minimum absolute    --flood-fill --flood-fill-use-mac. A pixel must be brighter than the deepest negative nearby. Needs \
no noise maps, and keeps artefacts out of the mask; the choice for self-calibration. \
--flood-fill-use-mac-adaptive-max-depth for fields with diffuse emission.
  scale by scale      --convolve-first. One bit per scale of a multi-scale clean.
  automatic           --auto. Levels are chosen from the image, and islands that look like artefacts are left out, as with \
`mask: auto` in a campaign. Prints the reasons. For a residual, give --psf, and also --dirty if the model is not empty.

Each plane of a cube (channel, polarisation) is masked by itself with the same options; one plane is in memory at a time.";

/// Examples, below the list of options.
const EXAMPLES: &str = "\
Examples:
  Signal to noise with BANE's maps, islands from 5 sigma down to 1.5 sigma:
    cleanloop mask X.fits --rms-fits X_rms.fits --bkg-fits X_bkg.fits --flood-fill \\
        --flood-fill-positive-seed-clip 5
  The same with the built-in noise estimate:
    cleanloop mask X.fits --flood-fill --noise bane
  Minimum absolute clip, eroded by the beam, for self-calibration:
    cleanloop mask X.fits --flood-fill --flood-fill-use-mac --flood-fill-positive-seed-clip 1.5 \\
        --flood-fill-positive-flood-clip 1.2 --beam-shape-erode
  One bit per scale of a multi-scale clean:
    cleanloop mask X.fits --flood-fill --flood-fill-use-mac --flood-fill-positive-seed-clip 1.2 \\
        --flood-fill-positive-flood-clip 0.8 --beam-shape-erode \\
        --beam-shape-erode-scales 0 8 16 32
  Levels from the image itself; the second for a residual between major cycles:
    cleanloop mask X.fits --auto
    cleanloop mask X.residual.fits --auto --psf X.psf.fits --dirty X.dirty.fits
  A cube of thousands of channels as jobs of Slurm, 64 channels each:
    cleanloop mask cube.fits --auto --channels-per-job 64 --scheduler slurm --cpus 4 --time-limit 1h

docs/masking.md shows each statistic with pictures.";

/// Arguments of `mask`.
#[derive(Debug, clap::Args)]
#[command(about = "Make a clean mask of an image or cube", long_about = ABOUT, after_long_help = EXAMPLES)]
pub struct Args {
    /// Image or cube (FITS; 2 to 4 axes; float or integer; also .gz and .fz).
    pub image: PathBuf,

    /// Map of the noise rms, of the image's size (needs --bkg-fits).
    #[arg(long, value_name = "FILE")]
    pub rms_fits: Option<PathBuf>,

    /// Map of the background, of the image's size (needs --rms-fits).
    #[arg(long, value_name = "FILE")]
    pub bkg_fits: Option<PathBuf>,

    /// Estimator of background and rms when no maps are given [default: box; bane with --auto].
    #[arg(long, value_enum, value_name = "METHOD", conflicts_with_all = ["rms_fits", "bkg_fits"])]
    pub noise: Option<NoiseMethod>,

    /// The mask file [default: X.mask.fits or X.scalemask.fits beside the image].
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

    /// Choose the levels from the image itself, leave out islands that look like artefacts, and print why.
    ///
    /// The options of plain clip, flood fill, minimum absolute clip and islands of low signal do not go with it.
    #[arg(long, conflicts_with_all = ["rms_fits", "bkg_fits", "save_signal"])]
    pub auto: bool,

    /// With --auto, for a residual: the PSF, whose sidelobes hide islands.
    #[arg(long, value_name = "FILE", requires = "auto")]
    pub psf: Option<PathBuf>,

    /// With --auto, for a residual: the image before cleaning, with its bright sources.
    #[arg(long, value_name = "FILE", requires = "psf")]
    pub dirty: Option<PathBuf>,

    /// With --auto: the last image, in which new islands should have been visible (needs --previous-mask).
    #[arg(long, value_name = "FILE", requires_all = ["auto", "previous_mask"])]
    pub previous_image: Option<PathBuf>,

    /// With --auto: the mask of the last image, whose islands stay (needs --previous-image).
    #[arg(long, value_name = "FILE", requires_all = ["auto", "previous_image"])]
    pub previous_mask: Option<PathBuf>,

    /// With --auto: multiplies all levels; above 1 the mask is more cautious.
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0, requires = "auto", allow_negative_numbers = true)]
    pub caution: f64,

    /// Meaning of large connected regions of exact zeros (a square of 16 pixels fits in).
    #[arg(long, value_enum, default_value_t = Zeros::NoData)]
    pub zeros: Zeros,

    #[command(flatten)]
    pub groups: GroupArgs,

    #[command(flatten)]
    pub limits: Given<FlatOptions>,

    #[command(flatten)]
    pub options: Given<MaskingOptions>,
}

/// Writes the mask and prints a summary.
///
/// # Errors
/// As [`maker::make`]; options that do not go together.
pub(crate) fn run(args: Args) -> Result<ExitStatus> {
    let recipe = recipe_of(&args)?;
    warn_of_unused(&args);
    let default = sidecar_path(&args.image, if recipe.flint.convolve_first { "scalemask" } else { "mask" });
    let output = args.output.clone().unwrap_or(default);
    let signal = (args.save_signal && recipe.flint.needs_noise()).then(|| sidecar_path(&args.image, "signal"));
    check_companions(&args, &output)?;
    let what = What { args: &args, recipe: &recipe, output: &output, signal: signal.as_deref() };
    args.groups.check()?;
    let made = match (args.groups.of_job(), args.groups.channels_per_job) {
        (Some(job), _) => {
            let channels = FitsImage::open(&args.image)?.channels();
            groups::run_job(&args.groups, job, channels, &|group| what.make_group(group))?;
            return Ok(ExitStatus::Done);
        }
        (None, Some(_)) => what.make_in_groups()?,
        (None, None) => what.with_sidelobes(None, maker::make)?,
    };
    for sentence in made.sentences() {
        tracing::warn!("{}: {sentence}", args.image.display());
    }
    print!("{}", report(&made));
    Ok(ExitStatus::Done)
}

/// The mask that is asked for.
struct What<'a> {
    args: &'a Args,
    recipe: &'a MaskRecipe,
    output: &'a Path,
    signal: Option<&'a Path>,
}

impl What<'_> {
    /// Calls `make` with the request, once the PSF's sidelobes are known, of all channels or of some.
    fn with_sidelobes<T>(
        &self,
        channels: Option<Range<usize>>,
        make: impl FnOnce(&MaskRequest<'_>) -> Result<T>,
    ) -> Result<T> {
        let Self { args, recipe, .. } = self;
        let of = |psf: &PathBuf| match channels {
            None => maker::sidelobes(psf, &args.image, &recipe.auto),
            Some(channels) => maker::sidelobes_of(psf, &args.image, &recipe.auto, channels),
        };
        let sidelobes = args.psf.as_ref().map(of).transpose()?;
        make(&self.request(sidelobes.as_deref())?)
    }

    fn request<'b>(&'b self, sidelobes: Option<&'b [PsfSidelobes]>) -> Result<MaskRequest<'b>> {
        let Self { args, recipe, output, signal } = self;
        Ok(MaskRequest {
            maps: if recipe.flint.needs_noise() { maps(args)? } else { None },
            automatic: AutomaticInputs {
                left: 0.0,
                previous_image: args.previous_image.as_deref(),
                sidelobes,
                uncleaned: args.dirty.as_deref(),
            },
            previous: args.previous_mask.as_deref(),
            detailed: args.auto,
            signal: *signal,
            flint_types: args.flint_types,
            ..MaskRequest::new(&args.image, recipe, output)
        })
    }

    fn make_group(&self, group: &Group) -> Result<Mask> {
        let channels = group.channels.clone();
        self.with_sidelobes(Some(channels.clone()), |request| maker::make_group(request, channels, &group.path))
    }

    fn make_in_groups(&self) -> Result<Mask> {
        let args = self.args;
        let companions = [&args.rms_fits, &args.bkg_fits, &args.psf, &args.dirty, &args.previous_image];
        let files = companions.into_iter().chain([&args.previous_mask]).flatten().chain([&args.image]);
        let files: Vec<&Path> = files.map(PathBuf::as_path).collect();
        let work = format!("{:?} {:?} {}", self.recipe, self.signal, args.flint_types);
        let root = self.output.with_extension("groups");
        let channels = FitsImage::open(&args.image)?.channels();
        let grouped = Grouped::of(&args.groups, root, channels, &work, &files)?;
        let parts = grouped.run("mask", &[], &|group| self.make_group(group))?;
        let parts =
            parts.into_iter().map(|(group, mask)| MaskGroup { channels: group.channels, path: group.path, mask });
        let made = maker::put_together(&self.request(None)?, &parts.collect::<Vec<_>>())?;
        grouped.remove();
        Ok(made)
    }
}

/// The method and its options; options that have no effect are refused.
fn recipe_of(args: &Args) -> Result<MaskRecipe> {
    let flint = args.options.options.clone();
    let recipe = MaskRecipe { flint, zeros: args.zeros, ..MaskRecipe::default() };
    if !args.auto {
        args.limits.refuse_typed(|_| false, "a limit of automatic masks; it goes with --auto only")?;
        return Ok(MaskRecipe { noise: NoiseOptions::with_method(args.noise.unwrap_or(NoiseMethod::Box)), ..recipe });
    }
    refuse_levels(&args.options, "--auto")?;
    if !(args.caution.is_finite() && args.caution > 0.0) {
        return Err(Error::bad_input(format!("--caution is {}; it must be greater than 0", args.caution)));
    }
    Ok(MaskRecipe {
        method: MaskMethod::Auto,
        auto: args.limits.options.clone().into(),
        noise: args.noise.map(NoiseOptions::with_method).unwrap_or_default(),
        caution: args.caution,
        ..recipe
    })
}

/// Images for comparison have the image's size, and the PSF is not the output.
fn check_companions(args: &Args, output: &Path) -> Result<()> {
    let mut companions = args.previous_image.iter().chain(&args.dirty).peekable();
    if companions.peek().is_some() {
        let image = FitsImage::open(&args.image)?;
        for path in companions {
            image.companion(path)?;
        }
    }
    match &args.psf {
        Some(psf) if same_file(psf, output) => {
            Err(Error::bad_input(format!("{}: the output would replace an input", output.display())))
        }
        _ => Ok(()),
    }
}

/// Refuses flint's levels where `automatic` chooses them.
///
/// # Errors
/// Levels that were typed.
pub(super) fn refuse_levels(options: &Given<MaskingOptions>, automatic: &str) -> Result<()> {
    let fits = |name: &str| name.starts_with("--beam-shape-erode") || name == "--convolve-first";
    options.refuse_typed(fits, &format!("{automatic} chooses the levels itself; leave out one or the other"))
}

fn warn_of_unused(args: &Args) {
    if args.auto || args.options.options.needs_noise() {
        return;
    }
    let given = [
        (args.rms_fits.is_some(), "--rms-fits"),
        (args.bkg_fits.is_some(), "--bkg-fits"),
        (args.save_signal, "--save-signal"),
    ];
    for (_, flag) in given.iter().filter(|(given, _)| *given) {
        tracing::warn!("{flag} is not used: the options look at the image itself, not at its signal to noise");
    }
}

/// The noise maps, when both are given.
fn maps(args: &Args) -> Result<Option<NoiseFiles<'_>>> {
    let lonely = |given: &Path| {
        Error::bad_input(format!(
            "{}: background and rms belong together; give both (--bkg-fits and --rms-fits), or neither to have them \
             estimated",
            given.display()
        ))
    };
    match (&args.bkg_fits, &args.rms_fits) {
        (Some(background), Some(rms)) => Ok(Some(NoiseFiles { background, rms })),
        (None, None) => Ok(None),
        (Some(given), None) | (None, Some(given)) => Err(lonely(given)),
    }
}

/// The mask in figures, and the reasons for it, in lines.
fn report(made: &Mask) -> String {
    let part = 100.0 * made.stats.masked as f64 / made.stats.pixels as f64;
    let planes = if made.planes > 1 { format!(" in {} planes", made.planes) } else { String::new() };
    let scales = if made.bits > 1 { format!(", {} scales", made.bits) } else { String::new() };
    let islands = made.stats.islands.map_or(String::new(), |n| format!(", {n} islands"));
    let path = made.path.display();
    let mut text = format!("{path}: {} pixels masked ({part:.3} %){planes}{scales}{islands}\n", made.stats.masked);
    if let Some(signal) = &made.signal {
        text.push_str(&format!("{}: signal to noise\n", signal.display()));
    }
    if let Some(automatic) = &made.automatic {
        let removed = automatic.removed.iter().map(ToString::to_string);
        for why in automatic.why.iter().cloned().chain(removed) {
            text.push_str(&format!("- {why}\n"));
        }
        if automatic.hidden {
            text.push_str("- sidelobes of what is not cleaned yet may hide more\n");
        }
    }
    text
}
