//! The masks of one round: before imaging from the last accepted image, and between cycles from the residual.

use super::field::{self, FieldImage};
use super::recipe::{recipe_of, request};
use crate::Result;
use crate::campaign::plan::MaskPlan;
use crate::campaign::record::{ConfettiRecord, MaskOrigin, MaskRecord};
use crate::campaign::steps::GivenMask;
use crate::image::{Beam, FitsImage, PixelType, PlaneWriter};
use crate::imager::{ChannelGroup, Products, Residual};
use crate::major_cycle::{CycleMask, CycleMasks, CycleVeto, FirstMask, MaskMoment, PlaneMask};
use crate::masking::auto::PsfSidelobes;
use crate::masking::maker::{
    self, AutomaticInputs, CutRequest, CycleMerge, Mask, MaskRequest, MaskStats, MultithreshInputs, UserPixels,
};
use crate::masking::multithresh::{ChannelFacts, CycleInputs, StateFolder};
use crate::masking::{MaskMethod, MaskRecipe, MaskingOptions};
use crate::quality::confetti::{self, ConfettiFiles, VetoFiles, Vetoed};
use crate::util::fs;
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
/// Files that cannot be read or written, invalid options.
pub fn from_image(
    mask: &MaskPlan,
    caution: f64,
    source: &Products,
    previous: Option<&MaskRecord>,
    folder: &Path,
) -> Result<MaskRecord> {
    let (path, state, recipe) = (folder.join("mask.fits"), folder.join(STATE), recipe_of(mask, caution));
    let multithresh = recipe.method.uses_multithresh().then(|| MultithreshInputs {
        // Once a round, auto-multithresh looks at the last accepted residual and grows the last round's mask.
        inputs: CycleInputs {
            residual: source.residual.clone(),
            psf: Some(source.psf.clone()),
            pb: source.pb.clone(),
            initial_mask: previous.map(|p| p.path.clone()),
            iterdone: Some(u64::from(previous.is_some())),
            cycle: Some(0),
            ..CycleInputs::default()
        },
        state: &state,
    });
    if multithresh.is_some() {
        StateFolder::reset(&state)?;
    }
    let left = match recipe.method {
        MaskMethod::Auto => maker::left_uncleaned(&source.residual, &source.psf, &recipe.auto)?,
        _ => 0.0,
    };
    let made = maker::make(&MaskRequest {
        users: UserPixels::load(&mask.include, &mask.exclude, &source.image)?,
        previous: previous.map(|p| p.path.as_path()),
        automatic: AutomaticInputs {
            previous_image: previous.and_then(|p| p.source.as_deref()),
            left,
            ..AutomaticInputs::default()
        },
        multithresh,
        ..request(&source.image, &recipe, &path)
    })?;
    let mut numbers = IndexMap::new();
    numbers.extend(made.rms.map(|rms| ("rms of the noise map, Jy/beam".to_string(), rms)));
    if let Some(automatic) = &made.automatic {
        numbers.insert("artefacts (0 none, 1 the worst)".into(), automatic.artefacts);
        numbers.insert("islands left out".into(), automatic.removed.len() as f64);
    }
    let options = made.flint.as_ref().map(differing).unwrap_or_default();
    let source = Some(source.image.clone());
    Ok(MaskRecord { source, options, numbers, ..record(&made, recipe.method, MaskOrigin::Image) })
}

/// Makes a round's mask from the image of the whole field: the field's mask, cut to this measurement set's image.
///
/// # Errors
/// Files that cannot be read or written, invalid options.
pub fn from_field(
    mask: &MaskPlan,
    caution: f64,
    field: &FieldImage,
    source: &Products,
    previous: Option<&MaskRecord>,
    folder: &Path,
) -> Result<MaskRecord> {
    let path = folder.join("mask.fits");
    let whole = field::mask_of(field, mask, caution)?;
    let cut = maker::cut(&CutRequest {
        field_mask: &whole.path,
        scales: whole.scales,
        beam_image: &source.image,
        users: &UserPixels::load(&mask.include, &mask.exclude, &source.image)?,
        previous: previous.map(|p| p.path.as_path()),
        output: &path,
    })?;
    let mut why = vec![field.about()];
    why.extend(whole.notes);
    Ok(MaskRecord {
        source: Some(field.image.clone()),
        options: differing(&mask.recipe.flint),
        numbers: whole.rms.map(|rms| ("rms of the field's noise map, Jy/beam".to_string(), rms)).into_iter().collect(),
        why: why.join("; "),
        ..record(&cut, mask.recipe.method, MaskOrigin::Field)
    })
}

