//! Chains of solves with the real programs: the same as by hand, with delays that are found, killed and resumed, and
//! applied to other data.

use crate::campaign::calibrators::{applies, request};
use crate::campaign::whole;
use crate::imaging::casa::statistics;
use crate::support::real;
use crate::support::running::Running;
use assert_cmd::Command;
use cleanloop::calibrator::{self, Calibrator};
use cleanloop::campaign::record::{CampaignRecord, DatasetRecord, State};
use cleanloop::measurement_set::checksum;
use cleanloop::process::Limits;
use cleanloop::programs::casa::Casa;
use cleanloop::quality::solutions::TermKind;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

fn open(kind: calibrator::SolverKind, chain: Value, casa: &Casa) -> Box<dyn Calibrator> {
    let chain = serde_json::from_value(chain).expect("a chain");
    calibrator::open(kind, chain, casa.clone(), Limits::default()).expect("opened")
}

/// Antennas with delays of some ns, on 8 channels.
fn with_delays(casa: &Casa, folder: &Path) -> real::Field {
    let options = json!({"antennas": 9, "duration_s": 600, "channels": 8, "delay_rms_ns": 3.0});
    let field = real::field(casa, folder, &options);
    real::fill_model(casa, &field);
    field
}

/// Delays, phases on top, amplitudes and phases on top of both, by hand with casatasks.
const BY_HAND: &str = "
import os
from casatasks import applycal, gaincal
os.chdir(os.path.dirname(ms))
k = dict(vis=ms, refant='W28', minsnr=2.0, minblperant=4, solnorm=False)
gaincal(caltable='h.k', gaintype='K', calmode='p', solint='inf', combine='scan', **k)
gaincal(caltable='h.p', gaintype='G', calmode='p', solint='30s', gaintable=['h.k'], interp=['nearest'], **k)
gaincal(caltable='h.a', gaintype='T', calmode='ap', solint='120s', gaintable=['h.k', 'h.p'], interp=['nearest', 'linear'], **k)
tables = ['h.k', 'h.p', 'h.a']
applycal(vis=ms, gaintable=tables, interp=['nearest', 'linear', 'linear'], applymode='calonly', calwt=False, flagbackup=False)
";
/// Flags of the gains of one antenna in a table, and whether the table applies to it.
const FLAGS_OF_E20: &str = "
import os
tb.open(os.path.dirname(ms) + '/tables/TABLE/ANTENNA'); number = list(tb.getcol('NAME')).index('E20'); tb.close()
tb.open(os.path.dirname(ms) + '/tables/TABLE')
rows = tb.getcol('ANTENNA1') == number
print(tb.getcol('FLAG')[..., rows].sum(), np.abs(tb.getcol('CPARAM')[..., rows] - 1).max() > 1e-6)
";

