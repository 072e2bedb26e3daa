//! Log lines on standard error, as the global options ask for them.

use super::{Cli, LogFormat};
use crate::ExitStatus;
use std::io::IsTerminal;
use std::sync::OnceLock;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

/// Lines are JSON.
static AS_JSON: OnceLock<()> = OnceLock::new();

/// Words on standard error about what a command does, as a log line where those are JSON.
pub(super) fn say(words: impl std::fmt::Display) {
    match AS_JSON.get() {
        Some(()) => tracing::info!("{words}"),
        None => eprintln!("{words}"),
    }
}

/// The error that ends the program, and the page that explains it, if there is one.
pub(super) fn failed(words: &str, page: Option<&str>, status: ExitStatus) {
    match AS_JSON.get() {
        Some(()) => {
            let words = words.trim_end();
            tracing::error!(event = "failed", exit_code = status as u8, page, "{words}");
        }
        None => {
            eprint!("error: {words}");
            if let Some(page) = page {
                eprintln!("  see {page}");
            }
        }
    }
}

/// Starts logging; only the first call in a process counts.
pub(super) fn start(cli: &Cli) {
    let level = match (cli.quiet, cli.verbose) {
        (true, _) => LevelFilter::WARN,
        (false, 0) => LevelFilter::INFO,
        (false, 1) => LevelFilter::DEBUG,
        (false, _) => LevelFilter::TRACE,
    };
    // Libraries speak only when something is wrong.
    let filter = Targets::new().with_default(LevelFilter::WARN).with_target("cleanloop", level);
    let lines = fmt::layer().with_writer(crate::report::terminal::log_writer()).with_target(false);
    let lines = match cli.log_format {
        LogFormat::Text => lines.without_time().with_ansi(std::io::stderr().is_terminal()).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    if cli.log_format == LogFormat::Json {
        let _ = AS_JSON.set(());
    }
    let _ = tracing_subscriber::registry().with(lines.with_filter(filter)).try_init();
}
