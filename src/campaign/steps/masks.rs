//! The masks of one round: before imaging from the last accepted image, and between cycles from the residual.

use super::field::{self, FieldImage};
use crate::campaign::file::{MaskCombine, MaskMethod};
use crate::campaign::plan::MaskPlan;
use crate::campaign::record::{ConfettiRecord, MaskRecord};
use crate::image::FitsImage;
use crate::imager::{Products, Residual};
use crate::major_cycle::{CycleMask, CycleMasks, CycleVeto, MaskMoment};
use crate::masking::MaskingOptions;
use crate::masking::auto::extended::PsfSidelobes;
use crate::masking::field::{CutRequest, cut};
use crate::masking::files::{self, AutoSummary, Automatic, MaskFileRequest, MaskFileSummary, Together};
use crate::masking::multithresh::{self, CycleInputs, StateFolder};
use crate::quality::confetti::{self, ConfettiFiles, VetoFiles, Vetoed};
use crate::util::fs;
use crate::{Error, Result};
use indexmap::IndexMap;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// State of auto-multithresh within a round's mask folder.
const STATE: &str = "automask-state";
/// Ends the names of the cycles' residuals, within a round's mask folder.
const RESIDUAL: &str = ".residual";
/// Pixels that were vetoed, within a round's mask folder.
const VETO: &str = "confetti.veto.fits";

/// Makes a round's mask from an accepted image. `caution` multiplies levels that are chosen from the image.
///
/// # Errors
/// Files that cannot be read or written, options without sense.
pub fn from_image(
    mask: &MaskPlan,
    caution: f64,
    source: &Products,
    previous: Option<&MaskRecord>,
    folder: &Path,
) -> Result<MaskRecord> {
    let path = folder.join("mask.fits");
    let users = Users::load(mask, &source.image)?;
    let previous_path = previous.map(|p| p.path.as_path());
    let method = value(&mask.method).as_str().unwrap_or_default().to_string();
    let mut numbers = IndexMap::new();
    let mut why = Vec::new();
    let mut options = IndexMap::new();
    let flint = if mask.method == MaskMethod::Multithresh {
        None
    } else {
        let alone = mask.method != MaskMethod::Both;
        let output = if alone { path.clone() } else { folder.join("flint.fits") };
        let limits = mask.auto.clone();
        let automatic = (mask.method == MaskMethod::Auto).then_some(Automatic {
            options: &limits,
            caution,
            previous_image: previous.and_then(|p| p.source.as_deref()),
            sidelobes: None,
            uncleaned: None,
        });
        let request = MaskFileRequest {
            image: &source.image,
            options: &mask.masking,
            noise: &mask.noise,
            include: users.include.as_ref(),
            exclude: users.exclude.as_ref(),
            previous: previous_path,
            automatic,
            output: &output,
        };
        let made = files::make(&request)?;
        numbers.extend(made.rms.map(|rms| ("rms of the noise map, Jy/beam".to_string(), rms)));
        why.extend(made.notes.iter().map(ToString::to_string));
        let mut used = mask.masking.clone();
        if let Some(automatic) = made.automatic.clone() {
            numbers.insert("artefacts (0 none, 1 the worst)".into(), automatic.artefacts);
            numbers.insert("islands left out".into(), automatic.removed_islands as f64);
            why.extend(automatic.why);
            used = automatic.options.unwrap_or(used);
        }
        options = differing(&used);
        Some((output, made))
    };
    let summary = if matches!(mask.method, MaskMethod::Multithresh | MaskMethod::Both) {
        // Once a round, auto-multithresh looks at the last accepted residual and grows the last round's mask.
        let automask = folder.join("automask.fits");
        let inputs = CycleInputs {
            residual: source.residual.clone(),
            psf: Some(source.psf.clone()),
            pb: source.pb.clone(),
            initial_mask: previous.map(|p| p.path.clone()),
            iterdone: Some(u64::from(previous.is_some())),
            cycle: Some(0),
            ..CycleInputs::default()
        };
        let state = folder.join(STATE);
        StateFolder::reset(&state)?;
        let made = multithresh::run_cycle(&inputs, &mask.automask, &state, &automask)?;
        why.extend(made.warnings);
        let second = flint.as_ref().map(|(p, _)| p.as_path());
        files::combine(
            &source.image,
            (&automask, second),
            together(mask.combine),
            users.both(),
            previous_path,
            None,
            &path,
        )?
    } else {
        flint.map(|(_, made)| made).unwrap_or_default()
    };
    Ok(record(path, method, Some(&source.image), (options, numbers, why), &summary))
}

