//! QuartiCal for real, alone and in a campaign; lines that apply a product's solutions to other data; antennas that
//! cannot be calibrated.

use crate::campaign::faults::CAMPAIGN;
use crate::imaging::casa::statistics;
use crate::support::real;
use assert_cmd::Command;
use cleanloop::calibrator::{self, SolveRequest};
use cleanloop::campaign::record::{CampaignRecord, DatasetRecord, State};
use cleanloop::measurement_set::{checksum, copy_column};
use cleanloop::process::Limits;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

/// One antenna hears noise alone, as loud as everybody's.
const DEAF: &str = "
tb.open(ms + '/ANTENNA'); deaf = list(tb.getcol('NAME')).index('E12'); tb.close()
tb.open(ms, nomodify=False)
data = tb.getcol('DATA')
rows = (tb.getcol('ANTENNA1') == deaf) | (tb.getcol('ANTENNA2') == deaf)
noise = np.random.default_rng(3).normal(scale=0.3, size=(2, *data[..., rows].shape))
data[..., rows] = noise[0] + 1j * noise[1]
tb.putcol('DATA', data); tb.close()
";
/// Of the baseline of that antenna and the reference, whose gain is 1: visibilities that differ between DATA and
/// CORRECTED_DATA, all of them, and flags of that antenna; then the visibilities of all baselines that differ.
const OF_DEAF: &str = "
tb.open(ms + '/ANTENNA'); names = list(tb.getcol('NAME')); tb.close()
deaf, reference = names.index('E12'), names.index('W28')
tb.open(ms)
data, corrected, flag = (tb.getcol(c) for c in ('DATA', 'CORRECTED_DATA', 'FLAG'))
first, second = tb.getcol('ANTENNA1'), tb.getcol('ANTENNA2')
rows = ((first == deaf) & (second == reference)) | ((first == reference) & (second == deaf))
differ = ~np.isclose(data, corrected, rtol=1e-5)
print(differ[..., rows].sum(), data[..., rows].size, flag[..., (first == deaf) | (second == deaf)].sum(), differ.sum())
";

fn cleanloop(folder: &Path) -> Command {
    let mut command = Command::cargo_bin("cleanloop").expect("the binary is built");
    command.current_dir(folder);
    command
}

/// A solve of a measurement set, its tables in a new folder.
pub(crate) fn request(ms: &Path, folder: &Path) -> SolveRequest {
    let request = SolveRequest {
        measurement_set: ms.to_path_buf(),
        folder: folder.join("tables"),
        log: folder.join("quartical.log"),
        round: 1,
        reference_antenna: None,
        threads: 2,
        together: false,
    };
    fs::create_dir(&request.folder).expect("made");
    request
}

fn with_data(folder: &Path, campaign: &str) {
    let casa = real::casa();
    real::require("wsclean");
    real::field(&casa, folder, &json!({"antennas": 15, "duration_s": 1200}));
    fs::write(folder.join("campaign.yaml"), campaign).expect("written");
}

fn run(folder: &Path) -> DatasetRecord {
    let output = cleanloop(folder).args(["run", "campaign.yaml"]).output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let record = CampaignRecord::load(&folder.join("out")).expect("a record");
    record.datasets.into_iter().next().expect("a dataset")
}

fn dynamic_range(dataset: &DatasetRecord, round: usize) -> f64 {
    dataset.rounds[round].metrics.as_ref().expect("metrics").dynamic_range
}

#[test]
#[ignore = "needs CASA and QuartiCal"]
fn quartical_solves_applies_and_is_undone() {
    real::quartical();
    let casa = real::casa();
    let folder = tempfile::tempdir().expect("a folder");
    let field = real::tiny(&casa, folder.path());
    let of = |column: &str| checksum(&casa, &field.ms, column).expect("a checksum");
    let (data, flags) = (of("DATA"), of("FLAG"));
    real::fill_model(&casa, &field);
    let options = serde_json::from_value(json!([{"solint": "60s", "uvrange": "", "minsnr": 3}])).expect("options");
    let kind = calibrator::SolverKind::Quartical(Vec::new());
    let mut quartical = calibrator::open(kind, options, casa.clone(), Limits::default()).expect("opened");
    assert_eq!(quartical.version().expect("a version"), "QuartiCal 0.2.7");
    let request = request(&field.ms, folder.path());
    let tables = quartical.solve_all(&request).expect("solved");
    let stats = statistics(&mut *quartical, &tables);
    assert_eq!((stats.antennas.len(), stats.solutions), (9, 9 * 2 * 10));
    assert!(stats.flagged_fraction < 0.05 && stats.median_snr.is_some_and(|s| s > 10.0), "{:?}", stats.median_snr);
    assert!(stats.phase_scatter_deg.is_some_and(|s| s > 5.0) && stats.amplitude_scatter.is_some_and(|s| s < 1e-3));
    let agreement = crate::imaging::casa::agreement(&stats, &field.gains);
    assert!(agreement > 0.95, "{agreement}");

    quartical.apply(&field.ms, &tables, &request.log).expect("applied");
    let first = of("CORRECTED_DATA");
    assert_ne!(first, data);
    quartical.apply(&field.ms, &[], &request.log).expect("undone");
    assert_eq!(of("CORRECTED_DATA"), data, "no tables: a copy of DATA");
    // An antenna that is given up passes with a gain of 1: only its partners' gains are left on its baselines.
    let names: Vec<String> = stats.antennas.iter().map(|a| a.name.clone()).collect();
    quartical.set_identity_gains(&tables, &tables[0].term, &names, &request.log).expect("changed");
    quartical.apply(&field.ms, &tables, &request.log).expect("applied");
    let untouched = real::python(
        &field.ms,
        "tb.open(ms)\nprint(np.allclose(tb.getcol('DATA'), tb.getcol('CORRECTED_DATA'), rtol=1e-5))",
    );
    assert_eq!(untouched.trim(), "True");
    assert_eq!((of("DATA"), of("FLAG")), (data, flags), "neither is ever written");
}

