//! `cleanloop run`: runs a campaign, or goes on with one.

use super::campaign_args::CampaignArgs;
use crate::campaign::events::Emitter;
use crate::campaign::file::CampaignFile;
use crate::campaign::plan::{self, Plan};
use crate::campaign::run::batch::Follow;
use crate::campaign::run::{self, RunSettings};
use crate::campaign::steps::field;
use crate::campaign::steps::programs::Programs;
use crate::process::{interrupt, own};
use crate::{Error, ExitStatus, Result};

/// Arguments of `run`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub campaign: CampaignArgs,

    /// Put aside what earlier runs left in the output folder, and begin anew.
    #[arg(long)]
    pub restart: bool,

    /// With `scheduler: slurm`: submit the jobs and return. They go on by themselves.
    #[arg(long)]
    pub detach: bool,

    /// With `scheduler: slurm`: Ctrl-C cancels the jobs. Without it, it only ends this program.
    #[arg(long, conflicts_with = "detach")]
    pub cancel_on_interrupt: bool,
}

impl Args {
    fn follow(&self) -> Follow {
        match (self.detach, self.cancel_on_interrupt) {
            (true, _) => Follow::Detach,
            (_, true) => Follow::CancelOnInterrupt,
            _ => Follow::Along,
        }
    }
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
    run_with(&campaign.text, &plan, args.restart, args.follow(), terminal)
}

/// Runs a resolved plan with progress on the terminal and a report that is renewed after each round.
///
/// # Errors
/// As [`run`].
pub fn run_plan(campaign: &CampaignFile, plan: &Plan, restart: bool, terminal: Terminal) -> Result<ExitStatus> {
    run_with(&campaign.text, plan, restart, Follow::Along, terminal)
}

/// How a campaign is run with the real programs.
pub(super) fn settings(config: &str, restart: bool, follow: Follow) -> RunSettings<'static> {
    RunSettings {
        restart,
        command_line: own::words(),
        config: config.to_string(),
        report: &|record, folder| Ok(crate::report::write(record, folder).map(|_| ())?),
        backend: &|plan, set, share| Ok(Box::new(Programs::new(plan, set, share))),
        follow,
        at_barrier: &|plan, round, records, events| {
            field::make(plan, round, records, &|level, text| events.message(None, level, text))
        },
    }
}

fn run_with(config: &str, plan: &Plan, restart: bool, follow: Follow, terminal: Terminal) -> Result<ExitStatus> {
    interrupt::install().map_err(Error::internal)?;
    let settings = settings(config, restart, follow);
    let events = Emitter::new(crate::report::terminal::consumers(terminal.quiet, terminal.json));
    let status = run::run(plan, &settings, &events)?;
    println!("report: {}", plan.output.join("report").join("index.html").display());
    Ok(status)
}
