//! `cleanloop cancel`: ends a campaign that is at work.

use super::task::log_only;
use crate::campaign::{self, Campaign, Cancelled};
use crate::{ExitStatus, Result};
use std::path::PathBuf;

/// Arguments of `cancel`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The campaign folder, or the campaign file.
    #[arg(value_name = "DIR|CAMPAIGN.yaml")]
    pub campaign: PathBuf,
}

/// Ends the campaign's jobs, or its run on this machine; what is done is kept, and `cleanloop run` goes on from there.
///
/// # Errors
/// No such campaign; Slurm does not answer; a run on another machine.
pub(crate) fn run(args: Args) -> Result<ExitStatus> {
    let folder =
        if args.campaign.is_dir() { args.campaign } else { Campaign::load(&args.campaign)?.plan()?.output.clone() };
    match campaign::cancel(&folder, log_only())? {
        Cancelled::Jobs(count) => println!("{count} job(s) cancelled; `cleanloop run` resumes the campaign"),
        Cancelled::Run => println!("the run was ended; `cleanloop run` resumes the campaign"),
        Cancelled::Nothing => println!("{}: nothing is at work here", folder.display()),
    }
    Ok(ExitStatus::Done)
}