#[test]
#[ignore = "needs CASA"]
fn a_chain_is_what_is_made_by_hand() {
    let casa = real::casa();
    let folder = tempfile::tempdir().expect("a folder");
    let field = with_delays(&casa, folder.path());
    let of = |column: &str| checksum(&casa, &field.ms, column).expect("a checksum");
    let data = of("DATA");
    let all = |mut element: Value| {
        for (key, value) in [("minsnr", json!(2)), ("refant", json!("W28")), ("uvrange", json!(""))] {
            element[key] = value;
        }
        element["solnorm"] = json!(false);
        element
    };
    let chain = json!([
        all(json!({"gaintype": "K", "solint": "inf", "combine": "scan", "interp": "nearest"})),
        all(json!({"solint": "30s"})),
        all(json!({"gaintype": "T", "calmode": "ap", "solint": "120s"})),
    ]);
    let mut gains = open(calibrator::SolverKind::Casa, chain, &casa);
    let request = request(&field.ms, folder.path());
    assert_eq!((gains.chains(), gains.solves()), (true, 3));
    let tables = gains.solve_all(&request).expect("solved");
    let names: Vec<_> = tables.iter().map(|t| (t.term.as_str(), t.path.file_name().unwrap().to_str())).collect();
    let expected = [("delay", "gains.delay"), ("phase", "gains.phase"), ("gains", "gains.gains")];
    assert_eq!(names, expected.map(|(term, file)| (term, Some(file))));
    gains.apply(&field.ms, &tables, &request.log).expect("applied");
    let corrected = of("CORRECTED_DATA");
    assert_ne!(corrected, data);
    real::python(&field.ms, BY_HAND);
    assert_eq!(of("CORRECTED_DATA"), corrected, "by hand it is the same, bit for bit");

    let stats = statistics(&mut *gains, &tables);
    let [delay, phase, both] = &stats.terms[..] else { panic!("three terms: {:?}", stats.terms) };
    assert_eq!((delay.kind, phase.kind, both.kind), (TermKind::Delay, TermKind::Phase, TermKind::Gains));
    assert_eq!((phase.solint.as_str(), phase.solutions), ("30s", 9 * 2 * 20));
    let delays = delay.delay_ns.expect("delays");
    let error = delays.error_ns.expect("two polarisations");
    assert!(delays.median_abs_ns > 0.5 && error < 0.2 * delays.median_abs_ns, "{delays:?}");
    assert_eq!(delay.median_snr, None, "gaincal gives delays no S/N");
    let hands = phase.polarisation_difference.expect("two polarisations");
    assert!(hands.measured_deg < 3.0 * hands.expected_deg, "the simulated hands are alike: {hands:?}");
    assert_eq!((both.polarisation_difference, both.window_difference), (None, None), "one of each");

    // An antenna that is given up in one term keeps its data for the next, and is flagged by neither.
    gains.set_identity_gains(&tables[..2], "phase", &["E20".to_owned()], &request.log).expect("changed");
    let again = gains.solve(&request, 2, &tables[..2], &[]).expect("solved");
    assert_eq!(again[0].path, tables[2].path);
    let flags = |table: &str| real::python(&field.ms, &FLAGS_OF_E20.replace("TABLE", table)).trim().to_owned();
    assert_eq!(flags("gains.phase"), "0 False");
    assert_eq!(flags("gains.gains"), "0 True");
}

/// Sums of the weights and of what they are to be, from the gains that were divided by.
const WEIGHTS: &str = "
tb.open(ms)
ratio = np.abs(tb.getcol('DATA')) / np.abs(tb.getcol('CORRECTED_DATA'))
weight = tb.getcol('WEIGHT'); sigma = tb.getcol('SIGMA')
wanted = (ratio ** 2).mean(axis=1) / sigma ** 2
print('followed' if np.allclose(weight, wanted, rtol=1e-4) else 'left', np.ptp(weight) > 0, weight.astype(float).sum())
";

#[test]
#[ignore = "needs CASA"]
fn weights_follow_the_gains_and_come_back() {
    let casa = real::casa();
    let folder = tempfile::tempdir().expect("a folder");
    let field = with_delays(&casa, folder.path());
    let weights = || real::python(&field.ms, WEIGHTS).trim().to_owned();
    let options = json!([
        {"solint": "30s", "uvrange": "", "calwt": true},
        {"gaintype": "T", "calmode": "ap", "solint": "120s", "uvrange": "", "calwt": true, "term": "slow"},
    ]);
    let mut gains = open(calibrator::SolverKind::Casa, options, &casa);
    let request = request(&field.ms, folder.path());
    let first = gains.solve_all(&request).expect("solved");
    gains.apply(&field.ms, &[], &request.log).expect("applied");
    let original = weights();
    assert!(original.starts_with("followed False"), "{original}");
    gains.apply(&field.ms, &first, &request.log).expect("applied");
    let calibrated = weights();
    assert!(calibrated.starts_with("followed True"), "{calibrated}");
    let model = |tables: &[cleanloop::calibrator::SolutionTable]| {
        tables
            .iter()
            .map(|t| real::python(&t.path, "tb.open(ms); print(repr(tb.getcol('CPARAM').sum()))"))
            .collect::<Vec<_>>()
    };
    // Gains are solved with the weights of the raw data, and those of the corrected ones are there afterwards.
    let before = model(&first);
    let again = gains.solve_all(&request).expect("solved");
    assert_eq!((model(&again), weights()), (before, calibrated.clone()));
    gains.apply(&field.ms, &again, &request.log).expect("applied");
    assert_eq!(weights(), calibrated);
    gains.apply(&field.ms, &[], &request.log).expect("undone");
    assert_eq!(weights(), original);
}