/// Makes a round's mask from the image of the whole field: the field's mask, cut to this measurement set's image.
///
/// # Errors
/// Files that cannot be read or written, options without sense.
pub fn from_field(
    mask: &MaskPlan,
    caution: f64,
    field: &FieldImage,
    source: &Products,
    previous: Option<&MaskRecord>,
    folder: &Path,
) -> Result<MaskRecord> {
    let path = folder.join("mask.fits");
    let users = Users::load(mask, &source.image)?;
    let whole = field::mask_of(field, mask, caution)?;
    let (include, exclude) = users.both();
    let summary = cut(&CutRequest {
        field_mask: &whole.path,
        scales: whole.scales,
        beam_image: &source.image,
        include,
        exclude,
        previous: previous.map(|p| p.path.as_path()),
        output: &path,
    })?;
    let method = format!("{}, cut from the field's mask", value(&mask.method).as_str().unwrap_or_default());
    let numbers: IndexMap<String, f64> =
        whole.rms.map(|rms| ("rms of the field's noise map, Jy/beam".to_string(), rms)).into_iter().collect();
    let mut why = vec![field.about()];
    why.extend(whole.notes);
    Ok(record(path, method, Some(&field.image), (differing(&mask.masking), numbers, why), &summary))
}

/// Masks between cycles: auto-multithresh on the residual with its state, flint's pipeline (or automatic levels) on the
/// round's image and on the residual, put together as the plan says. Masks by flint's pipeline only grow in a round.
pub struct RoundMasks<'a> {
    mask: &'a MaskPlan,
    caution: f64,
    /// The mask from the last accepted image, if there is one.
    base: Option<&'a Path>,
    /// The round's mask folder.
    folder: PathBuf,
    /// Of the PSF, which stays the same throughout.
    sidelobes: Option<Vec<PsfSidelobes>>,
}

impl<'a> RoundMasks<'a> {
    /// Masks for one imaging, kept in `folder`.
    pub fn new(mask: &'a MaskPlan, caution: f64, base: Option<&'a Path>, folder: PathBuf) -> Self {
        Self { mask, caution, base, folder, sidelobes: None }
    }

    /// Pixels that are never cleaned again, by channel.
    fn veto_file(&self) -> PathBuf {
        self.folder.join(VETO)
    }

    fn file(&self, cycle: usize, kind: &str) -> PathBuf {
        self.folder.join(format!("cycle-{cycle:03}{kind}.fits"))
    }

    /// flint's pipeline on the residual; what was chosen, where the levels come from the image.
    fn of_residual(&mut self, residual: &Residual, cycle: usize) -> Result<(PathBuf, AutoSummary)> {
        let output = self.file(cycle, ".flint");
        let limits = self.mask.auto.clone();
        let dirty = self.file(0, RESIDUAL);
        let is_automatic = self.mask.method == MaskMethod::Auto;
        if is_automatic && self.sidelobes.is_none() {
            self.sidelobes = Some(files::sidelobes(&residual.psf, &residual.residual, &limits)?);
        }
        let automatic = is_automatic.then_some(Automatic {
            options: &limits,
            caution: self.caution,
            previous_image: None,
            sidelobes: self.sidelobes.as_deref(),
            uncleaned: (cycle > 0 && dirty.exists()).then_some(&dirty),
        });
        let made = files::make(&MaskFileRequest {
            image: &residual.residual,
            options: &self.mask.masking,
            noise: &self.mask.noise,
            include: None,
            exclude: None,
            previous: None,
            automatic,
            output: &output,
        })?;
        Ok((output, made.automatic.unwrap_or_default()))
    }

