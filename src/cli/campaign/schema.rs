//! `cleanloop schema`: the JSON schema of the campaign file, and the tables of keys in the documentation.

use crate::campaign::file::schema;
use crate::{Error, ExitStatus, Result};
use std::path::PathBuf;

/// Arguments of `schema`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Write the tables of keys of this document again instead (between `<!-- keys: NAME -->` comments).
    #[arg(long, value_name = "FILE.md")]
    pub document: Option<PathBuf>,
}

/// Prints the schema, or renews a document.
///
/// # Errors
/// The document cannot be read or written, or names a table that does not exist.
pub(crate) fn run(args: Args) -> Result<ExitStatus> {
    let Some(path) = args.document else {
        print!("{}", schema::text());
        return Ok(ExitStatus::Done);
    };
    let name = path.display();
    let text =
        std::fs::read_to_string(&path).map_err(|error| Error::bad_input(format!("{name}: cannot be read: {error}")))?;
    let renewed = schema::document(&text).map_err(|error| Error::bad_input(format!("{name}: {error}")))?;
    std::fs::write(&path, renewed).map_err(|error| Error::bad_input(format!("{name}: cannot be written: {error}")))?;
    Ok(ExitStatus::Done)
}
