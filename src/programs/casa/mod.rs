//! The CASA worker: one Python process that answers the requests of everybody who needs CASA (simulation, summaries of
//! measurement sets, calibration, tclean). See `workers/casa_worker.py` for the methods.

use super::setup::{self, Environment, Kind};
use crate::Result;
use crate::process::Limits;
use crate::process::worker::{Worker, WorkerCommand};
use serde::de::DeserializeOwned;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The Python sources of the worker, by file name; the first is the one that is started.
const SOURCES: [(&str, &str); 11] = [
    ("casa_worker.py", include_str!("../../../workers/casa_worker.py")),
    ("calibration.py", include_str!("../../../workers/calibration.py")),
    ("casa_images.py", include_str!("../../../workers/casa_images.py")),
    ("deconvolution.py", include_str!("../../../workers/deconvolution.py")),
    ("fits.py", include_str!("../../../workers/fits.py")),
    ("gain_quality.py", include_str!("../../../workers/gain_quality.py")),
    ("imaging.py", include_str!("../../../workers/imaging.py")),
    ("measurement_set.py", include_str!("../../../workers/measurement_set.py")),
    ("problems.py", include_str!("../../../workers/problems.py")),
    ("quartical_gains.py", include_str!("../../../workers/quartical_gains.py")),
    ("simulation.py", include_str!("../../../workers/simulation.py")),
];

/// A handle of the worker; clones share the process. It is started at the first request and ends with the last handle.
#[derive(Debug, Clone)]
pub struct Casa {
    worker: Arc<Mutex<Worker>>,
}

impl Casa {
    /// A worker in cleanloop's own environment (`python` empty), or in another Python that has casatasks: the words of
    /// its command, e.g. `[apptainer, exec, casa.sif, python3]`. `log` gets what the process says on standard error.
    ///
    /// # Errors
    /// CASA is not set up; the sources of the worker cannot be written.
    pub fn open(python: &[String], log: Option<&Path>) -> Result<Self> {
        Self::open_with(python, None, log)
    }

    /// As [`Casa::open`]; in cleanloop's own environment it is the first of so many processes under MPI, which CASA's
    /// parallel imager uses.
    ///
    /// # Errors
    /// As [`Casa::open`].
    pub fn open_with(python: &[String], processes: Option<usize>, log: Option<&Path>) -> Result<Self> {
        let words = command_line(python, processes)?;
        let mut command =
            WorkerCommand { name: "CASA".into(), words, log: log.map(Path::to_owned), ..Default::default() };
        if python.is_empty() {
            let kind = if processes.is_some() { Kind::Mpi } else { Kind::Casa };
            let environment = Environment::ready(kind)?;
            command.environment = environment.variables();
            command.without = setup::FOREIGN_VARIABLES.map(str::to_owned).to_vec();
            command.install_hint = format!("run `cleanloop setup {}`", kind.name());
        } else {
            command.install_hint = "it is named by the key executables.casa".into();
        }
        Ok(Self { worker: Arc::new(Mutex::new(Worker::new(command))) })
    }

    fn worker(&self) -> MutexGuard<'_, Worker> {
        // A panic in a callback leaves the worker as it is: still whole, or gone and started again.
        self.worker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for `method` with `params` (an object); CASA's own log of it is appended to `log`.
    ///
    /// # Errors
    /// Bad input in the worker's words, CASA's failure, a crash, an interruption.
    pub fn call<R: DeserializeOwned>(&self, method: &str, params: Value, log: Option<&Path>) -> Result<R> {
        self.call_with_events(method, params, log, &mut |_| {})
    }

    /// As [`Casa::call`]; `on_event` gets the events that come before the answer.
    ///
    /// # Errors
    /// As [`Casa::call`].
    pub fn call_with_events<R: DeserializeOwned>(
        &self,
        method: &str,
        mut params: Value,
        log: Option<&Path>,
        on_event: &mut dyn FnMut(&Value),
    ) -> Result<R> {
        if let Some(log) = log {
            // The worker's own working folder changes.
            let log = std::path::absolute(log).unwrap_or_else(|_| log.to_path_buf());
            params["log"] = Value::from(log.to_string_lossy());
        }
        let result = self.worker().request(method, &params, log, on_event)?;
        serde_json::from_value(result).map_err(|e| {
            crate::Error::internal(format!("the CASA worker's answer to {method} was not understood: {e}"))
        })
    }

