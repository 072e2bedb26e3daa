//! The real programs, for tests that need them.
//!
//! A test that needs CASA begins with `let Some(casa) = real::casa() else { return };`. It is skipped, with words, only
//! where CASA is not set up and `CLEANLOOP_REQUIRE_REAL` is unset.

use cleanloop::programs::casa::Casa;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// A worker of one's own.
pub fn casa() -> Option<Casa> {
    match Casa::open(&[], None) {
        Ok(casa) => Some(casa),
        Err(e) if std::env::var_os("CLEANLOOP_REQUIRE_REAL").is_some() => panic!("CLEANLOOP_REQUIRE_REAL is set: {e}"),
        Err(e) => {
            eprintln!("skipped: {e}");
            None
        }
    }
}

/// A simulated field.
pub struct Field {
    /// The measurement set, the caller's own copy.
    pub ms: PathBuf,
    /// The true sky.
    pub sky: PathBuf,
    /// The true gains.
    pub gains: PathBuf,
}

/// A copy in `folder` of the field that `options` of `cleanloop simulate` (the worker's names) give; simulated once.
pub fn field(casa: &Casa, folder: &Path, options: &Value) -> Field {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let name: String = options.to_string().chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
    // The sources of the simulation are part of the name: a change makes new fields.
    let version = cleanloop::campaign::plan::hash(&include_str!("../../../workers/simulation.py"))[..8].to_owned();
    let store = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fields").join(version);
    let original = store.join(format!("{name}.ms"));
    let guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    if !original.exists() {
        let mut params = json!({"output": store, "name": name});
        params.as_object_mut().expect("an object").extend(options.as_object().expect("an object").clone());
        casa.call::<Value>("simulate", params, None).expect("simulated");
    }
    drop(guard);
    let ms = folder.join("field.ms");
    cleanloop::measurement_set::copy(&original, &ms).expect("copied");
    let beside = |end: &str| store.join(format!("{name}.{end}"));
    Field { ms, sky: beside("sky.json"), gains: beside("gains.json") }
}

/// The smallest field on which gains can be solved for: 9 antennas, 10 minutes.
pub fn tiny(casa: &Casa, folder: &Path) -> Field {
    field(casa, folder, &json!({"antennas": 9, "duration_s": 600}))
}

/// Runs a Python program in CASA's environment; `tb` is a table tool, `ms` the measurement set.
pub fn python(ms: &Path, program: &str) -> String {
    let environment =
        cleanloop::programs::setup::Environment::ready(cleanloop::programs::setup::Kind::Casa).expect("set up");
    let text = format!(
        "import sys\nimport numpy as np\nfrom casatools import table\nms = sys.argv[1]\ntb = table()\n{program}"
    );
    let output = std::process::Command::new(environment.python())
        .args(["-c", &text])
        .arg(ms)
        .env("CASASITECONFIG", environment.root.join("casasiteconfig.py"))
        .env("HOME", environment.root.join("home"))
        .output()
        .expect("it starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

/// Whether QuartiCal is set up; it must be where `make test` runs.
pub fn quartical() -> Option<()> {
    is_set_up(cleanloop::programs::setup::Kind::Quartical)
}

/// Whether MPI for CASA is set up; it must be where `make test` runs.
pub fn mpi() -> Option<()> {
    is_set_up(cleanloop::programs::setup::Kind::Mpi)
}

fn is_set_up(kind: cleanloop::programs::setup::Kind) -> Option<()> {
    match cleanloop::programs::setup::Environment::ready(kind) {
        Ok(_) => Some(()),
        Err(e) if std::env::var_os("CLEANLOOP_REQUIRE_REAL").is_some() => panic!("CLEANLOOP_REQUIRE_REAL is set: {e}"),
        Err(e) => {
            eprintln!("skipped: {e}");
            None
        }
    }
}
