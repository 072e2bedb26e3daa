//! Surroundings of an imager: its program, its limits, its listeners.

use super::progress::{self, ProgressSink};
use crate::process::Limits;
use crate::programs::casa::Casa;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Context in which any imager runs: where its program is, what limits it, who listens.
#[derive(Clone)]
pub struct ImagerContext {
    /// Executable as a list of words (containers, `mpirun`), for a command all words of its template; empty: the
    /// program's usual name, the template of the options.
    pub executable: Vec<String>,
    /// Limits of time and silence of each call.
    pub limits: Limits,
    /// Receives the events of progress.
    pub progress: ProgressSink,
    /// Set to `true` from elsewhere, stops whatever runs like an interruption.
    pub cancel: Option<Arc<AtomicBool>>,
    /// CASA worker of an imager that runs in one, shared with others; `None`: one of its own.
    pub casa: Option<Casa>,
}

impl Default for ImagerContext {
    fn default() -> Self {
        Self {
            executable: Vec::new(),
            limits: Limits::default(),
            progress: progress::silent(),
            cancel: None,
            casa: None,
        }
    }
}
