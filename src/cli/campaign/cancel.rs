//! `cleanloop cancel`: ends a campaign that is at work.

use super::task::log_only;
use crate::campaign::{self, Campaign, Cancelled};
use crate::{Error, ExitStatus, Result};
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
    if !args.campaign.exists() {
        let words = format!("{}: there is no such campaign folder or campaign file", args.campaign.display());
        return Err(Error::bad_input(words));
    }
    let folder =
        if args.campaign.is_dir() { args.campaign } else { Campaign::load(&args.campaign)?.plan()?.output.clone() };
    match campaign::cancel(&folder, log_only())? {
        Cancelled::Jobs(count) => println!("{count} job(s) cancelled; `cleanloop run` resumes the campaign"),
        Cancelled::Run => println!("the run was ended; `cleanloop run` resumes the campaign"),
        Cancelled::Nothing => println!("{}: nothing is at work here", folder.display()),
    }
    Ok(ExitStatus::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_nothing_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let error = run(Args { campaign: folder.path().join("nowhere") }).unwrap_err();
        assert_eq!(error.exit_status(), ExitStatus::BadInput);
        insta::assert_snapshot!(crate::util::testing::words(error, folder.path()), @"<folder>/nowhere: there is no such campaign folder or campaign file");
    }
}
