//! `campaign.final_imaging`: images and cubes that are made once the best round is known.

use super::ImagerKind;
use super::mask::{self, MaskInput, MaskSettings};
use super::reading::findings::Findings;
use super::reading::typed::invalid_values;
use crate::imager::tclean::TcleanOptions;
use crate::imager::wsclean::WscleanOptions;
use crate::major_cycle::StopOptions;
use crate::measurement_set::continuum::UvcontsubOptions;
use crate::options::Validate;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value as Json};

/// The data of a final imaging.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FinalData {
    /// Those that the rounds worked on, with the best tables applied.
    #[default]
    Working,
    /// The original data, un-averaged and unselected, with the best tables applied: a copy of them is made.
    Full,
}

/// The part of the sky that is taken out of the data of a final imaging.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Subtract {
    /// Nothing.
    #[default]
    None,
    /// The continuum, fitted to line-free channels of the visibilities (CASA's `uvcontsub`).
    Continuum,
    /// The model of the best round, predicted and subtracted (flint's `subtractcube`).
    Model,
}

/// Beams that the channels of a cube are restored with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RestoringBeam {
    /// Each channel's own.
    #[default]
    Fitted,
    /// The smallest that all channels can be convolved to.
    Common,
}

/// One imaging after the best round. Options of the imager update those of the campaign's last round, key by key.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FinalImaging {
    /// The program that makes the images. Default: that of the campaign.
    pub imager: Option<ImagerKind>,
    /// Options of wsclean.
    #[schemars(with = "WscleanOptions")]
    pub wsclean: Map<String, Json>,
    /// Options of tclean.
    #[schemars(with = "TcleanOptions")]
    pub tclean: Map<String, Json>,
    /// Clean masks: a method, or a map of settings as in `campaign.mask`, with cadence `cycle` unless another is named. A
    /// mask of cadence `round` is made from the best round's image. Default: the campaign's method with cadence `cycle`.
    #[serde(deserialize_with = "read_mask")]
    #[schemars(with = "Option<MaskInput>")]
    pub mask: Option<MaskSettings>,
    /// Limits at which the cleaning ends, with cadence `cycle`. Default: those of the campaign.
    pub stop: Option<StopOptions>,
    /// The data: those that were worked on, or the full original ones with the best tables applied.
    pub data: FinalData,
    /// What is subtracted from a copy of the data before.
    pub subtract: Subtract,
    /// Options of CASA's uvcontsub, for `subtract: continuum`.
    pub uvcontsub: UvcontsubOptions,
    /// Cubes are imaged in groups of this many neighbouring channels, each group by itself: as many at a time as
    /// `resources.concurrent` says, or as jobs of an array. Default: the whole cube at once.
    #[schemars(range(min = 1))]
    pub channels_per_job: Option<usize>,
    /// Number of channels, where the imager is a command.
    #[schemars(range(min = 1))]
    pub channels: Option<usize>,
    /// Beams of a cube that is put together from groups: those that were fitted to each channel, or one `common` to all.
    pub restoringbeam: RestoringBeam,
    /// The images of the groups are removed once the cube was put together.
    pub remove_groups: bool,
}

/// A word or a map; a map without a cadence has cadence `cycle`.
fn read_mask<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<MaskSettings>, D::Error> {
    use serde::de::Error;
    let value = Json::deserialize(deserializer)?;
    let map = match value {
        Json::Null => return Ok(None),
        Json::Object(map) => map,
        word => Map::from_iter([("method".to_owned(), word)]),
    };
    let cadence = ("cadence".to_owned(), Json::from("cycle"));
    let map: Map<String, Json> = std::iter::once(cadence).chain(map).collect();
    serde_json::from_value(map.into()).map(Some).map_err(D::Error::custom)
}

/// Names that files and folders beside the imagings have.
const TAKEN: [&str; 2] = ["data", "calibration"];

/// Names are fit for folders, and options go together.
pub(super) fn check(found: &mut Findings<'_>) {
    let block = &found.campaign.block;
    for (name, imaging) in &block.final_imaging {
        let key = &["final_imaging", name.as_str()];
        let fits = |c: char| c.is_ascii_alphanumeric() || "-_+".contains(c);
        if name.is_empty() || !name.chars().all(fits) || TAKEN.contains(&name.as_str()) {
            let text = format!("`{name}` cannot be the name of a final imaging, which has a folder of that name");
            found.problem(key, text, "use letters, digits, `-`, `_` and `+`");
        }
        let imager = imaging.imager.unwrap_or(block.imager);
        for (mode, options) in [("wsclean", &imaging.wsclean), ("tclean", &imaging.tclean)] {
            for (wrong, message) in invalid_values(mode, options.clone().into()) {
                found.problem(&["final_imaging", name, mode, &wrong], message, "");
            }
            if imager.mode() != Some(mode) && !options.is_empty() {
                let text = format!("the options of `{mode}` in `final_imaging.{name}` are not used");
                found.problem(&["final_imaging", name, mode], text, "its imager is another one: leave them out");
            }
        }
        for error in imaging.uvcontsub.problems() {
            found.problem(&["final_imaging", name, "uvcontsub", error.key()], error.to_string(), "");
        }
        if imaging.subtract != Subtract::Continuum && imaging.uvcontsub != UvcontsubOptions::default() {
            let text = format!("the options of `uvcontsub` in `final_imaging.{name}` are not used");
            found.problem(
                &["final_imaging", name, "uvcontsub"],
                text,
                "write `subtract: continuum`, or leave them out",
            );
        }
        if imager == ImagerKind::Command && block.executables.imager.is_empty() {
            let text = "the imager `command` needs a command line";
            found.problem(key, text, "give its words under `campaign.executables.imager`");
        }
        let counted = imager == ImagerKind::Command && imaging.channels.is_none();
        if imaging.channels_per_job.is_some() && counted {
            let text = "`channels_per_job` with a command as imager needs the number of channels";
            found.problem(key, text, "name it: `channels: 1000`");
        }
        if let Some(settings) = &imaging.mask {
            mask::check_settings(found, settings, &["final_imaging", name, "mask"]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaign::file::{MaskCadence, MaskMethod};

    #[test]
    fn masks_of_final_images_are_made_between_cycles() {
        let read = |text: &str| serde_yaml::from_str::<FinalImaging>(text).unwrap().mask;
        assert_eq!(read("{}"), None);
        let word = read("{mask: auto}").unwrap();
        assert_eq!((word.method, word.cadence), (MaskMethod::Auto, MaskCadence::Cycle));
        let map = read("{mask: {method: flint}}").unwrap();
        assert_eq!((map.method, map.cadence), (MaskMethod::Flint, MaskCadence::Cycle));
        assert_eq!(read("{mask: {cadence: round}}").unwrap().cadence, MaskCadence::Round);
    }
}
