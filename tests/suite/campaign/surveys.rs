//! Surveys: many measurement sets, a flint strategy as it is, masks from the field's image, containers, the archive.

use crate::support::{real, scripts};
use cleanloop::image::FitsImage;
use cleanloop::masking::maker::{CutRequest, UserPixels, cut};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const STRATEGY: &str = "tests/data/strategies/continuum.yaml";

fn cleanloop(folder: &Path, words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_cleanloop"))
        .args(words)
        .current_dir(folder)
        .env("MEMDIR", std::env::temp_dir())
        .output()
        .expect("cleanloop itself starts")
}

/// `cleanloop plan` where CASA was never set up: nobody looks into the measurement sets, which are empty folders.
fn planned(folder: &Path, words: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cleanloop"));
    command.args(words).current_dir(folder);
    command.env("CLEANLOOP_HOME", folder.join("nothing")).env("MEMDIR", std::env::temp_dir());
    text(&command.output().expect("cleanloop itself starts"))
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn read(path: impl AsRef<Path>) -> Value {
    let path = path.as_ref();
    serde_json::from_slice(&std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))).unwrap()
}

fn strategy() -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(STRATEGY).display().to_string()
}

/// The command of the survey teams, for four rounds.
#[test]
fn a_strategy_is_planned_as_flint_would_run_it() {
    let folder = tempfile::tempdir().unwrap();
    for beam in ["beam00.ms", "beam01.ms"] {
        std::fs::create_dir(folder.path().join(beam)).unwrap();
    }
    let strategy = strategy();
    let words = ["plan", "--strategy", &strategy, "--ms", "beam*.ms", "--rounds", "4", "--use-beam-masks-from", "1"];
    let shown = planned(folder.path(), &words);
    for round in 0..=4 {
        assert!(shown.contains(&format!("\nround {round}\n")), "{shown}");
    }
    for part in ["the mode `aegean`", "the mode `archive`"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let masks = shown.matches("from the last accepted image").count();
    assert_eq!(masks, 5, "rounds 1 to 4 have masks, and so has Stokes V: {shown}");
    // Two at a time, and no limit of memory in the campaign: flint's 100 GB each must not be more than there are.
    let two = [&words[..], &["--set", "campaign.resources.concurrent=2"]].concat();
    let shown_two = planned(folder.path(), &two);
    let line = shown_two.lines().find(|l| l.starts_with("$ wsclean")).expect("a line of wsclean");
    let parts: Vec<&str> = line.split_whitespace().collect();
    let limit: f64 = parts[parts.iter().position(|p| *p == "-abs-mem").unwrap() + 1].parse().unwrap();
    let machine = cleanloop::process::own::memory_gb().expect("a machine has memory");
    assert!(limit <= 100.0 && (limit == 100.0 || 2.0 * limit <= machine), "{limit} of {machine} GB");
    assert!(limit == 100.0 || limit > 0.35 * machine, "{limit} of {machine} GB");
    let more = [
        "--set",
        "campaign.mask.image=field",
        "--set",
        "campaign.executables.wsclean=[apptainer, exec, w.sif, wsclean]",
    ];
    let shown = planned(folder.path(), &[&words[..], &more].concat());
    assert_eq!(shown.matches("cut from the field's mask: all measurement sets wait").count(), 4, "{shown}");
    let here = folder.path().canonicalize().unwrap();
    assert!(shown.contains("bind mounts"), "{shown}");
    let line = shown.lines().find(|l| l.starts_with("$ apptainer exec --bind ")).expect("a line to be copied");
    let binds: Vec<&str> = line.split_whitespace().nth(4).unwrap().split(',').collect();
    assert!(binds.iter().any(|b| here.starts_with(b) || folder.path().starts_with(b)), "{binds:?}");
    assert!(line.contains(" w.sif wsclean -name "), "{line}");
}

/// Two overlapping beams, and a measurement set that is none.
fn observe_two_beams_and_a_broken_set(folder: &Path) {
    let casa = real::casa();
    let at = |name: &str| folder.join(name);
    for (beam, east) in [("beam00", -200.0), ("beam01", 200.0)] {
        let options = json!({
            "antennas": 12, "duration_s": 600, "field_arcsec": 350.0, "pointing_arcsec": [east, 0.0],
            "bright_jy": 6.0, "phase_rms_deg": 15.0, "amplitude_rms": 0.03
        });
        let field = real::field(&casa, folder, &options);
        std::fs::rename(field.ms, at(&format!("{beam}.ms"))).unwrap();
    }
    std::fs::create_dir(at("beam02.ms")).unwrap();
    std::fs::write(at("beam02.ms/table.dat"), "broken").unwrap();
}

/// Two overlapping beams and a third measurement set that is broken: the strategy's rounds run with real programs, masks
/// come from the field's image, the broken one is left out, the disk budget is kept and the archive collected.
#[test]
#[ignore = "needs wsclean and CASA"]
fn a_strategy_runs_with_masks_from_the_field() {
    real::require("wsclean");
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    observe_two_beams_and_a_broken_set(folder.path());
    let strategy = strategy();
    let mut words: Vec<&str> =
        vec!["run", "--strategy", &strategy, "--ms", "beam*.ms", "--rounds", "1", "--use-beam-masks-from", "1"];
    let kept = at("kept");
    let archive = format!(
        "campaign.archive={{copy: [final/image.fits, report/index.html], compress: ['**/*.cal', '**/*.log'], to: {}}}",
        kept.display()
    );
    let settings = [
        archive.as_str(),
        "wsclean.size=256",
        "wsclean.scale=5asec",
        "wsclean.channels_out=1",
        "wsclean.join_channels=false",
        "wsclean.niter=2000",
        "wsclean.nmiter=3",
        "wsclean.auto_mask=5",
        "wsclean.local_rms=false",
        "campaign.name=sb1",
        "campaign.mask.image=field",
        "campaign.resources.concurrent=2",
        "campaign.resources.disk_budget_gb=0.001",
    ];
    for setting in &settings {
        words.extend(["--set", setting]);
    }
    let first = cleanloop(folder.path(), &words);
    let said = text(&first);
    assert!(said.contains("beam02: left out of the field image of round 1"), "{said}");
    assert!(said.contains("1 of 3 measurement sets failed"), "{said}");
    let out = at("sb1");
    let field = read(out.join("field/round-01/field.json"));
    assert_eq!(field["beams"], json!(["beam00", "beam01"]));
    assert_eq!(field["left_out"][0][0], "beam02");
    let whole = glob::glob(&format!("{}/field/round-01/mask-*.fits", out.display())).unwrap().flatten().next().unwrap();
    let mosaic = out.join("field/round-01/image.fits");
    let (ny, nx) = FitsImage::open(&mosaic).unwrap().plane_shape();
    // 400 arcsec apart: 80 pixels of 5 arcsec.
    assert!(nx.abs_diff(256 + 80) <= 2 && ny.abs_diff(256) <= 2, "{ny} x {nx}");
    for beam in ["beam00", "beam01"] {
        let mask = out.join(beam).join("round-01/mask/mask.fits");
        let again = at("again.fits");
        let image = out.join(beam).join("final/image.fits");
        let request = CutRequest {
            field_mask: &whole,
            scales: 1,
            beam_image: &image,
            users: &UserPixels::default(),
            previous: None,
            output: &again,
        };
        assert!(cut(&request).unwrap().stats.masked > 0);
        let plane = |path: &Path| FitsImage::open(path).unwrap().read_plane(0, 0).unwrap();
        assert_eq!(plane(&mask), plane(&again), "{beam}: the mask is the field's");
        let record = read(out.join("record.json"));
        let dataset = record["datasets"].as_array().unwrap().iter().find(|d| d["name"] == beam).unwrap();
        let mask_record = &dataset["rounds"][1]["mask"];
        assert_eq!(mask_record["source"], mosaic.display().to_string().as_str());
        assert!(mask_record["why"].as_str().unwrap().contains("without beam02"), "{mask_record}");
        let log = dataset["messages"].to_string();
        assert!(log.contains("removed to keep the disk budget") || log.contains("more than its part"), "{log}");
    }
    for file in ["beam00/final/image.fits", "beam01/beam01.tar.gz", "campaign/report/index.html"] {
        assert!(kept.join(file).exists(), "{file} is in the archive");
    }
    let images_done = || {
        let journal = std::fs::read_to_string(out.join("beam00/journal.jsonl")).unwrap();
        journal.lines().filter(|l| l.contains(r#""event":"done""#) && l.contains("/image\"")).count()
    };
    let imaged = images_done();
    assert!(imaged >= 2, "two rounds and no less");
    // The same command does nothing again, though files are gone.
    let made = std::fs::metadata(&mosaic).unwrap().modified().unwrap();
    let again = text(&cleanloop(folder.path(), &words));
    assert_eq!(std::fs::metadata(&mosaic).unwrap().modified().unwrap(), made, "{again}");
    assert_eq!(images_done(), imaged, "no round is imaged again");
}

/// A strategy with Stokes V and a cube without continuum, to its end: one line of wsclean for each channel, as flint's.
#[test]
#[ignore = "needs wsclean and CASA"]
fn a_strategy_runs_to_its_cube_without_continuum() {
    real::require("wsclean");
    let folder = tempfile::tempdir().unwrap();
    let options =
        json!({"antennas": 9, "duration_s": 600, "gain_errors": false, "phase_rms_deg": 0, "amplitude_rms": 0});
    let field = real::field(&real::casa(), folder.path(), &options);
    std::fs::rename(&field.ms, folder.path().join("beam00.ms")).unwrap();
    let strategy = "version: 0.2\n\
         defaults: {wsclean: {size: 256, scale: 6asec, weight: briggs 0, niter: 3000, nmiter: 5, auto_mask: 5, \
         auto_threshold: 2, local_rms: false, channels_out: 1, join_channels: false}, gaincal: {solint: inf}}\n\
         selfcal: {0: {}, 1: {}}\n\
         stokesv: {wsclean: {pol: v, niter: 20}}\n\
         subtractcube: {wsclean: {niter: 20, channels_out: 1}}\n";
    std::fs::write(folder.path().join("strategy.yaml"), strategy).unwrap();
    let words = ["run", "--strategy", "strategy.yaml", "--ms", "beam00.ms", "--output", "field", "--no-use-beam-masks"];
    let output = cleanloop(folder.path(), &words);
    assert!(output.status.success(), "{}", text(&output));
    let last = folder.path().join("field/final");
    let lines = |name: &str| -> Vec<String> {
        let record = read(last.join(name).join("record.json"));
        let rounds = record["datasets"].as_array().unwrap().iter().map(|dataset| dataset["rounds"][0].clone());
        let words = |round: Value| {
            let all: Vec<String> = serde_json::from_value(round["commands"][0]["words"].clone()).unwrap();
            all.join(" ")
        };
        rounds.map(words).collect()
    };
    let channels = lines("subtractcube");
    assert_eq!(channels.len(), 4);
    for (channel, line) in channels.iter().enumerate() {
        let own = format!("-channel-range {channel} {}", channel + 1);
        assert!(line.contains(&own) && line.contains("-niter 20") && line.contains("-data-column DATA "), "{line}");
        assert!(!line.contains("-join-channels") && !line.contains("-fits-mask"), "{line}");
        assert!(line.ends_with("final/subtractcube/data/beam00.ms"), "{line}");
    }
    let [stokes_v] = &lines("stokesv")[..] else { panic!("one image") };
    assert!(stokes_v.contains("-pol v") && stokes_v.ends_with("beam00.ms"), "{stokes_v}");
    let peak = |path: PathBuf, channel| {
        let plane = FitsImage::open(&path).unwrap().read_plane(0, channel).unwrap();
        plane.iter().fold(0.0f32, |peak, value| peak.max(value.abs()))
    };
    let continuum = peak(last.join("image.fits"), 0);
    let cube = last.join("subtractcube/image.fits");
    for channel in 0..4 {
        let left = peak(cube.clone(), channel);
        assert!(left < 0.2 * continuum, "channel {channel}: {left} of {continuum} Jy/beam are left");
    }
    let again = text(&cleanloop(folder.path(), &words));
    assert_eq!(lines("subtractcube"), channels, "{again}");
}

/// Threads and memory of three measurement sets, two at a time, in a container: bound, and never oversubscribed.
#[test]
#[ignore = "needs wsclean and CASA"]
fn containers_are_bound_and_the_machine_is_not_oversubscribed() {
    let casa = real::casa();
    real::require("wsclean");
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path().canonicalize().unwrap();
    let data = here.join("data");
    std::fs::create_dir(&data).unwrap();
    for beam in ["a", "b", "c"] {
        let field = real::tiny(&casa, &here);
        std::fs::rename(field.ms, data.join(format!("{beam}.ms"))).unwrap();
    }
    drop(casa);
    let apptainer = scripts::apptainer(&here);
    let campaign = format!(
        "version: 0.2\n\
         campaign:\n  name: boxed\n  measurement_sets: [data/*.ms]\n  rounds: 0\n  calibrator: none\n\
         \x20 executables: {{wsclean: [{}, exec, --cleanenv, wsclean.sif, wsclean]}}\n\
         \x20 resources: {{threads: 4, memory_gb: 3, concurrent: 2}}\n\
         defaults:\n  wsclean: {{size: 128, scale: 8asec, niter: 100, channels_out: 1, join_channels: false}}\n\
         selfcal: {{0: {{}}}}\n",
        apptainer.display()
    );
    std::fs::write(here.join("boxed.yaml"), campaign).unwrap();
    let output = cleanloop(&here, &["run", "boxed.yaml"]);
    assert!(output.status.success(), "{}", text(&output));
    let record = std::fs::read_to_string(here.join("record.txt")).unwrap();
    let value = |words: &[&str], option: &str| -> f64 {
        let place = words.iter().position(|w| *w == option).unwrap_or_else(|| panic!("{option} in {words:?}"));
        words[place + 1].parse().unwrap()
    };
    let (mut threads, mut memory, mut most_threads, mut runs) = (0.0, 0.0, 0.0f64, 0);
    for line in record.lines().filter(|line| line.contains(" -name ") && !line.contains(" -dry-run ")) {
        let words: Vec<&str> = line.split_whitespace().collect();
        // start exec --bind A,B --cleanenv wsclean.sif wsclean ...
        assert_eq!((words[1], words[2], words[4]), ("exec", "--bind", "--cleanenv"), "{line}");
        let binds: Vec<&Path> = words[3].split(',').map(Path::new).collect();
        let set = Path::new(words[words.len() - 1]);
        let name = PathBuf::from(words[words.iter().position(|w| *w == "-name").unwrap() + 1]);
        for path in [set, &name] {
            assert!(binds.iter().any(|bind| path.starts_with(bind)), "{} in {binds:?}", path.display());
        }
        let (j, gb) = (value(&words, "-j"), value(&words, "-abs-mem"));
        let sign = if words[0] == "start" { 1.0 } else { -1.0 };
        (threads, memory) = (threads + sign * j, memory + sign * gb);
        assert!(threads <= 4.0 && memory <= 3.0, "{threads} threads and {memory} GB at once:\n{record}");
        most_threads = most_threads.max(threads);
        runs += usize::from(words[0] == "start");
    }
    assert_eq!((runs, most_threads), (3, 4.0), "two at a time use the whole machine: {record}");
}
