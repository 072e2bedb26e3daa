//! The image of a whole field: those of all its measurement sets on one grid, and the mask made from it.
//!
//! A round whose masks come from the field begins with a barrier: when every measurement set has ended the round before,
//! their last accepted images are put together ([`make`]), once. Each measurement set's mask is then cut from the mask
//! of that image. Both schedulers call [`make`] at the barrier; whoever comes later finds it done.

use super::Prepared;
use super::recipe::{recipe_of, request};
use crate::campaign::journal::{Journal, JournalEvent, Step, StepId, StepKey};
use crate::campaign::layout::Layout;
use crate::campaign::layout::field_folder;
use crate::campaign::plan::{MaskPlan, Plan};
use crate::campaign::record::{DatasetRecord, Level, RoundRecord, Verdict};
use crate::image::mosaic::files::{self, MosaicBeam, MosaicInput, MosaicRequest};
use crate::masking::maker;
use crate::util::fs;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Name of the file that says what a field image was made from.
const ABOUT: &str = "field.json";

/// A field's image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FieldImage {
    /// The round whose masks come from it.
    pub round: usize,
    /// The mosaic, Jy/beam, corrected for the primary beam.
    pub image: PathBuf,
    /// Its weights, 1 / variance.
    pub weights: PathBuf,
    /// Changes with the images that it was made from.
    pub key: StepKey,
    /// The measurement sets in it.
    pub beams: Vec<String>,
    /// Those that are not, and why.
    pub left_out: Vec<(String, String)>,
}

impl FieldImage {
    /// The images that it was made from, in words.
    pub fn about(&self) -> String {
        let mut words = format!("field image of {}", self.beams.join(", "));
        for (name, why) in &self.left_out {
            words.push_str(&format!("; without {name} ({why})"));
        }
        words
    }
}

/// The field image that the masks of `round` come from.
///
/// # Errors
/// There is none.
pub(crate) fn load(output: &Path, round: usize) -> Result<FieldImage> {
    let path = field_folder(output, round).join(ABOUT);
    let unusable = |e: String| {
        Error::internal(format!("{}: the field image of round {round} cannot be used: {e}", path.display()))
    };
    let bytes = std::fs::read(&path).map_err(|e| unusable(e.to_string()))?;
    serde_json::from_slice(&bytes).map_err(|e| unusable(e.to_string()))
}

/// One measurement set's part.
struct FieldPart {
    name: String,
    key: StepKey,
    input: MosaicInput,
}

/// Combines the last accepted images before `round` of all measurement sets, unless that is done already, and makes
/// the field's mask. Measurement sets without an accepted image are left out, and `tell` hears of it.
///
/// # Errors
/// No measurement set has an image, or the images cannot be combined.
pub(crate) fn make(plan: &Plan, round: usize, records: &[DatasetRecord], tell: &dyn Fn(Level, String)) -> Result<()> {
    let Some(mask) = plan.rounds.get(round).and_then(|r| r.mask.as_ref()) else { return Ok(()) };
    let mut parts = Vec::new();
    let mut left_out = Vec::new();
    for set in &plan.targets {
        let record = records.iter().find(|r| r.name == set.name);
        match record.and_then(|r| last_accepted(r, round)) {
            Some(accepted) => parts.push(part(&set.name, &plan.layout_of(set), accepted, mask)),
            None => left_out.push((set.name.clone(), why_not(record))),
        }
    }
    if parts.is_empty() {
        return Err(Error::external(format!(
            "round {round}: no measurement set has an image for the field's mask; look at the report for what failed"
        )));
    }
    for (name, why) in &left_out {
        tell(Level::Warning, format!("{name}: left out of the field image of round {round}: {why}"));
    }
    let keys: Vec<(&str, &StepKey)> = parts.iter().map(|p| (p.name.as_str(), &p.key)).collect();
    let folder = field_folder(&plan.output, round);
    let field = FieldImage {
        round,
        image: folder.join("image.fits"),
        weights: folder.join("image.weight.fits"),
        key: StepKey::of(&("field", keys, &mask.field)),
        beams: parts.iter().map(|p| p.name.clone()).collect(),
        left_out,
    };
    let done = load(&plan.output, round).is_ok_and(|old| old.key == field.key && old.image.exists());
    if !done {
        fs::remove(&folder)?;
        fs::make(&folder)?;
        let inputs: Vec<MosaicInput> = parts.into_iter().map(|p| p.input).collect();
        let request = MosaicRequest {
            inputs: &inputs,
            like: None,
            cutoff: mask.field.cutoff,
            common_beam: mask.field.common_beam,
            output: &field.image,
            weights: &field.weights,
        };
        let made = files::write(&request)?;
        let (ny, nx) = made.shape;
        tell(Level::Info, format!("round {round}: {}, {nx} x {ny} pixels", field.about()));
        if let Some(beam) = made.beam.filter(|_| !made.convolved.is_empty()) {
            tell(Level::Info, format!("restoring beams differ: images are convolved to a common one, {beam}"));
        }
        if !made.other_beams.is_empty() {
            tell(Level::Info, "restoring beams differ: the field image has the first one's".to_string());
        }
        // Last: only now it counts.
        let json = serde_json::to_vec_pretty(&field).expect("plain data");
        fs::write_atomically(&folder.join(ABOUT), &json)?;
    }
    mask_of(&field, mask, 1.0).map(|_| ())
}

