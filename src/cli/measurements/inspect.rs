//! `cleanloop inspect SET...`: what is in measurement sets and what is wrong with them.

use super::inspect_text;
use crate::measurement_set::inspection::{self, Inspection, Severity, SharedPointing};
use crate::programs::casa::Casa;
use crate::{Error, ExitStatus, Result};
use schemars::JsonSchema;
use serde::Serialize;
use std::io::Write as _;
use std::path::PathBuf;

/// Show what is in measurement sets, what to expect of an image, and every problem with its remedy.
///
/// The exit status is 2 when one of them cannot be self-calibrated as it is.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Measurement sets.
    #[arg(required = true, value_name = "MS")]
    pub measurement_sets: Vec<PathBuf>,

    /// The column of visibilities [default: DATA, or else the first that is there].
    #[arg(long, value_name = "COLUMN")]
    pub column: Option<String>,

    /// Read flags and weights alone, not the visibilities: quicker for large sets, but NaN are not found.
    #[arg(long)]
    pub quick: bool,

    /// Write JSON instead of tables.
    #[arg(long)]
    pub json: bool,
}

/// Version of the JSON output's format.
const FORMAT: u32 = 1;

/// The JSON output.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "cleanloop inspect")]
pub(in crate::cli) struct Output<'a> {
    /// Version of this format.
    #[schemars(extend("const" = FORMAT))]
    format: u32,
    /// The measurement sets, in the order of the command line.
    measurement_sets: &'a [Inspection],
    /// Pointings that several of them share.
    pointings: &'a [SharedPointing],
}

/// Prints what there is.
///
/// # Errors
/// No such measurement set; CASA is not set up or fails.
pub(crate) fn run(args: Args) -> Result<ExitStatus> {
    let casa = Casa::open(&[], None)?;
    let mut sets = Vec::with_capacity(args.measurement_sets.len());
    for path in &args.measurement_sets {
        let path = std::path::absolute(path).map_err(Error::internal)?;
        sets.push(inspection::inspect(&casa, &path, args.column.as_deref(), !args.quick)?);
    }
    let pointings = inspection::pointings(&sets);
    let text = if args.json {
        let output = Output { format: FORMAT, measurement_sets: &sets, pointings: &pointings };
        serde_json::to_string_pretty(&output).map_err(Error::internal)?
    } else {
        inspect_text::text(&sets, &pointings)
    };
    writeln!(std::io::stdout().lock(), "{}", text.trim_end()).map_err(Error::internal)?;
    let refused = sets.iter().flat_map(|set| &set.problems).any(|p| p.severity == Severity::Error);
    Ok(if refused { ExitStatus::BadInput } else { ExitStatus::Done })
}