    /// How often the process was started: tools that were kept in it are lost when this changes.
    pub fn starts(&self) -> u64 {
        self.worker().starts()
    }

    /// Process id, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.worker().pid()
    }

    /// Limits of each request from now on.
    pub fn set_limits(&self, limits: Limits) {
        self.worker().set_limits(limits);
    }

    /// Threads that CASA may use, from the next start of the process on.
    pub fn set_threads(&self, threads: usize) {
        self.worker().set_variable("OMP_NUM_THREADS", &threads.max(1).to_string());
    }

    /// A token that, set from elsewhere, stops the request under way like an interruption; the process ends with it.
    pub fn set_cancel(&self, cancel: Option<Arc<AtomicBool>>) {
        self.worker().set_cancel(cancel);
    }

    /// Version for provenance, e.g. `casatasks 6.7.0.31`.
    ///
    /// # Errors
    /// As [`Casa::call`].
    pub fn version(&self) -> Result<String> {
        let versions: Value = self.call("versions", serde_json::json!({}), None)?;
        Ok(format!("casatasks {}", versions["casatasks"].as_str().unwrap_or("of unknown version")))
    }
}

/// The words that start the worker; nothing need be set up. See [`Casa::open_with`].
///
/// # Errors
/// There is no place for environments; the sources of the worker cannot be written.
pub fn command_line(python: &[String], processes: Option<usize>) -> Result<Vec<String>> {
    let mut words = python.to_vec();
    if python.is_empty() {
        let environment = Environment::at_home(if processes.is_some() { Kind::Mpi } else { Kind::Casa })?;
        if let Some(processes) = processes {
            words.push(environment.root.join("bin/mpirun").to_string_lossy().into_owned());
            // Open MPI refuses to run for root unless it is told to. A process belongs to its effective user.
            if std::fs::metadata("/proc/self").is_ok_and(|m| std::os::unix::fs::MetadataExt::uid(&m) == 0) {
                words.push("--allow-run-as-root".into());
            }
            // One of them leads and hardly computes: there may be one more than there are cores.
            words.extend(["--map-by", ":OVERSUBSCRIBE", "--bind-to", "none", "-n"].map(str::to_owned));
            words.push(processes.to_string());
        }
        words.extend(environment.python_command().iter().map(|w| w.to_string_lossy().into_owned()));
    }
    words.push(write_sources()?.join(SOURCES[0].0).to_string_lossy().into_owned());
    Ok(words)
}

/// A source for programs other than the worker, by its name in `workers/`.
pub(crate) fn source(name: &str) -> Result<PathBuf> {
    Ok(write_sources()?.join(name))
}

/// Puts the sources into a folder named by their hash, and returns the folder.
fn write_sources() -> Result<PathBuf> {
    let mut hash = Sha256::new();
    SOURCES.iter().for_each(|(_, text)| hash.update(text.as_bytes()));
    let name: String = hash.finalize().iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    let folder = setup::home()?.join("workers").join(name);
    std::fs::create_dir_all(&folder).map_err(|reason| setup::SetupError::Io { path: folder.clone(), reason })?;
    for (name, text) in SOURCES {
        let path = folder.join(name);
        if std::fs::read_to_string(&path).ok().as_deref() != Some(text) {
            setup::write_text(&path, text)?;
        }
    }
    Ok(folder)
}

/// A value in Python's words.
pub(crate) fn python(value: &Value) -> String {
    match value {
        Value::String(s) => format!("'{}'", s.replace('\\', "\\\\").replace('\'', "\\'")),
        Value::Bool(true) => "True".into(),
        Value::Bool(false) => "False".into(),
        Value::Null => "None".into(),
        Value::Array(list) => format!("[{}]", list.iter().map(python).collect::<Vec<_>>().join(", ")),
        other => other.to_string(),
    }
}