/// Ranges of channels lie within those of the terms before them; each is solved with the table that covers it.
#[test]
#[ignore = "needs CASA"]
fn a_chain_by_channel_ranges_covers_every_channel() {
    let casa = real::casa();
    let folder = tempfile::tempdir().expect("a folder");
    let field = with_delays(&casa, folder.path());
    let chain = json!([
        {"gaintype": "K", "solint": "inf", "uvrange": ""},
        {"solint": "60s", "nspw": 2, "uvrange": ""},
        {"solint": "inf", "gaintype": "B", "nspw": 2, "uvrange": "", "combine": "scan"},
    ]);
    let mut gains = open(calibrator::SolverKind::Casa, chain, &casa);
    let request = request(&field.ms, folder.path());
    let tables = gains.solve_all(&request).expect("solved");
    let ranges: Vec<_> = tables.iter().map(|t| (t.term.as_str(), t.channels)).collect();
    let halves = [Some((0, 3)), Some((4, 7))];
    let expected = [("delay", None), ("phase", halves[0]), ("phase", halves[1]), ("bandpass", halves[0])];
    assert_eq!(ranges[..4], expected);
    assert_eq!(ranges[4], ("bandpass", halves[1]));
    gains.apply(&field.ms, &tables, &request.log).expect("applied");
    let untouched = "
tb.open(ms)
print(np.isclose(tb.getcol('DATA'), tb.getcol('CORRECTED_DATA'), rtol=1e-4).all(axis=(0, 2)).any())";
    assert_eq!(real::python(&field.ms, untouched).trim(), "False", "every channel is corrected");
    let line = gains.apply_line(&tables).expect("a line");
    assert!(line.lines().count() == 2 && line.contains("gains.delay"), "{line}");
}

/// Delays and phases as the terms of one call.
#[test]
#[ignore = "needs CASA and QuartiCal"]
fn quarticals_chain_is_one_call() {
    real::quartical();
    let casa = real::casa();
    let folder = tempfile::tempdir().expect("a folder");
    let field = with_delays(&casa, folder.path());
    let chain = json!([
        {"gaintype": "K", "solint": "inf", "uvrange": ""},
        {"solint": "60s", "uvrange": "", "minsnr": 2},
        {"solint": "inf", "calmode": "ap", "uvrange": "", "solnorm": false},
    ]);
    let mut gains = open(calibrator::SolverKind::Quartical(Vec::new()), chain, &casa);
    let request = request(&field.ms, folder.path());
    assert_eq!((gains.chains(), gains.solves()), (true, 1));
    let tables = gains.solve_all(&request).expect("solved");
    let stats = statistics(&mut *gains, &tables);
    let terms: Vec<_> = stats.terms.iter().map(|t| (t.term.as_str(), t.kind, t.solutions)).collect();
    let expected =
        [("delay", TermKind::Delay, 9 * 2), ("phase", TermKind::Phase, 9 * 2 * 10), ("gains", TermKind::Gains, 9 * 2)];
    assert_eq!(terms, expected);
    assert!(stats.terms[0].delay_ns.is_some_and(|d| d.median_abs_ns > 0.5), "{:?}", stats.terms[0]);
    gains.apply(&field.ms, &tables, &request.log).expect("applied");
    let misfit = "
tb.open(ms)
def misfit(column):
    rest = (tb.getcol(column) - tb.getcol('MODEL_DATA')).ravel()
    return 1.4826 * np.median(np.abs(np.concatenate([rest.real, rest.imag])))
print(misfit('CORRECTED_DATA') / misfit('DATA'))";
    let left: f64 = real::python(&field.ms, misfit).trim().parse().expect("a number");
    assert!(left < 0.6, "of the misfit {left} is left");
}

