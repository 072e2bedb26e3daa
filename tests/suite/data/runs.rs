//! Data with surprises that are worked with: the result is that of data without them.

use super::damage;
use crate::campaign::whole;
use crate::support::real;
use cleanloop::campaign::record::CampaignRecord;
use cleanloop::image::FitsImage;
use cleanloop::measurement_set::checksum;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

/// One round of calibration with a solution each integration.
fn campaign() -> String {
    whole::CAMPAIGN
        .replace("rounds: 2,", "rounds: 1,")
        .replace("  2: {gaincal: {solint: 60s, calmode: p}}\n", "")
        .replace("solint: 120s", "solint: int")
}

fn run(folder: &Path) -> (CampaignRecord, String) {
    let mut command = assert_cmd::Command::cargo_bin("cleanloop").expect("the binary is built");
    let output = command.current_dir(folder).args(["run", "campaign.yaml"]).output().expect("it runs");
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{words}");
    (CampaignRecord::load(&folder.join("out")).expect("a record"), words)
}

/// The pixels of a product, all planes, bit for bit.
fn pixels(folder: &Path, name: &str) -> Vec<u32> {
    let mut image = FitsImage::open(folder.join("out/final").join(format!("{name}.fits"))).expect("an image");
    (0..image.channels())
        .flat_map(|c| image.read_plane(0, c).expect("a plane").iter().map(|v| v.to_bits()).collect::<Vec<_>>())
        .collect()
}

#[test]
#[ignore = "needs wsclean and CASA"]
fn nan_in_unflagged_data_are_flagged_in_the_copy_alone() {
    let casa = real::casa();
    let folder = whole::prepared(&campaign());
    let original = folder.path().join("field.ms");
    real::python(&original, damage::ANTENNA_NAN);
    let before = ["DATA", "FLAG"].map(|column| checksum(&casa, &original, column).expect("a checksum"));
    let (record, words) = run(folder.path());
    assert!(words.contains("those of antenna W20. They are flagged in the working copy"), "{words}");
    let copy = folder.path().join("out/data/field.ms");
    let after = |ms: &Path| ["DATA", "FLAG"].map(|column| checksum(&casa, ms, column).expect("a checksum"));
    assert_eq!(after(&original), before);
    assert!(after(&copy)[0] == before[0], "nor is DATA of the working copy written");
    let flagged = real::python(
        &copy,
        "tb.open(ms)\nuse = (tb.getcol('ANTENNA1') == 2) | (tb.getcol('ANTENNA2') == 2)\n\
         flag = tb.getcol('FLAG')\nprint(flag[..., use].all(), flag[..., ~use].any())",
    );
    assert_eq!(flagged.trim(), "True False");
    let rounds = &record.datasets[0].rounds;
    let ranges: Vec<f64> = rounds.iter().filter_map(|r| r.metrics.as_ref().map(|m| m.dynamic_range)).collect();
    assert!(ranges[1] > 1.3 * ranges[0], "{ranges:?}");
}

#[test]
#[ignore = "needs wsclean and CASA"]
fn intervals_windows_and_names_that_mislead_change_nothing() {
    let data = json!({"antennas": 15, "duration_s": 1200});
    let refant = |name: &str| {
        campaign().replace("calibrator: casa,", &format!("calibrator: casa, reference_antenna: '{name}',"))
    };
    let plain = whole::prepared_with(&refant("W20"), &data);
    let misleading = whole::prepared_with(&refant("3"), &data);
    let ms = misleading.path().join("field.ms");
    for damage in [damage::SHORT_INTERVAL, damage::UNDESCRIBED_WINDOW, damage::NUMBER_NAMES] {
        real::python(&ms, damage);
    }
    let (_, _) = run(plain.path());
    let (record, words) = run(misleading.path());
    for said in ["INTERVAL says 0.040 s", "no row of DATA_DESCRIPTION names", "names of antennas are numbers"] {
        assert!(words.contains(said), "{said}: {words}");
    }
    for name in ["image", "residual", "model"] {
        assert!(pixels(plain.path(), name) == pixels(misleading.path(), name), "{name} differs");
    }
    let text = serde_json::to_string(&record).expect("JSON");
    assert!(text.contains("in 40 integrations of 30.0 s"), "{text}");
}

