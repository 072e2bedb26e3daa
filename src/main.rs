//! Arguments in, exit code out.

use clap::Parser;
use cleanloop::cli::{self, Cli};
use std::process::ExitCode;

fn main() -> ExitCode {
    // clap exits with 2 for bad arguments, which is our code for bad input, too.
    let cli = Cli::parse();
    match cli::run(cli) {
        Ok(status) => ExitCode::from(status as u8),
        Err(error) => {
            eprintln!("error: {error}");
            let mut source = std::error::Error::source(&error);
            while let Some(cause) = source {
                eprintln!("  because: {cause}");
                source = cause.source();
            }
            ExitCode::from(error.exit_status() as u8)
        }
    }
}