/// Masks between cycles: auto-multithresh on the residual with its state, flint's pipeline (or automatic levels) on the
/// round's image and on the residual, put together as the plan says. Masks by flint's pipeline only grow in a round.
pub struct RoundMasks<'a> {
    mask: &'a MaskPlan,
    recipe: MaskRecipe,
    /// The mask from the last accepted image, if there is one.
    base: Option<&'a GivenMask>,
    /// The round's mask folder.
    folder: PathBuf,
    /// Of the PSF, which stays the same throughout.
    sidelobes: Option<Vec<PsfSidelobes>>,
    /// Each channel is cleaned by itself.
    independent: bool,
    /// The channels are a group of a cube's.
    group: Option<ChannelGroup>,
}

impl<'a> RoundMasks<'a> {
    /// Masks for one imaging, kept in `folder`.
    pub fn new(mask: &'a MaskPlan, caution: f64, base: Option<&'a GivenMask>, folder: PathBuf) -> Self {
        let recipe = recipe_of(mask, caution);
        Self { mask, recipe, base, folder, sidelobes: None, independent: false, group: None }
    }

    /// The same for channels that are cleaned each by itself, which may be a group of a cube's.
    #[must_use]
    pub(crate) fn of_independent_channels(self, group: Option<ChannelGroup>) -> Self {
        Self { independent: true, group, ..self }
    }

    /// Whether confetti is looked for in a channel: it is being cleaned, and its neighbours are known or there are none.
    fn judges(&self, channel: usize, moment: &MaskMoment<'_>) -> bool {
        let open = |group: &ChannelGroup| {
            let (first, last) = (channel == 0, channel + 1 == group.count);
            first && group.first > 0 || last && group.first + group.count < group.of
        };
        !moment.channels.get(channel).is_some_and(|c| c.stopped) && !self.group.as_ref().is_some_and(open)
    }

    /// What auto-multithresh is told of each channel; nothing where the cube is masked as a whole.
    fn facts(&self, residual: &Residual, moment: &MaskMoment<'_>) -> Result<Vec<ChannelFacts>> {
        if !self.independent {
            return Ok(Vec::new());
        }
        let fact = |channel: usize| {
            let known = moment.channels.get(channel).copied().unwrap_or_default();
            ChannelFacts { iterdone: known.iterations, threshold_reached: known.threshold_reached, keep: known.keep }
        };
        Ok((0..FitsImage::open(&residual.residual)?.channels()).map(fact).collect())
    }

    /// Pixels that are never cleaned again, by channel.
    fn veto_file(&self) -> PathBuf {
        self.folder.join(VETO)
    }

    fn file(&self, cycle: usize, kind: &str) -> PathBuf {
        self.folder.join(format!("cycle-{cycle:03}{kind}.fits"))
    }

    /// Keeps the residual before a cycle.
    fn keep_residual(&self, residual: &Residual, cycle: usize) -> Result<PathBuf> {
        let kept = self.file(cycle, RESIDUAL);
        fs::remove(&kept)?;
        fs::link_or_copy(&residual.residual, &kept)?;
        Ok(kept)
    }

    /// Measures the PSF's sidelobes once, for automatic levels.
    fn measure_sidelobes(&mut self, residual: &Residual) -> Result<()> {
        if self.recipe.method == MaskMethod::Auto && self.sidelobes.is_none() {
            self.sidelobes = Some(maker::sidelobes(&residual.psf, &residual.residual, &self.recipe.auto)?);
        }
        Ok(())
    }

