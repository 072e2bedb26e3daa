//! Whole campaigns on a small simulated field with the real wsclean and CASA: to the end, killed and resumed,
//! interrupted, and with everything wrong that can be wrong.

use crate::support::real;
use crate::support::running::Running;
use crate::support::schema::assert_campaign_fits;
use crate::support::words::dialogue;
use assert_cmd::Command;
use cleanloop::campaign::record::{CampaignRecord, State};
use cleanloop::image::FitsImage;
use cleanloop::measurement_set::checksum;
use rstest::rstest;
use serde_json::json;
use std::fs;
use std::path::Path;
use std::time::Instant;

/// Three rounds on 15 antennas and 20 minutes: a few seconds each.
pub(crate) const CAMPAIGN: &str = "
version: 0.2
campaign: {name: small, measurement_sets: [field.ms], output: out, rounds: 2, imager: wsclean, calibrator: casa,
           mask: {rounds: 1}, resources: {threads: 1}}
defaults:
  wsclean: {size: 512, scale: 3asec, weight: briggs 0, niter: 3000, nmiter: 4, mgain: 0.8, auto_mask: 8, local_rms: false,
            auto_threshold: 3, channels_out: 1, join_channels: false, abs_mem: 2}
  gaincal: {gaintype: T, uvrange: ''}
  masking: {flood_fill: true, flood_fill_use_mac: true, flood_fill_use_mac_box_size: 100,
            flood_fill_positive_seed_clip: 1.3, flood_fill_positive_flood_clip: 0.8}
selfcal:
  0: {}
  1: {gaincal: {solint: 120s, calmode: p}}
  2: {gaincal: {solint: 60s, calmode: p}}
";

fn cleanloop() -> Command {
    Command::cargo_bin("cleanloop").expect("the binary is built")
}

/// A folder with `field.ms` and `campaign.yaml`, for the real wsclean and CASA.
pub(crate) fn prepared(campaign: &str) -> tempfile::TempDir {
    prepared_with(campaign, &json!({"antennas": 15, "duration_s": 1200}))
}

/// The same with other data.
pub(crate) fn prepared_with(campaign: &str, data: &serde_json::Value) -> tempfile::TempDir {
    let casa = real::casa();
    real::require("wsclean");
    let folder = tempfile::tempdir().unwrap();
    real::field(&casa, folder.path(), data);
    fs::write(folder.path().join("campaign.yaml"), campaign).unwrap();
    folder
}

fn run(folder: &Path) -> std::process::Output {
    cleanloop().current_dir(folder).args(["run", "campaign.yaml"]).output().unwrap()
}

/// The record of a run to the end.
pub(crate) fn succeed(folder: &Path) -> CampaignRecord {
    let output = run(folder);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    CampaignRecord::load(&folder.join("out")).unwrap()
}

/// The pixels of the product, bit for bit.
pub(crate) fn final_pixels(folder: &Path) -> Vec<(String, Vec<u32>)> {
    ["image", "residual", "model", "mask", "psf"]
        .map(|name| {
            let path = folder.join("out/final").join(format!("{name}.fits"));
            let plane = FitsImage::open(&path).unwrap().read_plane(0, 0).unwrap();
            (name.to_string(), plane.iter().map(|v| v.to_bits()).collect())
        })
        .to_vec()
}

