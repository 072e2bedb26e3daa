//! Auto-multithresh call by call: files, state folder, command line.

use crate::support::words::without_folder;
use assert_cmd::Command;
use cleanloop::image::{Beam, FitsImage, Header, PixelType, PlaneWriter, append_beam_table};
use cleanloop::masking::multithresh::{CycleInputs, CycleSummary, MultithreshError, MultithreshOptions, run_cycle};
use ndarray::Array2;
use serde_json::Value;
use std::path::{Path, PathBuf};

const NX: usize = 90;
const NY: usize = 80;

fn cleanloop() -> Command {
    Command::new(assert_cmd::cargo::cargo_bin!("cleanloop"))
}

fn case(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/multithresh").join(name)
}

/// Noise and a few sources whose brightness depends on the channel and the cycle.
fn plane(channel: usize, cycle: usize) -> Array2<f32> {
    let mut state = (channel as u64 * 1000 + cycle as u64) | 1;
    let mut uniform = move || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 40) as f32 / (1u64 << 24) as f32
    };
    let noise: Vec<f32> = (0..NY * NX).map(|_| (0..6).map(|_| uniform()).sum::<f32>() - 3.0).collect();
    let bright = if channel % 4 == 3 { 0.0 } else { 30.0 / (1.0 + cycle as f32) };
    Array2::from_shape_fn((NY, NX), |(y, x)| {
        let source = |cy: f32, cx: f32, width: f32| {
            let r2 = (y as f32 - cy).powi(2) + (x as f32 - cx).powi(2);
            (-r2 / (2.0 * width * width)).exp()
        };
        let extended = source(40.0, 30.0 + channel as f32, 6.0) + source(60.0, 70.0, 2.5);
        noise[y * NX + x] * 0.5 + bright * (extended - 0.8 * source(20.0, 60.0, 3.0))
    })
}

fn header() -> Header {
    let mut header = Header::default();
    for (axis, kind) in ["RA---SIN", "DEC--SIN", "FREQ", "STOKES"].iter().enumerate() {
        header.set_str(&format!("CTYPE{}", axis + 1), kind);
        header.set_f64(&format!("CRVAL{}", axis + 1), 1.0);
        header.set_f64(&format!("CRPIX{}", axis + 1), 1.0);
        header.set_f64(&format!("CDELT{}", axis + 1), 1.0);
    }
    header.set_f64("CDELT1", -1.0 / 3600.0);
    header.set_f64("CDELT2", 1.0 / 3600.0);
    header.set_f64("BMAJ", 5.0 / 3600.0);
    header.set_f64("BMIN", 3.5 / 3600.0);
    header.set_f64("BPA", 25.0);
    header
}

/// `[channel][polarisation]` planes as a file of axes RA, DEC, FREQ, STOKES.
fn write(path: &Path, header: &Header, channels: usize, pols: usize, pixel: impl Fn(usize, usize) -> Array2<f32>) {
    let mut writer = PlaneWriter::create(path, &[NX, NY, channels, pols], PixelType::F32, header, false).unwrap();
    for pol in 0..pols {
        for channel in 0..channels {
            writer.write_plane(pol * channels + channel, pixel(channel, pol).view()).unwrap();
        }
    }
    writer.finish().unwrap();
}

fn options() -> MultithreshOptions {
    MultithreshOptions {
        sidelobethreshold: 1.0,
        noisethreshold: 4.25,
        negativethreshold: 5.0,
        minpercentchange: 1.0,
        fastnoise: false,
        ..MultithreshOptions::default()
    }
}

/// A run of several cycles over a synthetic cube in a folder of its own.
struct Run {
    folder: tempfile::TempDir,
    channels: usize,
}

