//! Defaults of a plain campaign: a file that asks for calibration in its `campaign:` block and has no `selfcal:` block says
//! what is worked on and leaves the rest to the program. Files with rounds, imaging alone (`calibrator: none`), and flint
//! strategies keep flint's defaults.

use super::ModeMaps;
use super::programs::ImagerKind;
use super::reading::findings::Findings;
use super::reading::problem::Problem;
use super::reading::yaml::Node;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};
use std::fmt;

/// The last round of a plain campaign: with intervals that the program chooses a campaign mostly ends before it.
const ROUNDS: usize = 10;

/// A fresh mask before every fourth major cycle: as good as before each, at half of the imager's calls.
const MASK_EVERY: usize = 4;

/// The defaults that fill what a campaign file leaves out, where they are not those of the tables.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct FilledIn {
    /// It is a plain campaign.
    pub plain: bool,
    /// The values that were filled in, `KEY=VALUE`.
    pub values: Vec<String>,
}

impl FilledIn {
    /// What was filled in for an option (`wsclean.mgain`) that the file leaves out; the command line may have another value.
    pub fn value(&self, option: &str) -> Option<&str> {
        self.values
            .iter()
            .filter_map(|value| value.split_once('='))
            .find(|(key, _)| *key == option)
            .map(|(_, text)| text)
    }
}

impl fmt::Display for FilledIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.plain, self.values.is_empty()) {
            (true, _) => f.write_str("those of a plain campaign (no `selfcal` block)")?,
            (false, true) => f.write_str("flint's")?,
            (false, false) => f.write_str("flint's, and as the file names no solution interval")?,
        }
        if self.values.is_empty() { Ok(()) } else { write!(f, ": {}", self.values.join(" ")) }
    }
}

