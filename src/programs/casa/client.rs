//! The handle of the worker.

use super::requests::{self, Request, Versions};
use super::sources::{PACKAGE, write_sources};
use crate::Result;
use crate::process::Limits;
use crate::process::worker::{Handshake, Worker, WorkerCommand};
use crate::programs::setup::{self, Environment, Kind};
use serde_json::Value;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A handle of the worker; clones share the process. It is started at the first request and ends with the last handle.
#[derive(Debug, Clone)]
pub struct Casa {
    worker: Arc<Mutex<Worker>>,
}

impl Casa {
    /// A worker in cleanloop's own environment (`python` empty), or in another Python that has casatasks: the words of
    /// its command, e.g. `[apptainer, exec, casa.sif, python3]`. `log` gets the standard error of the process.
    ///
    /// # Errors
    /// CASA is not set up; the sources of the worker cannot be written.
    pub fn open(python: &[String], log: Option<&Path>) -> Result<Self> {
        Self::open_with(python, None, log)
    }

    /// As [`Casa::open`]; in cleanloop's own environment it is the first of `processes` under MPI, which CASA's parallel
    /// imager uses.
    ///
    /// # Errors
    /// As [`Casa::open`].
    pub fn open_with(python: &[String], processes: Option<usize>, log: Option<&Path>) -> Result<Self> {
        let words = command_line(python, processes)?;
        let handshake = Handshake { operation: requests::OPERATIONS, check: requests::check_contract };
        let mut command = WorkerCommand {
            name: "CASA".into(),
            words,
            log: log.map(Path::to_owned),
            handshake: Some(handshake),
            ..Default::default()
        };
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

    /// Sends a request and waits for its answer; CASA's own log of it is appended to `log`.
    ///
    /// # Errors
    /// Bad input in the worker's words, CASA's failure, a crash, an interruption.
    pub fn ask<R: Request>(&self, request: &R, log: Option<&Path>) -> Result<R::Response> {
        self.ask_with_events(request, log, &mut |_| {})
    }

    /// As [`Casa::ask`]; `on_event` gets the events that come before the answer.
    ///
    /// # Errors
    /// As [`Casa::ask`].
    pub fn ask_with_events<R: Request>(
        &self,
        request: &R,
        log: Option<&Path>,
        on_event: &mut dyn FnMut(&Value),
    ) -> Result<R::Response> {
        let params = serde_json::to_value(request).map_err(crate::Error::internal)?;
        let result = self.worker().request(R::OPERATION, &params, log, on_event)?;
        serde_json::from_value(result).map_err(|e| {
            crate::Error::internal(format!("the CASA worker's answer to {} was not understood: {e}", R::OPERATION))
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
    /// As [`Casa::ask`].
    pub fn version(&self) -> Result<String> {
        Ok(format!("casatasks {}", self.ask(&Versions {}, None)?.casatasks))
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
            // Open MPI refuses to run for root unless an option allows it. A process belongs to its effective user.
            if std::fs::metadata("/proc/self").is_ok_and(|m| std::os::unix::fs::MetadataExt::uid(&m) == 0) {
                words.push("--allow-run-as-root".into());
            }
            // One of them leads and hardly computes: there may be one more than there are cores.
            words.extend(["--map-by", ":OVERSUBSCRIBE", "--bind-to", "none", "-n"].map(str::to_owned));
            words.push(processes.to_string());
        }
        words.extend(environment.python_command().iter().map(|w| w.to_string_lossy().into_owned()));
    }
    words.push(write_sources()?.join(PACKAGE).to_string_lossy().into_owned());
    Ok(words)
}
