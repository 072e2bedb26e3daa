//! What a campaign does when things go wrong, with the real programs: ruinous rounds are undone bit for bit, hopeless
//! tables are refused, a worker that dies or a clean that diverges ends well, and what has converged stops early.

use crate::campaign::whole::{prepared, prepared_with};
use crate::support::real;
use crate::support::running::{Running, processor_time};
use assert_cmd::Command;
use cleanloop::campaign::record::{CampaignRecord, DatasetRecord, State, Verdict};
use cleanloop::measurement_set::checksum;
use serde_json::json;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

/// The first round of calibration alone.
pub(crate) static CAMPAIGN: LazyLock<String> = LazyLock::new(|| {
    let last = "  2: {gaincal: {solint: 60s, calmode: p}}\n";
    crate::campaign::whole::CAMPAIGN.replace("rounds: 2,", "rounds: 1,").replace(last, "")
});

/// Exit status, standard error, and the dataset's record.
fn run(folder: &Path) -> (Option<i32>, String, DatasetRecord) {
    let mut command = Command::cargo_bin("cleanloop").expect("the binary is built");
    let output = command.current_dir(folder).args(["run", "campaign.yaml"]).output().expect("it runs");
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    let record = CampaignRecord::load(&folder.join("out")).unwrap_or_else(|e| panic!("{e}: {error}"));
    (output.status.code(), error, record.datasets.into_iter().next().expect("a dataset"))
}

/// Contents of everything below a folder, lock files of tables left out.
fn contents(folder: &Path) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        if path.is_dir() {
            all.extend(contents(&path).into_iter().map(|(k, v)| (format!("{name}/{k}"), v)));
        } else if name != "table.lock" {
            let hash = Sha256::digest(fs::read(&path).expect("read"));
            all.insert(name, hash.iter().map(|b| format!("{b:02x}")).collect());
        }
    }
    all
}

/// The measurement set's columns, and the files of the accepted rounds: tables, masks and their state, product.
fn state(folder: &Path) -> BTreeMap<String, String> {
    let casa = real::casa();
    let ms = folder.join("out/data/field.ms");
    let mut all = BTreeMap::new();
    for column in ["DATA", "FLAG", "MODEL_DATA", "CORRECTED_DATA"] {
        all.insert(column.to_owned(), checksum(&casa, &ms, column).expect("a checksum"));
    }
    let rows = "import hashlib\ntb.open(ms)\nprint(hashlib.sha256(tb.getcol('FLAG_ROW').tobytes()).hexdigest())";
    all.insert("FLAG_ROW".into(), real::python(&ms, rows));
    for part in ["round-00", "round-01/mask", "round-01/calibration", "round-01/image", "final"] {
        let files = contents(&folder.join("out").join(part));
        all.extend(files.into_iter().map(|(name, hash)| (format!("{part}/{name}"), hash)));
    }
    all
}

/// Round 2 ruins the image; afterwards everything is as it was before it.
#[rstest::rstest]
// Amplitudes and phases of single integrations, whose S/N is near 1, and what has less is flagged.
#[case::by_its_interval("{gaincal: {solint: int, calmode: ap, minsnr: 1.5, applymode: calflag}}")]
// A mask of half a sigma, cleaned down to the same.
#[case::by_its_mask(
    "{wsclean: {auto_mask: null, auto_threshold: 0.5, niter: 20000, mgain: 0.9}, masking: \
      {flood_fill_use_mac: false, flood_fill_positive_seed_clip: 0.5, flood_fill_positive_flood_clip: 0.1}, \
      gaincal: {solint: inf, calmode: p}}"
)]
// The same on top of phases; the round before is a chain, too.
#[case::by_its_chain("{gaincal: [{solint: inf, calmode: p}, {solint: int, calmode: ap, minsnr: 1.5}]}")]
#[ignore = "needs wsclean and CASA"]
fn a_ruinous_round_leaves_everything_as_it_was(#[case] ruin: &str) {
    let base = CAMPAIGN
        .replace("mask: {rounds: 1}", "mask: {rounds: 1, method: both}")
        .replace(
            "resources:",
            "acceptance: {retries: 0, flagged_solutions: 1.0, solution_snr: 0}, solint: {hopeless_flagged: 1.0}, resources:",
        )
        .replace("0: {}", "0: {wsclean: {auto_mask: 4}}")
        .replace("solint: 120s", "solint: inf");
    let chain = "1: {gaincal: [{solint: inf, calmode: p}, {solint: inf, calmode: p, term: again}]}";
    let base = match ruin.contains('[') {
        true => base.replace("1: {gaincal: {solint: inf, calmode: p}}", chain),
        false => base,
    };
    let folder = prepared_with(&base, &json!({"antennas": 15, "duration_s": 1200, "noise_jy": 20.0}));
    let (status, error, dataset) = run(folder.path());
    assert_eq!(status, Some(0), "{error}");
    assert!(dataset.rounds[1].is_accepted(), "{error}");
    let before = state(folder.path());
    assert!(before.keys().any(|k| k.starts_with("round-01/mask/automask-state/")), "{:?}", before.keys());

    let campaign = base.replace("rounds: 1, imager", "rounds: 2, imager") + &format!("  2: {ruin}\n");
    fs::write(folder.path().join("campaign.yaml"), campaign).expect("written");
    let (_, error, dataset) = run(folder.path());
    let last = dataset.rounds.last().expect("rounds");
    assert!(last.round == 2 && !last.is_accepted(), "{:?}: {error}", last.decision);
    assert!(last.metrics.is_some(), "it was imaged: its tables were in force");
    assert_eq!(dataset.best_round().expect("a product").round, 1);
    let after = state(folder.path());
    for (name, hash) in &before {
        assert_eq!(after.get(name), Some(hash), "{name} after {ruin}");
    }
}

