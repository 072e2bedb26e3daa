//! JSON that scripts read: files of earlier versions are read, and every key of theirs is still written.

use cleanloop::campaign::record::CampaignRecord;
use cleanloop::quality::confetti::ConfettiReport;
use cleanloop::quality::metrics::ImageMetrics;
use cleanloop::report;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A file of an earlier version.
fn kept(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/formats").join(name)
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// Paths of all keys; `[]` stands for every index.
fn keys(value: &Value, path: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| {
            let path = format!("{path}.{key}");
            keys(value, &path, found);
            found.insert(path);
        }),
        Value::Array(list) => list.iter().for_each(|value| keys(value, &format!("{path}[]"), found)),
        _ => {}
    }
}

fn assert_nothing_is_gone(before: &Value, now: &Value) {
    let (mut old, mut new) = (BTreeSet::new(), BTreeSet::new());
    keys(before, "", &mut old);
    keys(now, "", &mut new);
    let gone: Vec<_> = old.difference(&new).collect();
    assert!(gone.is_empty(), "keys that scripts may read are gone: {gone:?}");
    assert!(!old.is_empty());
}

#[test]
fn records_and_summaries_of_earlier_versions() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(kept("record.json"), folder.path().join("record.json")).unwrap();
    let record = CampaignRecord::load(folder.path()).unwrap();
    assert_nothing_is_gone(&json(&kept("record.json")), &serde_json::to_value(&record).unwrap());
    report::write(&record, folder.path()).unwrap();
    assert_nothing_is_gone(&json(&kept("summary.json")), &json(&folder.path().join("report/summary.json")));
    let output =
        assert_cmd::Command::cargo_bin("cleanloop").unwrap().arg("status").arg(folder.path()).arg("--json").output();
    let status: Value = serde_json::from_slice(&output.unwrap().stdout).unwrap();
    assert_nothing_is_gone(&json(&kept("record.json")), &status);
    assert_eq!(status["format"], 2);
}

#[test]
fn metrics_of_earlier_versions() {
    let before = &json(&kept("metrics.json"))[0];
    let metrics: ImageMetrics = serde_json::from_value(before["metrics"].clone()).unwrap();
    assert_nothing_is_gone(&before["metrics"], &serde_json::to_value(metrics).unwrap());
}

#[test]
fn findings_of_confetti_of_earlier_versions() {
    let before = json(&kept("confetti.json"));
    let report: ConfettiReport = serde_json::from_value(before.clone()).unwrap();
    assert_nothing_is_gone(&before, &serde_json::to_value(report).unwrap());
}

#[test]
#[ignore = "needs CASA"]
fn inspect_writes_what_it_wrote() {
    let field = crate::support::simulated::field();
    let output = assert_cmd::Command::cargo_bin("cleanloop").unwrap().args(["inspect", "--json"]).arg(field).output();
    let now: Value = serde_json::from_slice(&output.unwrap().stdout).unwrap();
    let mut before = json(&kept("inspect.json"));
    // Each problem has values of its own.
    before["measurement_sets"][0]["problems"] = Value::Null;
    assert_nothing_is_gone(&before, &now);
}
