//! Rounds that solve by direction, with the real DP3 and wsclean on a small simulated field of three directions.

use super::whole::{final_pixels, prepared_with, succeed};
use crate::support::running::Running;
use crate::support::words::dialogue;
use cleanloop::calibrator::facets::FacetGains;
use cleanloop::campaign::record::{RoundRecord, State};
use cleanloop::programs::setup::{Environment, Kind};
use serde_json::{Value, json};
use std::fs;

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
    let whole = prepared_with(CAMPAIGN, &data());
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

    let killed = prepared_with(CAMPAIGN, &data());
    let journal = killed.path().join("out/journal.jsonl");
    let begun = |step: &str| {
        let text = fs::read_to_string(&journal).unwrap_or_default();
        text.lines().any(|line| line.contains(r#""event":"started""#) && line.contains(step))
    };
    for step in ["round-02/facets", "round-02/image", "round-03/image"] {
        let mut first = Running::start(killed.path(), &["run", "campaign.yaml"]);
        first.wait_until(step, || begun(step));
        std::thread::sleep(std::time::Duration::from_millis(700));
        first.kill();
    }
    assert_eq!(succeed(killed.path()).state, State::Done);
    assert!(final_pixels(killed.path()) == expected, "the killed run ends with other images");
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
