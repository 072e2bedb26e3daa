//! `cleanloop run`: runs a campaign, or goes on with one.

use super::campaign_args::CampaignArgs;
use crate::campaign::{CampaignPlan, Follow, Outcome, RunOptions};
use crate::cli::no_file;
use crate::process::{interrupt, own};
use crate::{Error, ExitStatus, Result, report};
use std::path::PathBuf;

/// Arguments of `run`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub campaign: CampaignArgs,

    /// Further measurement sets, where the first word is one, too.
    #[arg(value_name = "MS")]
    pub more: Vec<PathBuf>,

    /// Put the results of earlier runs in the output folder aside, and start from the beginning.
    #[arg(long)]
    pub restart: bool,

    /// With `scheduler: slurm`: submit the jobs and return; they go on by themselves.
    #[arg(long)]
    pub detach: bool,

    /// With `scheduler: slurm`: Ctrl-C cancels the jobs, too, instead of ending this program only.
    #[arg(long, conflicts_with = "detach")]
    pub cancel_on_interrupt: bool,
}

impl Args {
    /// The campaign; that of measurement sets is chosen from the data and written first.
    fn campaign(&self) -> Result<CampaignArgs> {
        let mut campaign = self.campaign.clone();
        let first = campaign.campaign.iter().filter(|path| no_file::is_measurement_set(path));
        let sets: Vec<PathBuf> = first.chain(&self.more).cloned().collect();
        match (&campaign.campaign, sets.as_slice()) {
            (_, []) => Ok(campaign),
            (Some(first), [set, ..]) if first == set => {
                let named = |setting: &String| setting.strip_prefix("campaign.field=").map(str::to_owned);
                let field = campaign.values.settings.iter().rev().find_map(named);
                let output = campaign.values.output.take();
                let file = no_file::campaign_file(&sets, field.as_deref(), output.as_deref())?;
                campaign.campaign = Some(file);
                Ok(campaign)
            }
            _ => Err(Error::bad_input(
                "name one campaign file, or measurement sets; --ms replaces the measurement sets of a campaign file",
            )),
        }
    }

    fn follow(&self) -> Follow {
        match (self.detach, self.cancel_on_interrupt) {
            (true, _) => Follow::Detach,
            (_, true) => Follow::CancelOnInterrupt,
            _ => Follow::Along,
        }
    }
}

/// Output on the terminal while a campaign runs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terminal {
    /// No bars.
    pub quiet: bool,
    /// Log lines in JSON, and no bars.
    pub json: bool,
}

impl Terminal {
    /// Options of a run with progress on the terminal and a report that is renewed after each round.
    pub(super) fn run_options(self) -> RunOptions {
        RunOptions {
            consumers: report::terminal::consumers(self.quiet, self.json),
            report: Some(Box::new(report::Html)),
            command_line: own::words(),
            ..RunOptions::default()
        }
    }
}

/// Runs the campaign; the same command resumes it after an interruption.
///
/// # Errors
/// Bad input, the failure of an external program, an interruption.
pub(crate) fn run(args: Args, terminal: Terminal) -> Result<ExitStatus> {
    let plan = args.campaign()?.load()?.plan()?;
    let outcome =
        run_plan(plan, RunOptions { restart: args.restart, follow: args.follow(), ..terminal.run_options() })?;
    Ok(outcome.exit_status())
}

/// Runs a plan until it ends or is interrupted, and says where the report is.
///
/// # Errors
/// As [`run`].
pub(crate) fn run_plan(plan: CampaignPlan, options: RunOptions) -> Result<Outcome> {
    run_to_end(options, |options| plan.run(options))
}

/// Runs something of a campaign until it ends or is interrupted, and says where its report is.
///
/// # Errors
/// As [`run`].
pub(super) fn run_to_end(options: RunOptions, run: impl FnOnce(RunOptions) -> Result<Outcome>) -> Result<Outcome> {
    interrupt::install().map_err(Error::internal)?;
    let outcome = run(options)?;
    println!("report: {}", outcome.folder.join("report").join("index.html").display());
    Ok(outcome)
}
