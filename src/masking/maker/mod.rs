//! From image files to a mask file: the only way there is, for the command line, deconvolution, campaign rounds, major
//! cycles and fields alike.
//!
//! [`make`] opens the planes (`planes`), makes the mask of each from arrays (`single`), combines it with other masks
//! where the request asks for it (`combined`), puts the user's pixels in and out ([`UserPixels`]), and writes the file,
//! which appears by a rename. [`make_group`] does so for some of a cube's channels, and [`put_together`] makes the mask of
//! such groups. [`cut`] cuts the mask of a field to the image of one measurement set.

mod combined;
mod cut;
mod groups;
mod planes;
mod single;
mod users;

pub use cut::{CutRequest, cut};
pub use groups::{MaskGroup, make_group, put_together};
pub use users::UserPixels;

use super::auto::{self, AutoMaskOptions, PsfSidelobes, RemovedIsland};
use super::multithresh::{self, CycleInputs};
use super::recipe::{CombineRule, MaskMethod, MaskRecipe};
use super::{MaskNote, MaskingOptions};
use crate::image::{FitsImage, sidecar_path};
use crate::kernels::Connectivity;
use crate::kernels::bitmask::BitMask;
use crate::kernels::labels::islands_of_runs;
use crate::{Error, Result};
use ndarray::Array2;
use serde::{Deserialize, Serialize};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Islands of each mask that were not believed and are named in its reasons; a handful of examples is enough.
const NAMED_ISLANDS: usize = 5;

/// A mask to be made.
#[derive(Debug, Clone)]
pub struct MaskRequest<'a> {
    /// The image or cube, Jy/beam, of which flint's pipeline and automatic levels make the mask, and whose grid, axes and
    /// header it gets.
    pub image: &'a Path,
    /// Method and options.
    pub recipe: &'a MaskRecipe,
    /// The file to be made.
    pub output: &'a Path,
    /// Maps of background and rms, instead of an estimate.
    pub maps: Option<NoiseFiles<'a>>,
    /// Files that automatic levels are compared with.
    pub automatic: AutomaticInputs<'a>,
    /// Inputs of auto-multithresh, when the method uses it.
    pub multithresh: Option<MultithreshInputs<'a>>,
    /// For a mask between major cycles: the masks that it is combined with.
    pub cycle: Option<CycleMerge<'a>>,
    /// Pixels that the user puts in and takes out.
    pub users: UserPixels,
    /// An earlier mask to compare with: one plane for all channels, or a cube of as many.
    pub previous: Option<&'a Path>,
    /// The polarisations that get a mask.
    pub polarisations: Polarisations,
    /// Also count islands and take the median of the noise map, for records.
    pub detailed: bool,
    /// Also write the signal, (image - background) / rms, where the options need it.
    pub signal: Option<&'a Path>,
    /// Write flint's pixel types instead of the smallest integer type.
    pub flint_types: bool,
}

impl<'a> MaskRequest<'a> {
    /// A mask of all planes of `image`, with nothing to combine or compare it with.
    pub fn new(image: &'a Path, recipe: &'a MaskRecipe, output: &'a Path) -> Self {
        Self {
            image,
            recipe,
            output,
            maps: None,
            automatic: AutomaticInputs::default(),
            multithresh: None,
            cycle: None,
            users: UserPixels::default(),
            previous: None,
            polarisations: Polarisations::All,
            detailed: false,
            signal: None,
            flint_types: false,
        }
    }
}

/// The polarisations of an image that get a mask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Polarisations {
    /// Each by itself.
    All,
    /// The first (Stokes I); its mask is for all, and the file has no axis of polarisations when there are several.
    First,
}

/// Maps of an image's noise; each has as many planes as the image, or one for all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoiseFiles<'a> {
    /// The background, in the image's unit.
    pub background: &'a Path,
    /// The rms, in the image's unit.
    pub rms: &'a Path,
}

/// Files that automatic levels are compared with; all may be absent.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct AutomaticInputs<'a> {
    /// The image that the earlier mask was made from: new islands should have been visible in it.
    pub previous_image: Option<&'a Path>,
    /// Where the image is a residual: sidelobes of the PSF, one entry for each channel, or one for all ([`sidelobes`]).
    pub sidelobes: Option<&'a [PsfSidelobes]>,
    /// Where the image is a residual: the image before cleaning.
    pub uncleaned: Option<&'a Path>,
    /// Where the image is a restored one: the highest sidelobe of what was left uncleaned, Jy/beam ([`left_uncleaned`]);
    /// 0: nothing was.
    pub left: f64,
}