/// Delays of a few ns, one per antenna, around the middle of the band, for terms of the type `delay`.
const DELAYS: &str = "
tb.open(ms + '/SPECTRAL_WINDOW'); frequency = tb.getcell('CHAN_FREQ', 0); tb.close()
tb.open(ms, nomodify=False)
delay = np.random.default_rng(5).normal(scale=4e-9, size=64)
apart = delay[tb.getcol('ANTENNA1')] - delay[tb.getcol('ANTENNA2')]
turn = np.exp(2j * np.pi * np.outer(frequency - frequency.mean(), apart))
tb.putcol('DATA', tb.getcol('DATA') * turn[None]); tb.close()
";
/// Two windows of half the channels each, whose phases differ by a turn of each antenna's own.
const TWO_WINDOWS: &str = "
import shutil
from casatasks import mstransform
mstransform(vis=ms, outputvis=ms + '.two', datacolumn='all', regridms=True, nspw=2, outframe='')
shutil.rmtree(ms); shutil.move(ms + '.two', ms)
# QuartiCal takes only a table of feeds with one row per antenna.
tb.open(ms + '/FEED', nomodify=False)
tb.removerows(np.flatnonzero(tb.getcol('SPECTRAL_WINDOW_ID') > 0))
tb.putcol('SPECTRAL_WINDOW_ID', np.full(tb.nrows(), -1)); tb.close()
tb.open(ms, nomodify=False)
phase = np.random.default_rng(6).uniform(-2, 2, size=64)
apart = phase[tb.getcol('ANTENNA1')] - phase[tb.getcol('ANTENNA2')]
turn = np.where(tb.getcol('DATA_DESC_ID') == 1, np.exp(1j * apart), 1)
tb.putcol('DATA', tb.getcol('DATA') * turn); tb.close()
";
/// Robust scatter of COLUMN less the model on all baselines, of one component, over the scatter of the noise.
const MISFIT: &str = "
tb.open(ms)
def misfit(column):
    rest = (tb.getcol(column) - tb.getcol('MODEL_DATA')).ravel()
    return 1.4826 * np.median(np.abs(np.concatenate([rest.real, rest.imag])))
sigma = tb.getcol('SIGMA').mean()
print(misfit('DATA') / sigma, misfit('CORRECTED_DATA') / sigma)
";

/// What can be solved for, on data of known errors: corrected, they are the model and noise.
#[rstest::rstest]
#[case::amplitudes(json!({}), "", json!({"calmode": "ap", "solnorm": false, "nspw": 2}), 9 * 2 * 10 * 2)]
#[case::a_chain(
    json!({"amplitude_rms": 0}), DELAYS,
    json!({"quartical": {"solver.terms": ["K", "G"], "K.type": "delay", "K.time_interval": 0, "solver.iter_recipe": [30, 30, 30, 30]}}),
    9 * 2 * (1 + 10)
)]
#[case::two_windows(json!({"amplitude_rms": 0}), TWO_WINDOWS, json!({}), 9 * 2 * 10 * 2)]
#[ignore = "needs CASA and QuartiCal"]
fn quartical_solves_for(
    #[case] mut data: Value,
    #[case] errors: &str,
    #[case] mut options: Value,
    #[case] solutions: usize,
) {
    real::quartical();
    let casa = real::casa();
    let folder = tempfile::tempdir().expect("a folder");
    for (key, value) in [("antennas", json!(9)), ("duration_s", json!(600))] {
        data[key] = value;
    }
    let field = real::field(&casa, folder.path(), &data);
    real::fill_model(&casa, &field);
    real::python(&field.ms, errors);
    options["uvrange"] = json!("");
    if options.get("solint").is_none() {
        options["solint"] = json!("60s");
    }
    let kind = calibrator::SolverKind::Quartical(Vec::new());
    let options = serde_json::from_value(json!([options])).expect("options");
    let mut quartical = calibrator::open(kind, options, casa.clone(), Limits::default()).expect("opened");
    let request = request(&field.ms, folder.path());
    let tables = quartical.solve_all(&request).expect("solved");
    let stats = statistics(&mut *quartical, &tables);
    assert_eq!(stats.solutions, solutions);
    assert!(stats.flagged_fraction < 0.05 && stats.median_snr.is_some_and(|s| s > 5.0), "{:?}", stats.median_snr);
    quartical.apply(&field.ms, &tables, &request.log).expect("applied");
    let numbers = real::python(&field.ms, MISFIT);
    let misfits: Vec<f64> = numbers.split_whitespace().map(|n| n.parse().expect("a number")).collect();
    // Interpolation between solutions, and the freedom of the solve, leave a little.
    assert!(misfits[0] > 2.0 && misfits[1] < 1.6, "over the noise, before and after: {misfits:?}");
}