fn last_accepted(record: &DatasetRecord, before: usize) -> Option<&RoundRecord> {
    let accepted = |r: &&RoundRecord| {
        let verdict = r.decision.as_ref().map(|d| d.verdict);
        r.round < before && matches!(verdict, Some(Verdict::Accepted | Verdict::Converged)) && r.products.is_some()
    };
    record.rounds.iter().rev().find(accepted)
}

fn why_not(record: Option<&DatasetRecord>) -> String {
    let error = record.and_then(|r| r.messages.iter().rev().find(|m| m.level == Level::Error));
    match error {
        Some(message) => message.text.lines().next().unwrap_or_default().to_string(),
        None => "it has no accepted image".to_string(),
    }
}

fn part(name: &str, layout: &Layout, accepted: &RoundRecord, mask: &MaskPlan) -> FieldPart {
    let products = accepted.products.clone().expect("looked at before");
    let key = Journal::last_done_key(&layout.journal(), StepId::of(accepted.id(), Step::Image))
        .unwrap_or_else(|| StepKey::of(&("image file", &products.image)));
    let dish = mask.field.dish.or_else(|| dish_of(layout));
    let primary_beam = match (products.pb, dish) {
        (Some(pb), _) if mask.field.dish.is_none() => MosaicBeam::Map(pb),
        (_, Some(metres)) if metres > 0.0 => MosaicBeam::Dish(metres),
        _ => MosaicBeam::Unknown,
    };
    FieldPart { name: name.to_string(), key, input: MosaicInput { image: products.image, primary_beam } }
}

/// The dishes' diameter by the antenna tables, metres: that of most antennas.
fn dish_of(layout: &Layout) -> Option<f64> {
    let entries = Journal::read(&layout.journal()).ok()?;
    let prepared = entries.into_iter().rev().find_map(|entry| match entry.event {
        JournalEvent::Done { step: StepId::PREPARE, result, .. } => serde_json::from_value::<Prepared>(result).ok(),
        _ => None,
    })?;
    let antennas = prepared.sets.iter().flat_map(|set| &set.summary.antennas);
    let mut diameters: Vec<f64> = antennas.filter(|a| a.has_data).map(|a| a.diameter_m).filter(|d| *d > 0.0).collect();
    diameters.sort_by(f64::total_cmp);
    diameters.get(diameters.len() / 2).copied()
}

/// A field's mask and its reasons.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct FieldMask {
    /// The file.
    pub path: PathBuf,
    /// Scales, a bit each.
    pub scales: usize,
    /// Median rms of the noise map, Jy/beam, where one was needed.
    pub rms: Option<f64>,
    /// Notes for the user.
    pub notes: Vec<String>,
}

/// The mask of the whole field, made once for each set of options; `caution` multiplies levels chosen from the image.
///
/// # Errors
/// An image that cannot be used, invalid options.
pub(crate) fn mask_of(field: &FieldImage, mask: &MaskPlan, caution: f64) -> Result<FieldMask> {
    // All measurement sets of this process want it at the same time; other processes make the same file.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let name = StepKey::of(&("field mask", &field.key, &mask.recipe, caution));
    let path = field.image.with_file_name(format!("mask-{}.fits", &name.as_str()[..12]));
    let about = path.with_extension("json");
    if path.exists()
        && let Some(known) = std::fs::read(&about).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok())
    {
        return Ok(known);
    }
    let recipe = recipe_of(mask, caution);
    let made = maker::make(&request(&field.image, &recipe, &path))?;
    let known = FieldMask { path, scales: made.bits, rms: made.rms, notes: made.why() };
    fs::write_atomically(&about, &serde_json::to_vec_pretty(&known).expect("plain data"))?;
    Ok(known)
}
