//! The CASA worker and the calibrators on real, tiny measurement sets.

use crate::support::real;
use crate::support::running::{PATIENCE, processor_time, wait_until};
use crate::support::words::{inner, without_folder};
use cleanloop::Error;
use cleanloop::calibrator::options::GaincalOptions;
use cleanloop::calibrator::{self, Calibrator, CalibratorCommandError, SolutionTable, SolveRequest};
use cleanloop::measurement_set::{MsSummary, TheoreticalNoise, checksum, copy_column};
use cleanloop::process::{Limits, ProcessError};
use cleanloop::programs::casa::Casa;
use cleanloop::programs::casa::requests::{FillModel, MeasureNoise, Simulate};
use cleanloop::quality::solutions::SolutionStats;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A chain; a map stands for a chain of one.
fn options(value: Value) -> Vec<GaincalOptions> {
    let value = if value.is_array() { value } else { json!([value]) };
    serde_json::from_value(value).expect("valid options")
}

fn request(ms: &Path, folder: &Path) -> SolveRequest {
    SolveRequest {
        measurement_set: ms.to_owned(),
        folder: folder.join("tables"),
        log: folder.join("casa.log"),
        round: 1,
        reference_antenna: None,
        threads: 1,
        together: false,
    }
}

fn simulation(value: Value) -> Simulate {
    serde_json::from_value(value).expect("a simulation")
}

fn calibrator(casa: &Casa, value: Value) -> Box<dyn Calibrator> {
    calibrator::open(calibrator::SolverKind::Casa, options(value), casa.clone(), Limits::default()).expect("opened")
}

/// Statistics of all terms together.
pub(crate) fn statistics(calibrator: &mut dyn Calibrator, tables: &[SolutionTable]) -> SolutionStats {
    SolutionStats::of_chain(calibrator.inspect(tables).expect("statistics"))
}

/// Mean of cos(phase error) of solved against true gains, relative to the reference antenna: 1 is perfect.
pub(crate) fn agreement(stats: &SolutionStats, gains: &Path) -> f64 {
    let truth: Value = serde_json::from_str(&std::fs::read_to_string(gains).expect("read")).expect("JSON");
    let numbers =
        |v: &Value| v.as_array().expect("a list").iter().map(|x| x.as_f64().expect("a number")).collect::<Vec<_>>();
    let times = numbers(&truth["time_s"]);
    let phase: Vec<Vec<f64>> = truth["phase_deg"].as_array().expect("a list").iter().map(numbers).collect();
    let reference = stats
        .antennas
        .iter()
        .position(|a| a.series.iter().all(|s| s.phase_deg.iter().all(|p| p.unwrap_or(0.0).abs() < 1e-4)))
        .expect("a reference antenna");
    let (mut sum, mut count) = (0.0, 0.0);
    for (k, antenna) in stats.antennas.iter().enumerate() {
        for series in &antenna.series {
            for (t, p) in series.time_s.iter().zip(&series.phase_deg) {
                let nearest = |a: &f64, b: &f64| (a - t).abs().total_cmp(&(b - t).abs());
                let at = times.iter().enumerate().min_by(|a, b| nearest(a.1, b.1)).expect("a time").0;
                let expected = phase[k][at] - phase[reference][at];
                sum += (p.expect("a phase") - expected).to_radians().cos();
                count += 1.0;
            }
        }
    }
    sum / count
}

#[test]
#[ignore = "needs CASA"]
fn a_summary_tells_what_is_there() {
    let casa = real::casa();
    let folder = tempfile::tempdir().expect("a folder");
    let field = real::tiny(&casa, folder.path());
    let summary = MsSummary::read(&casa, &field.ms).expect("a summary");
    assert_eq!((summary.telescope.as_str(), summary.rows, summary.integrations), ("VLA", 36 * 20, 20));
    assert_eq!((summary.antennas.len(), summary.spectral_windows.len(), summary.fields.len()), (9, 1, 1));
    assert_eq!(summary.spectral_windows[0].frequencies_hz.len(), 4);
    assert!((summary.spectral_windows[0].frequencies_hz[0] - 1.4e9).abs() < 1e7);
    assert!((summary.duration_s() - 600.0).abs() < 1.0 && (summary.integration_s - 30.0).abs() < 1e-3);
    assert!((summary.fields[0].ra_deg - 180.0).abs() < 1e-6 && (summary.fields[0].dec_deg - 40.0).abs() < 1e-6);
    assert_eq!(summary.unflagged_fraction, 1.0);
    assert_eq!(summary.column_bytes, 36 * 20 * 2 * 4 * 8);
    assert!(summary.has_column("DATA") && !summary.has_column("MODEL_DATA"));
    assert!(summary.correlation_types.iter().any(|c| (5..=8).contains(c)), "circular hands");
    // Nothing is flagged, so the most central antenna is proposed.
    let nearest = summary.antennas.iter().min_by(|a, b| a.distance_m.total_cmp(&b.distance_m)).expect("antennas");
    assert_eq!(summary.reference_antenna.as_ref(), Some(&nearest.name));
}