/// Phases with amplitudes on top; the second round takes the amplitudes of the first.
static CAMPAIGN: LazyLock<String> = LazyLock::new(|| {
    let amplitudes = "{solint: inf, calmode: ap, gaintype: G, solnorm: false}";
    whole::CAMPAIGN
        .replace("{gaincal: {solint: 120s, calmode: p}}", &format!("{{gaincal: [{{solint: 120s}}, {amplitudes}]}}"))
        .replace(
            "{gaincal: {solint: 60s, calmode: p}}",
            "{gaincal: [{solint: 60s}, {solint: inf, calmode: ap, reuse: true}]}",
        )
});

fn run(folder: &Path) -> DatasetRecord {
    let mut command = Command::cargo_bin("cleanloop").expect("the binary is built");
    let output = command.current_dir(folder).args(["run", "campaign.yaml"]).output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let record = CampaignRecord::load(&folder.join("out")).expect("a record");
    record.datasets.into_iter().next().expect("a dataset")
}

/// Whether the gains of two rounds are the same.
const SAME_GAINS: &str = "
import os
def gains(number):
    tb.open(os.path.dirname(ms) + f'/../round-0{number}/calibration/gains.gains')
    found = tb.getcol('CPARAM'); tb.close()
    return found
print(np.array_equal(gains(1), gains(2)))";

#[test]
#[ignore = "needs wsclean and CASA"]
fn a_chain_is_reused_killed_resumed_and_applied_elsewhere() {
    let folder = whole::prepared(&CAMPAIGN);
    let dataset = run(folder.path());
    assert_eq!(dataset.state, State::Done);
    let round = &dataset.rounds[2];
    assert!(dataset.rounds[1].is_accepted() && round.is_accepted(), "{:?}", round.decision);
    let chain: Vec<_> = round.chain.iter().map(|t| (t.term.as_str(), t.solint.as_str(), t.reuse)).collect();
    assert_eq!(chain, [("phase", "60s", false), ("gains", "inf", true)]);
    let stats = round.solutions.as_ref().expect("statistics");
    assert_eq!(stats.terms.iter().map(|t| t.kind).collect::<Vec<_>>(), [TermKind::Phase, TermKind::Gains]);
    let copy = folder.path().join("out/data/field.ms");
    assert_eq!(real::python(&copy, SAME_GAINS).trim(), "True", "the amplitudes are those of round 1");

    // The line of the product, with both tables, gives other data the same.
    if dataset.best_round().expect("a product").round == 2 {
        let line = fs::read_to_string(folder.path().join("out/final/apply-solutions.txt")).expect("a line");
        assert!(line.contains("gaintable=['gains.phase', 'gains.gains']"), "{line}");
        applies(&line, folder.path(), &copy);
    }

    // Killed between the two solves of a chain, it ends with the same data.
    let killed = whole::prepared(&CAMPAIGN);
    let tables = killed.path().join("out/round-01/calibration");
    let mut first = Running::start(killed.path(), &["run", "campaign.yaml"]);
    first.wait_until("the first table of a chain", || tables.join("gains.phase").exists());
    first.kill();
    let journal = fs::read_to_string(killed.path().join("out/journal.jsonl")).expect("a journal");
    assert!(!journal.contains(r#""event":"done","step":"round-01/apply""#), "{journal}");
    assert_eq!(run(killed.path()).state, State::Done);
    let casa = real::casa();
    let again = killed.path().join("out/data/field.ms");
    for column in ["MODEL_DATA", "CORRECTED_DATA"] {
        let of = |ms: &Path| checksum(&casa, ms, column).expect("a checksum");
        assert_eq!(of(&again), of(&copy), "{column}");
    }
}