    /// Makes and writes the mask of a moment.
    fn write(&self, residual: &Residual, moment: &MaskMoment<'_>, output: &Path) -> Result<Mask> {
        let (state, dirty, veto) = (self.folder.join(STATE), self.file(0, RESIDUAL), self.veto_file());
        let previous = moment.previous.map(|p| p.path.as_path());
        let base = self.base.map(|base| base.path.as_path());
        let later = moment.cycle > 0;
        let uses_multithresh = self.recipe.method.uses_multithresh();
        let facts = if uses_multithresh { self.facts(residual, moment)? } else { Vec::new() };
        if uses_multithresh && !later {
            StateFolder::reset(&state)?;
        }
        let inputs = || CycleInputs {
            residual: residual.residual.clone(),
            psf: Some(residual.psf.clone()),
            pb: residual.pb.clone(),
            pixelmask: residual.pixel_mask.clone(),
            threshold_reached: moment.last.is_some_and(|l| l.threshold_reached),
            iterdone: Some(moment.iterations),
            cycle: Some(moment.masks),
            channels: facts.clone(),
            ..CycleInputs::default()
        };
        let kept: Vec<bool> = moment.channels.iter().map(|channel| channel.keep).collect();
        maker::make(&MaskRequest {
            users: UserPixels::load(&self.mask.include, &self.mask.exclude, &residual.residual)?,
            previous,
            automatic: AutomaticInputs {
                left: 0.0,
                previous_image: None,
                sidelobes: self.sidelobes.as_deref(),
                uncleaned: Some(dirty.as_path()).filter(|dirty| later && dirty.exists()),
            },
            multithresh: uses_multithresh.then(|| MultithreshInputs { inputs: inputs(), state: &state }),
            cycle: Some(CycleMerge {
                flint: base,
                keep: previous.or(base),
                veto: Some(veto.as_path()).filter(|veto| later && veto.exists()),
                kept: &kept,
            }),
            ..request(&residual.residual, &self.recipe, output)
        })
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
        let round = |beam: Beam| {
            let beam = beam.in_pixels(psf.pixel_deg().ok()?);
            Some((beam.major * beam.minor).sqrt())
        };
        if self.independent {
            let own = |channel| psf.plane_beam(0, channel).ok().flatten().and_then(round);
            cubes.channel_beams = (0..psf.channels()).map(own).collect::<Option<Vec<_>>>().unwrap_or_default();
        }
        // tclean's PSF has a beam for each channel, and none in its header; its residual has the common one.
        cubes.beam_pixels = psf.beam().or(FitsImage::open(&residual.residual)?.beam()).and_then(round);
        let judged = |channel: usize| self.judges(channel, moment);
        let repaired = self.file(moment.cycle, ".model");
        let to = VetoFiles { veto: &veto, model: &repaired, pictures: &self.folder.join("confetti") };
        let Some(report) = confetti::veto_files(&cubes, options, &judged, to)? else { return Ok(None) };
        Ok(Some(CycleVeto { found: report.vetoed.iter().map(confetti_record).collect(), model: repaired }))
    }

    fn first(&mut self) -> Result<Option<FirstMask>> {
        // Auto-multithresh begins with the dirty image, and so does a cube whose channels have masks of their own.
        let of_image = !self.independent && !self.recipe.method.uses_multithresh();
        let Some(base) = self.base.filter(|base| of_image && base.holds_dirty && base.pixels > 0) else {
            return Ok(None);
        };
        if FitsImage::open(&base.path)?.channels() > 1 {
            return Ok(None);
        }
        fs::make(&self.folder)?;
        fs::remove(&self.veto_file())?;
        let path = self.file(0, "");
        fs::remove(&path)?;
        fs::link_or_copy(&base.path, &path)?;
        let (pixels, why) = (base.pixels, "that of the last accepted image".to_owned());
        let mask = CycleMask { path, pixels, added: pixels, why, ..CycleMask::default() };
        Ok(Some(FirstMask { mask, changed: base.changed }))
    }

