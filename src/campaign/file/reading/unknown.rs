//! Modes and operations of a flint strategy that this program does not know: flint gains some with each version, and a
//! strategy that names them is no mistake. They are taken out of the file and named as not run.

use super::yaml::{Node, Value};
use serde_json::Value as Json;

/// Names that differ from a known one by no more than this (insertions, deletions, exchanges of letters) are slips of the
/// pen, and stay mistakes.
const SLIP: usize = 1;

/// Takes unknown modes and operations out of a strategy, a file without a `campaign:` block; returns what is not run.
pub(super) fn take(tree: &mut Node, root: &Json) -> Vec<String> {
    let operations = names(&root["properties"]);
    let modes = names(&root["$defs"]["Modes"]["properties"]);
    let mut found = Vec::new();
    if tree.get("campaign").is_some() {
        return found;
    }
    let mut note = |text: String| {
        if !found.contains(&text) {
            found.push(text);
        }
    };
    for operation in strangers(tree, &operations) {
        note(format!("the operation `{operation}`"));
    }
    for_each_map_of_modes(tree, &mut |node, of, known| {
        for mode in strangers(node, if known.is_empty() { &modes } else { known }) {
            note(format!("the mode `{mode}`{of}"));
        }
    });
    found
}

fn names(properties: &Json) -> Vec<&str> {
    properties.as_object().map(|map| map.keys().map(String::as_str).collect()).unwrap_or_default()
}

/// Takes the entries out of a map that are neither known nor misspelt.
fn strangers(node: &mut Node, known: &[&str]) -> Vec<String> {
    let Value::Map(entries) = &mut node.value else { return Vec::new() };
    let is_stranger = |key: &str| known.iter().all(|name| strsim::osa_distance(key, name) > SLIP);
    entries.extract_if(.., |entry| is_stranger(&entry.key)).map(|entry| entry.key).collect()
}

/// Keys of the operation `polarisation`, which may hold modes, too.
const POLARISATION: [&str; 4] = ["total", "linear", "circular", "fitscube"];

/// Calls `work` with every map of modes, with the words that say which operation it belongs to (none for `defaults` and
/// rounds), and with the names that it may have besides modes: empty where there are only modes.
fn for_each_map_of_modes(tree: &mut Node, work: &mut dyn FnMut(&mut Node, &str, &[&str])) {
    let Value::Map(entries) = &mut tree.value else { return };
    for entry in entries {
        match entry.key.as_str() {
            "defaults" => work(&mut entry.value, "", &[]),
            "stokesv" | "subtractcube" => work(&mut entry.value, &format!(" of `{}`", entry.key), &[]),
            "polarisation" => {
                work(&mut entry.value, " of `polarisation`", &POLARISATION);
                let Value::Map(kinds) = &mut entry.value.value else { continue };
                for kind in kinds.iter_mut().filter(|kind| kind.key != "fitscube") {
                    work(&mut kind.value, &format!(" of `polarisation.{}`", kind.key), &[]);
                }
            }
            "selfcal" => {
                let Value::Map(rounds) = &mut entry.value.value else { continue };
                rounds.iter_mut().for_each(|round| work(&mut round.value, "", &[]));
            }
            _ => {}
        }
    }
}
