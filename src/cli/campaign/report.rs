//! `cleanloop report DIR`.

use crate::campaign::record::CampaignRecord;
use crate::{Error, ExitStatus, Result, report};
use std::io::Write;
use std::path::PathBuf;

/// Arguments of `report`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The campaign's folder (`output` in the campaign file).
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,

    /// Draw only what changed since the report was last written.
    #[arg(long)]
    pub changed: bool,
}

/// Writes the report of a campaign again and prints its path.
///
/// # Errors
/// A folder without a campaign's record, or one that cannot be written.
pub(crate) fn run(args: Args) -> Result<ExitStatus> {
    let record = CampaignRecord::load(&args.folder)?;
    let write = if args.changed { report::write } else { report::rewrite };
    let page = write(&record, &args.folder)?;
    writeln!(std::io::stdout().lock(), "{}", page.display()).map_err(Error::internal)?;
    Ok(ExitStatus::Done)
}