impl Run {
    fn new(channels: usize, cycles: usize) -> Self {
        let run = Self { folder: tempfile::tempdir().unwrap(), channels };
        for cycle in 0..cycles {
            write(&run.residual(cycle), &header(), channels, 1, |channel, _| plane(channel, cycle));
        }
        run
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn residual(&self, cycle: usize) -> PathBuf {
        self.path(&format!("residual{cycle}.fits"))
    }

    fn inputs(&self, cycle: usize) -> CycleInputs {
        CycleInputs {
            residual: self.residual(cycle),
            sidelobe_level: Some(0.1),
            threshold_reached: cycle > 1,
            ..CycleInputs::default()
        }
    }

    fn call(&self, cycle: usize, state: &str, output: &str) -> CycleSummary {
        run_cycle(&self.inputs(cycle), &options(), &self.path(state), &self.path(output)).unwrap()
    }

    fn fails(&self, inputs: &CycleInputs, options: &MultithreshOptions) -> MultithreshError {
        run_cycle(inputs, options, &self.path("state"), &self.path("refused.fits")).unwrap_err()
    }

    /// What an error says, with `DIR` for the folder.
    fn words(&self, error: &MultithreshError) -> String {
        without_folder(&error.to_string(), self.folder.path())
    }

    fn masks(&self, name: &str) -> Vec<Array2<f32>> {
        let mut image = FitsImage::open(self.path(name)).unwrap();
        (0..self.channels).map(|c| image.read_plane(0, c).unwrap()).collect()
    }
}

fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().path())
        .map(|p| (p.file_name().unwrap().to_string_lossy().into_owned(), std::fs::read(&p).unwrap()))
        .collect();
    files.sort();
    files
}

#[test]
fn the_command_line_makes_casas_masks_cycle_by_cycle() {
    for name in ["cube_flagged_channel", "edge_pb_equals_pbmask", "edge_initial_mask", "edge_zero_plane"] {
        let case = case(name);
        let json: Value = serde_json::from_str(&std::fs::read_to_string(case.join("case.json")).unwrap()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let parameters = json["parameters"].as_object().unwrap();
        for cycle in json["cycles"].as_array().unwrap() {
            let mut command = cleanloop();
            let output = folder.path().join("mask.fits");
            command.arg("automask").arg(case.join(cycle["residual_file"].as_str().unwrap()));
            command.arg("--state").arg(folder.path().join("state")).arg("--output").arg(&output).arg("--json");
            command.arg("--sidelobe-level").arg(json["psf_sidelobe_level"].to_string());
            for (key, value) in parameters {
                match value {
                    Value::Bool(true) => command.arg(format!("--{key}")),
                    Value::Bool(false) => command.arg(format!("--no-{key}")),
                    number => command.arg(format!("--{key}")).arg(number.to_string()),
                };
            }
            for (flag, file) in [("--pb", "pb"), ("--pixelmask", "pixelmask"), ("--initial-mask", "mask_initial")] {
                let file = case.join(format!("{file}.fits.gz"));
                if file.is_file() {
                    command.arg(flag).arg(file);
                }
            }
            if cycle["threshold_reached"].as_bool().unwrap() {
                command.arg("--threshold-reached");
            }
            let out = command.assert().success().get_output().stdout.clone();
            let summary: CycleSummary = serde_json::from_slice(&out).unwrap();
            assert_eq!(summary.cycle, cycle["cycle"].as_u64().unwrap() as usize);
            let mut made = FitsImage::open(&output).unwrap();
            let mut expected = FitsImage::open(case.join(cycle["mask_file"].as_str().unwrap())).unwrap();
            assert_eq!((made.bitpix(), made.axes()), (8, expected.axes()));
            for (channel, golden) in cycle["channels"].as_array().unwrap().iter().enumerate() {
                let at = format!("{name} cycle {} channel {channel}", summary.cycle);
                assert_eq!(made.read_plane(0, channel).unwrap(), expected.read_plane(0, channel).unwrap(), "{at}");
                let plane = &summary.planes[channel];
                assert_eq!(plane.skip, golden["skip"].as_bool().unwrap(), "{at}");
                assert_eq!(plane.n_reg as u64, golden["n_reg"].as_u64().unwrap(), "{at}");
            }
        }
    }
}

#[test]
fn the_table_names_what_casa_prints() {
    let case = case("edge_zero_plane");
    let folder = tempfile::tempdir().unwrap();
    let mut command = cleanloop();
    command.arg("automask").arg(case.join("residual_cycle0.fits.gz")).arg("--psf").arg(case.join("psf.fits.gz"));
    command.arg("--state").arg(folder.path().join("state")).arg("--output").arg(folder.path().join("mask.fits"));
    command.args(["--preset", "alma-12m-compact"]);
    let output = command.assert().success().get_output().clone();
    insta::assert_snapshot!(String::from_utf8(output.stdout).unwrap());
    insta::assert_snapshot!(String::from_utf8(output.stderr).unwrap());
}

#[test]
fn any_number_of_threads_writes_the_same_bytes() {
    let run = Run::new(9, 3);
    let mut outcomes = Vec::new();
    for threads in [1, 2, 5] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let state = format!("state{threads}");
        let mut all = Vec::new();
        for cycle in 0..3 {
            let summary = pool.install(|| run.call(cycle, &state, "mask.fits"));
            all.push((serde_json::to_string(&summary).unwrap(), std::fs::read(run.path("mask.fits")).unwrap()));
        }
        outcomes.push((all, files(&run.path(&state))));
    }
    assert!(outcomes[0] == outcomes[1] && outcomes[0] == outcomes[2]);
    let masked = run.masks("mask.fits").iter().map(|m| m.sum()).sum::<f32>();
    assert!(masked > 100.0, "{masked}");
}