#[test]
#[ignore = "needs CASA"]
fn the_theoretical_noise_comes_from_weights_that_fit_the_scatter() {
    let casa = real::casa();
    let folder = tempfile::tempdir().expect("a folder");
    let field = real::tiny(&casa, folder.path());
    let ask = |number| {
        let request = MeasureNoise { ms: field.ms.clone(), column: "DATA".into(), field: number };
        casa.ask(&request, None).expect("a noise")
    };
    let noise = ask(None);
    let summary = MsSummary::read(&casa, &field.ms).expect("a summary");
    let visibilities = (summary.rows * 2 * 4) as f64;
    let of_a_visibility = noise.natural_jy.expect("weights") * visibilities.sqrt();
    assert!((0.001..1.0).contains(&of_a_visibility), "the simulated noise: {of_a_visibility} Jy");
    assert!(noise.scatter.is_some_and(|s| (0.8..1.25).contains(&s)), "{noise:?}");
    assert!(!noise.is_measured() && noise.jy() == noise.natural_jy);
    assert_eq!(ask(Some(0)), noise);
    assert_eq!(ask(Some(1)), TheoreticalNoise::default(), "no such field");
}

#[test]
#[ignore = "needs CASA"]
fn simulations_repeat_by_seed_and_the_sky_does_not_follow_the_gains() {
    let casa = real::casa();
    let folder = tempfile::tempdir().expect("a folder");
    let make = |name: &str, seed: u64, phase: f64| {
        let params = json!({"output": folder.path(), "name": name, "seed": seed, "antennas": 4, "duration_s": 90,
                            "phase_rms_deg": phase});
        casa.ask(&simulation(params), None).expect("simulated");
        let sky = std::fs::read_to_string(folder.path().join(format!("{name}.sky.json"))).expect("the sky");
        let sky: Value = serde_json::from_str(&sky).expect("JSON");
        (
            checksum(&casa, &folder.path().join(format!("{name}.ms")), "DATA").expect("a checksum"),
            sky["components"].clone(),
        )
    };
    let (a, b, c, d) = (make("a", 5, 40.0), make("b", 5, 40.0), make("c", 6, 40.0), make("d", 5, 10.0));
    assert_eq!(a, b);
    assert!(a.0 != c.0 && a.1 != c.1);
    assert!(a.0 != d.0 && a.1 == d.1);
    let again = casa.ask(&simulation(json!({"output": folder.path(), "name": "a"})), None).expect_err("there");
    assert!(again.to_string().ends_with("a.ms is there already"), "{again}");
}

#[test]
#[ignore = "needs CASA"]
fn simulated_gain_errors_can_be_left_out_and_windows_lie_one_above_the_other() {
    let casa = real::casa();
    let folder = tempfile::tempdir().expect("a folder");
    let make = |name: &str, change: Value| {
        let mut params = json!({"output": folder.path(), "name": name, "antennas": 4, "duration_s": 90,
                                "channels": 2, "windows": 2, "sources": 1});
        params.as_object_mut().expect("a map").extend(change.as_object().expect("a map").clone());
        casa.ask(&simulation(params), None).expect("simulated");
        folder.path().join(format!("{name}.ms"))
    };
    let errors = json!({"delay_rms_ns": 3.0, "hand_phase_deg": 30.0, "window_phase_deg": 20.0, "random_phases": true});
    let mut without = errors.clone();
    without["gain_errors"] = json!(false);
    let [bad, good, plain] = [
        make("bad", errors),
        make("good", without),
        make("plain", json!({"phase_rms_deg": 0.0, "amplitude_rms": 0.0})),
    ]
    .map(|ms| (checksum(&casa, &ms, "DATA").expect("a checksum"), MsSummary::read(&casa, &ms).expect("a summary")));
    assert_eq!(good.0, plain.0, "the same sky and noise");
    assert_ne!(bad.0, good.0);
    let windows: Vec<&[f64]> = bad.1.spectral_windows.iter().map(|w| &w.frequencies_hz[..]).collect();
    assert_eq!(windows, [[1.4e9, 1.408e9], [1.416e9, 1.424e9]]);
    assert_eq!((bad.1.rows, bad.1.integrations), (2 * 6 * 3, 3));
}

