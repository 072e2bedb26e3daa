//! `cleanloop apply DIR`: the best solutions on the data that the working copies were made from.

use crate::campaign::{self, ApplyRequest};
use crate::{ExitStatus, Result};
use std::path::PathBuf;

const ABOUT: &str = "\
Apply the best solutions of a campaign to the data that it started from.

A campaign works on a copy, perhaps of one field, of some windows and channels, or averaged. This applies the tables of its \
best round to the whole: un-averaged, each field with its own solutions, with the interpolation that the campaign used. \
Windows that were solved together get the common solutions; windows without any stay as they are, which is said. \
Fields that were not calibrated are left alone.

DATA is never written: the calibrated data go to CORRECTED_DATA, or to a new measurement set (--split). The same command \
after an interruption gives the same result.";

const EXAMPLES: &str = "\
Exit codes: 0 done; 2 there is nothing to apply, or the data do not go with the solutions; 3 a program failed.

Examples:
  # CORRECTED_DATA of the measurement sets that the campaign file names
  cleanloop apply out
  # Another copy of the same observation
  cleanloop apply out --ms /archive/night1.ms
  # A new measurement set of the calibrated fields; the original is only read
  cleanloop apply out --split calibrated.ms";

/// Arguments of `apply`.
#[derive(Debug, clap::Args)]
#[command(about = "Apply the best solutions to the original data", long_about = ABOUT, after_long_help = EXAMPLES)]
pub struct Args {
    /// The campaign folder.
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,

    /// Data of the same array, in place of the measurement sets that the campaign worked on.
    #[arg(long, value_name = "ORIGINAL.ms")]
    pub ms: Option<PathBuf>,

    /// The column that is written.
    #[arg(long, value_name = "COLUMN", default_value = "CORRECTED_DATA", value_parser = ["CORRECTED_DATA"], conflicts_with = "split")]
    pub column: String,

    /// Write calibrated data as DATA of a new measurement set, and only read the original.
    #[arg(long, value_name = "NEW.ms")]
    pub split: Option<PathBuf>,
}

/// Applies them.
///
/// # Errors
/// Nothing to apply, data that do not go with the solutions, the failure of a program.
pub(crate) fn run(args: Args) -> Result<ExitStatus> {
    let request = ApplyRequest { measurement_set: args.ms, split: args.split };
    for line in campaign::apply(&args.folder, &request)? {
        println!("{line}");
    }
    Ok(ExitStatus::Done)
}
