//! `cleanloop inspect`: tables for people, JSON for programs.

use crate::support::real;
use crate::support::words::said;
use serde_json::{Value, json};
use std::path::Path;

fn cleanloop(folder: &Path, words: &[&str]) -> std::process::Output {
    let mut command = assert_cmd::Command::cargo_bin("cleanloop").expect("the binary is built");
    command.current_dir(folder).args(words).output().expect("it runs")
}

#[test]
#[ignore = "needs CASA"]
fn it_is_pleasant_to_read() {
    let casa = real::casa();
    let folder = tempfile::tempdir().expect("a folder");
    real::field(&casa, folder.path(), &json!({"antennas": 9, "duration_s": 600, "windows": 2}));
    let output = cleanloop(folder.path(), &["inspect", "field.ms"]);
    let text = said(&output, folder.path());
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    insta::assert_snapshot!(text);
}

#[test]
#[ignore = "needs CASA"]
fn several_sets_are_compared() {
    let casa = real::casa();
    let folder = tempfile::tempdir().expect("a folder");
    let field = real::field(&casa, folder.path(), &json!({"antennas": 6, "duration_s": 300}));
    for (name, shift) in [("near.ms", "0.0005"), ("far.ms", "0.02")] {
        let copy = folder.path().join(name);
        cleanloop::measurement_set::copy(&field.ms, &copy).expect("copied");
        let program = format!(
            "tb.open(ms + '/FIELD', nomodify=False)\ncentre = tb.getcell('PHASE_DIR', 0)\ncentre[1] += {shift}\n\
             tb.putcell('PHASE_DIR', 0, centre)"
        );
        real::python(&copy, &program);
    }
    let output = cleanloop(folder.path(), &["inspect", "--json", "--quick", "field.ms", "near.ms", "far.ms"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let json: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let members: Vec<Value> =
        json["pointings"].as_array().expect("a list").iter().map(|p| p["members"].clone()).collect();
    assert_eq!(
        members,
        [
            json!([{"measurement_set": 0, "field": 0}, {"measurement_set": 1, "field": 0}]),
            json!([{"measurement_set": 2, "field": 0}])
        ]
    );
    let first = &json["measurement_sets"][0];
    assert_eq!(first["facts"]["antennas"].as_array().map(Vec::len), Some(6));
    assert_eq!(first["facts"]["visibilities"]["unflagged"], first["facts"]["visibilities"]["all"]);
    assert_eq!(first["problems"], json!([]));
    let text = said(&cleanloop(folder.path(), &["inspect", "field.ms", "near.ms"]), folder.path());
    let together = text.split("together").nth(1).expect("what they share");
    assert!(together.contains("in field.ms, near.ms: one target"), "{text}");
}
