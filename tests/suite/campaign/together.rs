//! Several measurement sets of one target: one image, tables of their own.

use crate::support::real;
use crate::support::running::{PATIENCE, Running, wait_until};
use crate::support::schema::assert_campaign_fits;
use assert_cmd::Command;
use cleanloop::campaign::plan::preview;
use cleanloop::campaign::record::{CampaignRecord, DatasetRecord};
use cleanloop::campaign::{Campaign, CampaignPlan};
use cleanloop::measurement_set::checksum;
use cleanloop::programs::casa::Casa;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};

fn run(folder: &Path) -> DatasetRecord {
    let mut command = Command::cargo_bin("cleanloop").expect("the binary is built");
    let output = command.current_dir(folder).args(["run", "campaign.yaml"]).output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut record = CampaignRecord::load(&folder.join("out")).expect("a record");
    assert_eq!(record.datasets.len(), 1, "they are one target");
    record.datasets.remove(0)
}

/// A simulated night in a folder.
fn night(casa: &Casa, folder: &Path, number: usize, options: &Value) -> PathBuf {
    let mut all = json!({"night": number, "antennas": 10, "duration_s": 600, "gain_time_s": 20_000, "noise_jy": 0.3});
    all.as_object_mut().expect("a map").extend(options.as_object().expect("a map").clone());
    let path = folder.join(format!("night{number}.ms"));
    fs::rename(real::field(casa, folder, &all).ms, &path).expect("renamed");
    path
}

/// Two nights: the second from another hour angle, with one antenna less, two windows, half of its data flagged, and a
/// phase centre 25 arcsec beside that of the first, 1 % of the primary beam.
fn two_nights(casa: &Casa, folder: &Path) -> [PathBuf; 2] {
    let second = json!({
        "hour_angle_h": 3, "antennas": 9, "windows": 2, "channels": 2, "flagged_fraction": 0.5,
        "pointing_arcsec": [20.0, -15.0],
    });
    [night(casa, folder, 1, &json!({})), night(casa, folder, 2, &second)]
}

fn write_campaign(folder: &Path, block: &str, options: &str) {
    let text = format!(
        "version: 0.2\ncampaign: {{name: nights, measurement_sets: ['night*.ms'], output: out, resources: {{threads: 1}}, \
         {block}}}\n{options}\n"
    );
    fs::write(folder.join("campaign.yaml"), text).expect("written");
}

/// The dynamic range of each attempt, and the verdict.
fn course(dataset: &DatasetRecord) -> Vec<String> {
    let one = |r: &cleanloop::campaign::record::RoundRecord| {
        let range = r.metrics.as_ref().map_or(0.0, |m| m.dynamic_range);
        let verdict = r.decision.as_ref().map_or(String::new(), |d| format!("{:?}", d.verdict));
        format!("{}.{} {range:.0} {verdict}", r.round, r.attempt)
    };
    dataset.rounds.iter().map(one).collect()
}

fn best_range(dataset: &DatasetRecord) -> f64 {
    dataset.best_round().and_then(|r| r.metrics.as_ref()).map_or(0.0, |m| m.dynamic_range)
}

const WSCLEAN: &str = "defaults: {wsclean: {size: 512, scale: 2asec}}";

#[test]
fn a_plan_names_all_sets_and_the_tables_of_each() {
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["night1.ms", "night2.ms"] {
        fs::create_dir(folder.path().join(name)).expect("made");
    }
    write_campaign(folder.path(), "together: all, rounds: 1", WSCLEAN);
    let plan: CampaignPlan =
        Campaign::load(folder.path().join("campaign.yaml")).expect("read").plan().expect("planned");
    let [target] = &plan.targets[..] else { panic!("one target: {:?}", plan.targets) };
    assert_eq!((target.name.as_str(), target.members.len()), ("night1+1", 2));
    let lines = preview::command_lines(&plan, target);
    let words = |lines: &[Vec<String>]| -> Vec<String> {
        let root = folder.path().canonicalize().expect("there").display().to_string();
        let here = folder.path().display().to_string();
        lines.iter().map(|line| line.join(" ").replace(&root, "").replace(&here, "")).collect()
    };
    let calibration = words(&lines[1].calibration).join("\n");
    for part in ["/out/data/night1.ms", "calibration/night1/gains", "/out/data/night2.ms", "calibration/night2/gains"] {
        assert!(calibration.contains(part), "{part} in {calibration}");
    }
    let images: Vec<Vec<String>> = lines[1].imaging.iter().map(|call| call.words.clone()).collect();
    for call in words(&images) {
        assert!(call.ends_with("/out/data/night1.ms /out/data/night2.ms"), "{call}");
    }
    assert!(plan.to_string().contains("imaged together    night1+1 = night1, night2"), "{plan}");
}