/// The same campaign with both calibrators: QuartiCal's image is as good as CASA's.
#[test]
#[ignore = "needs wsclean, CASA and QuartiCal"]
fn a_campaign_with_quartical_is_as_good_as_with_casa() {
    real::quartical();
    let mut found = Vec::new();
    for name in ["casa", "quartical"] {
        let folder = tempfile::tempdir().expect("a folder");
        let campaign = CAMPAIGN.replace("calibrator: casa", &format!("calibrator: {name}"));
        with_data(folder.path(), &campaign);
        let casa = real::casa();
        let before = checksum(&casa, &folder.path().join("field.ms"), "DATA").expect("a checksum");
        let dataset = run(folder.path());
        assert_eq!(dataset.state, State::Done);
        assert!(dataset.rounds[1].is_accepted());
        let copy = folder.path().join("out/data/field.ms");
        assert_eq!(checksum(&casa, &copy, "DATA").expect("a checksum"), before);
        found.push((dynamic_range(&dataset, 0), dynamic_range(&dataset, 1)));
        if name == "quartical" {
            let line = fs::read_to_string(folder.path().join("out/final/apply-solutions.txt")).expect("a line");
            assert!(line.starts_with("goquartical input_ms.path=OTHER.ms"), "{line}");
            applies(&line, folder.path(), &copy);
            let report = fs::read_to_string(folder.path().join("out/report/rounds/round-01.html"))
                .or_else(|_| fs::read_to_string(folder.path().join("out/report/round-01.html")))
                .expect("a page");
            assert!(report.contains("gains.qc") && report.contains("goquartical"), "tables and command are shown");
        }
    }
    let [(before, casa), (_, quartical)] = found[..] else { unreachable!("two runs") };
    assert!(casa > 1.3 * before && quartical > 0.95 * casa, "{before:.0} -> CASA {casa:.0}, QuartiCal {quartical:.0}");
}