/// An imager's options: those of all rounds, and the threshold of round 0 with its key. The first image is made from
/// uncalibrated data: artefacts exceed several times the noise, and what is cleaned of them is calibrated into the data.
/// Where the numbers come from: docs/campaign.md, "A plain campaign".
struct ImagerDefaults {
    mode: &'static str,
    all: Json,
    first: (&'static str, Json),
}

impl ImagerDefaults {
    /// Those of the imager with this name in a campaign file.
    fn of(imager: Option<&str>) -> Option<Self> {
        match imager {
            Some("command") => None,
            Some("casa") => Some(Self {
                mode: "tclean",
                all: json!({"weighting": "briggs", "robust": 0, "niter": 50_000, "nmajor": 12, "nsigma": 1}),
                first: ("nsigma", json!(12)),
            }),
            _ => Some(Self {
                mode: "wsclean",
                all: json!({
                    "weight": "briggs 0", "niter": 50_000, "nmiter": 12, "mgain": 0.8, "auto_mask": 5,
                    "auto_threshold": 1, "local_rms": false, "channels_out": 1,
                }),
                first: ("auto_threshold", json!(12)),
            }),
        }
    }
}

/// Options of the solves: intervals and baselines that the program chooses, the flux scale kept, auto_selfcal's limit of the S/N, and with CASA
/// weights that follow the amplitudes.
fn gaincal_defaults(calibrator: Option<&Json>) -> Json {
    let mut all = json!({"solint": "auto", "minsnr": 2, "uvrange": "auto", "normtype": "flux"});
    if calibrator.is_none_or(|name| *name == json!("casa")) {
        all["calwt"] = json!(true);
    }
    all
}

/// Fills in what the file leaves out; `data` is its content with the command line's values, `overrides` are the command
/// line's options of all rounds.
pub(super) fn fill_in(tree: &Node, data: &mut Json, overrides: &ModeMaps) -> FilledIn {
    let mut filled = FilledIn::default();
    // A strategy has no block of its own.
    let Some(block) = tree.get("campaign") else { return filled };
    let calibrator = block.get("calibrator").map(Node::to_json);
    filled.plain = tree.get("selfcal").is_none() && calibrator != Some(json!("none"));
    if filled.plain {
        fill_block(data, &mut filled);
        if let Some(imager) = ImagerDefaults::of(data.pointer("/campaign/imager").and_then(Json::as_str)) {
            fill_first_round(data, &imager, &mut filled);
            fill_mode(data, imager.mode, &imager.all, &mut filled);
        }
        fill_mode(data, "gaincal", &gaincal_defaults(calibrator.as_ref()), &mut filled);
        return filled;
    }
    if is_uncalibrated(data) {
        return filled;
    }
    let named = ["defaults", "selfcal"].into_iter().filter_map(|part| data.get(part)).any(names_interval);
    if !named && !overrides.get("gaincal").is_some_and(|options| options.contains_key("solint")) {
        fill_mode(data, "gaincal", &json!({"solint": "auto"}), &mut filled);
    }
    filled
}

/// Whether nothing is solved for: the only image has the options of all rounds.
fn is_uncalibrated(data: &Json) -> bool {
    data.pointer("/campaign/calibrator") == Some(&json!("none"))
}

/// Whether a solution interval or a chain of solves is named anywhere in the options of all or of single rounds.
fn names_interval(options: &Json) -> bool {
    let Some(map) = options.as_object() else { return false };
    map.iter().any(|(key, value)| key == "solint" || (key == "gaincal" && value.is_array()) || names_interval(value))
}

/// The number of rounds, what is imaged together, and the masks.
fn fill_block(data: &mut Json, filled: &mut FilledIn) {
    let rounds = if is_uncalibrated(data) { 0 } else { ROUNDS };
    let Some(block) = map_in(data, "campaign") else { return };
    let is = |block: &Map<String, Json>, key: &str, word: &str| block.get(key).and_then(Json::as_str) == Some(word);
    fill(block, "rounds", &json!(rounds), "campaign.rounds", filled);
    fill(block, "together", &json!("pointing"), "campaign.together", filled);
    if rounds > 0 {
        fill(block, "start_model", &json!("auto"), "campaign.start_model", filled);
    }
    // Commands make an image at once, and a mask of the whole field is made once a round.
    let one_mask = is(block, "imager", "command");
    let mask = block.entry("mask").or_insert_with(|| Json::Object(Map::new()));
    if mask.is_string() {
        *mask = json!({"method": mask.take()});
    }
    let Some(mask) = mask.as_object_mut() else { return };
    fill(mask, "method", &json!("auto"), "campaign.mask.method", filled);
    if !one_mask && !is(mask, "method", "none") && !is(mask, "image", "field") {
        fill(mask, "cadence", &json!("cycle"), "campaign.mask.cadence", filled);
        if is(mask, "cadence", "cycle") {
            fill(mask, "every", &json!(MASK_EVERY), "campaign.mask.every", filled);
        }
    }
}

/// The threshold of round 0, unless one is written for all rounds; the other rounds have the defaults alone.
fn fill_first_round(data: &mut Json, imager: &ImagerDefaults, filled: &mut FilledIn) {
    let (mode, (key, value)) = (imager.mode, &imager.first);
    if data.pointer(&format!("/defaults/{mode}/{key}")).is_some() {
        return;
    }
    if is_uncalibrated(data) {
        return;
    }
    let Some(rounds) = map_in(data, "selfcal") else { return };
    rounds.entry("1").or_insert_with(|| Json::Object(Map::new()));
    let first = rounds.entry("0").or_insert_with(|| Json::Object(Map::new()));
    let Some(options) = map_in(first, mode) else { return };
    fill(options, key, value, &format!("selfcal.0.{mode}.{key}"), filled);
}

/// The options of a mode; where a chain is written, those of each of its solves but for the interval: the program chooses
/// whole chains only.
fn fill_mode(data: &mut Json, mode: &str, options: &Json, filled: &mut FilledIn) {
    let Some(defaults) = map_in(data, "defaults") else { return };
    let written = defaults.entry(mode).or_insert(Json::Null);
    if written.is_null() {
        *written = Json::Object(Map::new());
    }
    let is_chain = written.is_array();
    let solves = match written {
        Json::Array(solves) => solves.iter_mut().collect(),
        single => vec![single],
    };
    for solve in solves.into_iter().filter_map(Json::as_object_mut) {
        for (key, value) in options.as_object().into_iter().flatten().filter(|(key, _)| !(is_chain && *key == "solint"))
        {
            fill(solve, key, value, &format!("{mode}.{key}"), filled);
        }
    }
}

/// The map at a key, which is made if need be.
fn map_in<'a>(data: &'a mut Json, key: &str) -> Option<&'a mut Map<String, Json>> {
    let value = data.as_object_mut()?.entry(key).or_insert(Json::Null);
    if value.is_null() {
        *value = Json::Object(Map::new());
    }
    value.as_object_mut()
}

/// Sets a key that is not there.
fn fill(map: &mut Map<String, Json>, key: &str, value: &Json, name: &str, filled: &mut FilledIn) {
    if !map.contains_key(key) {
        map.insert(key.to_owned(), value.clone());
        let text = match value {
            Json::String(text) if text.is_empty() || text.contains(' ') => format!("'{text}'"),
            Json::String(text) => text.clone(),
            other => other.to_string(),
        };
        filled.values.push(format!("{name}={text}"));
    }
}

/// The imager's options name size and pixel of the image: there is no default that fits.
pub(super) fn check(found: &mut Findings<'_>) {
    let campaign = found.campaign;
    if !campaign.filled_in.plain {
        return;
    }
    let (mode, keys) = match campaign.block.imager {
        ImagerKind::Wsclean => ("wsclean", [("size", "640"), ("scale", "1.2asec")]),
        ImagerKind::Casa => ("tclean", [("imsize", "640"), ("cell", "1.2arcsec")]),
        ImagerKind::Command => return,
    };
    let written = |key: &str| {
        [&campaign.defaults, &campaign.overrides].iter().any(|maps| maps.get(mode).is_some_and(|m| m.contains_key(key)))
    };
    for (key, example) in keys.into_iter().filter(|(key, _)| !written(key)) {
        let place = campaign.tree.entry("defaults").and_then(|entry| entry.value.get(mode)).map(|node| node.span);
        found.problems.push(
            Problem::new(place, format!("`defaults.{mode}.{key}` is missing: there is no default for it"))
                .help(format!("name size and pixel of the image, e.g. `{key}: {example}`")),
        );
    }
}