#[test]
#[ignore = "needs wsclean and CASA"]
fn two_nights_make_a_better_image_than_each_and_their_data_stay() {
    let casa = real::casa();
    real::require("wsclean");
    let folder = tempfile::tempdir().expect("a folder");
    let nights = two_nights(&casa, folder.path());
    let sums = |name: &str| nights.each_ref().map(|ms| checksum(&casa, ms, name).expect("a checksum"));
    let before = sums("DATA");
    write_campaign(folder.path(), "rounds: 2", WSCLEAN);
    let together = run(folder.path());
    let said = course(&together);
    assert_eq!(sums("DATA"), before);
    let best = together.best_round().expect("a product");
    assert_eq!(best.round, 2, "{said:?}");
    let names: Vec<&str> = best.members.iter().map(|member| member.name.as_str()).collect();
    assert_eq!(names, ["night1", "night2"]);
    assert!(best.members.iter().all(|member| !member.tables.is_empty()), "{:?}", best.members);
    let out = folder.path().join("out");
    assert_campaign_fits(&out);
    for table in ["final/night1", "final/night2"] {
        assert!(out.join(table).join("apply-solutions.txt").exists(), "{table}");
    }
    fs::remove_dir_all(&out).expect("removed");
    // The first night is the better one.
    fs::remove_dir_all(&nights[1]).expect("removed");
    let alone = run(folder.path());
    assert!(best_range(&together) > 1.1 * best_range(&alone), "{:?}, {said:?}", course(&alone));
}

/// The second night has twice the noise: its gains are solved over longer intervals, those of the first are not.
#[test]
#[ignore = "needs wsclean and CASA"]
fn a_night_of_lower_snr_has_longer_intervals_of_its_own() {
    let casa = real::casa();
    real::require("wsclean");
    let folder = tempfile::tempdir().expect("a folder");
    // Small errors of the gains: the noise limits the first image, and intervals shorter than a scan have an S/N.
    night(&casa, folder.path(), 1, &json!({"noise_jy": 0.5, "phase_rms_deg": 15}));
    night(&casa, folder.path(), 2, &json!({"noise_jy": 1.0, "phase_rms_deg": 15, "hour_angle_h": 3}));
    write_campaign(folder.path(), "rounds: 1", WSCLEAN);
    let dataset = run(folder.path());
    assert_campaign_fits(&folder.path().join("out"));
    let round = dataset.best_round().expect("a product");
    assert_eq!(round.round, 1, "{:?}", course(&dataset));
    let [first, second] = &round.members[..] else { panic!("two nights") };
    assert!(first.weak.is_none() && second.weak.is_none(), "{:?}", round.members);
    assert!(first.chain.is_empty(), "the chain of the round is that of the best: {:?}", first.chain);
    let ([of_best], [own]) = (&round.chain[..], &second.chain[..]) else { panic!("{:?}", second.chain) };
    let seconds = |solint: &str| solint.trim_end_matches('s').parse::<f64>().expect("seconds");
    let longer = seconds(&own.solint) / seconds(&of_best.solint);
    assert!((3.0..=8.0).contains(&longer), "four times, or what divides the scan: {of_best:?}, {own:?}");
    let why = round.solint_why.as_deref().unwrap_or_default();
    assert!(why.contains("longer where the S/N is lower: night2: phases "), "{why}");
    for (night, term) in [("night1.ms", of_best), ("night2.ms", own)] {
        let solint = format!("solint='{}'", term.solint);
        let of_night = |words: &[String]| words[0] == "gaincal" && words[1].contains(night) && words.contains(&solint);
        assert!(
            round.commands.iter().any(|command| of_night(&command.words)),
            "{night} {solint}: {:?}",
            round.commands
        );
    }
    let stats = [first, second].map(|member| member.solutions.as_ref().expect("solutions"));
    let fewer = stats[0].solutions as f64 / stats[1].solutions as f64;
    assert!((0.9 * longer..1.1 * longer).contains(&fewer), "{fewer} times as many solutions, {longer} times as long");
    let snr = stats.map(|stats| stats.median_snr.expect("an S/N"));
    assert!(snr[1] > 0.8 * snr[0], "it has the S/N of the first: {snr:?}");
    assert!(snr[1] / longer.sqrt() < 0.8 * snr[0], "it would not have it in the intervals of the first: {snr:?}");
    let report = fs::read_dir(folder.path().join("out/report")).expect("a report");
    let pages = report.flatten().filter_map(|page| fs::read_to_string(page.path()).ok());
    assert!(pages.into_iter().any(|page| page.contains("own intervals")), "the report names them");
}

