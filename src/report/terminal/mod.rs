//! Progress on a terminal: bars for the campaign and for each measurement set that is being worked on. Log lines appear
//! above the bars; where standard error is no terminal, there are only log lines.

mod bars;
mod line;
mod log;

pub(crate) use line::LogLine;
pub use log::Log;

use crate::campaign::events::Consumer;
use bars::Bars;
use indicatif::{MultiProgress, ProgressDrawTarget};
use std::io::IsTerminal;
use std::sync::LazyLock;
use tracing_indicatif::writer::{IndicatifWriter, Stderr};

/// All bars of the process, shared with the log, whose lines appear above them.
static BARS: LazyLock<MultiProgress> = LazyLock::new(|| MultiProgress::with_draw_target(ProgressDrawTarget::stderr()));

/// Standard error for log lines, which appear above the bars.
pub(crate) fn log_writer() -> IndicatifWriter<Stderr> {
    IndicatifWriter::new(BARS.clone())
}

/// The consumers of a run's events: log lines always, bars on a terminal unless `quiet` or `json`.
pub fn consumers(quiet: bool, json: bool) -> Vec<Box<dyn Consumer>> {
    let mut all: Vec<Box<dyn Consumer>> = vec![Box::new(Log { named: json })];
    if !quiet && !json && std::io::stderr().is_terminal() {
        all.push(Box::new(Bars::new(BARS.clone())));
    }
    all
}