/// Inputs of auto-multithresh.
#[derive(Debug, Clone, PartialEq)]
pub struct MultithreshInputs<'a> {
    /// Files and facts of this call.
    pub inputs: CycleInputs,
    /// The folder of its state.
    pub state: &'a Path,
}

/// Masks that a mask between major cycles is combined with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CycleMerge<'a> {
    /// With [`MaskMethod::Both`]: flint's mask of the round's image, instead of one of the residual.
    pub flint: Option<&'a Path>,
    /// With flint's pipeline or automatic levels: a mask whose pixels stay, so that masks only grow.
    pub keep: Option<&'a Path>,
    /// Pixels that are left out, channel by channel.
    pub veto: Option<&'a Path>,
    /// Channels whose planes are those of the earlier mask; empty: none.
    pub kept: &'a [bool],
}

/// A mask that was made.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Mask {
    /// The file.
    pub path: PathBuf,
    /// The file of the signal.
    pub signal: Option<PathBuf>,
    /// Counts over all planes.
    pub stats: MaskStats,
    /// Counts of each plane, of masks between major cycles; else empty.
    pub stats_of_planes: Vec<MaskStats>,
    /// Planes of the file.
    pub planes: usize,
    /// Bits in use: one for each scale.
    pub bits: usize,
    /// Median rms of the noise map of the first plane, Jy/beam, where one was estimated and details were asked for.
    pub rms: Option<f64>,
    /// The options that flint's pipeline was run with, as given or as chosen from the image.
    pub flint: Option<MaskingOptions>,
    /// Notes for the user, plane by plane.
    pub notes: Vec<PlaneNote>,
    /// Choice of the automatic levels.
    pub automatic: Option<AutoSummary>,
    /// Warnings of auto-multithresh.
    pub warnings: Vec<String>,
}

/// Counts over all planes of a mask.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MaskStats {
    /// Masked pixels.
    pub masked: u64,
    /// All pixels.
    pub pixels: u64,
    /// 8-connected islands, where details were asked for.
    pub islands: Option<u64>,
    /// Pixels that the earlier mask did not have; `None` without one.
    pub added: Option<u64>,
    /// Pixels that only the earlier mask had.
    pub removed: Option<u64>,
}

/// A note about one plane.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlaneNote {
    /// Number of the plane in the file, from 0.
    pub plane: usize,
    /// The note.
    pub note: MaskNote,
}

/// Choice of an automatic mask's levels.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct AutoSummary {
    /// Strength of the artefacts in the first plane: 0 none, 1 the worst.
    pub artefacts: f64,
    /// Why these levels (the first plane's), and what was found besides (of each plane).
    pub why: Vec<String>,
    /// Islands that were taken out.
    pub removed: Vec<RemovedIsland>,
    /// Whether sidelobes may hide more (in any plane).
    pub hidden: bool,
    /// The planes (numbers in the file) of which that is so.
    pub hidden_planes: Vec<usize>,
}

impl Mask {
    /// Why the mask is as it is: notes, each once; chosen levels; examples of islands that were left out; warnings.
    pub fn why(&self) -> Vec<String> {
        let mut why: Vec<String> = Vec::new();
        for note in self.notes.iter().map(|n| n.note.to_string()) {
            if !why.contains(&note) {
                why.push(note);
            }
        }
        if let Some(automatic) = &self.automatic {
            why.extend(automatic.why.iter().cloned());
            why.extend(automatic.removed.iter().take(NAMED_ISLANDS).map(ToString::to_string));
        }
        why.extend(self.warnings.iter().cloned());
        why
    }

    /// The notes as sentences: planes are named when there are several, and a note that several share appears once.
    pub fn sentences(&self) -> Vec<String> {
        let mut sentences: Vec<(String, Vec<usize>)> = Vec::new();
        for PlaneNote { plane, note } in &self.notes {
            let text = note.to_string();
            match sentences.iter_mut().find(|(t, _)| *t == text) {
                Some((_, planes)) => planes.push(*plane),
                None => sentences.push((text, vec![*plane])),
            }
        }
        let named = |(text, planes): (String, Vec<usize>)| match planes.len() {
            _ if self.planes == 1 => text,
            n if n == self.planes => format!("all {n} planes: {text}"),
            1 => format!("plane {}: {text}", planes[0]),
            n => format!("{n} planes, from plane {} on: {text}", planes[0]),
        };
        sentences.into_iter().map(named).collect()
    }
}

