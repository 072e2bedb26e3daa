//! Parts of a campaign file's data: version, options by round and mode, what is not run.

use super::Problem;
use super::yaml::{Node, Value};
use crate::campaign::file::modes::{MODES_NOT_RUN, OPERATIONS, OPERATIONS_NOT_RUN, operation_path};
use crate::campaign::file::{ModeMaps, ModeOptions};
use indexmap::IndexMap;
use serde_json::Value as Json;
use std::collections::BTreeMap;

/// The only version of the format there is.
const VERSION: f64 = 0.2;

pub(super) fn version(tree: &Node, problems: &mut Vec<Problem>) {
    let Value::Map(_) = &tree.value else { return };
    let expected = "this program reads version 0.2 of flint's strategy format";
    let Some(node) = tree.get("version") else {
        problems.push(Problem::new(None, "`version` is missing").help(format!("{expected}: write `version: 0.2`")));
        return;
    };
    let found = match &node.value {
        Value::Float(version) if (version - VERSION).abs() < f64::EPSILON => return,
        Value::Str(version) if version == "0.2" => return,
        Value::Float(version) => version.to_string(),
        Value::Int(version) => version.to_string(),
        Value::Str(version) => version.clone(),
        _ => "not a number".to_owned(),
    };
    problems.push(Problem::new(node.span, format!("the version of the file is {found}; expected 0.2")).help(expected));
}

/// The maps of the modes.
pub(super) fn mode_maps(data: Option<&Json>) -> ModeMaps {
    let mut maps = ModeMaps::new();
    for (mode, options) in data.and_then(Json::as_object).into_iter().flatten() {
        if !MODES_NOT_RUN.contains(&mode.as_str()) {
            maps.insert(mode.clone(), ModeOptions::of(options));
        }
    }
    maps
}

pub(super) fn round_maps(data: &Json) -> BTreeMap<usize, ModeMaps> {
    let rounds = data.get("selfcal").and_then(Json::as_object).into_iter().flatten();
    rounds.filter_map(|(round, modes)| Some((round.parse().ok()?, mode_maps(Some(modes))))).collect()
}

/// The options of flint's operations that are there, by operation and mode.
pub(super) fn operation_maps(data: &Json) -> IndexMap<String, ModeMaps> {
    let of = |name: &&str| {
        let at = operation_path(name);
        let modes = at.iter().try_fold(data, |data, key| data.get(key))?;
        Some(((*name).to_owned(), mode_maps(Some(modes))))
    };
    OPERATIONS.iter().filter_map(of).collect()
}

pub(super) fn not_run(data: &Json) -> Vec<String> {
    let mut found = Vec::new();
    for operation in OPERATIONS_NOT_RUN {
        if data.get(operation).is_some() {
            found.push(format!("the operation `{operation}`"));
        }
    }
    let defaults = data.get("defaults").into_iter();
    let rounds = data.get("selfcal").and_then(Json::as_object).into_iter().flat_map(|rounds| rounds.values());
    for mode in MODES_NOT_RUN {
        if defaults.clone().chain(rounds.clone()).any(|modes| modes.get(mode).is_some()) {
            found.push(format!("the mode `{mode}`"));
        }
    }
    for operation in OPERATIONS {
        let at = operation_path(operation);
        let modes = at.iter().try_fold(data, |data, key| data.get(key)).and_then(Json::as_object);
        for mode in modes.into_iter().flat_map(|modes| modes.keys()).filter(|mode| *mode != "wsclean") {
            found.push(format!("the mode `{mode}` of `{}`", at.join(".")));
        }
    }
    if data.pointer("/polarisation/fitscube").is_some() {
        found.push("the mode `fitscube` of `polarisation`".to_owned());
    }
    found
}
