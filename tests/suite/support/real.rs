//! The real programs. A test that needs one carries `#[ignore = "needs ..."]`, so that plain `cargo test` reports it as
//! ignored; `make test` includes these, and then a program that is missing fails the test.

use cleanloop::process::find_program;
use cleanloop::programs::casa::Casa;
use cleanloop::programs::casa::requests::{FillModel, Simulate};
use cleanloop::programs::setup::{Environment, Kind};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// A CASA worker of the caller's own.
pub(crate) fn casa() -> Casa {
    Casa::open(&[], None).unwrap_or_else(|e| panic!("this test needs CASA: {e}"))
}

/// Fails the test if a program is not on the PATH.
pub(crate) fn require(program: &str) {
    assert!(find_program(program).is_some(), "this test needs {program}, which is not installed");
}

/// Fails the test if QuartiCal is not set up.
pub(crate) fn quartical() {
    set_up(Kind::Quartical);
}

/// Fails the test if MPI for CASA is not set up.
pub(crate) fn mpi() {
    set_up(Kind::Mpi);
}

/// Runs DP3 with these settings, each `key=value`; fails the test if it is not set up.
pub(crate) fn dp3(settings: &[String]) {
    set_up(Kind::Dp3);
    let environment = Environment::ready(Kind::Dp3).expect("set up");
    let mut words = environment.python_command();
    words.extend(["-c".into(), "import sys, dp3; sys.exit(dp3.entrypoint())".into()]);
    let mut command = std::process::Command::new(&words[0]);
    command.args(&words[1..]).args(settings).envs(environment.variables()).env("OPENBLAS_NUM_THREADS", "1");
    let output = command.output().expect("it starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn set_up(kind: Kind) {
    if let Err(e) = Environment::ready(kind) {
        panic!("this test needs it: {e}");
    }
}

/// A simulated field.
pub(crate) struct Field {
    /// The measurement set, the caller's own copy.
    pub ms: PathBuf,
    /// The true sky.
    pub sky: PathBuf,
    /// The true gains.
    pub gains: PathBuf,
}

/// The sources of the simulation.
const SIMULATION: [&str; 4] = [
    include_str!("../../../workers/cleanloop_worker/simulation/gains.py"),
    include_str!("../../../workers/cleanloop_worker/simulation/observe.py"),
    include_str!("../../../workers/cleanloop_worker/simulation/presets.py"),
    include_str!("../../../workers/cleanloop_worker/simulation/sky.py"),
];

/// A copy in `folder` of the field that `options` of `cleanloop simulate` (the worker's names) give; simulated once.
pub(crate) fn field(casa: &Casa, folder: &Path, options: &Value) -> Field {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let name: String = options.to_string().chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
    // The sources of the simulation are part of the name: a change makes new fields.
    let version = cleanloop::campaign::plan::hash(&SIMULATION)[..8].to_owned();
    let store = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fields").join(version);
    let original = store.join(format!("{name}.ms"));
    let guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    if !original.exists() {
        let mut request: Simulate = serde_json::from_value(options.clone()).expect("a simulation");
        (request.output, request.name) = (store.clone(), name.clone());
        casa.ask(&request, None).expect("simulated");
    }
    drop(guard);
    let ms = folder.join("field.ms");
    cleanloop::measurement_set::copy(&original, &ms).expect("copied");
    let beside = |end: &str| store.join(format!("{name}.{end}"));
    Field { ms, sky: beside("sky.json"), gains: beside("gains.json") }
}

/// Puts the true sky of a field into its `MODEL_DATA`.
pub(crate) fn fill_model(casa: &Casa, field: &Field) {
    casa.ask(&FillModel { ms: field.ms.clone(), sky: field.sky.clone() }, None).expect("filled");
}

/// The smallest field on which gains can be solved for: 9 antennas, 10 minutes.
pub(crate) fn tiny(casa: &Casa, folder: &Path) -> Field {
    field(casa, folder, &json!({"antennas": 9, "duration_s": 600}))
}

/// Flux of the line of [`line_and_continuum`] in channels 10 to 13, a point at the phase centre, Jy.
pub(crate) const LINE_JY: f64 = 0.1;
/// Its noise: of the real and of the imaginary part of a visibility, Jy.
pub(crate) const LINE_NOISE_JY: f64 = 0.05;

/// 24 channels of noise, of a continuum source 10 arcsec off the centre, 1 Jy at one end of the band and 0.8 Jy at the other,
/// which is in MODEL_DATA, too, and of the line.
pub(crate) fn line_and_continuum(casa: &Casa, folder: &Path) -> PathBuf {
    let options = json!({"preset": "line-cube", "channels": 24, "antennas": 12, "duration_s": 600});
    let ms = field(casa, folder, &options).ms;
    cleanloop::measurement_set::copy_column(casa, &ms, "DATA", "MODEL_DATA").unwrap();
    let program = format!(
        "
tb.open(ms + '/SPECTRAL_WINDOW')
hz = tb.getcell('CHAN_FREQ', 0)
tb.close()
tb.open(ms, nomodify=False)
turns = 5e-5 * hz[:, None] * tb.getcol('UVW')[0] / 299792458.0
continuum = np.linspace(1, 0.8, 24)[:, None] * np.exp(2j * np.pi * turns)
shape = tb.getcol('DATA').shape
tb.putcol('MODEL_DATA', np.broadcast_to(continuum, shape).astype(complex))
random = np.random.default_rng(1)
noise = {LINE_NOISE_JY} * (random.standard_normal(shape) + 1j * random.standard_normal(shape))
line = np.zeros(24)
line[10:14] = {LINE_JY}
tb.putcol('DATA', continuum + line[:, None] + noise)
"
    );
    python(&ms, &program);
    ms
}

/// Runs a Python program in CASA's environment; `tb` is a table tool, `ms` the measurement set.
pub(crate) fn python(ms: &Path, program: &str) -> String {
    let output = python_command(ms, program).output().expect("it starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

/// The same, not waited for.
pub(crate) fn python_in_background(ms: &Path, program: &str) -> std::process::Child {
    python_command(ms, program).spawn().expect("it starts")
}

fn python_command(ms: &Path, program: &str) -> std::process::Command {
    let environment = Environment::ready(Kind::Casa).expect("set up");
    let text = format!(
        "import sys\nimport numpy as np\nfrom casatools import table\nms = sys.argv[1]\ntb = table()\n{program}"
    );
    let mut command = std::process::Command::new(environment.python());
    command
        .args(["-c", &text])
        .arg(ms)
        // CASA leaves its log where it runs.
        .current_dir(ms.parent().expect("a folder"))
        .env("CASASITECONFIG", environment.root.join("casasiteconfig.py"))
        .env("HOME", environment.root.join("home"));
    command
}

/// An unpacked copy in `folder` of a real measurement set, where `../shared/real` is there.
pub(crate) fn shared(folder: &Path, name: &str) -> Option<PathBuf> {
    let archive = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().skip(1);
    let archive =
        archive.map(|above| above.join("shared/real").join(format!("{name}.ms.tar.gz"))).find(|p| p.is_file())?;
    let inside = folder.join(name);
    std::fs::create_dir_all(&inside).expect("a folder");
    let status = std::process::Command::new("tar").arg("xzf").arg(&archive).arg("-C").arg(&inside).status();
    assert!(status.expect("tar starts").success(), "{}", archive.display());
    let mut found = std::fs::read_dir(&inside).expect("a folder").flatten().map(|entry| entry.path());
    found.next()
}