#[test]
#[ignore = "needs wsclean and CASA"]
fn a_campaign_that_has_converged_stops_early() {
    let same = "{gaincal: {solint: 120s, calmode: p}}";
    // Each repetition gains less: 120 %, 23 %, 18 %, 8 %, 4 %.
    let campaign = CAMPAIGN
        .replace("rounds: 1, imager", "rounds: 6, imager")
        .replace("resources:", "acceptance: {converged_gain: 0.3}, resources:")
        + &(2..=6).map(|r| format!("  {r}: {same}\n")).collect::<String>();
    let folder = prepared(&campaign);
    let (status, error, dataset) = run(folder.path());
    assert_eq!((status, dataset.state), (Some(0), State::Converged), "{error}");
    let last = dataset.rounds.last().expect("rounds");
    assert_eq!(last.round, 4, "the second round in a row that gained less than 30 %");
    let decision = last.decision.as_ref().expect("judged");
    assert_eq!(decision.verdict, Verdict::Converged);
    assert!(decision.summary.contains("gains in dynamic range of the last 2 accepted rounds"), "{}", decision.summary);
}

#[test]
#[ignore = "needs wsclean and CASA"]
fn tables_without_a_solution_are_refused_and_the_image_before_is_the_product() {
    let campaign = CAMPAIGN.replace("calmode: p}", "calmode: p, minsnr: 1e6}");
    let folder = prepared(&campaign);
    let (status, error, dataset) = run(folder.path());
    assert_eq!((status, dataset.state), (Some(0), State::Done), "{error}");
    let attempts: Vec<(usize, usize)> = dataset.rounds.iter().map(|r| (r.round, r.attempt)).collect();
    assert_eq!(attempts, [(0, 1), (1, 1), (1, 2)], "once more with a longer interval, then no more");
    assert_eq!(dataset.rounds[2].solint.as_deref(), Some("240s"));
    for round in &dataset.rounds[1..] {
        let summary = &round.decision.as_ref().expect("judged").summary;
        assert!(summary.contains("100.0 % of") && round.metrics.is_none(), "{summary}");
    }
    assert_eq!(dataset.best_round().expect("a product").round, 0);
    assert!(folder.path().join("out/final/image.fits").exists());
    let casa = real::casa();
    let flags = |ms: &str| checksum(&casa, &folder.path().join(ms), "FLAG").expect("a checksum");
    assert_eq!(flags("out/data/field.ms"), flags("field.ms"));
}

#[test]
#[ignore = "needs wsclean and CASA"]
fn a_clean_that_diverges_is_undone() {
    let campaign = CAMPAIGN.replace(
        "1: {gaincal: {solint: 120s, calmode: p}}",
        "1: {gaincal: {solint: 120s, calmode: p}, wsclean: {gain: 2.6, mgain: 1.0, auto_threshold: 0.1, multiscale: false}}",
    );
    let folder = prepared(&campaign);
    let (status, error, dataset) = run(folder.path());
    assert_eq!((status, dataset.state), (Some(4), State::Diverged), "{error}");
    assert_eq!(dataset.rounds[1].decision.as_ref().expect("judged").verdict, Verdict::Diverged);
    assert_eq!(dataset.best_round().expect("a product").round, 0);
    let product = fs::read(folder.path().join("out/final/image.fits")).expect("a product");
    assert_eq!(product, fs::read(folder.path().join("out/round-00/image/image.fits")).expect("an image"));
}

/// The process of the worker that a run started.
fn worker_of(run: u32) -> Option<i32> {
    let parent = |pid: i32| -> Option<u32> {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        status.lines().find_map(|l| l.strip_prefix("PPid:"))?.trim().parse().ok()
    };
    let is_worker =
        |pid: i32| fs::read_to_string(format!("/proc/{pid}/cmdline")).is_ok_and(|c| c.contains("cleanloop_worker"));
    let pids = fs::read_dir("/proc").ok()?.flatten().filter_map(|e| e.file_name().to_str()?.parse::<i32>().ok());
    pids.into_iter().find(|&pid| parent(pid) == Some(run) && is_worker(pid))
}

#[test]
#[ignore = "needs wsclean and CASA"]
fn a_worker_that_dies_while_it_solves_is_reported_and_the_run_goes_on_later() {
    let folder = prepared(&CAMPAIGN);
    let mut first = Running::start(folder.path(), &["run", "campaign.yaml"]);
    let journal = folder.path().join("out/journal.jsonl");
    first.wait_until("round 1", || fs::read_to_string(&journal).unwrap_or_default().contains("round-01/solve"));
    // In the middle of gaincal: a worker that dies while nothing is asked of it is replaced without a word.
    let worker = worker_of(first.pid()).expect("the worker runs");
    let before = processor_time(worker);
    first.wait_until("gaincal", || processor_time(worker) > before + Duration::from_millis(100));
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(worker), nix::sys::signal::Signal::SIGKILL).expect("killed");
    let (status, error) = first.finish();
    assert_eq!(status, Some(3), "{error}");
    assert!(error.contains("CASA died in") && error.contains("SIGKILL"), "{error}");
    assert_eq!(CampaignRecord::load(&folder.path().join("out")).expect("a record").state, State::Failed);
    let (status, error, dataset) = run(folder.path());
    assert_eq!((status, dataset.state), (Some(0), State::Done), "{error}");
    assert!(dataset.rounds[1].is_accepted());
}