#[test]
#[ignore = "needs wsclean and CASA"]
fn a_campaign_improves_the_image_and_leaves_the_data_alone() {
    let folder = prepared(CAMPAIGN);
    let casa = real::casa();
    let data = folder.path().join("field.ms");
    let before = checksum(&casa, &data, "DATA").unwrap();
    let record = succeed(folder.path());
    let rounds = &record.datasets[0].rounds;
    let ranges: Vec<f64> = rounds.iter().map(|r| r.metrics.as_ref().unwrap().dynamic_range).collect();
    assert!(ranges.len() == 3 && ranges[1] > ranges[0] && ranges[2] > ranges[1], "{ranges:?}");
    assert_eq!(record.state, State::Done);
    assert_eq!(checksum(&casa, &data, "DATA").unwrap(), before);
    let copy = folder.path().join("out/data/field.ms");
    assert_eq!(checksum(&casa, &copy, "DATA").unwrap(), before, "nor is DATA of the working copy written");
    for name in ["gains", "apply-solutions.txt"] {
        assert!(folder.path().join("out/final").join(name).exists(), "{name}");
    }
    assert_eq!(rounds[0].data_column, "DATA");
    assert_eq!(rounds[1].data_column, "CORRECTED_DATA");
    assert_campaign_fits(&folder.path().join("out"));
    let report = fs::read_to_string(folder.path().join("out/report/index.html")).unwrap();
    assert!(report.contains("round-02.html"), "the report has a page for each round");
    let status = cleanloop().current_dir(folder.path()).args(["status", "out"]).output().unwrap();
    let status = String::from_utf8(status.stdout).unwrap();
    assert!(status.contains("campaign small: done") && status.contains("p 60s"), "{status}");

    // A second run repeats nothing; one with another last round repeats only that.
    let journal = || fs::read_to_string(folder.path().join("out/journal.jsonl")).unwrap();
    let started = |text: &str| text.lines().filter(|l| l.contains(r#""event":"started""#)).count();
    let steps = started(&journal());
    succeed(folder.path());
    assert_eq!(started(&journal()), steps, "everything was done already");
    fs::write(
        folder.path().join("campaign.yaml"),
        CAMPAIGN.replace("2: {gaincal: {solint: 60s", "2: {gaincal: {solint: 90s"),
    )
    .unwrap();
    succeed(folder.path());
    let text = journal();
    let new: Vec<&str> = text.lines().filter(|l| l.contains(r#""event":"started""#)).skip(steps).collect();
    assert!(
        new.iter().all(|l| l.contains("round-02") || l.contains("round-01/revert") || l.contains("finish")),
        "{new:?}"
    );
    assert!(new.iter().any(|l| l.contains("round-02/solve")));
}

/// On the user's own measurement set: two columns more, the same DATA, no copy.
#[test]
#[ignore = "needs wsclean and CASA"]
fn the_original_gains_columns_and_keeps_its_data() {
    let campaign = CAMPAIGN.replace("rounds: 2,", "rounds: 1, work_on: original,");
    let folder = prepared(&campaign);
    let casa = real::casa();
    let data = folder.path().join("field.ms");
    let before = checksum(&casa, &data, "DATA").unwrap();
    let record = succeed(folder.path());
    assert!(record.datasets[0].rounds[1].is_accepted());
    assert_eq!(checksum(&casa, &data, "DATA").unwrap(), before);
    let summary = cleanloop::measurement_set::MsSummary::read(&casa, &data).unwrap();
    assert!(summary.has_column("MODEL_DATA") && summary.has_column("CORRECTED_DATA"));
    assert!(!folder.path().join("out/data/field.ms").exists());
    // Its corrected data are a start for another campaign, which works on a copy of them.
    let next = CAMPAIGN
        .replace("rounds: 2,", "rounds: 0, start_column: CORRECTED_DATA,")
        .replace("output: out", "output: out2");
    fs::write(folder.path().join("campaign.yaml"), next).unwrap();
    let output = run(folder.path());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let copy = folder.path().join("out2/data/field.ms");
    let corrected = checksum(&casa, &data, "CORRECTED_DATA").unwrap();
    assert_eq!(checksum(&casa, &copy, "DATA").unwrap(), corrected, "the copy starts from the corrected data");
    assert_eq!(checksum(&casa, &data, "DATA").unwrap(), before);
}

/// Kills the whole run at moments spread over it; each time the next run goes on, and the end is the same.
#[test]
#[ignore = "needs wsclean and CASA"]
fn killed_at_any_moment_it_ends_with_the_same_images() {
    let whole = prepared(CAMPAIGN);
    let clock = Instant::now();
    succeed(whole.path());
    let length = clock.elapsed();
    let expected = final_pixels(whole.path());
    let killed = prepared(CAMPAIGN);
    let mut kills = 0;
    // Not a fixed set of moments: the machine's speed decides where in a step each falls.
    for part in [0.15, 0.3, 0.45, 0.2, 0.6, 0.35, 0.5] {
        let mut run = Running::start(killed.path(), &["run", "campaign.yaml"]);
        if run.ends_within(length.mul_f64(part)) {
            break;
        }
        run.kill();
        kills += 1;
    }
    assert!(kills >= 2, "the run was killed {kills} times");
    let record = succeed(killed.path());
    assert_eq!(record.state, State::Done);
    for ((name, expected), (_, found)) in expected.iter().zip(final_pixels(killed.path())) {
        assert!(*expected == found, "{name} differs after {kills} kills");
    }
}

#[test]
#[ignore = "needs wsclean and CASA"]
fn sigterm_leaves_a_folder_that_can_be_resumed() {
    let folder = prepared(CAMPAIGN);
    let mut first = Running::start(folder.path(), &["run", "campaign.yaml"]);
    let journal = folder.path().join("out/journal.jsonl");
    first.wait_until("round 0", || fs::read_to_string(&journal).unwrap_or_default().contains("round-00/image"));
    // A second run in the same folder is refused while the first is at work.
    let second = run(folder.path());
    let words = String::from_utf8_lossy(&second.stderr).into_owned();
    assert_eq!(second.status.code(), Some(2), "{words}");
    assert!(words.contains("another cleanloop is at work here") && words.contains(&first.pid().to_string()), "{words}");
    first.signal(nix::sys::signal::Signal::SIGTERM);
    let (status, error) = first.finish();
    assert_eq!(status, Some(130), "{error}");
    assert!(fs::read_to_string(&journal).unwrap().contains(r#""event":"interrupted""#));
    assert_eq!(CampaignRecord::load(&folder.path().join("out")).unwrap().state, State::Interrupted);
    assert_eq!(succeed(folder.path()).state, State::Done);
}

/// A ruinous last round (solutions from noise alone, a mask far too low) is undone, and the product is an earlier one.
#[test]
#[ignore = "needs wsclean and CASA"]
fn a_ruinous_round_is_undone() {
    let ruin = CAMPAIGN
        .replace("1: {gaincal: {solint: 120s, calmode: p}}", "1: {gaincal: {solint: inf, calmode: p}}")
        .replace(
            "2: {gaincal: {solint: 60s, calmode: p}}",
            "2: {gaincal: {solint: int, calmode: ap, minsnr: 0}, wsclean: {auto_mask: null, auto_threshold: 0.5}, \
         masking: {flood_fill_positive_seed_clip: 0.2, flood_fill_positive_flood_clip: 0.1}}",
        );
    // An antenna's gain in one integration has a S/N near 1.
    let noisy = json!({"antennas": 15, "duration_s": 1200, "noise_jy": 20.0});
    let folder = prepared_with(&ruin, &noisy);
    let output = run(folder.path());
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    let record = CampaignRecord::load(&folder.path().join("out")).unwrap();
    let dataset = &record.datasets[0];
    let best = dataset.best_round().unwrap_or_else(|| panic!("{error}"));
    assert!(best.round < 2, "{:?}", dataset.best_why);
    assert!(dataset.rounds.iter().any(|r| r.round == 2 && !r.is_accepted()));
    let product = fs::read(folder.path().join("out/final/image.fits")).unwrap();
    assert_eq!(product, fs::read(&best.products.as_ref().unwrap().image).unwrap());
}

/// What is wrong with a campaign is said in one message, with exit code 2, and nothing is lost.
#[rstest]
#[case::no_such_option_of_wsclean(
    "auto_threshold: 3", "auto_threshold: 3, extra: {no-such-option: 1}", 2, &["no-such-option", "wsclean 3"]
)]
#[case::a_column_that_is_not_there("imager: wsclean", "imager: wsclean, start_column: CORRECTED_DATA", 2, &["CORRECTED_DATA", "field.ms"])]
#[case::an_empty_mask("flood_fill_positive_seed_clip: 1.3", "flood_fill_positive_seed_clip: 1e6", 2, &["mask of round 1 is empty", "masking"])]
#[case::nothing_to_calibrate_against("niter: 3000", "niter: 3000, threshold: 100", 3, &["no round gave an image that can be used", "the model is empty"])]
#[case::no_such_program("rounds: 2,", "rounds: 2, executables: {wsclean: [no-such-wsclean]},", 3, &["no-such-wsclean"])]
#[case::not_enough_disk("size: 512", "size: 400000", 2, &["GB are free", "are needed"])]
#[case::no_place_to_write("output: out", "output: /proc/nowhere", 2, &["/proc/nowhere", "cannot be made"])]
#[ignore = "needs wsclean and CASA"]
fn mistakes_are_told(#[case] from: &str, #[case] to: &str, #[case] code: i32, #[case] words: &[&str]) {
    assert!(CAMPAIGN.contains(from));
    let folder = prepared(&CAMPAIGN.replace(from, to));
    let output = run(folder.path());
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{error}");
    for word in words {
        assert!(error.contains(word), "`{word}` is not in: {error}");
    }
}

#[test]
fn a_folder_of_another_campaign_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    fs::create_dir(&out).unwrap();
    CampaignRecord::new("another").save(&out).unwrap();
    fs::create_dir(folder.path().join("field.ms")).unwrap();
    fs::write(folder.path().join("campaign.yaml"), CAMPAIGN).unwrap();
    insta::assert_snapshot!(dialogue(folder.path(), ["run campaign.yaml --quiet"]));
}

#[test]
fn what_is_no_measurement_set_is_named() {
    let said = |make: &dyn Fn(&Path)| {
        let folder = tempfile::tempdir().unwrap();
        make(&folder.path().join("field.ms"));
        fs::write(folder.path().join("campaign.yaml"), CAMPAIGN).unwrap();
        dialogue(folder.path(), ["run campaign.yaml --quiet"])
    };
    insta::assert_snapshot!("no_measurement_set", said(&|_| {}));
    insta::assert_snapshot!("a_folder_of_something_else", said(&|ms| fs::create_dir(ms).unwrap()));
    insta::assert_snapshot!("a_file_for_a_measurement_set", said(&|ms| fs::write(ms, "data").unwrap()));
}
