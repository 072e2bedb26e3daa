//! Rounds that solve by direction, with the real DP3 and wsclean on a small simulated field of three directions.

use super::whole::{final_pixels, prepared_with, succeed};
use crate::support::real;
use crate::support::running::Running;
use crate::support::schema::assert_campaign_fits;
use crate::support::words::dialogue;
use cleanloop::calibrator::facets::FacetGains;
use cleanloop::campaign::record::{RoundRecord, State};
use cleanloop::measurement_set::checksum;
use cleanloop::programs::casa::requests::FourCorrelations;
use cleanloop::programs::setup::{Environment, Kind};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

/// Phases in common, then phases by direction, then both.
const CAMPAIGN: &str = "
version: 0.2
campaign: {name: wide, measurement_sets: [field.ms], output: out, rounds: 3, imager: wsclean, calibrator: casa,
           mask: {rounds: 1}, resources: {threads: 1}}
defaults:
  wsclean: {size: 512, scale: 1.2asec, weight: briggs 0, niter: 20000, nmiter: 8, mgain: 0.8, auto_mask: 6, local_rms: false,
            auto_threshold: 1, channels_out: 1, join_channels: false, abs_mem: 2}
  gaincal: {gaintype: T, uvrange: ''}
  masking: {flood_fill: true, flood_fill_use_mac: true, flood_fill_use_mac_box_size: 100,
            flood_fill_positive_seed_clip: 1.3, flood_fill_positive_flood_clip: 0.8}
selfcal:
  0: {}
  1: {gaincal: {solint: 60s}}
  2: {facets: {solint: 60s}}
  3: {facets: {solint: 60s, calmode: ap}}
";

fn data() -> Value {
    json!({
        "preset": "pointlike", "antennas": 15, "duration_s": 1200, "directions": 3, "sources": 5, "field_arcsec": 260,
        "bright_jy": 4.0
    })
}

fn dynamic_ranges(rounds: &[RoundRecord]) -> Vec<f64> {
    rounds.iter().map(|round| round.metrics.as_ref().unwrap().dynamic_range).collect()
}

#[test]
#[ignore = "needs wsclean, CASA and DP3"]
fn directions_are_solved_on_top_of_what_is_common_and_a_killed_run_ends_with_the_same_images() {
    Environment::ready(Kind::Dp3).expect("DP3 is set up");
    // Nearer sources share a direction.
    let campaign = CAMPAIGN.replace("defaults:\n", "defaults:\n  facets: {separation_arcmin: 1.2}\n");
    let whole = prepared_with(&campaign, &data());
    let record = succeed(whole.path());
    let rounds = &record.datasets[0].rounds;
    let ranges = dynamic_ranges(rounds);
    assert!(ranges[2] > 2.0 * ranges[1] && ranges[3] > 1.5 * ranges[2], "{ranges:?}");
    let facets = rounds[3].facets.as_ref().expect("directions");
    assert_eq!(facets.directions.len(), 3, "{:?}", facets.directions);
    assert!(facets.directions.iter().all(|direction| direction.snr > 10.0), "{:?}", facets.directions);
    assert_eq!(facets.judged.len(), 3);
    let gains = FacetGains::load(&facets.gains[0]).unwrap();
    assert_eq!((gains.directions.len(), gains.antennas.len(), gains.time_s.len()), (3, 15, 20));
    assert!(gains.directions.iter().all(|one| one.amplitude_scatter.is_some_and(|scatter| scatter < 0.3)));
    for name in ["facets.reg", "solutions.h5", "sky.txt", "image-with-facets.txt", "gains"] {
        assert!(whole.path().join("out/final").join(name).exists(), "{name}");
    }
    the_plan_shows_the_calls(&dialogue(whole.path(), ["plan campaign.yaml"]));
    let expected = final_pixels(whole.path());

    let killed = prepared_with(&campaign, &data());
    kill_in(killed.path(), &["round-02/facets", "round-02/image", "round-03/image"]);
    assert_eq!(succeed(killed.path()).state, State::Done);
    assert!(final_pixels(killed.path()) == expected, "the killed run ends with other images");
}