#[test]
#[ignore = "needs wsclean and CASA"]
fn descending_channels_have_their_masks_all_the_same() {
    const CUBE: &str = "
version: 0.2
campaign: {measurement_sets: [field.ms], output: out, imager: wsclean, calibrator: none,
           mask: {method: auto, cadence: cycle}, resources: {threads: 2}}
defaults: {wsclean: {size: 256, scale: 1asec, weight: natural, niter: 500, nmiter: 3, channels_out: 4, join_channels: false,
                     local_rms: false, auto_threshold: 3}}
";
    let data = json!({"preset": "line-cube", "channels": 8, "antennas": 20, "duration_s": 300});
    let (up, down) = (whole::prepared_with(CUBE, &data), whole::prepared_with(CUBE, &data));
    real::python(&down.path().join("field.ms"), damage::DESCENDING);
    run(up.path());
    let (_, words) = run(down.path());
    assert!(words.contains("are in descending order"), "{words}");
    let of = |folder: &Path, name| -> Vec<f32> { pixels(folder, name).into_iter().map(f32::from_bits).collect() };
    let mask = of(up.path(), "mask");
    assert!(mask == of(down.path(), "mask") && mask.contains(&1.0), "the masks differ");
    // The order in which visibilities are summed up leaves a trace in the last digits.
    let (one, other) = (of(up.path(), "image"), of(down.path(), "image"));
    let peak = one.iter().copied().fold(0.0, f32::max);
    let apart = one.iter().zip(&other).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(apart < 1e-3 * peak, "{apart} of {peak}");
}

#[test]
#[ignore = "needs wsclean and CASA"]
fn one_correlation_is_calibrated_and_imaged_by_itself() {
    let both = campaign().replace("gaintype: T", "gaintype: G");
    let folder = whole::prepared(&both);
    real::python(&folder.path().join("field.ms"), damage::ONE_CORRELATION);
    let mut command = assert_cmd::Command::cargo_bin("cleanloop").expect("the binary is built");
    let refused = command.current_dir(folder.path()).args(["run", "campaign.yaml"]).output().expect("it runs");
    let words = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(2), "{words}");
    assert!(words.contains("has one correlation (LL). ") && words.contains("set `wsclean: {pol: ll}`"), "{words}");
    fs::write(folder.path().join("campaign.yaml"), both.replace("size: 512,", "size: 512, pol: ll,")).expect("written");
    let (record, _) = run(folder.path());
    let round = &record.datasets[0].rounds[1];
    let solutions = round.solutions.as_ref().expect("statistics");
    assert!(solutions.flagged_fraction < 0.1, "the other hand has no data: {}", solutions.flagged_fraction);
}

#[test]
#[ignore = "needs wsclean, CASA and DP3"]
fn data_compressed_with_dysco_have_a_plain_working_copy() {
    let casa = real::casa();
    let folder =
        whole::prepared_with(&campaign(), &json!({"antennas": 15, "duration_s": 1200, "stokes": "RR RL LR LL"}));
    let folder = folder.path();
    let (plain, compressed) = (folder.join("field.ms"), folder.join("compressed.ms"));
    let compress = |storage: &str, from: &Path, to: &Path| {
        let settings = [format!("msin={}", from.display()), format!("msout={}", to.display())];
        real::dp3(&[&settings[..], &[format!("msout.storagemanager={storage}"), "steps=[]".to_owned()]].concat());
    };
    compress("dysco", &plain, &compressed);
    let before = cleanloop::measurement_set::identity(&compressed, true).expect("an identity");
    // What DP3 makes of it by hand.
    fs::remove_dir_all(&plain).expect("removed");
    compress("''", &compressed, &plain);
    let (by_hand, _) = run(folder);
    fs::remove_dir_all(folder.join("out")).expect("removed");
    fs::write(folder.join("campaign.yaml"), campaign().replace("field.ms", "compressed.ms")).expect("written");
    let (record, _) = run(folder);
    let range = |record: &CampaignRecord, round: usize| {
        record.datasets[0].rounds[round].metrics.as_ref().expect("metrics").dynamic_range
    };
    assert!(range(&record, 1) > 1.3 * range(&record, 0));
    for round in [0, 1] {
        let ratio = range(&record, round) / range(&by_hand, round);
        assert!((ratio - 1.0).abs() < 1e-3, "{ratio} times the dynamic range of data that were decompressed by hand");
    }
    assert_eq!(cleanloop::measurement_set::identity(&compressed, true).expect("an identity"), before);
    let manager = "tb.open(ms)\nprint(next(m['TYPE'] for m in tb.getdminfo().values() if 'DATA' in m['COLUMNS']))";
    assert_eq!(real::python(&compressed, manager).trim(), "DyscoStMan");
    assert_eq!(real::python(&folder.join("out/data/compressed.ms"), manager).trim(), "TiledShapeStMan");

    // Solutions go onto it as onto others.
    let mut command = assert_cmd::Command::cargo_bin("cleanloop").expect("the binary is built");
    let output = command.current_dir(folder).args(["apply", "out"]).output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let corrected = |ms: &Path| checksum(&casa, ms, "CORRECTED_DATA").expect("a checksum");
    let copy = folder.join("out/data/compressed.ms");
    assert_eq!(corrected(&compressed), corrected(&copy));
}

