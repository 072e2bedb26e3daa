//! `cleanloop image` with the real wsclean: one round's imaging alone, killed and resumed, and with what can be wrong.

use crate::support::running::Running;
use crate::support::{real, scripts, simulated};
use assert_cmd::Command;
use cleanloop::campaign::record::{CampaignRecord, State};
use cleanloop::image::FitsImage;
use cleanloop::imager::wsclean::{WscleanImager, WscleanOptions};
use cleanloop::imager::{Guarded, ImagerContext, ImagingJob, Residual, StopLimits};
use cleanloop::major_cycle;
use cleanloop::measurement_set::{copy, has_column};
use std::fs;
use std::path::Path;

/// Round 2 comes after calibrations; `image` leaves them out.
const CAMPAIGN: &str = "
version: 0.2
campaign: {name: small, measurement_sets: [field.ms], output: out, rounds: 2, imager: wsclean, calibrator: casa,
           mask: {method: auto, cadence: cycle, freeze_change: 0},
           stop: {nsigma: 3, major_cycles: 3}, resources: {threads: 1}}
defaults:
  wsclean: {size: 512, scale: 2asec, weight: briggs 0, niter: 3000, mgain: 0.8, local_rms: false, channels_out: 1,
            join_channels: false, abs_mem: 2}
selfcal:
  0: {}
  1: {gaincal: {solint: 120s, calmode: p}}
  2: {gaincal: {solint: 60s, calmode: p}, wsclean: {niter: 2000}}
";

fn prepared(campaign: &str) -> tempfile::TempDir {
    real::require("wsclean");
    let folder = tempfile::tempdir().expect("a temporary folder");
    copy(simulated::field(), &folder.path().join("field.ms")).expect("a copy of the data");
    fs::write(folder.path().join("campaign.yaml"), campaign).expect("written");
    folder
}

/// `cleanloop` where CASA was never set up.
fn without_casa(folder: &Path, arguments: &[&str]) -> std::process::Output {
    let mut command = Command::cargo_bin("cleanloop").expect("the binary is built");
    command.current_dir(folder).env("CLEANLOOP_HOME", folder.join("nothing")).args(arguments).output().expect("started")
}

/// `cleanloop image` in the background, where CASA was never set up.
fn in_background(folder: &Path) -> Running {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_cleanloop"));
    command.current_dir(folder).env("CLEANLOOP_HOME", folder.join("nothing")).args(["image", "campaign.yaml"]);
    Running::start_as(&mut command)
}

fn succeed(folder: &Path, arguments: &[&str]) -> CampaignRecord {
    let output = without_casa(folder, arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let stdout = String::from_utf8(output.stdout).expect("text");
    let report = Path::new(stdout.trim().strip_prefix("report: ").expect("the report's path")).to_owned();
    CampaignRecord::load(&folder.join(report.parent().and_then(Path::parent).expect("a folder"))).expect("a record")
}

fn refused(folder: &Path, arguments: &[&str], words: &[&str]) {
    let output = without_casa(folder, arguments);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{error}");
    for word in words {
        assert!(error.contains(word), "`{word}` is not in: {error}");
    }
}

fn pixels(path: &Path) -> Vec<u32> {
    FitsImage::open(path).and_then(|mut i| i.read_plane(0, 0)).expect("a plane").iter().map(|v| v.to_bits()).collect()
}

fn holds_a_file(folder: &Path) -> bool {
    let mut entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|e| e.path());
    entries.any(|path| path.is_file() || holds_a_file(&path))
}