    fn of_multithresh(&self, residual: &Residual, moment: &MaskMoment<'_>) -> Result<PathBuf> {
        let output = self.file(moment.cycle, ".automask");
        let state = self.folder.join(STATE);
        if moment.cycle == 0 {
            StateFolder::reset(&state)?;
        }
        let inputs = CycleInputs {
            residual: residual.residual.clone(),
            psf: Some(residual.psf.clone()),
            pb: residual.pb.clone(),
            pixelmask: residual.pixel_mask.clone(),
            threshold_reached: moment.last.is_some_and(|l| l.threshold_reached),
            iterdone: Some(moment.iterations),
            cycle: Some(moment.masks),
            ..CycleInputs::default()
        };
        multithresh::run_cycle(&inputs, &self.mask.automask, &state, &output)?;
        Ok(output)
    }
}

impl CycleMasks for RoundMasks<'_> {
    fn veto(&mut self, residual: &Residual, moment: &MaskMoment<'_>) -> Result<Option<CycleVeto>> {
        let (Some(options), Some(model)) = (&self.mask.confetti, &residual.model) else { return Ok(None) };
        if FitsImage::open(model)?.channels() < 2 {
            return Ok(None);
        }
        let veto = self.veto_file();
        let dirty = self.file(0, RESIDUAL);
        let mut cubes = ConfettiFiles {
            model: model.clone(),
            residual: Some(residual.residual.clone()),
            dirty: dirty.exists().then_some(dirty),
            ..ConfettiFiles::default()
        };
        let psf = FitsImage::open(&residual.psf)?;
        // tclean's PSF has a beam for each channel, and none in its header; its residual has the common one.
        let beam = psf.beam().or(FitsImage::open(&residual.residual)?.beam());
        cubes.beam_pixels = match (beam, psf.pixel_deg()) {
            (Some(beam), Ok(pixel)) => {
                let beam = beam.in_pixels(pixel);
                Some((beam.major * beam.minor).sqrt())
            }
            _ => None,
        };
        let repaired = self.file(moment.cycle, ".model");
        let to = VetoFiles { veto: &veto, model: &repaired, pictures: &self.folder.join("confetti") };
        let Some(report) = confetti::veto_files(&cubes, options, to)? else { return Ok(None) };
        Ok(Some(CycleVeto { found: report.vetoed.iter().map(confetti_record).collect(), model: repaired }))
    }

    fn make(&mut self, residual: &Residual, moment: &MaskMoment<'_>) -> Result<CycleMask> {
        fs::make(&self.folder)?;
        if moment.cycle == 0 {
            // What an earlier imaging in this folder found.
            fs::remove(&self.veto_file())?;
        }
        let output = self.file(moment.cycle, "");
        let users = Users::load(self.mask, &residual.residual)?;
        let before = moment.previous.map(|p| p.path.as_path());
        let method = self.mask.method;
        let automask = match method {
            MaskMethod::Multithresh | MaskMethod::Both => Some(self.of_multithresh(residual, moment)?),
            _ => None,
        };
        let from_residual = match (method, self.base) {
            (MaskMethod::Multithresh, _) | (MaskMethod::Both, Some(_)) => None,
            _ => Some(self.of_residual(residual, moment.cycle)?),
        };
        let (from_residual, chosen) = from_residual.unzip();
        let chosen = chosen.unwrap_or_default();
        let (first, second, rule) = match (&automask, &from_residual) {
            (Some(automask), flint) => {
                (automask.as_path(), flint.as_deref().or(self.base), together(self.mask.combine))
            }
            (None, Some(flint)) => (flint.as_path(), before.or(self.base), Together::Union),
            (None, None) => return Err(Error::internal("a mask between cycles without a method")),
        };
        let second = if method == MaskMethod::Multithresh { None } else { second };
        let veto = Some(self.veto_file()).filter(|p| moment.cycle > 0 && p.exists());
        let pair = (first, second);
        let made = files::combine(&residual.residual, pair, rule, users.both(), before, veto.as_deref(), &output)?;
        let kept = self.file(moment.cycle, RESIDUAL);
        fs::remove(&kept)?;
        fs::link_or_copy(&residual.residual, &kept)?;
        Ok(CycleMask {
            path: output,
            pixels: made.pixels,
            added: made.added.unwrap_or(made.pixels),
            removed: made.removed.unwrap_or(0),
            kept_residual: Some(kept),
            hidden: chosen.hidden,
            why: chosen.why.join("; "),
        })
    }
}