/// The image of a field that is too small for the w-gridder.
#[test]
#[ignore = "needs wsclean"]
fn small_fields_are_no_zeros() {
    const SMALL: &str = "
version: 0.2
campaign: {measurement_sets: [field.ms], output: out, rounds: 0, imager: wsclean, calibrator: none, mask: none}
defaults: {wsclean: {size: 128, scale: 0.005mas, weight: natural, niter: 10, channels_out: 1, local_rms: false}}
";
    let folder = whole::prepared_with(SMALL, &json!({"antennas": 9, "duration_s": 600}));
    // As long as between continents.
    real::python(
        &folder.path().join("field.ms"),
        "tb.open(ms, nomodify=False)\ntb.putcol('UVW', tb.getcol('UVW') * 1e5)",
    );
    run(folder.path());
    assert!(pixels(folder.path(), "image").iter().any(|v| f32::from_bits(*v) != 0.0), "there is something in it");
}

/// What is known of each real measurement set.
struct Known {
    name: &'static str,
    antennas: usize,
    spacing_s: f64,
    /// Kinds of its problems, with their severity.
    problems: Value,
}

#[test]
#[ignore = "needs CASA; uses ../shared/real where it is there"]
fn real_measurement_sets_are_what_they_are() {
    let known = |name, antennas, spacing_s, problems| Known { name, antennas, spacing_s, problems };
    let number_names = json!(["note", "number_names"]);
    let interval = json!(["note", "interval"]);
    let all = [
        known("vla_ka", 18, 10.0, json!([interval, number_names])),
        known("vlba_15ghz", 8, 10.0, json!([interval, number_names])),
        known("eht_3c279", 8, 10.0, json!([["note", "not_finite"], number_names])),
        known(
            "alma_two_fields",
            13,
            1.92,
            json!([
                ["warning", "flagged"],
                ["warning", "several_fields"],
                ["note", "descending"],
                ["note", "channel_counts"]
            ]),
        ),
        known("alma_one_baseline", 2, 6.048, json!([["error", "few_antennas"]])),
        known("wsrt_bda", 0, 30.0, json!([["error", "averaged_by_baseline"], ["error", "uvw_not_finite"]])),
        known("wsrt_few_subtables", 5, 30.0, json!([["error", "missing_subtables"]])),
        known("meerkat_all_flagged", 20, 8.0, json!([["error", "flagged"]])),
        known("mwa_one_row", 0, 2.0, json!([["error", "no_baselines"]])),
        known("lofar_8_stations", 8, 10.0, json!([["warning", "flagged"]])),
    ];
    let casa = real::casa();
    let folder = tempfile::tempdir().expect("a folder");
    for Known { name, antennas, spacing_s, problems } in all {
        let Some(ms) = real::shared(folder.path(), name) else { return };
        let found = cleanloop::measurement_set::inspect(&casa, &ms, None, true).expect(name);
        assert_eq!(found.facts.used_antennas().count(), antennas, "{name}");
        assert!((found.facts.spacing_s - spacing_s).abs() < 0.02, "{name}: {}", found.facts.spacing_s);
        let json = serde_json::to_value(&found).expect("JSON");
        let kinds = json["problems"].as_array().expect("a list").iter().map(|p| json!([p["severity"], p["kind"]]));
        assert_eq!(kinds.collect::<Value>(), problems, "{name}");
    }
}
