//! `cleanloop schema FORMAT`: what the program writes fits the schemas that it prints, and so do files of earlier versions.

use crate::support::fake::Fake;
use crate::support::schema::{assert_campaign_fits, assert_fits, assert_lines_fit, schema};
use crate::support::{record, simulated};
use cleanloop::image::{Header, PixelType, PlaneWriter};
use cleanloop::report;
use ndarray::Array2;
use rstest::rstest;
use serde_json::{Value, json};
use std::path::Path;

fn cleanloop(words: &[&str], folder: &Path) -> Value {
    let mut command = assert_cmd::Command::cargo_bin("cleanloop").unwrap();
    let output = command.current_dir(folder).args(words).output().unwrap();
    assert!(!output.stdout.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The schema without what later versions added: its types hold for files of earlier ones.
fn for_earlier(schema: &Value) -> Value {
    match schema {
        Value::Object(map) => {
            let kept = map.iter().filter(|(key, value)| !(*key == "required" && value.is_array()));
            // Without their keys that must be there, several branches may fit.
            let rename = |key: &String| if key == "oneOf" { "anyOf".to_owned() } else { key.clone() };
            kept.map(|(key, value)| (rename(key), for_earlier(value))).collect()
        }
        Value::Array(list) => list.iter().map(for_earlier).collect(),
        other => other.clone(),
    }
}

#[rstest]
#[case("record.json", "record")]
#[case("summary.json", "summary")]
#[case("metrics.json", "metrics")]
#[case("confetti.json", "confetti")]
#[case("inspect.json", "inspect")]
fn files_of_earlier_versions_have_the_same_types(#[case] file: &str, #[case] format: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/formats").join(file);
    let before = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    assert_fits(&before, &for_earlier(&schema(format)));
}

#[test]
fn journals_of_earlier_versions() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/formats/journal.jsonl");
    assert_lines_fit(&std::fs::read_to_string(path).unwrap(), "journal");
}

#[test]
fn what_a_campaign_writes_and_logs() {
    let fake = Fake::new(2, 2, "");
    fake.order(1, 1, "fail\n");
    let output = fake.command(&["run", "campaign.yaml", "--log-format", "json", "-vv"]).output().unwrap();
    let log = String::from_utf8(output.stderr).unwrap();
    for event in ["campaign-started", "round-started", "step-finished", "round-finished", "campaign-finished", "failed"]
    {
        assert!(log.contains(&format!(r#""event":"{event}""#)), "{log}");
    }
    assert_lines_fit(&log, "events");
    assert_campaign_fits(&fake.path("out"));
    assert_fits(&cleanloop(&["status", "out", "--json"], fake.folder.path()), &schema("status"));
}

#[test]
fn records_with_everything_in_them() {
    let folder = tempfile::tempdir().unwrap();
    let record = record::survey(folder.path());
    let value = serde_json::to_value(&record).unwrap();
    assert_fits(&value, &schema("record"));
    report::write(&record, folder.path()).unwrap();
    let summary = std::fs::read(folder.path().join("report/summary.json")).unwrap();
    assert_fits(&serde_json::from_slice(&summary).unwrap(), &schema("summary"));
}

/// A cube of noise with a bright pixel in one channel.
fn write_cube(path: &Path, noise: f32, peak: f32) {
    let mut header = Header::default();
    for (key, value) in [("CDELT1", -1e-3), ("CDELT2", 1e-3), ("BMAJ", 4e-3), ("BMIN", 3e-3)] {
        header.set_f64(key, value);
    }
    let mut writer = PlaneWriter::create(path, &[40, 40, 3], PixelType::F32, &header, false).unwrap();
    for channel in 0..3 {
        let mut plane = Array2::from_shape_fn((40, 40), |(y, x)| if (x + y) % 2 == 0 { noise } else { -noise });
        plane[(20, 20)] += if channel == 1 { peak } else { 0.0 };
        writer.write_plane(channel, plane.view()).unwrap();
    }
    writer.finish().unwrap();
}

#[test]
fn metrics_and_confetti() {
    let folder = tempfile::tempdir().unwrap();
    write_cube(&folder.path().join("image.fits"), 1e-3, 1.0);
    write_cube(&folder.path().join("model.fits"), 0.0, 1.0);
    let metrics = cleanloop(&["metrics", "image.fits", "--model", "model.fits", "--json"], folder.path());
    assert_fits(&metrics, &schema("metrics"));
    assert_eq!(metrics[0]["format"], 1);
    let words = ["confetti", "model.fits", "--residual", "image.fits", "--dirty", "image.fits", "--all", "--json"];
    let confetti = cleanloop(&words, folder.path());
    assert_fits(&confetti, &schema("confetti"));
    assert!(!confetti["candidates"].as_array().unwrap().is_empty());
}

#[test]
fn doctor() {
    let folder = tempfile::tempdir().unwrap();
    assert_fits(&cleanloop(&["doctor", "--json", "--quick"], folder.path()), &schema("doctor"));
}

#[test]
#[ignore = "needs CASA"]
fn inspect() {
    let folder = tempfile::tempdir().unwrap();
    let field = simulated::field().to_str().unwrap();
    assert_fits(&cleanloop(&["inspect", field, field, "--json"], folder.path()), &schema("inspect"));
}

#[test]
#[should_panic(expected = "is not of type")]
fn another_type_does_not_fit() {
    let mut metrics = json!([{"format": 1, "image": "a.fits", "metrics": {}}]);
    metrics[0]["metrics"]["rms"] = "loud".into();
    assert_fits(&metrics, &schema("metrics"));
}