fn confetti_record(v: &Vetoed) -> ConfettiRecord {
    let c = &v.candidate;
    let filled = if v.from_neighbours { "filled from the neighbouring channels" } else { "set to zero" };
    ConfettiRecord {
        pixel: c.pixel,
        channel: c.channel,
        cycle: None,
        verdict: c.verdict.to_string(),
        score: c.score,
        flux: c.flux,
        isolation: Some(c.isolation),
        pedestal: Some(c.pedestal),
        support: c.dirty_excess.map(|e| e / c.noise),
        spectrum: v.spectrum.iter().map(|&f| f.is_finite().then_some(f64::from(f))).collect(),
        spectrum_first: v.spectrum_first,
        action: format!("left the mask; its patch of the model was {filled}"),
        picture: v.picture.clone(),
    }
}

/// The record of the mask that a round was last cleaned with.
pub fn of_cycles(mask: &MaskPlan, last: &CycleMask) -> MaskRecord {
    let method = format!("{}, before each major cycle", value(&mask.method).as_str().unwrap_or_default());
    let summary = MaskFileSummary { pixels: last.pixels, ..MaskFileSummary::default() };
    let details = (differing(&mask.masking), IndexMap::new(), Vec::new());
    MaskRecord { islands: None, ..record(last.path.clone(), method, None, details, &summary) }
}

/// A user's pixels.
struct Users {
    include: Option<ndarray::Array2<bool>>,
    exclude: Option<ndarray::Array2<bool>>,
}

impl Users {
    fn load(mask: &MaskPlan, image: &Path) -> Result<Self> {
        let load = |paths: &[PathBuf]| files::user_pixels(paths, image);
        Ok(Self { include: load(&mask.include)?, exclude: load(&mask.exclude)? })
    }

    fn both(&self) -> (Option<&ndarray::Array2<bool>>, Option<&ndarray::Array2<bool>>) {
        (self.include.as_ref(), self.exclude.as_ref())
    }
}

fn together(combine: MaskCombine) -> Together {
    match combine {
        MaskCombine::Union => Together::Union,
        MaskCombine::Intersection => Together::Intersection,
        MaskCombine::MultithreshWithinFlint => Together::FirstWithinSecond,
        MaskCombine::FlintWithinMultithresh => Together::SecondWithinFirst,
    }
}

type Details = (IndexMap<String, String>, IndexMap<String, f64>, Vec<String>);

fn record(
    path: PathBuf,
    method: String,
    source: Option<&Path>,
    (options, numbers, why): Details,
    summary: &MaskFileSummary,
) -> MaskRecord {
    MaskRecord {
        path,
        method,
        source: source.map(Path::to_path_buf),
        options,
        numbers,
        pixels: summary.pixels,
        islands: Some(summary.islands),
        added: summary.added,
        removed: summary.removed,
        why: why.join("; "),
    }
}

fn value(of: &impl serde::Serialize) -> Value {
    serde_json::to_value(of).expect("options are plain data")
}

/// The options that differ from their defaults, for the record.
fn differing(options: &MaskingOptions) -> IndexMap<String, String> {
    let (Value::Object(all), defaults) = (value(options), value(&MaskingOptions::default())) else {
        unreachable!("options are a map")
    };
    all.into_iter().filter(|(key, v)| defaults[key.as_str()] != *v).map(|(key, v)| (key, v.to_string())).collect()
}