#[test]
fn masks_only_grow_and_skipped_channels_stay() {
    let run = Run::new(8, 4);
    let mut before: Option<(Vec<Array2<f32>>, CycleSummary)> = None;
    let mut skipped = 0;
    for cycle in 0..4 {
        let summary = run.call(cycle, "state", "mask.fits");
        let masks = run.masks("mask.fits");
        if let Some((old, last)) = &before {
            for (channel, (old, new)) in old.iter().zip(&masks).enumerate() {
                assert!(old.iter().zip(new).all(|(o, n)| n >= o), "cycle {cycle} channel {channel}");
                if last.planes[channel].skip {
                    assert_eq!(old, new);
                    assert!(summary.planes[channel].skip && summary.planes[channel].median.is_none());
                    skipped += 1;
                }
            }
        }
        before = Some((masks, summary));
    }
    assert!(skipped > 0, "some channels must have been skipped");
}

#[test]
fn state_masks_can_be_opened() {
    let run = Run::new(2, 1);
    run.call(0, "state", "mask.fits");
    let cube = run.path("state/masks-0000.fits.fz");
    let mut image = FitsImage::open(cube).unwrap();
    assert_eq!((image.plane_shape(), image.channels()), ((NY, NX), 2));
    let (state, mask) = (image.read_plane(0, 0).unwrap(), run.masks("mask.fits").remove(0));
    assert_eq!(state.mapv(|v| f32::from(v != 0.0)), mask);
    // The hole at (20, 60) is absorption, the bright source is not.
    assert_eq!((state[[20, 60]], state[[40, 30]]), (2.0, 1.0));
}

#[test]
fn what_changed_is_named() {
    let run = Run::new(2, 2);
    run.call(0, "state", "mask.fits");
    let files_before = files(&run.path("state"));
    let options = options();
    let other = MultithreshOptions { noisethreshold: 5.0, ..options.clone() };
    let changes_of = |error: MultithreshError| match error {
        MultithreshError::StateMismatch { folder, changes } if folder == run.path("state") => changes,
        other => panic!("{other:?}"),
    };
    let error = run.fails(&run.inputs(1), &other);
    insta::assert_snapshot!(
        run.words(&error),
        @"the state in DIR/state does not fit this call: noisethreshold: 4.25 -> 5.0; give what the first call was given, another state folder, or start again (--reset)"
    );
    assert_eq!(changes_of(error), ["noisethreshold: 4.25 -> 5.0"]);
    let beam = Beam { major_deg: 6.0 / 3600.0, minor_deg: 3.5 / 3600.0, pa_deg: 25.0 };
    let error = run.fails(&CycleInputs { beam: Some(beam), sidelobe_level: Some(0.2), ..run.inputs(1) }, &options);
    let at = |major: &str| format!("{major}\" x 3.500000\" at 25.000 deg");
    let beams = format!("beam: {} -> {}", at("5.000000"), at("6.000000"));
    assert_eq!(changes_of(error), [beams.as_str(), "sidelobe level: 0.1 -> 0.2"]);
    write(&run.path("three.fits"), &header(), 3, 1, |channel, _| plane(channel, 1));
    let error = run.fails(&CycleInputs { residual: run.path("three.fits"), ..run.inputs(1) }, &options);
    assert_eq!(changes_of(error), ["axes: [90, 80, 2, 1] -> [90, 80, 3, 1]"]);
    assert_eq!(files(&run.path("state")), files_before, "a refused call changes nothing");
    assert!(!run.path("refused.fits").exists());
}

