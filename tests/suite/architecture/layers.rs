//! What the order of a crate is checked for: arrows upwards, circles of modules, files and folders that are too large.

use super::source::{Crate, ItemPath};
use std::collections::{BTreeMap, BTreeSet};

/// Most Rust files in one folder, subfolders not counted.
const MOST_FILES: usize = 14;
/// Most lines of one file, its tests not counted.
const MOST_LINES: usize = 600;

/// The place in the list, bottom to top, of the layer that a module belongs to. A folder that is listed with its rooms
/// has no other rooms, and its own `mod.rs` is above them.
fn layer(layers: &[&str], module: &[String]) -> Option<usize> {
    let name = module.join("::");
    let inside = |layer: &str| name == layer || name.starts_with(&format!("{layer}::"));
    let found = (0..layers.len()).filter(|k| inside(layers[*k])).max_by_key(|k| layers[*k].len())?;
    let has_rooms = layers.iter().any(|l| l.starts_with(&format!("{}::", layers[found])));
    (!has_rooms || name == layers[found]).then_some(found)
}

/// What breaks the order of the layers, a line each.
pub(super) fn upward_arrows(source: &Crate, layers: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for module in source.modules.keys().filter(|m| !m.is_empty()) {
        let Some(own) = layer(layers, module) else {
            found.push(format!("{} is in no layer", module.join("::")));
            continue;
        };
        for target in source.used_by(module) {
            // A module is named on the way to what is below it; the crate's root has no items of its own.
            let on_the_way = target.item.is_none() && module.starts_with(&target.module);
            if on_the_way || target.module.is_empty() {
                continue;
            }
            if layer(layers, &target.module).is_some_and(|other| other > own) {
                let item = target.item.map(|item| format!("::{item}")).unwrap_or_default();
                found.push(format!("{} uses {}{item}", module.join("::"), target.module.join("::")));
            }
        }
    }
    found
}

/// Modules that use each other in a circle, a line a circle. That a module uses what its parent defines is no arrow: the
/// parent holds what its children share.
pub(super) fn circles(source: &Crate) -> Vec<String> {
    let arrows: BTreeMap<&ItemPath, BTreeSet<ItemPath>> = source
        .modules
        .keys()
        .map(|module| {
            let targets = source.used_by(module).into_iter().map(|t| t.module);
            (module, targets.filter(|target| !module.starts_with(target)).collect())
        })
        .collect();
    let all: BTreeMap<&ItemPath, BTreeSet<&ItemPath>> = arrows.keys().map(|m| (*m, reached(&arrows, m))).collect();
    let circles: BTreeSet<String> = all
        .iter()
        .filter(|(module, reached)| reached.contains(*module))
        .map(|(module, reached)| {
            let both = reached.iter().filter(|other| all[**other].contains(*module));
            both.map(|m| m.join("::")).collect::<Vec<_>>().join(", ")
        })
        .collect();
    circles.into_iter().map(|circle| format!("a circle: {circle}")).collect()
}

/// All modules that a module uses, and that these use, and so on.
fn reached<'a>(arrows: &'a BTreeMap<&ItemPath, BTreeSet<ItemPath>>, from: &'a ItemPath) -> BTreeSet<&'a ItemPath> {
    let mut seen = BTreeSet::new();
    let mut next = vec![from];
    while let Some(module) = next.pop() {
        next.extend(arrows[module].iter().filter(|target| seen.insert(*target)));
    }
    seen
}

/// Folders and files that are too large, a line each.
pub(super) fn too_large(files: &BTreeMap<String, String>) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders: BTreeMap<&str, usize> = BTreeMap::new();
    for (path, text) in files {
        *folders.entry(path.rsplit_once('/').map_or("", |(folder, _)| folder)).or_default() += 1;
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        let lines = code.lines().count();
        if lines > MOST_LINES && !path.ends_with("tests.rs") {
            found.push(format!("{path} has {lines} lines of code"));
        }
    }
    let crowded = folders.into_iter().filter(|(_, count)| *count > MOST_FILES);
    found.extend(crowded.map(|(folder, count)| format!("{folder}/ holds {count} files")));
    found
}

fn made_up(files: &[(&str, &str)]) -> Crate {
    Crate::new(&files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect())
}

