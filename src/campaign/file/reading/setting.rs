//! Values of the command line on top of those of the file.

use super::maps::mode_maps;
use super::typed::invalid_values;
use super::yaml::{self, Node, Value, YamlEntry};
use super::{ConfigError, Problem, TextSpan, check};
use crate::campaign::file::{ModeMaps, Modes};
use serde_json::{Map, Value as Json};
use std::path::PathBuf;

/// Values of the command line, which go before those of the file.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Overrides {
    /// In place of `campaign.measurement_sets`; relative paths start at the working directory.
    pub measurement_sets: Vec<String>,
    /// In place of `campaign.output`; a relative path starts at the working directory.
    pub output: Option<PathBuf>,
    /// Settings `KEY=VALUE`, the value in YAML: `wsclean.niter=1000` (every round), `selfcal.2.gaincal.solint=30s`,
    /// `campaign.rounds=4`.
    pub settings: Vec<String>,
}

/// First parts of keys that are those of a file; options of a tool start with its name.
const TOP_LEVEL: [&str; 6] = ["campaign", "defaults", "selfcal", "stokesv", "subtractcube", "polarisation"];

/// Puts one `KEY=VALUE` of the command line in its place.
pub(super) fn apply_setting(
    setting: &str,
    root: &Json,
    data: &mut Json,
    modes: &mut ModeMaps,
) -> Result<(), ConfigError> {
    let fail = |problems| ConfigError { name: "--set".to_owned(), text: setting.to_owned(), problems };
    let whole = TextSpan::new(0, setting.len());
    let Some((key, value)) = setting.split_once('=') else {
        let problem = Problem::new(whole, "a setting is KEY=VALUE").help("for example `wsclean.niter=1000`");
        return Err(fail(vec![problem]));
    };
    let node = tree_of(key, value, whole).map_err(fail)?;
    let modes_schema = &root["$defs"]["Modes"];
    if !key.contains('.') {
        return Err(fail(vec![half_a_name(key, whole, root)]));
    }
    let top_level = TOP_LEVEL.iter().any(|part| key.split('.').next() == Some(part));
    // A part of a file lacks the keys that a file must have.
    let mut partial = if top_level { root.clone() } else { modes_schema.clone() };
    if let Some(object) = partial.as_object_mut() {
        object.remove("required");
    }
    let mut problems = Vec::new();
    let checked = check::check(&node, &partial, root, "", &mut problems);
    if !problems.is_empty() {
        return Err(fail(problems));
    }
    if top_level {
        forget_synonyms(key, data);
        merge(data, checked);
        return Ok(());
    }
    for (mode, options) in mode_maps(Some(&checked)) {
        let all = options.maps().iter().cloned().map(Json::Object);
        let mut wrong: Vec<_> = all.flat_map(|options| invalid_values(&mode, options)).collect();
        if let Err(error) = serde_json::from_value::<Modes>(checked.clone()) {
            wrong.insert(0, (String::new(), error.to_string()));
        }
        if let Some((_, message)) = wrong.into_iter().next() {
            return Err(fail(vec![Problem::new(whole, message)]));
        }
        modes.entry(mode).or_default().update(options);
    }
    Ok(())
}

/// The tree that a file with this setting alone would have; places are those of the whole setting.
fn tree_of(key: &str, value: &str, whole: TextSpan) -> Result<Node, Vec<Problem>> {
    let mut node = yaml::parse(value).map_err(|problems| {
        problems.into_iter().map(|problem| Problem { span: Some(whole), context: None, ..problem }).collect::<Vec<_>>()
    })?;
    node.span = TextSpan::new(key.len() + 1, key.len() + 1 + value.len());
    let mut end = key.len();
    for part in key.rsplit('.') {
        let span = TextSpan::new(end - part.len(), end);
        let entry = YamlEntry { key: part.to_owned(), key_span: span, value: node };
        node = Node { span, value: Value::Map(vec![entry]) };
        end = (end - part.len()).saturating_sub(1);
    }
    Ok(node)
}

/// The problem of a key without a dot.
fn half_a_name(key: &str, whole: TextSpan, root: &Json) -> Problem {
    let known = root["properties"].as_object().into_iter().chain(root["$defs"]["Modes"]["properties"].as_object());
    let names = known.flat_map(|map| map.keys().map(String::as_str));
    let problem = Problem::new(whole, format!("`{key}` is not the full name of an option"));
    match crate::options::nearest(key, names) {
        Some(near) => problem.help(format!("options are named like `{near}.OPTION=VALUE`")),
        None => problem.help("options are named like `wsclean.niter=1000` or `campaign.rounds=4`"),
    }
}

/// The keys that say in which rounds masks are used.
const MASK_ROUNDS_KEYS: [&str; 3] = ["mask.rounds", "use_beam_masks_from", "use_beam_masks_rounds"];

/// A value of the command line for one of the keys that name the mask's rounds replaces whichever the file has.
fn forget_synonyms(key: &str, data: &mut Json) {
    let Some(key) = key.strip_prefix("campaign.").filter(|key| MASK_ROUNDS_KEYS.contains(key)) else { return };
    let Some(block) = data.get_mut("campaign").and_then(Json::as_object_mut) else { return };
    block.shift_remove("use_beam_masks_rounds");
    block.shift_remove("use_beam_masks_from");
    if key != "mask.rounds"
        && let Some(mask) = block.get_mut("mask").and_then(Json::as_object_mut)
    {
        mask.shift_remove("rounds");
    }
}

/// Updates a map by another, level by level.
fn merge(into: &mut Json, from: Json) {
    match (into, from) {
        (Json::Object(into), Json::Object(from)) => {
            for (key, value) in from {
                let slot = into.entry(key.clone()).or_insert(Json::Null);
                // A word that stands for one setting makes room for others.
                if value.is_object() && slot.is_string() {
                    let single = if key == "scheduler" { "engine" } else { "method" };
                    *slot = Json::Object(Map::from_iter([(single.to_owned(), slot.take())]));
                }
                merge(slot, value);
            }
        }
        // Options for a chain are for each of its elements.
        (Json::Array(items), from @ Json::Object(_)) if items.iter().all(Json::is_object) => {
            items.iter_mut().for_each(|item| merge(item, from.clone()));
        }
        (into, from) => *into = from,
    }
}
