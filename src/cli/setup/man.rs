//! `cleanloop man DIR`: manual pages, one per subcommand.

use crate::{Error, ExitStatus, Result};
use std::path::PathBuf;

/// Arguments of `man`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folder for the pages (cleanloop.1, cleanloop-run.1, ...); made if need be.
    pub folder: PathBuf,
}

/// Writes the pages.
///
/// # Errors
/// The folder cannot be written.
pub(crate) fn run(args: Args) -> Result<ExitStatus> {
    // The pages of `help SUBCOMMAND` would only repeat the others.
    let mut command = crate::cli::help::with_examples().disable_help_subcommand(true);
    command.build();
    std::fs::create_dir_all(&args.folder)
        .and_then(|()| clap_mangen::generate_to(command, &args.folder))
        .map_err(|error| Error::bad_input(format!("{}: cannot be written: {error}", args.folder.display())))?;
    println!("{}: read with `man -l {0}/cleanloop.1`", args.folder.display());
    Ok(ExitStatus::Done)
}