#[test]
fn inputs_that_are_missing_or_do_not_fit_are_named() {
    let run = Run::new(2, 1);
    let inputs = run.inputs(0);
    let error = run.fails(&CycleInputs { sidelobe_level: None, ..inputs.clone() }, &options());
    assert!(matches!(error, MultithreshError::Missing(_)), "{error:?}");
    insta::assert_snapshot!("no_psf", run.words(&error));
    let error = run.fails(&inputs, &MultithreshOptions { pbmask: 0.2, ..options() });
    assert!(matches!(error, MultithreshError::Missing(_)), "{error:?}");
    insta::assert_snapshot!("no_primary_beam", run.words(&error));
    let mut bare = header();
    for key in ["BMAJ", "BMIN", "BPA"] {
        bare.remove(key);
    }
    write(&run.path("bare.fits"), &bare, 2, 1, |channel, _| plane(channel, 0));
    let error = run.fails(&CycleInputs { residual: run.path("bare.fits"), ..inputs.clone() }, &options());
    assert!(matches!(&error, MultithreshError::Unfit { path, .. } if *path == run.path("bare.fits")), "{error:?}");
    insta::assert_snapshot!("no_restoring_beam", run.words(&error));
    write(&run.path("three.fits"), &header(), 3, 1, |channel, _| plane(channel, 0));
    let error = run.fails(&CycleInputs { pixelmask: Some(run.path("three.fits")), ..inputs }, &options());
    assert!(matches!(&error, MultithreshError::Unfit { path, .. } if *path == run.path("three.fits")), "{error:?}");
    insta::assert_snapshot!("other_channels", run.words(&error));
}

#[test]
fn a_damaged_state_is_refused_and_reset_starts_again() {
    let run = Run::new(2, 2);
    run.call(0, "state", "mask.fits");
    std::fs::write(run.path("state/state.json"), "{\"version\": 99}").unwrap();
    let error = run.fails(&run.inputs(1), &options());
    assert!(matches!(error, MultithreshError::StateUnusable { .. }), "{error:?}");
    insta::assert_snapshot!("unknown_state", run.words(&error));
    std::fs::write(run.path("state/notes.txt"), "mine").unwrap();
    let reset = |residual: usize| {
        let mut command = cleanloop();
        command.arg("automask").arg(run.residual(residual)).args(["--sidelobe-level", "0.1", "--reset", "--json"]);
        command.arg("--state").arg(run.path("state")).arg("--output").arg(run.path("again.fits"));
        serde_json::from_slice::<CycleSummary>(&command.assert().success().get_output().stdout).unwrap()
    };
    assert_eq!((reset(0).cycle, reset(1).cycle), (0, 0));
    assert!(run.path("state/notes.txt").is_file(), "other people's files stay");
    std::fs::remove_dir_all(run.path("state")).unwrap();
    assert_eq!(reset(0).cycle, 0, "nothing to forget is no error");
}

#[test]
fn a_call_that_is_counted_is_not_done_twice() {
    let run = Run::new(3, 2);
    let call = |cycle: usize, output: &str| {
        let inputs = CycleInputs { cycle: Some(cycle), ..run.inputs(cycle) };
        run_cycle(&inputs, &options(), &run.path("state"), &run.path(output))
    };
    let first = call(0, "a.fits").unwrap();
    let again = call(0, "b.fits").unwrap();
    assert_eq!(first, again);
    assert_eq!(std::fs::read(run.path("a.fits")).unwrap(), std::fs::read(run.path("b.fits")).unwrap());
    assert_eq!(call(1, "c.fits").unwrap().cycle, 1);
    let error = call(0, "d.fits").unwrap_err();
    assert!(matches!(error, MultithreshError::StateUnusable { .. }), "{error:?}");
    insta::assert_snapshot!("a_call_before_the_last", run.words(&error));
}

