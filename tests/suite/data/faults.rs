//! Damaged measurement sets are refused before anything is imaged, each with one clear message.

use super::damage;
use crate::support::real;
use crate::support::words::{said, without_folder};
use cleanloop::Error;
use cleanloop::measurement_set::inspect;
use cleanloop::measurement_set::inspection::{Inspection, Purpose};
use cleanloop::programs::casa::Casa;
use serde_json::{Value, json};
use std::path::Path;

/// The smallest field, damaged.
fn damaged(casa: &Casa, folder: &Path, data: &Value, damage: &str) -> Inspection {
    let field = real::field(casa, folder, data);
    real::python(&field.ms, damage);
    inspect(casa, &field.ms, None, true).expect("an inspection")
}

/// What a self-calibration says of the damaged field: why it is refused, or what there is to know.
fn words(casa: &Casa, data: &Value, damage: &str) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let inspection = damaged(casa, folder.path(), data, damage);
    let text = match inspection.check(&Purpose::default()) {
        Ok(problems) => problems.iter().map(|p| format!("{:?}: {p}\n", p.severity)).collect(),
        Err(error) => {
            assert!(matches!(error, Error::BadInput(_)), "{error:?}");
            format!("refused: {error}\n")
        }
    };
    without_folder(&text, folder.path())
}

#[test]
#[ignore = "needs CASA"]
fn each_fault_has_one_clear_message() {
    let casa = real::casa();
    let tiny = json!({"antennas": 6, "duration_s": 300});
    let two_windows = json!({"antennas": 6, "duration_s": 300, "windows": 2});
    let first_flagged = format!("{}{}", damage::TWO_FIELDS, damage::FIRST_FIELD_FLAGGED);
    let cases: [(&str, &Value, &str); 19] = [
        ("nothing wrong", &tiny, ""),
        ("all flagged", &tiny, damage::FLAGGED),
        ("a flagged field", &tiny, &first_flagged),
        ("a flagged window", &two_windows, damage::SECOND_WINDOW_FLAGGED),
        ("weights", &tiny, damage::WEIGHTLESS),
        ("NaN in UVW", &tiny, damage::UVW_NAN),
        ("NaN of an antenna", &tiny, damage::ANTENNA_NAN),
        ("several shapes", &tiny, damage::SEVERAL_SHAPES),
        ("one correlation", &tiny, damage::ONE_CORRELATION),
        ("subtables", &tiny, damage::WITHOUT_SUBTABLES),
        ("three antennas", &tiny, damage::THREE_ANTENNAS),
        ("one baseline", &tiny, damage::ONE_BASELINE),
        ("Dysco", &tiny, damage::DYSCO),
        ("cut off", &tiny, damage::CUT_OFF),
        ("no rows", &tiny, damage::NO_ROWS),
        ("an interval", &tiny, damage::SHORT_INTERVAL),
        ("an undescribed window", &tiny, damage::UNDESCRIBED_WINDOW),
        ("names of antennas", &tiny, damage::NUMBER_NAMES),
        ("descending channels", &tiny, damage::DESCENDING),
    ];
    let all: String =
        cases.iter().map(|(name, data, damage)| format!("{name}\n{}\n", words(&casa, data, damage))).collect();
    insta::assert_snapshot!(all);
}

const CAMPAIGN: &str = "
version: 0.2
campaign: {measurement_sets: [field.ms], output: out, rounds: 1, imager: wsclean, calibrator: casa}
defaults: {wsclean: {size: 256, scale: 3asec, niter: 100}}
selfcal: {0: {}, 1: {}}
";

#[test]
#[ignore = "needs CASA and wsclean"]
fn validate_plan_and_run_refuse_it_before_anything_is_imaged() {
    let casa = real::casa();
    real::require("wsclean");
    let folder = tempfile::tempdir().expect("a folder");
    damaged(&casa, folder.path(), &json!({"antennas": 6, "duration_s": 300}), damage::FLAGGED);
    std::fs::write(folder.path().join("campaign.yaml"), CAMPAIGN).expect("written");
    let words: Vec<String> = ["validate", "plan", "run"]
        .iter()
        .map(|command| {
            let mut cleanloop = assert_cmd::Command::cargo_bin("cleanloop").expect("the binary is built");
            let output = cleanloop.current_dir(folder.path()).args([command, "campaign.yaml", "--quiet"]);
            said(&output.output().expect("it runs"), folder.path())
        })
        .collect();
    insta::assert_snapshot!(words.join("\n"));
    assert!(!folder.path().join("out/data/field.ms").exists(), "nothing was copied");
}

#[test]
#[ignore = "needs CASA"]
fn the_lock_of_a_writer_is_named_and_that_of_a_dead_one_forgotten() {
    let casa = real::casa();
    let folder = tempfile::tempdir().expect("a folder");
    let field = real::field(&casa, folder.path(), &json!({"antennas": 6, "duration_s": 300}));
    // Another process opens the table for writing, and is killed with the lock in its hands.
    let ready = folder.path().join("ready");
    let program = format!(
        "import os\ntb.open(ms, nomodify=False)\ntb.lock()\nchild = os.fork()\nif not child:\n    os._exit(0)\n\
         open('{}', 'w').write(str(os.getpid()))\nimport time\ntime.sleep(600)",
        ready.display()
    );
    let mut writer = real::python_in_background(&field.ms, &program);
    crate::support::running::wait_until("the lock", crate::support::running::PATIENCE, || ready.exists());
    let error = inspect(&casa, &field.ms, None, true).expect_err("it is locked").to_string();
    let expected = format!("the process {} holds its lock (table.lock)", writer.id());
    assert!(error.contains(&expected), "{error}");
    writer.kill().expect("killed");
    writer.wait().expect("gone");
    assert!(field.ms.join("table.lock").exists());
    inspect(&casa, &field.ms, None, true).expect("nobody holds it");
}
