//! `cleanloop completions SHELL`.

use crate::{ExitStatus, Result};

/// Arguments of `completions`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The shell to write them for.
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}

/// Prints the completion script.
///
/// # Errors
/// None.
pub(crate) fn run(args: Args) -> Result<ExitStatus> {
    clap_complete::generate(args.shell, &mut crate::cli::help::with_examples(), "cleanloop", &mut std::io::stdout());
    Ok(ExitStatus::Done)
}