#[test]
#[ignore = "needs CASA"]
fn gains_are_found_applied_and_undone_and_data_never_change() {
    let casa = real::casa();
    let folder = tempfile::tempdir().expect("a folder");
    let field = real::tiny(&casa, folder.path());
    let data = checksum(&casa, &field.ms, "DATA").expect("a checksum");
    real::fill_model(&casa, &field);
    let mut phases = calibrator(&casa, json!({"solint": "30s", "minsnr": 1, "uvrange": ""}));
    assert_eq!(phases.version().expect("a version"), "casatasks 6.7.0.31");
    let request = request(&field.ms, folder.path());
    let tables = phases.solve_all(&request).expect("solved");
    assert_eq!(tables.len(), 1);
    let stats = statistics(&mut *phases, &tables);
    assert_eq!((stats.antennas.len(), stats.solutions), (9, 9 * 2 * 20));
    assert!(stats.flagged_fraction < 0.1 && stats.median_snr.is_some_and(|s| s > 3.0), "{stats:?}");
    assert!(stats.phase_scatter_deg.is_some_and(|s| s > 5.0) && stats.amplitude_scatter.is_some_and(|s| s < 1e-3));
    assert!(agreement(&stats, &field.gains) > 0.95, "{}", agreement(&stats, &field.gains));

    let corrected = || checksum(&casa, &field.ms, "CORRECTED_DATA").expect("a checksum");
    phases.apply(&field.ms, &tables, &request.log).expect("applied");
    let first = corrected();
    assert_ne!(first, data);
    phases.apply(&field.ms, &[], &request.log).expect("undone");
    assert_eq!(corrected(), data, "no tables: a copy of DATA");
    phases.apply(&field.ms, &tables, &request.log).expect("applied again");
    assert_eq!(corrected(), first, "bit for bit");
    assert_eq!(checksum(&casa, &field.ms, "DATA").expect("a checksum"), data);
    let lines = phases.command_lines(&request);
    assert_eq!((lines[0][0].as_str(), lines[1][0].as_str()), ("gaincal", "applycal"));
    assert!(lines[0].contains(&"solint='30s'".to_owned()), "{lines:?}");
}

#[test]
#[ignore = "needs CASA"]
fn channel_ranges_have_tables_of_their_own() {
    let casa = real::casa();
    let folder = tempfile::tempdir().expect("a folder");
    let field = real::tiny(&casa, folder.path());
    real::fill_model(&casa, &field);
    let mut ranges = calibrator(&casa, json!({"solint": "60s", "nspw": 3, "uvrange": ""}));
    let request = request(&field.ms, folder.path());
    let tables = ranges.solve_all(&request).expect("solved");
    // Four channels in three ranges: two ranges of two; a third would be empty.
    let channels: Vec<_> = tables.iter().map(|t| (t.spectral_window, t.channels)).collect();
    assert_eq!(channels, [(Some(0), Some((0, 1))), (Some(0), Some((2, 3)))]);
    ranges.apply(&field.ms, &tables, &request.log).expect("applied");
    let both = checksum(&casa, &field.ms, "CORRECTED_DATA").expect("a checksum");
    // Each range alone changes the data, and both together are neither.
    for table in &tables {
        ranges.apply(&field.ms, std::slice::from_ref(table), &request.log).expect("applied");
        let one = checksum(&casa, &field.ms, "CORRECTED_DATA").expect("a checksum");
        assert!(one != both && one != checksum(&casa, &field.ms, "DATA").expect("a checksum"));
    }
    let stats = statistics(&mut *ranges, &tables);
    assert_eq!(stats.antennas[0].series.iter().map(|s| s.table).max(), Some(1));
}

