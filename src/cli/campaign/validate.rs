//! `cleanloop validate`: checks a campaign file and the files that it names.

use super::campaign_args::CampaignArgs;
use crate::{ExitStatus, Result};

/// Arguments of `validate`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub campaign: CampaignArgs,

    /// Check the file alone, not whether the measurement sets and environment variables that it names exist.
    #[arg(long)]
    pub file_only: bool,
}

/// Checks and says what was found.
///
/// # Errors
/// All mistakes of the file; then the files and environment variables that are missing.
pub(crate) fn run(args: Args) -> Result<ExitStatus> {
    let campaign = args.campaign.load()?;
    let file = campaign.file();
    let path = file.path.display();
    if args.file_only {
        println!("{path}: valid; rounds 0 to {}", file.last_round());
        for warning in &file.warnings {
            println!("note: {warning}");
        }
        return Ok(ExitStatus::Done);
    }
    let plan = campaign.plan()?;
    let notes = plan.check_data()?;
    let count = plan.targets.iter().map(|target| target.members.len()).sum::<usize>();
    let sets = if count == 1 { "1 measurement set".to_owned() } else { format!("{count} measurement sets") };
    println!("{path}: valid; {sets}, rounds 0 to {}", file.last_round());
    for warning in plan.warnings.iter().chain(&notes) {
        println!("note: {warning}");
    }
    if !plan.not_run.is_empty() {
        println!("not run: {}", plan.not_run.join(", "));
    }
    Ok(ExitStatus::Done)
}
