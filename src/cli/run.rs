//! `cleanloop run`: runs a campaign, or goes on with one.

use super::campaign_args::CampaignArgs;
use crate::campaign::adapters::Adapters;
use crate::campaign::config::Campaign;
use crate::campaign::events::Emitter;
use crate::campaign::plan::{self, Plan};
use crate::campaign::run::{self, RunSettings};
use crate::process::interrupt;
use crate::{Error, ExitStatus, Result};

/// Arguments of `run`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub campaign: CampaignArgs,

    /// Put aside what earlier runs left in the output folder, and begin anew.
    #[arg(long)]
    pub restart: bool,
}

/// What is shown on the terminal while a campaign runs.
#[derive(Debug, Clone, Copy)]
pub struct Terminal {
    /// No bars.
    pub quiet: bool,
    /// Log lines in JSON, and no bars.
    pub json: bool,
}

/// Runs the campaign; the same command resumes it after an interruption.
///
/// # Errors
/// Bad input, the failure of an external program, an interruption.
pub fn run(args: Args, terminal: Terminal) -> Result<ExitStatus> {
    let campaign = args.campaign.load()?;
    let plan = plan::resolve(&campaign)?;
    run_plan(&campaign, &plan, args.restart, terminal)
}

/// Runs a resolved plan with progress on the terminal and a report that is renewed after each round.
///
/// # Errors
/// As [`run`].
pub fn run_plan(campaign: &Campaign, plan: &Plan, restart: bool, terminal: Terminal) -> Result<ExitStatus> {
    interrupt::install().map_err(Error::internal)?;
    let settings = RunSettings {
        restart,
        command_line: std::env::args().collect(),
        config: campaign.text.clone(),
        report: &|record, folder| Ok(crate::report::write(record, folder).map(|_| ())?),
        workshop: &|plan, set, share| Ok(Box::new(Adapters::new(plan, set, share))),
        at_barrier: &|_, _, _| Ok(()),
    };
    let events = Emitter::new(crate::report::terminal::consumers(terminal.quiet, terminal.json));
    let status = run::run(plan, &settings, &events)?;
    println!("report: {}", plan.output.join("report").join("index.html").display());
    Ok(status)
}