impl MaskStats {
    /// Nothing counted yet of a mask; with `compared`, pixels added and removed are counted too.
    fn start(compared: bool, detailed: bool) -> Self {
        let zero = compared.then_some(0);
        Self { added: zero, removed: zero, islands: detailed.then_some(0), ..Self::default() }
    }

    /// Counts what others counted elsewhere, too.
    fn add(&mut self, other: &Self) {
        self.masked += other.masked;
        self.pixels += other.pixels;
        for (all, own) in
            [(&mut self.islands, other.islands), (&mut self.added, other.added), (&mut self.removed, other.removed)]
        {
            *all = all.zip(own).map(|(all, own)| all + own);
        }
    }

    /// Counts a plane and compares it with the earlier mask's, `[y, x]`.
    fn count(&mut self, mask: &BitMask, before: Option<&Array2<bool>>) {
        let (ny, nx) = mask.dim();
        self.pixels += (ny * nx) as u64;
        self.masked += mask.count() as u64;
        if let Some(islands) = &mut self.islands {
            *islands += islands_of_runs(mask.run_list(), ny, Connectivity::Eight).sizes.len() as u64;
        }
        if let Some(before) = before {
            let before = BitMask::from_bools(before.view());
            let (now, then) = (mask.count(), before.count());
            let mut both = before;
            both.and_with(mask);
            *self.added.get_or_insert(0) += (now - both.count()) as u64;
            *self.removed.get_or_insert(0) += (then - both.count()) as u64;
        }
    }
}

/// Makes a mask and writes it. The masks of the single methods are kept beside it when it combines several:
/// `X.flint.fits` and `X.automask.fits`.
///
/// One plane of pixels is in memory at a time, as float32, with its masks; a mask by signal to noise from maps reads its
/// planes in strips.
///
/// # Errors
/// Files that cannot be read or written, shapes that differ, invalid options, an image without data, erosion of an image
/// whose pixels are not square or of unknown size, the method `none`.
pub fn make(request: &MaskRequest<'_>) -> Result<Mask> {
    match request.recipe.method {
        MaskMethod::None => Err(Error::bad_input("the method `none` makes no mask")),
        MaskMethod::Flint | MaskMethod::Auto => of_pipeline(request),
        MaskMethod::Multithresh | MaskMethod::Both => of_multithresh(request),
    }
}

/// The mask of flint's pipeline or of automatic levels.
fn of_pipeline(request: &MaskRequest<'_>) -> Result<Mask> {
    let Some(cycle) = &request.cycle else { return single::make(request) };
    let part = part_of(request)?;
    // Pixels of a mask between cycles never leave it, so the order of the two does not matter.
    let masks = combined::Masks { first: &part.path, second: cycle.keep, rule: CombineRule::Union };
    Ok(Mask { warnings: Vec::new(), ..combined::make(request, &masks, part.clone())? })
}

/// The mask of auto-multithresh, or of both methods.
fn of_multithresh(request: &MaskRequest<'_>) -> Result<Mask> {
    let Some(step) = &request.multithresh else {
        return Err(Error::internal("a mask by auto-multithresh without its inputs"));
    };
    let flint = request.cycle.as_ref().and_then(|cycle| cycle.flint);
    let part = match (request.recipe.method, flint) {
        (MaskMethod::Both, None) => part_of(request)?,
        _ => Mask::default(),
    };
    let automask = sidecar_path(request.output, "automask");
    let made = multithresh::run_cycle(&step.inputs, &request.recipe.multithresh, step.state, &automask)?;
    let flint = flint.or(part.flint.is_some().then_some(part.path.as_path()));
    let second = flint.filter(|_| request.recipe.method == MaskMethod::Both);
    let masks = combined::Masks { first: &automask, second, rule: request.recipe.combine };
    Ok(Mask { warnings: made.warnings, ..combined::make(request, &masks, part.clone())? })
}

/// The pipeline's mask beside the output, to be combined.
fn part_of(request: &MaskRequest<'_>) -> Result<Mask> {
    let output = sidecar_path(request.output, "flint");
    let part = MaskRequest {
        output: &output,
        users: UserPixels::default(),
        cycle: None,
        previous: request.previous.filter(|_| request.automatic.previous_image.is_some()),
        ..request.clone()
    };
    single::make(&part)
}