#[test]
fn stokes_i_decides_for_all_polarisations() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    // Stokes V (4), then Q (2) ... descending: I is the last of four.
    let mut descending = header();
    descending.set_f64("CRVAL4", 4.0);
    descending.set_f64("CDELT4", -1.0);
    write(&path("iquv.fits"), &descending, 2, 4, |channel, pol| plane(channel, if pol == 3 { 0 } else { 3 }));
    write(&path("i.fits"), &header(), 2, 1, |channel, _| plane(channel, 0));
    let call = |name: &str| {
        let inputs = CycleInputs { residual: path(name), sidelobe_level: Some(0.1), ..CycleInputs::default() };
        let output = path(&format!("mask.{name}"));
        let summary = run_cycle(&inputs, &options(), &path(&format!("state.{name}")), &output).unwrap();
        (summary, FitsImage::open(output).unwrap())
    };
    let ((all, mut all_mask), (one, mut one_mask)) = (call("iquv.fits"), call("i.fits"));
    assert_eq!((all.polarisation, one.polarisation), (3, 0));
    assert_eq!(all.planes, one.planes);
    assert_eq!(all_mask.polarisations(), 4);
    for channel in 0..2 {
        let expected = one_mask.read_plane(0, channel).unwrap();
        assert!(expected.sum() > 0.0);
        for pol in 0..4 {
            assert_eq!(all_mask.read_plane(pol, channel).unwrap(), expected);
        }
    }
}

#[test]
fn a_stokes_axis_before_the_channels_keeps_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let mut swapped = header();
    swapped.set_str("CTYPE3", "STOKES");
    swapped.set_str("CTYPE4", "FREQ");
    let mut writer = PlaneWriter::create(path("r.fits"), &[NX, NY, 2, 3], PixelType::F32, &swapped, false).unwrap();
    for index in 0..6 {
        writer.write_plane(index, plane(index / 2, if index % 2 == 0 { 0 } else { 3 }).view()).unwrap();
    }
    writer.finish().unwrap();
    write(&path("i.fits"), &header(), 3, 1, |channel, _| plane(channel, 0));
    for (name, state) in [("r.fits", "s1"), ("i.fits", "s2")] {
        for output in ["first", "second"] {
            let inputs = CycleInputs { residual: path(name), sidelobe_level: Some(0.1), ..CycleInputs::default() };
            run_cycle(&inputs, &options(), &path(state), &path(&format!("{output}.{name}"))).unwrap();
        }
    }
    let mut swapped = FitsImage::open(path("second.r.fits")).unwrap();
    let mut usual = FitsImage::open(path("second.i.fits")).unwrap();
    for channel in 0..3 {
        for pol in 0..2 {
            assert_eq!(swapped.read_plane(pol, channel).unwrap(), usual.read_plane(0, channel).unwrap());
        }
    }
}

#[test]
fn channels_with_beams_of_their_own_share_a_common_one() {
    let run = Run::new(2, 1);
    let residual = run.residual(0);
    let beam = |major: f64, minor: f64| Beam { major_deg: major / 3600.0, minor_deg: minor / 3600.0, pa_deg: 0.0 };
    append_beam_table(&residual, &[beam(5.0, 3.0), beam(4.0, 3.5)]).unwrap();
    let summary = run.call(0, "state", "mask.fits");
    let [major, minor, _] = summary.beam_arcsec;
    assert!((major - 5.0).abs() < 0.011 && (minor - 3.5).abs() < 0.008, "{major} {minor}");
    // A beam that is given comes first.
    let inputs = CycleInputs { beam: Some(beam(6.0, 6.0)), ..run.inputs(0) };
    let summary = run_cycle(&inputs, &options(), &run.path("other"), &run.path("other.fits")).unwrap();
    assert!((summary.beam_arcsec[0] - 6.0).abs() < 1e-9);
}

