//! Log lines on standard error, as the global options ask for them.

use super::{Cli, LogFormat};
use std::io::IsTerminal;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

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
    let _ = tracing_subscriber::registry().with(lines.with_filter(filter)).try_init();
}