/// Sidelobes of a PSF (a plane or a cube) in images like `image`, one entry for each channel. The PSF stays the same
/// throughout an imaging, so this is done once.
///
/// # Errors
/// Files that cannot be read.
pub fn sidelobes(psf: &Path, image: &Path, options: &AutoMaskOptions) -> Result<Vec<PsfSidelobes>> {
    sidelobes_of(psf, image, options, 0..usize::MAX)
}

/// Sidelobes of a PSF as [`sidelobes`] gives them, for masks of some channels alone: the entries of the others are not
/// theirs.
///
/// # Errors
/// Files that cannot be read.
pub fn sidelobes_of(
    psf: &Path,
    image: &Path,
    options: &AutoMaskOptions,
    channels: Range<usize>,
) -> Result<Vec<PsfSidelobes>> {
    let mut psf = FitsImage::open(psf)?;
    let image = FitsImage::open(image)?;
    let all = psf.channels();
    let mut of_channel = |channel| {
        let beam = image.pixel_beam(0, image.matching_plane(0, channel).1).ok().flatten();
        let plane = psf.read_plane(0, channel)?;
        Ok(PsfSidelobes::of(plane.view(), &options.extended.scales, auto::fwhm_of(beam.as_ref())))
    };
    // A PSF of one plane serves all channels.
    let wanted = channels.start.min(all - 1)..channels.end.min(all).max(channels.start.min(all - 1) + 1);
    let own = wanted.clone().map(&mut of_channel).collect::<Result<Vec<PsfSidelobes>>>()?;
    Ok((0..all).map(|channel| own[channel.clamp(wanted.start, wanted.end - 1) - wanted.start].clone()).collect())
}

/// The highest sidelobe of what is left in a residual, Jy/beam, in images of a PSF whose sidelobes exceed half of its peak,
/// as a snapshot's do: its brightest pixel times the highest sidelobe of all channels. 0 for other PSFs, whose sidelobes
/// of what is left are below the noise.
///
/// # Errors
/// Files that cannot be read.
pub fn left_uncleaned(residual: &Path, psf: &Path, options: &AutoMaskOptions) -> Result<f64> {
    if !psf.exists() || !residual.exists() {
        return Ok(0.0);
    }
    // The scales of extended emission do not matter here.
    let mut options = options.clone();
    options.extended.scales.clear();
    let highest = sidelobes(psf, residual, &options)?.iter().map(|s| s.highest).fold(0.0, f64::max);
    if highest <= auto::extended::UNCERTAIN {
        return Ok(0.0);
    }
    let mut residual = FitsImage::open(residual)?;
    let mut peak = 0f32;
    for channel in 0..residual.channels() {
        peak = residual.read_plane(0, channel)?.iter().filter(|v| v.is_finite()).fold(peak, |m, v| m.max(v.abs()));
    }
    Ok(highest * f64::from(peak))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{Header, PixelType, write_plane};
    use ndarray::array;

    #[test]
    fn counts_show_the_changes() {
        let folder = tempfile::tempdir().unwrap();
        let (image, previous, output) =
            (folder.path().join("i.fits"), folder.path().join("p.fits"), folder.path().join("o.fits"));
        let pixels = array![[0f32, 9., 0., 0.], [0., 9., 0., 7.], [0., 0., 0., f32::NAN]];
        write_plane(&image, pixels.view(), PixelType::F32, &Header::default(), 4).unwrap();
        let before = array![[1u8, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]];
        write_plane(&previous, before.view(), PixelType::U8, &Header::default(), 2).unwrap();
        let flint = MaskingOptions {
            flood_fill: true,
            flood_fill_use_mac: true,
            flood_fill_use_mac_box_size: 3,
            ..MaskingOptions::default()
        };
        let exclude = array![[false; 4], [false, false, false, true], [false; 4]];
        let recipe = MaskRecipe { flint, ..MaskRecipe::default() };
        let made = make(&MaskRequest {
            users: UserPixels { include: None, exclude: Some(exclude) },
            previous: Some(&previous),
            detailed: true,
            ..MaskRequest::new(&image, &recipe, &output)
        })
        .unwrap();
        let stats = made.stats;
        assert_eq!((stats.masked, stats.pixels, stats.islands), (2, 12, Some(1)));
        assert_eq!((stats.added, stats.removed), (Some(1), Some(1)));
        let mask = FitsImage::open(&output).unwrap().read_plane(0, 0).unwrap();
        assert_eq!(mask, array![[0f32, 1., 0., 0.], [0., 1., 0., 0.], [0., 0., 0., 0.]]);
    }
}