    fn begun(&mut self, dirty: &Residual) -> Result<Option<PathBuf>> {
        self.keep_residual(dirty, 0).map(Some)
    }

    fn make(&mut self, residual: &Residual, moment: &MaskMoment<'_>) -> Result<CycleMask> {
        fs::make(&self.folder)?;
        if moment.cycle == 0 {
            // Pixels that an earlier imaging in this folder found.
            fs::remove(&self.veto_file())?;
        }
        let output = self.file(moment.cycle, "");
        self.measure_sidelobes(residual)?;
        let made = self.write(residual, moment, &output)?;
        let kept = self.keep_residual(residual, moment.cycle)?;
        let (pixels, hidden) = (made.stats.masked, made.automatic.as_ref().is_some_and(|a| a.hidden));
        let plane = |(channel, stats): (usize, &MaskStats)| PlaneMask {
            pixels: stats.masked,
            added: stats.added.unwrap_or(stats.masked),
            removed: stats.removed.unwrap_or(0),
            hidden: made.automatic.as_ref().is_some_and(|a| a.hidden_planes.contains(&channel)),
            kept: moment.channels.get(channel).is_some_and(|c| c.keep),
        };
        let channels = made.stats_of_planes.iter().enumerate().filter(|_| self.independent).map(plane).collect();
        Ok(CycleMask {
            path: output,
            pixels,
            added: made.stats.added.unwrap_or(pixels),
            removed: made.stats.removed.unwrap_or(0),
            kept_residual: Some(kept),
            hidden,
            channels,
            why: if made.automatic.is_some() { made.why().join("; ") } else { String::new() },
        })
    }

    fn take_back(&mut self, mask: &CycleMask, before: &CycleMask, channels: &[usize]) -> Result<()> {
        let (mut new, mut old) = (FitsImage::open(&mask.path)?, FitsImage::open(&before.path)?);
        if new.axes() != old.axes() || new.channels() < 2 {
            // One plane for all channels: it is the same in both, or this channel is alone.
            return Ok(());
        }
        let mut writer = PlaneWriter::create(&mask.path, new.axes(), PixelType::U8, new.header(), false)?;
        for channel in 0..new.channels() {
            let from = if channels.contains(&channel) { &mut old } else { &mut new };
            let plane = from.read_plane(0, channel)?;
            writer.write_plane(new.plane_index(0, channel), plane.mapv(|v| v as u8).view())?;
        }
        Ok(writer.finish()?)
    }
}

fn confetti_record(v: &Vetoed) -> ConfettiRecord {
    let c = &v.candidate;
    let filled = if v.from_neighbours { "filled from the neighbouring channels" } else { "set to zero" };
    ConfettiRecord {
        pixel: c.pixel,
        channel: c.channel,
        cycle: None,
        verdict: c.verdict,
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
    MaskRecord {
        path: last.path.clone(),
        method: mask.recipe.method,
        origin: MaskOrigin::Cycles,
        source: None,
        options: differing(&mask.recipe.flint),
        numbers: IndexMap::new(),
        pixels: last.pixels,
        islands: None,
        added: None,
        removed: None,
        why: String::new(),
    }
}

/// The record of a mask: its counts and reasons.
fn record(made: &Mask, method: MaskMethod, origin: MaskOrigin) -> MaskRecord {
    MaskRecord {
        path: made.path.clone(),
        method,
        origin,
        source: None,
        options: IndexMap::new(),
        numbers: IndexMap::new(),
        pixels: made.stats.masked,
        islands: made.stats.islands,
        added: made.stats.added,
        removed: made.stats.removed,
        why: made.why().join("; "),
    }
}

/// The options that differ from their defaults, for the record.
fn differing(options: &MaskingOptions) -> IndexMap<String, String> {
    let value = |of: &MaskingOptions| serde_json::to_value(of).expect("options are plain data");
    let (Value::Object(all), defaults) = (value(options), value(&MaskingOptions::default())) else {
        unreachable!("options are a map")
    };
    all.into_iter().filter(|(key, v)| defaults[key.as_str()] != *v).map(|(key, v)| (key, v.to_string())).collect()
}
