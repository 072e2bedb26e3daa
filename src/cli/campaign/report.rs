//! `cleanloop report DIR`.

use crate::campaign::record::CampaignRecord;
use crate::cli::setup::doctor;
use crate::{Error, ExitStatus, Result, report};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Arguments of `report`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The campaign's folder (`output` in the campaign file).
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,

    /// Draw only what changed since the report was last written.
    #[arg(long)]
    pub changed: bool,

    /// Instead, pack what a report of a fault needs into FILE [default: DIR-fault.zip in the working folder]: the campaign
    /// file, the plan, records, journals and logs, with paths shortened; no images, solutions or visibilities.
    #[arg(long, value_name = "FILE", num_args = 0..=1, conflicts_with = "changed")]
    pub zip: Option<Option<PathBuf>>,
}

/// Writes the report of a campaign again, or packs an archive, and prints its path.
///
/// # Errors
/// A folder without a campaign's record, or one that cannot be written.
pub(crate) fn run(args: Args) -> Result<ExitStatus> {
    let record = CampaignRecord::load(&args.folder)?;
    if let Some(path) = &args.zip {
        return pack(&record, &args.folder, path.as_deref());
    }
    let write = if args.changed { report::write } else { report::rewrite };
    let page = write(&record, &args.folder)?;
    writeln!(std::io::stdout().lock(), "{}", page.display()).map_err(Error::internal)?;
    Ok(ExitStatus::Done)
}

fn pack(record: &CampaignRecord, folder: &Path, path: Option<&Path>) -> Result<ExitStatus> {
    let folder = folder.canonicalize().map_err(Error::bad_input)?;
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let path = path.map_or_else(|| PathBuf::from(format!("{name}-fault.zip")), Path::to_path_buf);
    let names = report::pack::pack(record, &folder, &path, &[("doctor.txt", doctor::quick(&folder))])?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", path.display()).map_err(Error::internal)?;
    for name in names {
        writeln!(out, "  {name}").map_err(Error::internal)?;
    }
    writeln!(out, "look into it before you send it: names of fields and sources are not hidden")
        .map_err(Error::internal)?;
    Ok(ExitStatus::Done)
}
