//! One imaging by wsclean: its fixed values, and how its calls are run.

use super::call::call;
use super::command_line::{Arguments, Calls, Installed, expanded_path};
use super::error::WscleanError;
use super::files::{self, memory};
use super::log::RunLog;
use super::options::WscleanOptions;
use crate::imager::context::ImagerContext;
use crate::imager::job::ImagingJob;
use crate::imager::progress::Progress;
use crate::measurement_set::has_column;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Folder inside the job's folder that holds everything unfinished.
const SCRATCH: &str = ".wsclean";

/// The values of one imaging that do not change while it runs.
pub(crate) struct Imaging {
    /// Data and folders.
    pub(crate) job: ImagingJob,
    /// wsclean's options.
    pub(crate) options: WscleanOptions,
    /// Its program, its limits, its listeners.
    pub(crate) context: ImagerContext,
    /// The installed version, or why there is none.
    pub(crate) installed: Result<Arc<Installed>, String>,
}

/// A call that was made.
#[derive(Debug)]
pub(crate) struct CallDone {
    /// Its log.
    pub(crate) log: RunLog,
    /// Its command line.
    pub(crate) line: Vec<String>,
}

/// The ears of one call: its log file, who hears of progress, what stops it.
pub(crate) struct Listener<'a> {
    /// Log file.
    pub(crate) log: &'a Path,
    /// Events other than warnings are dropped: too many calls run at once.
    pub(crate) silent: bool,
    /// Stops the call like an interruption; `None`: the context's own.
    pub(crate) cancel: Option<&'a Arc<AtomicBool>>,
}

impl Imaging {
    /// Nothing is run but wsclean's help, once for each executable.
    pub(crate) fn new(job: ImagingJob, options: WscleanOptions, mut context: ImagerContext) -> Self {
        if context.executable.is_empty() {
            context.executable = vec!["wsclean".to_owned()];
        }
        let installed = Installed::probe(&context.executable).map_err(|e| e.to_string());
        Self { job, options, context, installed }
    }

    /// The command lines of this imaging.
    pub(crate) fn calls(&self) -> Calls<'_> {
        Calls {
            job: &self.job,
            options: &self.options,
            installed: self.installed.as_deref().ok(),
            executable: &self.context.executable,
        }
    }

    /// Folder of everything unfinished.
    pub(crate) fn scratch(&self) -> PathBuf {
        self.job.folder.join(SCRATCH)
    }

    /// A measurement set has no `MODEL_DATA` yet, which the cycles need.
    pub(crate) fn needs_model_column(&self) -> bool {
        self.job.measurement_sets.iter().any(|m| has_column(m, "MODEL_DATA") != Some(true))
    }

    /// Whether a call that makes the PSF and cleans writes `MODEL_DATA`: where the cycles need the column, and where it is the
    /// `last`. Otherwise further calls that write it nearly always follow.
    pub(crate) fn first_call_writes_model(&self, last: bool) -> bool {
        self.needs_model_column() || self.job.update_model && last
    }

    /// The user's primary beam, its environment variables expanded.
    pub(crate) fn primary_beam(&self) -> Result<Option<PathBuf>, WscleanError> {
        let beam = self.options.primary_beam.as_ref();
        beam.map(|beam| expanded_path("primary_beam.image", &beam.image)).transpose()
    }

    /// Sends an event to whoever listens.
    pub(crate) fn report(&self, event: Progress) {
        (self.context.progress)(event);
    }

    /// Runs a command line, its log in the job's.
    pub(crate) fn run(&self, line: Vec<String>) -> Result<RunLog, WscleanError> {
        self.run_with(line, &self.listener())
    }

    /// Runs a command line for one listener. Warnings are passed on to whoever listens.
    pub(crate) fn run_with(&self, line: Vec<String>, listener: &Listener<'_>) -> Result<RunLog, WscleanError> {
        let progress = |event: Progress| {
            if !listener.silent || matches!(event, Progress::Warning(_)) {
                self.report(event);
            }
        };
        call(line, listener.log, &self.context, &progress, listener.cancel)
    }

    /// Runs a call with a folder for wsclean's temporary files, which goes afterwards; `name` is the start of the names
    /// of wsclean's files.
    pub(crate) fn run_call(
        &self,
        name: &Path,
        mut a: Arguments,
        listener: &Listener<'_>,
    ) -> Result<CallDone, WscleanError> {
        let temporary = self.temporary()?;
        a.push("temp-dir", &[temporary.path().display()]);
        let line = self.calls().line(name, &a);
        let log = self.run_with(line.clone(), listener)?;
        Ok(CallDone { log, line })
    }

    /// Folder for wsclean's reordered visibilities; it goes with the value.
    pub(crate) fn temporary(&self) -> Result<tempfile::TempDir, WscleanError> {
        let (base, prefix) = match &self.options.temp_dir {
            Some(path) => (expanded_path("temp_dir", path)?, memory::prefix()),
            None => match memory::folder(&self.job.measurement_sets, &self.context.executable) {
                Some(folder) => (folder, memory::prefix()),
                None => (self.scratch(), "tmp.".to_owned()),
            },
        };
        files::make_folder(&base)?;
        let made = tempfile::Builder::new().prefix(&prefix).tempdir_in(&base);
        made.map_err(WscleanError::files(&base, "used for temporary files"))
    }

    /// Writes the model (and those of its channels and polarisations) to the data.
    pub(crate) fn predict(&self, model: &Path) -> Result<(), WscleanError> {
        let folder = self.scratch().join("predict");
        files::fresh_folder(&folder)?;
        let found = files::link_models(model, &folder)?;
        if found == 0 {
            return Err(WscleanError::no_product(model.to_owned(), &self.job.log));
        }
        let a = self.calls().predict(found > 1)?;
        self.run_call(&folder.join(files::PREFIX), a, &self.listener())?;
        files::remove_folder(&folder)
    }

    /// The listener of a call that is alone.
    pub(crate) fn listener(&self) -> Listener<'_> {
        Listener { log: &self.job.log, silent: false, cancel: None }
    }
}