#[test]
#[ignore = "needs wsclean and CASA"]
fn a_run_that_was_killed_while_the_second_night_was_solved_goes_on_to_the_same() {
    let casa = real::casa();
    real::require("wsclean");
    let rounds = "selfcal: {0: {}, 1: {gaincal: {solint: inf}}}";
    let options = "defaults: {wsclean: {size: 512, scale: 2asec, weight: briggs 0, niter: 2000, mgain: 0.8, \
                   auto_threshold: 3, local_rms: false, channels_out: 1}, gaincal: {minsnr: 2, uvrange: ''}}";
    let block = "together: all, mask: {method: flint, rounds: 1}";
    let folders = [tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder")];
    for folder in &folders {
        two_nights(&casa, folder.path());
        write_campaign(folder.path(), block, &format!("{options}\n{rounds}"));
    }
    let whole = run(folders[0].path());
    assert_eq!(whole.rounds[1].members.len(), 2, "{:?}", course(&whole));
    let running = Running::start(folders[1].path(), &["run", "campaign.yaml"]);
    let journal = folders[1].path().join("out/journal.jsonl");
    let begun = r#""event":"started","step":"round-01/solve#2""#;
    wait_until("the second night's solve", PATIENCE, || fs::read_to_string(&journal).is_ok_and(|j| j.contains(begun)));
    running.kill();
    let resumed = run(folders[1].path());
    assert_eq!(course(&resumed), course(&whole));
    let done = fs::read_to_string(&journal).expect("a journal");
    let solved = |step: &str| done.matches(&format!(r#""event":"done","step":"round-01/{step}""#)).count();
    assert_eq!((solved("solve"), solved("solve#2")), (1, 1), "the first night is not solved again");
    let image = |folder: &tempfile::TempDir| fs::read(folder.path().join("out/final/model.fits")).expect("a model");
    assert_eq!(image(&folders[1]).len(), image(&folders[0]).len());
}

#[test]
#[ignore = "needs CASA"]
fn tclean_images_two_nights_with_masks_between_cycles() {
    let casa = real::casa();
    let folder = tempfile::tempdir().expect("a folder");
    two_nights(&casa, folder.path());
    let options = "defaults: {tclean: {imsize: 256, cell: 4arcsec}}";
    write_campaign(folder.path(), "rounds: 1, imager: casa, work_on: original", options);
    let dataset = run(folder.path());
    let said = course(&dataset);
    assert!(dataset.rounds[1].is_accepted() && best_range(&dataset) > 30.0, "{said:?}");
    assert_eq!(dataset.rounds[1].members.len(), 2);
}

#[test]
#[ignore = "needs wsclean and CASA"]
fn phase_centres_that_differ_are_refused_where_no_copies_are_made() {
    let casa = real::casa();
    real::require("wsclean");
    let folder = tempfile::tempdir().expect("a folder");
    two_nights(&casa, folder.path());
    write_campaign(folder.path(), "rounds: 1, work_on: original", WSCLEAN);
    let mut command = Command::cargo_bin("cleanloop").expect("the binary is built");
    let output = command.current_dir(folder.path()).args(["run", "campaign.yaml"]).output().expect("it runs");
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{error}");
    let words =
        "night2.ms: its phase centre lies 25.000 arcsec from that of night1, and the imager takes all phase centres";
    assert!(error.contains(words), "{error}");
}
