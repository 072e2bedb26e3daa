//! `campaign.mask`: which masks are made, when, and what is always in or out.

use super::reading::findings::Findings;
use super::rounds::RoundSelection;
use crate::image::Zeros;
use crate::image::mosaic::DEFAULT_CUTOFF;
use crate::masking::auto::AutoMaskOptions;
pub use crate::masking::{CombineRule, MaskMethod};
use crate::noise::NoiseOptions;
use crate::options::Validate;
use crate::quality::confetti::ConfettiOptions;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use std::path::PathBuf;

/// Cadence of the masks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MaskCadence {
    /// Once per round, before imaging, from the last accepted image.
    #[default]
    Round,
    /// Before each major cycle, from the current residual, too.
    Cycle,
}

/// The image that masks are made from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MaskImage {
    /// Each measurement set's own (flint's beam masks).
    #[default]
    Beam,
    /// The field image: the images of all measurement sets on one grid. Each one's mask is cut from the field's mask.
    Field,
}

/// How the images of a field's beams are combined.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FieldOptions {
    /// Diameter of the dishes, metres, for a Gaussian primary beam with a FWHM of 1.09 wavelengths over the diameter; 0: no
    /// primary beam. Default: the imager's map of the primary beam, else the diameter in the measurement set.
    #[schemars(range(min = 0.0))]
    pub dish: Option<f64>,
    /// Pixels with a lower primary-beam response are left out.
    #[schemars(range(min = 0.0), extend("exclusiveMaximum" = 1))]
    pub cutoff: f64,
    /// Images with different restoring beams are convolved to a common one first.
    pub common_beam: bool,
}

impl Default for FieldOptions {
    fn default() -> Self {
        Self { dish: None, cutoff: DEFAULT_CUTOFF, common_beam: true }
    }
}

impl FieldOptions {
    /// Nothing was changed.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl MaskImage {
    /// Nothing was changed.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Clean masks of a campaign. A single word stands for the method.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MaskSettings {
    /// Method by which masks are made.
    pub method: MaskMethod,
    /// The image that masks are made from: each measurement set's own (`beam`), or that of the whole `field`.
    pub image: MaskImage,
    /// With image `field`: how the images are combined.
    pub field: FieldOptions,
    /// When masks are made: once per `round`, or before each major `cycle`.
    pub cadence: MaskCadence,
    /// With cadence `cycle`: a fresh mask only before every n-th major cycle.
    #[schemars(range(min = 1))]
    pub every: usize,
    /// With method `both`: how the two masks are combined.
    pub combine: CombineRule,
    /// Rounds that are cleaned with a mask: `all`, a number (that round and all later ones), a list, or `none`.
    pub rounds: RoundSelection,
    /// `false` switches masks off in every round, whatever `rounds` says.
    pub allow: bool,
    /// Masks (FITS) and regions (DS9, CRTF) that are always cleaned.
    pub include: Vec<PathBuf>,
    /// Masks and regions that are never cleaned.
    pub exclude: Vec<PathBuf>,
    /// Background and noise for masks by signal-to-noise ratio; the modes `noise` and `bane` overrule it by round.
    pub noise: NoiseOptions,
    /// Meaning of large connected regions of exact zeros (a square of 16 pixels fits in), such as the border of a mosaic:
    /// `no-data`, as if they were NaN, or `data`. Auto-multithresh takes them as data.
    pub zeros: Zeros,
    /// Limits of the method `auto`.
    pub auto: AutoMaskOptions,
    /// With cadence `cycle`, in cubes: before each mask, model pixels that are confetti (see `docs/confetti.md`) are
    /// removed from the mask for good, and the model is repaired.
    pub confetti_veto: bool,
    /// Limits of the confetti statistic.
    pub confetti: ConfettiOptions,
    /// With cadence `cycle`: once two masks in a row differ from the mask before in less than this fraction of their
    /// pixels, the mask is kept for the rest of the round, which then runs in one call.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub freeze_change: f64,
}

/// Fraction of changed pixels below which a mask counts as settled: well under what one more island would change.
const DEFAULT_FREEZE_CHANGE: f64 = 0.01;

impl Default for MaskSettings {
    fn default() -> Self {
        Self {
            method: MaskMethod::Flint,
            image: MaskImage::default(),
            field: FieldOptions::default(),
            cadence: MaskCadence::default(),
            every: 1,
            combine: CombineRule::default(),
            rounds: RoundSelection::All,
            allow: true,
            include: Vec::new(),
            exclude: Vec::new(),
            noise: NoiseOptions::default(),
            zeros: Zeros::default(),
            auto: AutoMaskOptions::default(),
            confetti_veto: true,
            confetti: ConfettiOptions::default(),
            freeze_change: DEFAULT_FREEZE_CHANGE,
        }
    }
}

/// As written in the file: a word or a map.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum MaskInput {
    Method(MaskMethod),
    Settings(Box<MaskSettings>),
}

pub(crate) fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<MaskSettings, D::Error> {
    Ok(match MaskInput::deserialize(deserializer)? {
        MaskInput::Method(method) => MaskSettings { method, ..MaskSettings::default() },
        MaskInput::Settings(settings) => *settings,
    })
}

/// Rounds with a mask are named once, and the method works on the chosen image.
pub(super) fn check(found: &mut Findings<'_>) {
    let mask = &found.campaign.block.mask;
    let fields = ["use_beam_masks_rounds", "use_beam_masks_from"];
    if let Some(field) = fields.into_iter().find(|field| found.span(&[field]).is_some())
        && found.span(&["mask", "rounds"]).is_some()
    {
        let text = format!("`mask.rounds` and `{field}` are given");
        found.problem(&["mask", "rounds"], text, "they mean the same: keep one of them");
    }
    check_settings(found, mask, &["mask"]);
}

/// The method works on the chosen image, and the noise options go together.
pub(super) fn check_settings(found: &mut Findings<'_>, mask: &MaskSettings, key: &[&str]) {
    if mask.image == MaskImage::Field && mask.method.uses_multithresh() {
        found.problem(
            &[key, &["image"]].concat(),
            "a mask of the field needs the method `flint` or `auto`",
            "auto-multithresh works on each measurement set's own residual: `image: beam`",
        );
    }
    for error in mask.noise.problems() {
        found.problem(&[key, &["noise"]].concat(), error.to_string(), "");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_are_no_data_unless_the_file_says_so() {
        assert_eq!(MaskSettings::default().zeros, Zeros::NoData);
        let settings: MaskSettings = serde_yaml::from_str("{zeros: data}").unwrap();
        assert_eq!(settings.zeros, Zeros::Data);
        assert_eq!(serde_json::to_value(&settings).unwrap()["zeros"], "data");
    }
}