/// The line of the product, typed in the product's folder, gives other data the same CORRECTED_DATA.
pub(crate) fn applies(line: &str, folder: &Path, expected: &Path) {
    let casa = real::casa();
    let other = folder.join("out/final/OTHER.ms");
    real::field(&casa, &folder.join("again"), &json!({"antennas": 15, "duration_s": 1200}));
    fs::rename(folder.join("again/field.ms"), &other).expect("moved");
    let line = line.trim();
    if line.starts_with("goquartical") {
        copy_column(&casa, &other, "DATA", "CORRECTED_DATA").expect("copied");
        let environment = cleanloop::programs::setup::Environment::ready(cleanloop::programs::setup::Kind::Quartical)
            .expect("set up");
        let program = environment.root.join("bin/goquartical").display().to_string();
        let output = std::process::Command::new("sh")
            .args(["-c", &line.replacen("goquartical", &program, 1)])
            .current_dir(folder.join("out/final"))
            .envs(environment.variables())
            .output()
            .expect("it starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    } else {
        let code = format!("import os\nfrom casatasks import applycal\nos.chdir(os.path.dirname(ms))\n{line}");
        real::python(&other, &code);
    }
    let of = |ms: &Path| checksum(&casa, ms, "CORRECTED_DATA").expect("a checksum");
    assert_eq!(of(&other), of(expected), "{line}");
}

#[test]
#[ignore = "needs wsclean and CASA"]
fn the_line_of_the_product_applies_casas_tables_elsewhere() {
    let folder = tempfile::tempdir().expect("a folder");
    with_data(folder.path(), &CAMPAIGN);
    let dataset = run(folder.path());
    assert_eq!(dataset.best_round().expect("a best round").round, 1);
    for name in ["image", "residual", "model", "mask", "psf"] {
        assert!(folder.path().join("out/final").join(format!("{name}.fits")).exists(), "{name}");
    }
    let line = fs::read_to_string(folder.path().join("out/final/apply-solutions.txt")).expect("a line");
    assert!(line.starts_with("applycal(vis='OTHER.ms', gaintable=['gains']"), "{line}");
    applies(&line, folder.path(), &folder.path().join("out/data/field.ms"));
}

/// An antenna of pure noise is neither lost nor "corrected", and everybody is told.
#[test]
#[ignore = "needs wsclean and CASA"]
fn an_antenna_of_noise_gets_identity_gains() {
    let folder = tempfile::tempdir().expect("a folder");
    let campaign = CAMPAIGN.replace("calmode: p}", "calmode: p, refant: W28, applymode: calflag}");
    with_data(folder.path(), &campaign);
    real::python(&folder.path().join("field.ms"), DEAF);
    let dataset = run(folder.path());
    let stats = dataset.rounds[1].solutions.as_ref().expect("statistics");
    let names: Vec<&str> = stats.identity_gains.iter().map(|a| a.name.as_str()).collect();
    let all: Vec<_> = stats.antennas.iter().map(|a| (&a.name, a.median_snr)).collect();
    assert_eq!(names, ["E12"], "{all:?}");
    assert!(dataset.rounds[1].is_accepted(), "{:?}", dataset.rounds[1].decision);
    let numbers = real::python(&folder.path().join("out/data/field.ms"), OF_DEAF);
    let numbers: Vec<u64> = numbers.split_whitespace().map(|n| n.parse().expect("a number")).collect();
    assert!(numbers[0] == 0 && numbers[1] > 0 && numbers[2] == 0, "it gets no correction and no flags: {numbers:?}");
    assert!(numbers[3] > numbers[1], "the others are corrected: {numbers:?}");
    let told = "round 1: antenna E12 gets identity gains: median S/N";
    assert!(dataset.messages.iter().any(|m| m.text.starts_with(told)), "{:?}", dataset.messages);
    let journal = fs::read_to_string(folder.path().join("out/journal.jsonl")).expect("a journal");
    assert!(journal.contains(told));
    let status = cleanloop(folder.path()).args(["status", "out"]).output().expect("it runs");
    assert!(String::from_utf8_lossy(&status.stdout).contains(told), "{status:?}");
    let report = fs::read_to_string(folder.path().join("out/report/index.html")).expect("a report");
    assert!(report.contains("antenna E12 gets identity gains"));
}

/// Four polarisations, the cross hands empty: DP3 takes no fewer.
const EMPTY_CROSS_HANDS: &str = "
tb.open(ms, nomodify=False)
data = tb.getcol('DATA'); data[1:3] = 0; tb.putcol('DATA', data); tb.close()
";

/// The example with the real DP3, which CLEANLOOP_DP3 names (`pip install dp3 numpy` makes `DP3.py`).
#[test]
#[ignore = "needs wsclean, CASA and DP3, which CLEANLOOP_DP3 names"]
fn the_example_with_dp3_improves_the_image() {
    let dp3 = std::env::var_os("CLEANLOOP_DP3").expect("CLEANLOOP_DP3 names DP3");
    let casa = real::casa();
    let folder = tempfile::tempdir().expect("a folder");
    let data = json!({"antennas": 15, "duration_s": 1200, "stokes": "RR RL LR LL"});
    let field = real::field(&casa, folder.path(), &data);
    real::python(&field.ms, EMPTY_CROSS_HANDS);
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let example = fs::read_to_string(examples.join("dp3.yaml")).expect("read");
    let script = examples.join("dp3_selfcal.sh").display().to_string();
    let small = "size: 512\n    scale: 3asec\n    abs_mem: 2\n    weight: briggs 0";
    let campaign = example
        .replace("/path/to/dp3_selfcal.sh", &script)
        .replace("size: 1280\n    scale: 1.2asec", small)
        .replace("niter: 20000", "niter: 3000");
    assert!(campaign.contains(&script) && campaign.contains(small));
    fs::write(folder.path().join("campaign.yaml"), campaign).expect("written");
    let output = cleanloop(folder.path())
        .env("DP3", dp3)
        .env("INTEGRATION", "30")
        .args(["run", "campaign.yaml"])
        .output()
        .expect("it runs");
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{words}");
    let record = CampaignRecord::load(&folder.path().join("out")).expect("a record");
    let dataset = &record.datasets[0];
    assert!(dataset.rounds[1].is_accepted(), "{words}");
    let [before, after] = [0, 1].map(|round| dynamic_range(dataset, round));
    assert!(after > 1.3 * before, "{before:.0} -> {after:.0}");
    assert!(folder.path().join("out/round-01/calibration/solutions.h5").exists(), "DP3's own solutions are kept");
}
