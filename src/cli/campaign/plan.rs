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
/// The campaign file has mistakes, names files that do not exist, or measurement sets that cannot be worked with.
pub(crate) fn run(args: Args) -> Result<ExitStatus> {
    let plan = args.campaign.load()?.plan()?;
    let notes = plan.check_data()?;
    if args.json {
        let mut json = plan.json();
        json["notes"] = notes.into();
        println!("{json:#}");
    } else {
        print!("{plan}");
        for note in notes {
            println!("note: {note}");
        }
    }
    Ok(ExitStatus::Done)
}
