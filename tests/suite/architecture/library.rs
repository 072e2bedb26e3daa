//! The layers of the library: a module uses what is below it, and modules never use each other in a circle.

use super::layers::{circles, too_large, upward_arrows};
use super::source::{Crate, files_below};
use std::collections::BTreeMap;
use std::path::Path;

/// Bottom to top. A folder that is listed with its rooms has no other rooms, and its own `mod.rs` is above them.
const LAYERS: [&str; 31] = [
    "error",
    "util",
    "options",
    "kernels",
    "image",
    "noise",
    "masking",
    "quality",
    "process",
    "programs",
    "measurement_set",
    "imager",
    "major_cycle",
    "calibrator",
    "batch_system",
    "campaign::layout",
    "campaign::rules",
    "campaign::file",
    "campaign::plan",
    "campaign::journal",
    "campaign::record",
    "campaign::events",
    "campaign::steps",
    "campaign::rounds",
    "campaign::run",
    "campaign::apply",
    "campaign::final_imaging",
    "campaign::choice",
    "campaign",
    "report",
    "cli",
];

fn library() -> BTreeMap<String, String> {
    files_below(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"))
}

#[test]
fn a_module_uses_only_what_is_below_it() {
    let found = upward_arrows(&Crate::new(&library()), &LAYERS);
    assert!(found.is_empty(), "{} arrows upwards:\n{}", found.len(), found.join("\n"));
}

#[test]
fn modules_never_use_each_other_in_a_circle() {
    let found = circles(&Crate::new(&library()));
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn folders_and_files_are_of_a_size_to_be_read() {
    let found = too_large(&library());
    assert!(found.is_empty(), "{}", found.join("\n"));
}
