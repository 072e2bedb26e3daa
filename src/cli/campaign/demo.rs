//! `cleanloop demo`: the whole way on simulated data, from an empty folder to a report.

use super::run::{Terminal, run_plan};
use crate::campaign::{Campaign, RunOptions};
use crate::cli::logging;
use crate::cli::setup::simulate;
use crate::process::find_program;
use crate::programs::setup::{Environment, Kind};
use crate::{Error, ExitStatus, Result};
use std::path::PathBuf;

/// The campaign that is run; kept as an example, too.
const CAMPAIGN: &str = include_str!("../../../examples/demo.yaml");
/// The same for CASA's tclean, where wsclean is not installed.
const CAMPAIGN_OF_TCLEAN: &str = include_str!("../../../examples/demo_tclean.yaml");
/// Its name in the demo folder.
const CAMPAIGN_FILE: &str = "campaign.yaml";

/// Arguments of `demo`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folder of everything that the demonstration makes.
    #[arg(short, long, default_value = "demo")]
    pub output: PathBuf,

    /// Put the results of an earlier demonstration aside, and run the campaign again.
    #[arg(long)]
    pub restart: bool,
}

/// Sets up CASA if need be, simulates a field with drifting antenna gains, and self-calibrates it by the defaults.
///
/// # Errors
/// A program that is missing and cannot be installed; the failure of a step.
pub(crate) fn run(args: Args, terminal: Terminal) -> Result<ExitStatus> {
    let campaign = match find_program("wsclean") {
        Some(_) => CAMPAIGN,
        None => {
            logging::say("wsclean is not installed: imaging with CASA's tclean");
            CAMPAIGN_OF_TCLEAN
        }
    };
    std::fs::create_dir_all(&args.output)
        .map_err(|e| Error::bad_input(format!("{}: cannot be made: {e}", args.output.display())))?;
    Environment::ensure(Kind::Casa, &mut |words| logging::say(words))?;
    let data = args.output.join("field.ms");
    if !data.join("table.dat").exists() {
        logging::say(format_args!("simulating an observation into {}", data.display()));
        simulate::run(simulate::Args::demo(args.output.clone()))?;
    }
    let file = args.output.join(CAMPAIGN_FILE);
    crate::util::fs::write_atomically(&file, campaign.as_bytes())?;
    let plan = Campaign::load(&file)?.plan()?;
    let outcome = run_plan(plan, RunOptions { restart: args.restart, ..terminal.run_options() })?;
    print!("{}", super::status::text(&outcome.record));
    Ok(outcome.exit_status())
}