#[test]
fn pixels_without_a_value_are_not_valid() {
    let run = Run::new(1, 1);
    write(&run.path("nan.fits"), &header(), 1, 1, |channel, _| {
        let mut plane = plane(channel, 0);
        plane.slice_mut(ndarray::s![.., ..35]).fill(f32::NAN);
        plane[[70, 80]] = f32::INFINITY;
        plane
    });
    write(&run.path("valid.fits"), &header(), 1, 1, |_, _| {
        let mut valid = Array2::ones((NY, NX));
        valid.slice_mut(ndarray::s![.., ..35]).fill(0.0);
        valid[[70, 80]] = f32::NAN;
        valid
    });
    let nan = CycleInputs { residual: run.path("nan.fits"), ..run.inputs(0) };
    let with_mask = CycleInputs { pixelmask: Some(run.path("valid.fits")), ..run.inputs(0) };
    // Without the stages that look outside the valid pixels on purpose, NaN and a pixel mask are the same.
    let options = MultithreshOptions { negativethreshold: 0.0, ..options() };
    let a = run_cycle(&nan, &options, &run.path("s1"), &run.path("a.fits")).unwrap();
    let b = run_cycle(&with_mask, &options, &run.path("s2"), &run.path("b.fits")).unwrap();
    assert_eq!(a.planes, b.planes);
    let mask = run.masks("a.fits").remove(0);
    assert_eq!(mask, run.masks("b.fits").remove(0));
    assert!(mask.sum() > 0.0 && mask.slice(ndarray::s![.., ..35]).sum() == 0.0);
}

#[test]
fn a_call_killed_at_any_moment_leaves_the_state_of_the_call_before() {
    let run = Run::new(24, 2);
    let command = |state: &str, output: &str, cycle: usize| {
        let mut command = std::process::Command::new(assert_cmd::cargo::cargo_bin!("cleanloop"));
        command.arg("automask").arg(run.residual(cycle)).args(["--sidelobe-level", "0.1"]);
        command.arg("--state").arg(run.path(state)).arg("--output").arg(run.path(output));
        command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
        command
    };
    assert!(command("whole", "whole.fits", 0).status().unwrap().success());
    let first = files(&run.path("whole"));
    assert!(command("whole", "whole.fits", 1).status().unwrap().success());
    let (second, expected) = (files(&run.path("whole")), std::fs::read(run.path("whole.fits")).unwrap());
    let named = |files: &[(String, Vec<u8>)], name: &str| files.iter().find(|f| f.0 == name).map(|f| f.1.clone());

    assert!(command("killed", "killed.fits", 0).status().unwrap().success());
    let (mut early, mut late) = (0, 0);
    for attempt in 0..40u64 {
        let mut child = command("killed", "killed.fits", 1).spawn().unwrap();
        std::thread::sleep(std::time::Duration::from_micros(200 * attempt * attempt / 4));
        child.kill().unwrap();
        child.wait().unwrap();
        let now = files(&run.path("killed"));
        let record = named(&now, "state.json");
        if record == named(&first, "state.json") {
            early += 1;
            assert_eq!(named(&now, "masks-0000.fits.fz"), named(&first, "masks-0000.fits.fz"));
            if let Ok(output) = std::fs::read(run.path("killed.fits")) {
                assert!(FitsImage::open(run.path("killed.fits")).is_ok() && !output.is_empty());
            }
        } else {
            late += 1;
            assert_eq!(record, named(&second, "state.json"));
            assert_eq!(named(&now, "masks-0001.fits.fz"), named(&second, "masks-0001.fits.fz"));
            break;
        }
    }
    assert!(early > 0, "no call was killed in time");
    if late == 0 {
        assert!(command("killed", "killed.fits", 1).status().unwrap().success());
    }
    assert_eq!(std::fs::read(run.path("killed.fits")).unwrap(), expected);
    assert_eq!(named(&files(&run.path("killed")), "state.json"), named(&second, "state.json"));
}