/// However an arrow upwards is written, it is found.
#[rstest::rstest]
#[case::in_a_use_line("use crate::high::Thing;")]
#[case::through_super("use super::super::high::Thing;")]
#[case::in_braces("use crate::{low::other::Small, high::{Thing, part}};")]
#[case::under_another_name("use crate::high as up;\nfn f() { up::go(); }")]
#[case::in_an_inline_path("fn f() { crate::high::go(); }")]
#[case::in_a_type("struct S { field: Option<crate::high::Thing> }")]
#[case::in_a_generic_argument("fn f() { Vec::<crate::high::Thing>::new(); }")]
#[case::in_a_macro("fn f() { println!(\"{}\", crate::high::go()); }")]
#[case::in_a_function("fn f() { use crate::high::go; go(); }")]
#[case::everything("use crate::high::*;")]
#[case::through_the_root_s_re_export("use crate::Thing;")]
#[case::through_a_parent_s_import("use super::Thing;")]
fn an_arrow_upwards_is_found(#[case] text: &str) {
    let files = [
        ("lib.rs", "pub mod low; pub mod high; pub use high::Thing;"),
        ("low/mod.rs", "mod other; mod under; use crate::high::Thing;"),
        ("low/other.rs", "pub struct Small;"),
        ("low/under.rs", text),
        ("high.rs", "pub struct Thing; pub fn go() {} pub mod part {}"),
    ];
    let found = upward_arrows(&made_up(&files), &["low", "high"]);
    assert!(found.iter().any(|line| line.starts_with("low::under uses high")), "{found:?}");
}

#[rstest::rstest]
#[case::downwards("use crate::base::{Base, part::Part}; fn f() { super::other::go(); }")]
#[case::in_tests("#[cfg(test)]\nmod tests { use crate::high::Thing; }")]
#[case::one_helper_of_tests("impl S { #[cfg(test)] fn of(t: crate::high::Thing) {} }")]
#[case::visibility("pub(in crate::low) fn f() {}\npub(crate) fn g() {}")]
#[case::in_words("/// See crate::high::Thing.\n// use crate::high::Thing;\nconst NAME: &str = \"crate::high\";")]
#[case::another_crate_s("use std::high::Thing; fn f() { ::other::high::go(); serde::high::go() }")]
fn other_arrows_are_left_alone(#[case] text: &str) {
    let files = [
        ("lib.rs", "mod base; mod low; mod high;"),
        ("base.rs", "pub struct Base; pub mod part { pub struct Part; }"),
        ("low/mod.rs", "mod other; mod under;"),
        ("low/other.rs", "pub fn go() {}"),
        ("low/under.rs", text),
        ("high.rs", "pub struct Thing; pub fn go() {}"),
    ];
    let found = upward_arrows(&made_up(&files), &["base", "low", "high"]);
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn the_rooms_of_a_folder_have_their_own_order() {
    let files = [
        ("lib.rs", "mod house;"),
        ("house/mod.rs", "mod cellar; mod attic; mod shed; use attic::Roof; pub struct House;"),
        ("house/cellar.rs", "use super::attic::Roof; use super::House;"),
        ("house/attic.rs", "use super::cellar; pub struct Roof;"),
        ("house/shed.rs", ""),
    ];
    let found = upward_arrows(&made_up(&files), &["house::cellar", "house::attic", "house"]);
    assert_eq!(
        found,
        ["house::cellar uses house::House", "house::cellar uses house::attic::Roof", "house::shed is in no layer"]
    );
}

#[test]
fn a_circle_is_found_and_a_parent_s_items_make_none() {
    let files = [
        ("lib.rs", "mod a; mod b; mod c; mod d;"),
        ("a.rs", "fn f() { crate::b::g(); }"),
        ("b.rs", "use super::c::h; pub fn g() {}"),
        ("c/mod.rs", "mod inner; pub fn h() { inner::deep(); } pub struct Shared;"),
        ("c/inner.rs", "use super::Shared; pub fn deep() { crate::a::f(); }"),
        ("d/mod.rs", "mod child; pub struct Shared; fn f() { child::g(); }"),
        ("d/child.rs", "use super::Shared; pub fn g() {}"),
    ];
    assert_eq!(circles(&made_up(&files)), ["a circle: a, b, c, c::inner"]);
}

#[test]
fn large_files_and_crowded_folders_are_found() {
    let code = "fn f() {}\n".repeat(MOST_LINES);
    let mut files: BTreeMap<String, String> =
        (0..=MOST_FILES).map(|k| (format!("folder/f{k}.rs"), String::new())).collect();
    files.insert("with_tests.rs".into(), format!("{code}#[cfg(test)]\nmod tests {{\n{code}}}\n"));
    files.insert("large.rs".into(), format!("{code}fn g() {{}}\n"));
    assert_eq!(too_large(&files), ["large.rs has 601 lines of code", "folder/ holds 15 files"]);
}
