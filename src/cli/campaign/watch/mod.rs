//! `cleanloop watch DIR`: follows a campaign that runs elsewhere: in another terminal, in the background, on Slurm.

mod lines;
mod look;
mod screen;
mod server;

use crate::campaign::record::State;
use crate::process::interrupt;
use crate::{Error, ExitStatus, Result};
use lines::Told;
use look::{Progress, progress};
use screen::Screen;
use server::ReportServer;
use std::io::{IsTerminal, Write as _};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How often a signal is looked for.
const TICK: Duration = Duration::from_millis(50);
/// Looks at a campaign on which nobody works before it is given up: a run may just be starting again.
const PATIENCE: usize = 3;

/// Follow a campaign on the terminal, or in a browser, until it ends.
///
/// On a terminal the state is shown and renewed; elsewhere there is a line for each thing that happens. The exit status is
/// that of the campaign: 0, or 4 when it diverged, 3 when it failed, 130 when it was interrupted or nobody works on it.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The campaign's folder (`output` in the campaign file).
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,

    /// Time between two looks, s.
    #[arg(long, value_name = "S", default_value_t = 2.0, value_parser = interval)]
    pub interval: f64,

    /// Also serve the report on this machine's loopback address, at this port (0: any that is free). Open pages renew
    /// themselves. From elsewhere: `ssh -L PORT:localhost:PORT HOST`.
    #[arg(long, value_name = "PORT", num_args = 0..=1, default_missing_value = "0")]
    pub serve: Option<u16>,
}

/// Seconds between two looks.
fn interval(text: &str) -> std::result::Result<f64, String> {
    let seconds = text.parse::<f64>().ok().filter(|s| (0.1..=3600.0).contains(s));
    seconds.ok_or_else(|| "expected 0.1 to 3600 seconds".to_owned())
}

/// Follows the campaign until it ends.
///
/// # Errors
/// A folder without a campaign's record, a port that is taken, an interruption.
pub(crate) fn run(args: Args) -> Result<ExitStatus> {
    interrupt::install().map_err(Error::internal)?;
    let mut seen = progress(&args.folder)?;
    if let Some(port) = args.serve {
        let server = ReportServer::start(&args.folder, port)?;
        println!("report: {}", server.address());
    }
    let stdout = std::io::stdout();
    let mut screen = stdout.is_terminal().then(Screen::new);
    let mut told = Told::default();
    let mut idle = 0;
    loop {
        let text = match &mut screen {
            Some(screen) => screen.frame(&seen),
            None => told.lines(&seen),
        };
        let mut out = stdout.lock();
        out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(Error::internal)?;
        drop(out);
        idle = if seen.at_work { 0 } else { idle + 1 };
        if let Some(status) = end(&seen, idle) {
            return status;
        }
        wait(args.interval)?;
        // A record that is just being replaced is there the next time.
        seen = progress(&args.folder).unwrap_or(seen);
    }
}

/// The exit status, once the campaign has ended.
fn end(seen: &Progress, idle: usize) -> Option<Result<ExitStatus>> {
    match seen.status.record.state {
        // The run has the last word: it still writes the report.
        _ if seen.at_work => None,
        State::Done | State::Converged => Some(Ok(ExitStatus::Done)),
        State::Diverged => Some(Ok(ExitStatus::Diverged)),
        State::Failed => Some(Ok(ExitStatus::External)),
        State::Interrupted => Some(Ok(ExitStatus::Interrupted)),
        State::Waiting | State::Running => (idle >= PATIENCE).then(|| {
            println!("nobody works on this campaign; `cleanloop run` with its campaign file resumes it");
            Ok(ExitStatus::Interrupted)
        }),
    }
}

fn wait(seconds: f64) -> Result<()> {
    let until = Instant::now() + Duration::from_secs_f64(seconds);
    while Instant::now() < until {
        if interrupt::requested() {
            return Err(Error::Interrupted);
        }
        std::thread::sleep(TICK);
    }
    Ok(())
}
