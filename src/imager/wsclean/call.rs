//! One call of wsclean: started, watched, its log read, its failure put into words.

use super::command_line::INSTALL_HINT;
use super::error::WscleanError;
use super::log::{LogReader, RunLog};
use crate::imager::context::ImagerContext;
use crate::imager::progress::Progress;
use crate::process::{ProcessError, Program};
use crate::util::shell;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// A threaded OpenBLAS makes wsclean complain, and its own threads are enough.
const ENVIRONMENT: (&str, &str) = ("OPENBLAS_NUM_THREADS", "1");

/// Runs a whole command line.
///
/// # Errors
/// wsclean's own reason where its log gives one, otherwise what became of the process.
pub(crate) fn call(
    words: Vec<String>,
    log: &Path,
    context: &ImagerContext,
    progress: &dyn Fn(Progress),
    cancel: Option<&Arc<AtomicBool>>,
) -> Result<RunLog, WscleanError> {
    if let Some(folder) = log.parent().filter(|f| !f.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(|reason| WscleanError::Files {
            path: folder.to_owned(),
            action: "made",
            reason,
        })?;
    }
    let mut program = Program::new(words, log);
    program.environment = vec![(ENVIRONMENT.0.to_owned(), ENVIRONMENT.1.to_owned())];
    program.limits = context.limits;
    program.install_hint = INSTALL_HINT.to_owned();
    program.cancel = cancel.or(context.cancel.as_ref()).cloned();
    let mut reader = LogReader::default();
    let result = program.run(&mut |piece| {
        for event in reader.read(piece) {
            progress(event);
        }
    });
    let read = reader.finish();
    match result {
        Ok(_) => Ok(read),
        Err(e @ ProcessError::Failed { .. }) => Err(match read.failure {
            Some(reason) => WscleanError::Failed { reason, command: shell::line(&program.words), log: log.to_owned() },
            None => e.into(),
        }),
        Err(e) => Err(e.into()),
    }
}