fn started(journal: &Path) -> usize {
    let text = fs::read_to_string(journal).unwrap_or_default();
    text.lines().filter(|l| l.contains(r#""event":"started""#)).count()
}

#[test]
#[ignore = "needs wsclean and CASA"]
fn one_round_is_imaged_without_calibration_and_without_casa() {
    let folder = prepared(CAMPAIGN);
    let data = folder.path().join("field.ms");
    let out = folder.path().join("out/imaging-02");
    let arguments = ["image", "campaign.yaml", "--round", "2", "--column", "DATA"];
    let record = succeed(folder.path(), &arguments);
    assert_eq!((record.state, record.datasets[0].rounds.len()), (State::Done, 1));
    assert_eq!(record.datasets[0].planned_rounds, 1);
    let round = &record.datasets[0].rounds[0];
    assert_eq!((round.round, round.data_column.as_str()), (2, "DATA"));
    assert!(round.solutions.is_none() && round.tables.is_empty());
    assert_eq!(round.cycles.len(), 4, "three major cycles, and the residual after them");
    let masked: Vec<u64> = round.cycles.iter().map(|c| c.masked_pixels.expect("counted")).collect();
    assert!(masked[0] > 0 && masked[2] > masked[0], "the masks grow with the depth: {masked:?}");
    let iterations: u64 = round.cycles.iter().filter_map(|c| c.iterations).sum();
    assert!(iterations > 100 && iterations <= 2000, "the round's own niter: {iterations}");
    for name in ["image", "residual", "model", "psf", "mask"] {
        assert!(out.join("final").join(format!("{name}.fits")).exists(), "{name}");
    }
    assert!(out.join("report/round-02.html").exists() && !out.join("round-02/calibration").exists());
    // A copy was made for MODEL_DATA, and the user's data are as they were.
    assert_eq!(has_column(&data, "MODEL_DATA"), Some(false));
    let copied = out.join("data/field.ms");
    assert_eq!(has_column(&copied, "MODEL_DATA"), Some(true));

    // The same again repeats nothing.
    let steps = started(&out.join("journal.jsonl"));
    assert_eq!(succeed(folder.path(), &arguments).state, State::Done);
    assert_eq!(started(&out.join("journal.jsonl")), steps);

    // Where the column is there already, nothing need be copied, and it stays as it is.
    fs::rename(&copied, folder.path().join("with-model.ms")).expect("moved");
    let model = |ms: &Path| fs::read(ms.join("table.dat")).expect("the table's description");
    let before = model(&folder.path().join("with-model.ms"));
    let other =
        ["image", "campaign.yaml", "--ms", "with-model.ms", "--output", "other", "--round", "2", "--column", "DATA"];
    let again = succeed(folder.path(), &other);
    assert!(!folder.path().join("other/imaging-02/data/with-model.ms").exists());
    assert_eq!(model(&folder.path().join("with-model.ms")), before);
    let (a, b) = (&again.datasets[0].rounds[0], round);
    assert_eq!(a.cycles.len(), b.cycles.len());
    assert_eq!(
        pixels(&folder.path().join("other/imaging-02/final/image.fits")),
        pixels(&out.join("final/image.fits")),
        "the same data give the same image"
    );
}

/// Killed (not told to stop) at moments spread over the chain: it goes on from the last complete major cycle.
#[test]
#[ignore = "needs wsclean and CASA"]
fn killed_at_any_moment_it_goes_on_from_the_last_complete_cycle() {
    let whole = prepared(CAMPAIGN);
    succeed(whole.path(), &["image", "campaign.yaml"]);
    let killed = prepared(CAMPAIGN);
    let scratch = killed.path().join("out/imaging-00/round-00/image/.wsclean");
    let waits = [("start.new", ""), ("cycle.new", "start"), ("cycle.new", "cycle-0001"), ("cycle.new", "cycle-0002")];
    let mut inodes = Vec::new();
    for (appears, beside) in waits {
        let mut run = in_background(killed.path());
        run.wait_until(&format!("{appears} beside {beside}"), || {
            scratch.join(appears).exists() && scratch.join(beside).exists()
        });
        // In the middle of what wsclean does there.
        let at_work = scratch.join(appears);
        run.wait_until("a file of wsclean", || holds_a_file(&at_work));
        run.kill();
        let state = scratch.join(beside).join("state.json");
        if let Ok(file) = fs::metadata(&state) {
            use std::os::unix::fs::MetadataExt;
            inodes.push((state, file.ino(), file.mtime_nsec()));
        }
    }
    assert_eq!(inodes.len(), 3, "the start and two cycles were complete");
    // What was complete when the last kill came is not made again: the files are the same ones.
    for (state, inode, stamp) in &inodes {
        use std::os::unix::fs::MetadataExt;
        let now = fs::metadata(state).expect("still there");
        assert_eq!((now.ino(), now.mtime_nsec()), (*inode, *stamp), "{}", state.display());
    }
    let record = succeed(killed.path(), &["image", "campaign.yaml"]);
    assert_eq!(record.datasets[0].rounds[0].cycles.len(), 4);
    for name in ["image", "residual", "model", "mask"] {
        let file = format!("out/imaging-00/final/{name}.fits");
        assert_eq!(pixels(&whole.path().join(&file)), pixels(&killed.path().join(&file)), "{name}");
    }
    assert!(!scratch.exists(), "nothing unfinished is left");
}

/// A campaign without any calibration needs a few lines; a mask made once comes from its earlier image.
#[test]
#[ignore = "needs wsclean and CASA"]
fn a_campaign_without_calibration_is_natural_to_write() {
    let campaign = "
version: 0.2
campaign: {measurement_sets: [field.ms], output: out, calibrator: none, resources: {threads: 1}}
defaults:
  wsclean: {size: 512, scale: 2asec, niter: 500, nmiter: 2, channels_out: 1, join_channels: false, local_rms: false, abs_mem: 2}
  masking: {flood_fill: true, flood_fill_use_mac: true, flood_fill_use_mac_box_size: 100}
";
    let folder = prepared(campaign);
    let path = folder.path();
    let mask_later = ["image", "campaign.yaml", "--set", "campaign.rounds=1", "--round", "1"];
    refused(path, &mask_later, &["a mask that is made from an earlier round's image", "cadence: cycle"]);
    let record = succeed(path, &["run", "campaign.yaml"]);
    assert_eq!((record.datasets[0].rounds.len(), record.datasets[0].rounds[0].cycles.len()), (1, 0));
    assert!(!path.join("out/data/field.ms").exists(), "nothing is written to the data, so nothing is copied");
    assert_eq!(has_column(&path.join("field.ms"), "MODEL_DATA"), Some(false));
    // Now there is an image to make it from.
    let record = succeed(path, &mask_later);
    let round = &record.datasets[0].rounds[0];
    let source = round.mask.as_ref().and_then(|m| m.source.clone()).expect("a mask from an image");
    assert!(source.ends_with("out/round-00/image/image.fits"), "{}", source.display());
    assert!(path.join("out/final/image.fits").exists() && path.join("out/imaging-01/final/mask.fits").exists());
    // Its source may go (the disk budget takes old rounds' images): what was made from it stays, a new mask does not.
    fs::remove_file(&source).expect("removed");
    let steps = started(&path.join("out/imaging-01/journal.jsonl"));
    assert_eq!(succeed(path, &mask_later).state, State::Done);
    assert_eq!(started(&path.join("out/imaging-01/journal.jsonl")), steps, "nothing is repeated");
    let anew = [&mask_later[..], &["--restart"]].concat();
    refused(path, &anew, &["round-00/image/image.fits: the mask of round 1", "disk_budget_gb", "cadence: cycle"]);
}

#[test]
#[ignore = "needs wsclean and CASA"]
fn what_cannot_be_imaged_is_refused_with_a_reason() {
    let folder = prepared(CAMPAIGN);
    let path = folder.path();
    refused(path, &["image", "campaign.yaml", "--round", "7"], &["there is no round 7", "last round is 2"]);
    refused(path, &["image", "campaign.yaml", "--round", "1"], &["field.ms: has no column CORRECTED_DATA", "DATA"]);
    refused(
        path,
        &["image", "campaign.yaml", "--column", "MODEL_DATA"],
        &["invalid value 'MODEL_DATA'", "CORRECTED_DATA"],
    );
    let absent =
        without_casa(path, &["image", "campaign.yaml", "--set", "campaign.executables.wsclean=no-such-wsclean"]);
    assert_eq!(absent.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&absent.stderr).contains("no-such-wsclean"));
    // tclean is CASA's: without it there is no going on.
    let casa = without_casa(path, &["image", "campaign.yaml", "--imager", "casa", "--output", "casa"]);
    assert!(!casa.status.success() && String::from_utf8_lossy(&casa.stderr).contains("cleanloop setup casa"));
}

#[path = "../../../examples/imaging_driver.rs"]
mod driver;

/// Masks whose maker has a mistake.
struct Panics;

impl major_cycle::CycleMasks for Panics {
    fn make(&mut self, _: &Residual, _: &major_cycle::MaskMoment<'_>) -> cleanloop::Result<major_cycle::CycleMask> {
        panic!("on purpose");
    }
}

#[test]
#[ignore = "needs wsclean and CASA"]
fn a_panic_leaves_what_is_whole_and_nothing_else() {
    let folder = prepared(CAMPAIGN);
    let job = ImagingJob {
        measurement_sets: vec![folder.path().join("field.ms")],
        data_column: "DATA".into(),
        folder: folder.path().join("image"),
        log: folder.path().join("log"),
        threads: 1,
        memory_gb: None,
        update_model: false,
        facets: None,
    };
    let options =
        serde_json::from_value(serde_json::json!({"size": 512, "scale": "2asec", "channels_out": 1, "abs_mem": 2}));
    let options: WscleanOptions = options.expect("options");
    let limits = StopLimits {
        threshold_jy: None,
        nsigma: Some(3.0),
        iterations: 100,
        major_cycles: 2,
        independent_channels: false,
    };
    let rules = major_cycle::StopRules::new(&Default::default(), &limits, 1, 0.0);
    let to = job.folder.clone();
    let unwound = std::panic::catch_unwind(|| {
        let mut imager = Guarded::new(Box::new(WscleanImager::new(job, options, ImagerContext::default())));
        imager.setup().expect("set up");
        std::fs::create_dir_all(to.join(".wsclean/tmp.left")).expect("made");
        let measures = major_cycle::Measures {
            residual: &cleanloop::quality::residual::measure,
            flux: &cleanloop::quality::residual::model_fluxes,
        };
        major_cycle::run(imager.cycles().expect("wsclean cleans by cycles"), &mut Panics, measures, &rules, &to)
            .map(drop)
    });
    assert!(unwound.is_err(), "the panic goes on");
    let left = fs::read_dir(folder.path().join("image/.wsclean")).expect("the scratch folder").flatten();
    let left: Vec<_> = left.map(|e| e.file_name()).collect();
    assert_eq!(left, ["start"]);
}

/// The example from Rust, on real data.
#[test]
#[ignore = "needs wsclean and CASA"]
fn the_driver_from_rust_images() {
    let folder = prepared(CAMPAIGN);
    let report = driver::image(&folder.path().join("field.ms"), 512, "2asec", folder.path()).expect("an image");
    assert!(report.cycles.len() > 2 && report.products.image.exists());
    let peaks: Vec<f64> = report.cycles.iter().filter_map(|c| c.peak).collect();
    assert!(peaks.last() < peaks.first(), "{peaks:?}");
    assert!(!folder.path().join("image/.wsclean").exists());
}

fn example(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name);
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

#[test]
#[ignore = "needs wsclean and CASA"]
fn the_continuum_example_cleans_joined_channels_in_one_mask() {
    let folder = prepared(&example("continuum_wsclean.yaml"));
    let path = folder.path();
    let small = ["--set", "wsclean.size=512", "--set", "wsclean.scale=2asec", "--set", "campaign.stop.major_cycles=2"];
    let record = succeed(path, &[&["image", "campaign.yaml"][..], &small].concat());
    let round = &record.datasets[0].rounds[0];
    assert_eq!(round.cycles.len(), 3);
    assert!(round.cycles.iter().all(|c| c.channels.is_empty()), "one mask, one threshold, one stop");
    let products = round.products.as_ref().expect("products");
    assert_eq!(products.channels.len(), 2);
    let mask = round.mask.as_ref().expect("a mask");
    assert_eq!(FitsImage::open(&mask.path).expect("a mask").channels(), 1);
    let inside = pixels(&mask.path);
    for channel in &products.channels {
        let model = pixels(&channel.model);
        assert!(model.iter().any(|v| *v != 0), "{} is cleaned", channel.model.display());
        let zero = |bits: &u32| f32::from_bits(*bits) == 0.0;
        assert!(model.iter().zip(&inside).all(|(m, i)| zero(m) || !zero(i)), "and only inside the mask");
    }
    // The calls are in the record: the start, then one per cycle.
    let lines: Vec<String> = round.commands.iter().map(|c| c.words.join(" ")).collect();
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(lines[0].contains("-make-psf") && !lines[1].contains("-continue") && lines[2].contains("-continue"));
}

/// The line cube example on 8 channels: per-channel masks, thresholds, states and stops.
#[test]
#[ignore = "needs wsclean and CASA"]
fn the_line_cube_example_leaves_finished_channels_alone() {
    real::require("wsclean");
    let source = simulated::line_cube();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path();
    copy(source, &path.join("line.ms")).expect("a copy of the data");
    fs::write(path.join("campaign.yaml"), example("line_cube_wsclean.yaml")).expect("written");
    let record = succeed(path, &["image", "campaign.yaml", "--set", "campaign.resources.threads=2"]);
    let round = &record.datasets[0].rounds[0];
    let cycles = &round.cycles;
    assert!(cycles.len() > 2 && cycles.iter().all(|c| c.channels.len() == 8), "{} cycles", cycles.len());
    let mut ended = std::collections::BTreeSet::new();
    for channel in 0..8 {
        let of: Vec<_> = cycles.iter().map(|c| &c.channels[channel]).collect();
        let first_stopped = of.iter().position(|c| c.stopped.is_some()).unwrap_or(of.len());
        ended.insert(first_stopped);
        assert!(
            of[first_stopped..].iter().all(|c| c.stopped.is_some()),
            "channel {channel} never becomes active again"
        );
        assert!(of[..first_stopped].iter().all(|c| c.stopped.is_none() && c.iterations.is_none_or(|n| n > 0)));
        for window in of[first_stopped..].windows(2) {
            assert_eq!(window[0].iterations.unwrap_or(0), 0, "channel {channel} is left alone");
            assert_eq!((window[0].peak, window[0].rms), (window[1].peak, window[1].rms));
        }
        if first_stopped < of.len() {
            assert!(of[first_stopped].stopped.is_some(), "it says why");
        }
        // One call of wsclean for each cycle in which the channel was active, and no other.
        let log = path.join(format!("cube/imaging-00/round-00/logs/imager.channel-{channel:04}.log"));
        let calls = fs::read_to_string(log).unwrap_or_default().matches("WSClean version").count();
        assert_eq!(calls, first_stopped.min(cycles.len() - 1), "channel {channel}");
    }
    assert!(ended.len() > 1, "channels end at different cycles: {ended:?}");
    let empty = |channel: usize| cycles[0].channels[channel].masked_pixels == Some(0);
    assert!(empty(0) && empty(7) && !empty(4), "the ends of the band hold nothing");
    let levels: std::collections::BTreeSet<u64> =
        cycles[0].channels.iter().filter_map(|c| c.threshold).map(f64::to_bits).collect();
    assert!(levels.len() > 4, "each channel has its own threshold");
    let mask = round.mask.as_ref().expect("a mask");
    let (mut model, mut mask) = (
        FitsImage::open(path.join("cube/imaging-00/final/model.fits")).expect("a model"),
        FitsImage::open(&mask.path).expect("a mask"),
    );
    assert_eq!((model.channels(), mask.channels()), (8, 8));
    for channel in 0..8 {
        let (model, mask) = (model.read_plane(0, channel).expect("read"), mask.read_plane(0, channel).expect("read"));
        assert!(model.iter().zip(&mask).all(|(m, i)| *m == 0.0 || *i != 0.0), "channel {channel} in its own mask");
    }
}

/// wsclean with a gain that makes the third call of a chain diverge: the state after the second is taken.
#[test]
#[ignore = "needs wsclean and CASA"]
fn divergence_reverts_to_the_last_good_cycle() {
    let folder = prepared(CAMPAIGN);
    let path = folder.path();
    let script = scripts::diverging_wsclean(path, "-continue");
    let wrong = format!("campaign.executables.wsclean={}", script.display());
    let record = succeed(path, &["image", "campaign.yaml", "--set", &wrong, "--set", "campaign.stop.major_cycles=5"]);
    let round = &record.datasets[0].rounds[0];
    assert_eq!(round.stopped, Some(cleanloop::imager::StopReason::Diverged), "{:?}", round.cycles);
    assert_eq!(round.cycles.len(), 4, "the last one is the bad one");
    let peaks: Vec<f64> = round.cycles.iter().filter_map(|c| c.peak).collect();
    assert!(peaks[3] > 1.5 * peaks[2] && peaks[2] < peaks[1] && peaks[1] < peaks[0], "{peaks:?}");
    let good = round.cycles[2].residual.as_ref().expect("kept for the report");
    assert_eq!(pixels(&path.join("out/imaging-00/final/residual.fits")), pixels(good));
}

/// One channel of a cube diverges: it goes back to its best cycle and stays there, the others end as without it.
#[test]
#[ignore = "needs wsclean and CASA"]
fn a_channel_that_diverges_reverts_and_the_others_go_on() {
    real::require("wsclean");
    let source = simulated::line_cube();
    let cube = |folder: &Path, more: &[&str]| {
        copy(source, &folder.join("line.ms")).expect("a copy of the data");
        fs::write(folder.join("campaign.yaml"), example("line_cube_wsclean.yaml")).expect("written");
        // With several threads wsclean adds in another order each time.
        let threads = ["image", "campaign.yaml", "--set", "campaign.resources.threads=1"];
        succeed(folder, &[&threads, more].concat()).datasets[0].rounds[0].clone()
    };
    let (good, bad) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let whole = cube(good.path(), &[]);
    let script = scripts::diverging_wsclean(bad.path(), "-channel-range 4 5");
    let wrong = format!("campaign.executables.wsclean={}", script.display());
    let spoilt = cube(bad.path(), &["--set", &wrong]);
    let of = |channel: usize| spoilt.cycles.iter().map(|c| c.channels[channel].clone()).collect::<Vec<_>>();
    let fourth = of(4);
    assert_eq!(fourth[2].stopped, Some(cleanloop::imager::StopReason::Diverged), "{fourth:?}");
    assert!(fourth[1].stopped.is_none() && fourth[2].peak > fourth[1].peak.map(|p| 1.2 * p));
    assert_eq!(fs::read_to_string(bad.path().join("count")).expect("counted").lines().count(), 2, "no third call");
    for later in &fourth[3..] {
        assert_eq!((later.peak, later.iterations.unwrap_or(0)), (fourth[1].peak, 0), "as after its first cycle");
    }
    let planes = |folder: &Path, kind: &str| {
        let mut file = FitsImage::open(folder.join(format!("cube/imaging-00/final/{kind}.fits"))).expect("a cube");
        (0..8).map(|k| file.read_plane(0, k).expect("a plane")).collect::<Vec<_>>()
    };
    let mut kept = FitsImage::open(spoilt.cycles[1].residual.as_ref().expect("kept")).expect("a cube");
    assert_eq!(planes(bad.path(), "residual")[4], kept.read_plane(0, 4).expect("a plane"));
    assert_ne!(spoilt.stopped, None);
    for kind in ["image", "residual", "model"] {
        let (a, b) = (planes(good.path(), kind), planes(bad.path(), kind));
        for k in (0..8).filter(|k| *k != 4) {
            assert!(a[k] == b[k], "{kind} of channel {k}");
        }
    }
    assert!(whole.cycles.len() > 2 && of(3).iter().zip(&whole.cycles).all(|(a, b)| *a == b.channels[3]));
}

/// Told to stop in the middle of a cycle: no process and no temporary file is left, whole cycles stay.
#[test]
#[ignore = "needs wsclean and CASA"]
fn a_signal_leaves_whole_cycles_and_nothing_else() {
    let folder = prepared(CAMPAIGN);
    let scratch = folder.path().join("out/imaging-00/round-00/image/.wsclean");
    let mut run = in_background(folder.path());
    let pid = run.pid();
    let of_child = || {
        fs::read_dir("/dev/shm")
            .into_iter()
            .flatten()
            .flatten()
            .filter(|e| e.file_name().to_string_lossy().starts_with(&format!("cleanloop-{pid}-")))
    };
    run.wait_until("the second cycle", || {
        scratch.join("cycle-0001").exists() && scratch.join("cycle.new/all/d-dirty.fits").exists()
    });
    let shared = of_child().count();
    run.signal(nix::sys::signal::Signal::SIGTERM);
    let (status, error) = run.finish();
    assert_eq!(status, Some(130), "{error}");
    assert!(shared <= 1);
    let left = fs::read_dir("/dev/shm").into_iter().flatten().flatten();
    let mine = format!("cleanloop-{pid}-");
    assert_eq!(left.filter(|e| e.file_name().to_string_lossy().starts_with(&mine)).count(), 0, "no temporary files");
    let mut names: Vec<String> = fs::read_dir(&scratch)
        .expect("the scratch folder")
        .flatten()
        .map(|e| e.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    assert!(names.len() >= 2 && names[0] == "cycle-0001" && names.last().is_some_and(|n| n == "start"), "{names:?}");
    assert!(!names.iter().any(|n| n.ends_with(".new") || n.starts_with("tmp")), "{names:?}");
    // No process still has this folder in its command line.
    let here = folder.path().to_string_lossy().into_owned();
    let working = fs::read_dir("/proc").into_iter().flatten().flatten().filter(|process| {
        let words = fs::read(process.path().join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&words).contains(&here)
    });
    assert_eq!(working.count(), 0, "no wsclean is left");
    succeed(folder.path(), &["image", "campaign.yaml"]);
}

/// A program that fails in the middle: exit code 3, its reason, whole cycles kept; mended, it goes on.
#[test]
#[ignore = "needs wsclean and CASA"]
fn a_failure_in_a_cycle_keeps_what_is_whole() {
    let folder = prepared(CAMPAIGN);
    let path = folder.path();
    let script = scripts::failing_wsclean(path, "-continue");
    let wrong = format!("campaign.executables.wsclean={}", script.display());
    let output = without_casa(path, &["image", "campaign.yaml", "--set", &wrong]);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{error}");
    assert!(error.contains("exit status 9") && error.contains("no more"), "{error}");
    let scratch = path.join("out/imaging-00/round-00/image/.wsclean");
    assert!(scratch.join("cycle-0001/state.json").exists() && !scratch.join("cycle.new").exists());
    succeed(path, &["image", "campaign.yaml"]);
}

/// wsclean makes no primary beam of the VLA; the user's is on the image's pixels.
#[test]
#[ignore = "needs wsclean and CASA"]
fn a_primary_beam_of_the_users_divides_the_image() {
    use cleanloop::image::{Header, PixelType, write_plane};
    let folder = prepared(CAMPAIGN);
    let path = folder.path();
    let beam = |size: usize| {
        let centre = size as f32 / 2.0;
        ndarray::Array2::from_shape_fn((size, size), |(y, x)| {
            let r2 = (y as f32 - centre).powi(2) + (x as f32 - centre).powi(2);
            (-r2 / (2.0 * (size as f32 / 4.0).powi(2))).exp()
        })
    };
    for (name, size) in [("pb.fits", 512), ("small.fits", 100)] {
        write_plane(path.join(name), beam(size).view(), PixelType::F32, &Header::default(), 4).expect("a beam");
    }
    let image = |beam: &str| {
        ["image", "campaign.yaml", "--set"]
            .map(String::from)
            .into_iter()
            .chain([format!("wsclean.primary_beam={{image: {beam}, limit: 0.3}}")])
    };
    let small: Vec<String> = image("small.fits").collect();
    let words: Vec<&str> = small.iter().map(String::as_str).collect();
    refused(path, &words, &["the primary beam has 100 x 100 pixels", "512 x 512"]);
    let whole: Vec<String> = image("pb.fits").collect();
    succeed(path, &whole.iter().map(String::as_str).collect::<Vec<_>>());
    let read = |name: &str| {
        let file = path.join("out/imaging-00/final").join(name);
        FitsImage::open(file).and_then(|mut i| i.read_plane(0, 0)).unwrap_or_else(|e| panic!("{e}"))
    };
    let (image, pb, pbcor) = (read("image.fits"), read("pb.fits"), read("image.pbcor.fits"));
    assert_eq!(pb, beam(512));
    let mut blank = 0;
    for ((v, b), c) in image.iter().zip(&pb).zip(&pbcor) {
        if *b >= 0.3 { assert_eq!(*c, v / b) } else { blank += usize::from(c.is_nan()) }
    }
    assert_eq!(blank, pb.iter().filter(|b| **b < 0.3).count());
    assert!(blank > 0 && blank < pb.len());
}

/// What a round with a mask before each major cycle really runs, and what the imager cannot do.
#[test]
#[ignore = "needs wsclean and CASA"]
fn plan_shows_the_chain_and_what_the_imager_can_do() {
    let folder = prepared(CAMPAIGN);
    let plan = |arguments: &[&str]| {
        let output = without_casa(folder.path(), &[&["plan", "campaign.yaml"][..], arguments].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    };
    let text = plan(&["--set", "campaign.mask.every=2"]);
    let rounds: Vec<&str> = text.split("\nround ").collect();
    let [.., round, last] = &rounds[..] else { panic!("{text}") };
    let calls_of = |round: &str| -> Vec<String> {
        round.lines().filter(|l| l.starts_with("$ wsclean")).map(str::to_owned).collect()
    };
    let calls = calls_of(round);
    assert_eq!(calls.len(), 4, "{round}");
    assert!(calls[0].contains("-niter 0 -make-psf") && !calls[0].contains("-reuse-psf"));
    for word in ["-niter 3000 -nmiter 2", "-fits-mask", "mask/cycle-000.fits", "-auto-threshold 3", "-reuse-dirty"] {
        assert!(calls[1].contains(word), "{word} in {}", calls[1]);
    }
    assert!(!calls[1].contains("-no-update-model-required") && !calls[1].contains("-continue"));
    assert!(calls[2].contains("-continue") && calls[2].contains("-niter ITERATIONS_LEFT"));
    // The next round has a mask before its first residual.
    let calls = calls_of(last);
    assert_eq!(calls.len(), 3, "{last}");
    assert!(calls[0].contains("-niter 2000 -nmiter 2") && calls[0].contains("-fits-mask"));
    assert!(!calls[0].contains("-reuse-psf") && calls[1].contains("-continue -reuse-psf"));
    for words in
        ["program", "wsclean 3", "a fresh mask before each", "one mask for all scales", "primary_beam: {image: FILE}"]
    {
        assert!(round.contains(words), "{words} in {round}");
    }
    // A cube: one process per channel, and the models together at the end.
    let text = plan(&["--set", "wsclean.channels_out=4"]);
    assert!(text.contains("-channel-range FIRST END") && text.contains("a process for each channel"));
    assert!(text.contains("-predict") && text.contains("MODEL_DATA"));
    // wsclean under MPI need not be installed to be shown; its processes share the threads.
    let mpi = "campaign.executables.wsclean=[mpirun, -n, '4', no-wsclean-mp]";
    let text = plan(&["--set", mpi, "--set", "campaign.resources.threads=8"]);
    let calls: Vec<&str> =
        text.split("\nround ").last().expect("rounds").lines().filter(|l| l.contains(" -name ")).collect();
    assert_eq!(calls.len(), 3, "{text}");
    assert!(calls.iter().all(|l| l.starts_with("$ mpirun -n 4 no-wsclean-mp -name ") && l.contains(" -j 2 ")));
    // tclean's requests, without CASA.
    let text = plan(&["--imager", "casa"]);
    for words in
        ["$ open 'vis=", "$ minor 'mask=", "cycle-NNN.fits", "$ restore update_model=True", "up to 3 major cycles"]
    {
        assert!(text.contains(words), "{words} in {text}");
    }
    let json: serde_json::Value = serde_json::from_str(&plan(&["--json"])).expect("JSON");
    let lines = &json["targets"][0]["command_lines"][2];
    assert_eq!(lines["imaging"].as_array().map(Vec::len), Some(3));
    assert!(lines["imaging"][0]["what"].as_str().is_some_and(|w| w.contains("PSF")));
}