#[test]
#[ignore = "needs CASA"]
fn flags_that_calibration_sets_are_taken_back() {
    let casa = real::casa();
    let folder = tempfile::tempdir().expect("a folder");
    let field = real::tiny(&casa, folder.path());
    real::fill_model(&casa, &field);
    let flags = || checksum(&casa, &field.ms, "FLAG").expect("a checksum");
    let before = flags();
    let request = request(&field.ms, folder.path());
    let base = json!({"solint": "30s", "uvrange": ""});
    let mut lenient = calibrator(&casa, base.clone());
    let tables = lenient.solve_all(&request).expect("solved");
    let median = statistics(&mut *lenient, &tables).median_snr.expect("a median");
    // Half of the solutions fall below the median.
    let mut strict = base;
    strict["minsnr"] = json!(median);
    strict["applymode"] = json!("calflag");
    let mut strict = calibrator(&casa, strict);
    let tables = strict.solve_all(&request).expect("solved");
    let fraction = statistics(&mut *strict, &tables).flagged_fraction;
    assert!(fraction > 0.05 && fraction < 1.0, "{fraction}");
    strict.apply(&field.ms, &tables, &request.log).expect("applied");
    let flagged = flags();
    assert_ne!(flagged, before);
    strict.apply(&field.ms, &[], &request.log).expect("undone");
    assert_eq!(flags(), before);
    strict.apply(&field.ms, &tables, &request.log).expect("again");
    assert_eq!(flags(), flagged);
}

#[test]
#[ignore = "needs CASA"]
fn hopeless_solves_are_told_apart() {
    let casa = real::casa();
    let folder = tempfile::tempdir().expect("a folder");
    let field = real::tiny(&casa, folder.path());
    let request = request(&field.ms, folder.path());
    let solve = |value: Value| calibrator(&casa, value).solve_all(&request);
    let bad_input = |result: cleanloop::Result<_>| match result {
        Err(Error::BadInput(e)) => without_folder(&e.to_string(), folder.path()),
        Err(e) => panic!("expected bad input, found {e:?}"),
        Ok(tables) => panic!("expected bad input, found {tables:?}"),
    };
    let no_model = bad_input(solve(json!({})));
    insta::assert_snapshot!("no_model_to_solve_against", no_model);

    copy_column(&casa, &field.ms, "DATA", "MODEL_DATA").expect("made");
    real::fill_model(&casa, &field);
    let unknown = bad_input(solve(json!({"refant": "ea99"})));
    insta::assert_snapshot!("an_unknown_reference_antenna", unknown);
    let nothing = bad_input(solve(json!({"uvrange": ">9000km"})));
    insta::assert_snapshot!("a_selection_without_data", nothing);

    let mut hopeless = calibrator(&casa, json!({"minsnr": 1e6}));
    let tables = hopeless.solve_all(&request).expect("a table, though all of it is flagged");
    assert_eq!(statistics(&mut *hopeless, &tables).flagged_fraction, 1.0);

    let missing = folder.path().join("none.ms");
    let missing = bad_input(
        calibrator(&casa, json!({})).solve_all(&SolveRequest { measurement_set: missing, ..request.clone() }),
    );
    insta::assert_snapshot!(missing, @"DIR/none.ms: no such measurement set");
    std::fs::create_dir(folder.path().join("no.ms")).expect("made");
    let no_ms = MsSummary::read(&casa, &folder.path().join("no.ms")).expect_err("no measurement set").to_string();
    insta::assert_snapshot!("no_measurement_set", without_folder(&no_ms, folder.path()));
}