/// Starts the campaign once for each of these steps, and kills it a moment after that has begun.
fn kill_in(folder: &Path, steps: &[&str]) {
    let journal = folder.join("out/journal.jsonl");
    let begun = |step: &str| {
        let text = fs::read_to_string(&journal).unwrap_or_default();
        text.lines().any(|line| line.contains(r#""event":"started""#) && line.contains(step))
    };
    for step in steps {
        let mut first = Running::start(folder, &["run", "campaign.yaml"]);
        first.wait_until(step, || begun(step));
        std::thread::sleep(std::time::Duration::from_millis(700));
        first.kill();
    }
}

/// A small field of three directions, and none in common.
fn small(more: &Value) -> Value {
    let mut all = json!({
        "preset": "pointlike", "antennas": 12, "duration_s": 600, "directions": 3, "sources": 4, "field_arcsec": 130,
        "bright_jy": 4.0, "phase_rms_deg": 0.0, "amplitude_rms": 0.0
    });
    all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    all
}

/// Phases by direction, then amplitudes that change slowly on top of phases of each integration.
pub(crate) const SMALL_CAMPAIGN: &str = "
version: 0.2
campaign: {name: wide, measurement_sets: ['*.ms'], output: out, rounds: 2, imager: wsclean, calibrator: casa,
           mask: {rounds: 1}, resources: {threads: 1}}
defaults:
  wsclean: {size: 256, scale: 1.2asec, weight: briggs 0, niter: 5000, nmiter: 6, mgain: 0.8, auto_mask: 6, local_rms: false,
            auto_threshold: 1, channels_out: 1, join_channels: false, abs_mem: 1}
  facets: {images: 1}
selfcal:
  0: {}
  1: {facets: {solint: 60s}}
  2: {facets: {solint: int, calmode: ap, amplitude_solint: 180s}}
";

/// The campaign with the data of [`small`], of errors with which all directions stand out from the first image.
pub(crate) fn small_campaign(campaign: &str) -> tempfile::TempDir {
    prepared_with(campaign, &small(&json!({"direction_phase_rms_deg": 12.0})))
}

/// Two nights together.
fn two_nights() -> tempfile::TempDir {
    let together = SMALL_CAMPAIGN.replace("output: out", "together: all, output: out");
    let folder = prepared_with(&together, &small(&json!({"night": 1})));
    fs::rename(folder.path().join("field.ms"), folder.path().join("night1.ms")).unwrap();
    let second = small(&json!({"night": 2, "hour_angle_h": 2}));
    real::field(&real::casa(), folder.path(), &second);
    folder
}

#[test]
#[ignore = "needs wsclean, CASA and DP3"]
fn several_measurement_sets_have_common_directions_and_solutions_of_their_own() {
    Environment::ready(Kind::Dp3).expect("DP3 is set up");
    let whole = two_nights();
    let record = succeed(whole.path());
    assert_eq!(record.datasets.len(), 1);
    let rounds = &record.datasets[0].rounds;
    let ranges = dynamic_ranges(rounds);
    assert!(ranges[1] > 2.0 * ranges[0] && ranges[2] > 1.2 * ranges[1], "{ranges:?}");
    let facets = rounds[2].facets.as_ref().expect("directions");
    let directions = facets.directions.len();
    assert!((facets.files.solutions.len(), facets.gains.len()) == (2, 2) && directions > 1, "{facets:?}");
    assert_eq!(facets.solint, "int, amplitudes 180s");
    let gains = [0, 1].map(|night| FacetGains::load(&facets.gains[night]).unwrap());
    let apart = (gains[1].time_s[0] - gains[0].time_s[0]).abs();
    assert!(apart > 36_000.0, "{apart} s: each has the times of its own night");
    for night in &gains {
        assert_eq!((night.directions.len(), night.time_s.len()), (directions, 20));
        // Over ten steps of an amplitude the mean of six moves by less than one of a solution alone.
        let amplitudes = &night.directions[1].amplitude[3];
        let step = amplitudes.windows(2).map(|pair| (pair[1] - pair[0]).abs()).fold(0.0, f64::max);
        assert!(step < 0.03, "{amplitudes:?}");
    }
    let line = fs::read_to_string(whole.path().join("out/final/image-with-facets.txt")).unwrap();
    assert!(line.contains("solutions-1.h5,solutions-2.h5") && line.trim().ends_with("OTHER-1.ms OTHER-2.ms"), "{line}");
    assert_campaign_fits(&whole.path().join("out"));
    let expected = final_pixels(whole.path());

    let killed = two_nights();
    kill_in(killed.path(), &["round-01/facets", "round-02/facets", "round-02/image"]);
    succeed(killed.path());
    assert!(final_pixels(killed.path()) == expected, "the killed run ends with other images");
}

#[test]
#[ignore = "needs wsclean, CASA and DP3"]
fn a_direction_that_is_too_faint_has_a_longer_interval() {
    Environment::ready(Kind::Dp3).expect("DP3 is set up");
    let campaign = SMALL_CAMPAIGN
        .replace("rounds: 2", "rounds: 1")
        .replace("  2: {facets: {solint: int, calmode: ap, amplitude_solint: 180s}}\n", "")
        .replace("{images: 1}", "{images: 1, minsnr: 300}");
    let folder = small_campaign(&campaign);
    let rounds = &succeed(folder.path()).datasets[0].rounds;
    let ranges = dynamic_ranges(rounds);
    assert!(ranges[1] > 2.0 * ranges[0], "{ranges:?}");
    let facets = rounds[1].facets.as_ref().expect("directions");
    let intervals: Vec<u32> = facets.directions.iter().map(|direction| direction.intervals).collect();
    let longest = intervals.iter().copied().max().unwrap_or_default();
    assert!(intervals.len() > 1 && facets.too_faint == 0 && intervals[0] == 1 && longest > 1, "{intervals:?}");
    assert!(facets.directions.iter().all(|direction| direction.snr >= 300.0), "{:?}", facets.directions);
    let gains = FacetGains::load(&facets.gains[0]).unwrap();
    assert_eq!(gains.time_s.len(), 10, "the times are those of the shortest interval");
    for (own, of) in gains.directions.iter().zip(&intervals) {
        let phases = &own.phase_deg[3];
        let steps: Vec<bool> = phases.windows(2).map(|pair| (pair[0] - pair[1]).abs() > 0.0).collect();
        let expected: Vec<bool> = (1..10u32).map(|time| time % of == 0).collect();
        assert_eq!(steps, expected, "{phases:?}");
    }
}

/// What DP3 gets of two windows is what it gets of one that has the channels of both.
#[test]
#[ignore = "needs CASA"]
fn spectral_windows_are_solved_together() {
    let folder = tempfile::tempdir().unwrap();
    let casa = real::casa();
    let copied = |windows: usize, channels: usize| {
        let own = folder.path().join(windows.to_string());
        fs::create_dir(&own).unwrap();
        let ms = real::field(&casa, &own, &small(&json!({"windows": windows, "channels": channels}))).ms;
        let output = own.join("four.ms");
        casa.ask(&FourCorrelations { ms, column: "DATA".into(), output: output.clone() }, None).unwrap();
        ["DATA", "FLAG", "UVW", "WEIGHT"].map(|column| checksum(&casa, &output, column).unwrap())
    };
    assert_eq!(copied(2, 3), copied(1, 6));
}

/// The calls of DP3 and of the imaging with facets.
fn the_plan_shows_the_calls(said: &str) {
    let is_call = |line: &&str| line.starts_with("$ DP3 ") || line.contains("-facet-regions");
    let calls: Vec<&str> = said.lines().filter(is_call).collect();
    assert_eq!(calls.len(), 4, "a solve and an image in rounds 2 and 3: {said}");
    assert!(calls[0].contains("dd.mode=scalarphase dd.solint=INTEGRATIONS") && calls[2].contains("dd.mode=scalar "));
    assert!(calls[0].contains("out/round-02/facets/solutions.h5"), "{calls:?}");
    assert!(calls[1].contains("out/round-02/facets/solutions.h5 phase000"), "{calls:?}");
    assert!(calls[3].contains("amplitude000,phase000"), "{calls:?}");
}

/// The refusals come before anything runs.
#[test]
fn what_cannot_be_imaged_by_direction_is_refused_in_the_plan() {
    let said = |from: &str, to: &str| {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("field.ms")).unwrap();
        fs::write(folder.path().join("field.ms/table.dat"), "").unwrap();
        assert!(CAMPAIGN.contains(from));
        fs::write(folder.path().join("campaign.yaml"), CAMPAIGN.replace(from, to)).unwrap();
        dialogue(folder.path(), ["plan campaign.yaml"])
    };
    insta::assert_snapshot!("tclean", said("imager: wsclean", "imager: casa"));
    insta::assert_snapshot!("round_0", said("0: {}", "0: {facets: {}}"));
    insta::assert_snapshot!(
        "back_again",
        said("3: {facets: {solint: 60s, calmode: ap}}", "3: {gaincal: {solint: int}}")
    );
    insta::assert_snapshot!("values", said("2: {facets: {solint: 60s}}", "2: {facets: {solint: auto, directions: 1}}"));
    insta::assert_snapshot!("a_cube", said("channels_out: 1", "channels_out: 4"));
}
