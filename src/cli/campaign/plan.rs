//! `cleanloop plan`: shows a campaign with every option resolved and every command line.

use super::campaign_args::CampaignArgs;
use crate::{ExitStatus, Result};

/// Arguments of `plan`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub campaign: CampaignArgs,

    /// Print JSON: the plan, the hashes of its rounds and the command lines.
    #[arg(long)]
    pub json: bool,
}

/// Prints the plan.
///
/// # Errors
/// The campaign file has mistakes, or names files that do not exist.
pub(crate) fn run(args: Args) -> Result<ExitStatus> {
    let plan = args.campaign.load()?.plan()?;
    if args.json {
        println!("{:#}", plan.json());
    } else {
        print!("{plan}");
    }
    Ok(ExitStatus::Done)
}