#[test]
#[ignore = "needs CASA"]
fn an_empty_model_is_refused() {
    let casa = real::casa();
    let folder = tempfile::tempdir().expect("a folder");
    let field = real::tiny(&casa, folder.path());
    let empty = folder.path().join("empty.json");
    std::fs::write(&empty, r#"{"components": []}"#).expect("written");
    casa.ask(&FillModel { ms: field.ms.clone(), sky: empty }, None).expect("filled with nothing");
    let error = calibrator(&casa, json!({})).solve_all(&request(&field.ms, folder.path())).expect_err("refused");
    assert!(matches!(error, Error::BadInput(_)));
    insta::assert_snapshot!("an_empty_model", without_folder(&error.to_string(), folder.path()));
}

#[test]
#[ignore = "needs CASA"]
fn a_killed_worker_is_noticed_and_started_again() {
    let casa = real::casa();
    let folder = tempfile::tempdir().expect("a folder");
    let field = real::tiny(&casa, folder.path());
    casa.version().expect("it runs");
    let pid = nix::unistd::Pid::from_raw(casa.pid().expect("it runs") as i32);
    let killer = std::thread::spawn(move || {
        // It is at work on the long simulation.
        let before = processor_time(pid.as_raw());
        wait_until("a busy worker", PATIENCE, || processor_time(pid.as_raw()) > before + Duration::from_millis(200));
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).expect("killed");
    });
    let long = json!({"output": folder.path(), "name": "long", "duration_s": 36000});
    let error = casa.ask(&simulation(long), None).expect_err("killed in the middle");
    killer.join().expect("joined");
    assert!(matches!(error, Error::External(_)));
    assert!(
        error.to_string().starts_with("CASA died in simulate (SIGKILL); it is started again when needed"),
        "{error}"
    );
    assert_eq!(MsSummary::read(&casa, &field.ms).expect("another one answers").rows, 36 * 20);
    assert_eq!(casa.starts(), 2);
    assert!(!folder.path().join("long.ms").exists(), "nothing half made under its final name");
}

#[test]
#[ignore = "needs CASA"]
fn a_command_calibrates_and_is_checked() {
    let casa = real::casa();
    let folder = tempfile::tempdir().expect("a folder");
    let field = real::tiny(&casa, folder.path());
    let data = checksum(&casa, &field.ms, "DATA").expect("a checksum");
    real::fill_model(&casa, &field);
    let request = request(&field.ms, folder.path());
    std::fs::create_dir_all(&request.folder).expect("made");
    // The model serves as a perfect calibration: what is checked is the handling, not the program.
    let environment =
        cleanloop::programs::setup::Environment::ready(cleanloop::programs::setup::Kind::Casa).expect("set up");
    let script = |target: &str| {
        let path = folder.path().join(format!("{target}.py"));
        let text = format!(
            "import sys; from casatools import table; tb = table(); tb.open(sys.argv[1], nomodify=False)\n\
             tb.putcol('{target}', tb.getcol('MODEL_DATA')); tb.close()\n"
        );
        std::fs::write(&path, text).expect("written");
        path
    };
    let template = |words: &[&str]| words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();
    let python = |path: PathBuf| {
        let site = environment.root.join("casasiteconfig.py");
        let (site, python) = (format!("CASASITECONFIG={}", site.display()), environment.python().display().to_string());
        template(&["env", &site, &python, &path.display().to_string(), "{ms}", "{solint}"])
    };
    let open = |template| {
        let kind = calibrator::SolverKind::Command(template);
        calibrator::open(kind, options(json!({})), casa.clone(), Limits::default()).expect("opened")
    };
    let corrected = || checksum(&casa, &field.ms, "CORRECTED_DATA").expect("a checksum");

    let mut lazy = open(template(&["true", "{ms}"]));
    let error = lazy.solve_all(&request).expect_err("it wrote nothing");
    assert!(matches!(inner(&error), CalibratorCommandError::NothingWritten { .. }), "{error:?}");
    let mut failing = open(template(&["sh", "-c", "echo no luck for {ms} >&2; exit 7"]));
    let error = failing.solve_all(&request).expect_err("it fails");
    let ProcessError::Failed { status: 7, last_lines, .. } = inner(&error) else { panic!("{error:?}") };
    assert_eq!(last_lines, &[format!("no luck for {}", field.ms.display())]);

    let mut good = open(python(script("CORRECTED_DATA")));
    let tables = good.solve_all(&request).expect("solved");
    let first = corrected();
    good.apply(&field.ms, &[], &request.log).expect("undone");
    assert_eq!(corrected(), data);
    good.apply(&field.ms, &tables, &request.log).expect("put back");
    assert_eq!(corrected(), first);
    assert_eq!(checksum(&casa, &field.ms, "DATA").expect("a checksum"), data);

    let mut wicked = open(python(script("DATA")));
    let error = wicked.solve_all(&request).expect_err("it writes DATA");
    assert!(matches!(inner(&error), CalibratorCommandError::DataChanged { .. }), "{error:?}");
}
