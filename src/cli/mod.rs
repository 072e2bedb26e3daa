//! The command line: one folder per heading of the help, in it one file per subcommand with its arguments and a
//! `run` that calls the library and prints.

mod campaign;
mod help;
mod logging;
mod masks;
mod measurements;
mod no_file;
mod pages;
mod setup;

use crate::process::interrupt;
use crate::process::own;
use crate::{ExitStatus, Result};
use campaign::{apply, cancel, demo, image, init, plan, report, run, schema, status, task, validate, watch};
use clap::{FromArgMatches, Parser, Subcommand};
use masks::{automask, combine, deconvolve, extractmask, kernel, mask, mosaic};
use measurements::{confetti, inspect, metrics, noise};
use setup::{completions, doctor, environments, man, simulate};
use std::ffi::OsString;

/// Self-calibration campaigns and clean masks for radio interferometric imaging.
#[derive(Debug, Parser)]
#[command(name = "cleanloop", version, about, max_term_width = 110)]
pub struct Cli {
    /// Log more: -v for details, -vv for everything.
    #[arg(short, long, action = clap::ArgAction::Count, global = true, help_heading = "Log")]
    pub verbose: u8,

    /// Log only warnings and errors.
    #[arg(short, long, global = true, conflicts_with = "verbose", help_heading = "Log")]
    pub quiet: bool,

    /// Format of the log lines on standard error.
    #[arg(long, value_enum, default_value_t = LogFormat::Text, global = true, help_heading = "Log")]
    pub log_format: LogFormat,

    /// The subcommand.
    #[command(subcommand)]
    pub command: Command,
}

/// Format of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// Plain text.
    Text,
    /// One JSON object per line.
    Json,
}

/// Everything the program can be asked to do, in the order in which people use it.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write a commented campaign file to start from.
    Init(init::Args),
    /// Check a campaign file, and the files that it names.
    Validate(validate::Args),
    /// Show every round of a campaign with all its options and command lines.
    Plan(plan::Args),
    /// Run a campaign; the same command resumes it.
    Run(run::Args),
    /// Show the state of a campaign, round by round, with the reasons.
    Status(status::Args),
    Watch(watch::Args),
    /// End a campaign that is at work: its jobs in Slurm, or the run on this machine.
    Cancel(cancel::Args),
    /// Write a campaign's report again.
    Report(report::Args),
    Apply(apply::Args),
    Image(image::Args),
    /// Run the demonstration: set up CASA, simulate a field, self-calibrate it, write the report.
    Demo(demo::Args),
    /// Do the work of one job of a campaign; Slurm calls it.
    #[command(hide = true)]
    Task(task::Args),
    Mask(Box<mask::Args>),
    /// Make the mask of one major cycle with CASA's auto-multithresh, which keeps its state between calls.
    Automask(automask::Args),
    /// Combine masks and regions, tidy them up, list their islands.
    Combine(Box<combine::Args>),
    /// Put a mask made on a mosaic onto the grid of one beam's image.
    Extractmask(extractmask::Args),
    Kernel(kernel::Args),
    Deconvolve(Box<deconvolve::Args>),
    /// Put the images of a field's beams onto one grid, weighted by noise and primary beam.
    Mosaic(mosaic::Args),
    Inspect(inspect::Args),
    /// Measure background and rms maps of an image or cube.
    Noise(noise::Args),
    /// Measure noise, peak, dynamic range and model statistics of images.
    Metrics(metrics::Args),
    /// Find single-channel pixels of a model cube that are not on the sky.
    Confetti(confetti::Args),
    /// Make the environments of CASA and QuartiCal, or list what is installed.
    Setup(environments::Args),
    Doctor(doctor::Args),
    /// Simulate a field with drifting antenna gains, for demonstrations and tests.
    Simulate(simulate::Args),
    Schema(schema::Args),
    /// Print shell completions.
    Completions(completions::Args),
    /// Write the manual pages.
    Man(man::Args),
}

/// The whole program: parses the command line (its own name first), runs the command, prints its error if there is one, and
/// returns the exit code. `main` calls it, and the Python package's `cleanloop` command.
pub fn main(words: impl IntoIterator<Item = OsString>) -> u8 {
    let words = own::set_words(words);
    let parsed = help::command().try_get_matches_from(words).and_then(|matches| Cli::from_arg_matches(&matches));
    let cli = match parsed {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            // 2 for bad arguments, which is our code for bad input, too; 0 for --help.
            return u8::try_from(error.exit_code()).unwrap_or(ExitStatus::BadInput as u8);
        }
    };
    let page = pages::of_command(&cli.command);
    match run(cli) {
        Ok(status) => status as u8,
        Err(error) => {
            let status = error.exit_status();
            logging::failed(&words_of(&error), pages::of_error(&error, page), status);
            status as u8
        }
    }
}

/// An error with its causes, a line each; causes whose words are in the line before are not said twice.
fn words_of(error: &dyn std::error::Error) -> String {
    let mut said = error.to_string();
    let mut text = format!("{said}\n");
    let mut source = error.source();
    while let Some(cause) = source {
        let words = cause.to_string();
        if !said.contains(&words) {
            text.push_str(&format!("  because: {words}\n"));
            said = words;
        }
        source = cause.source();
    }
    text
}

/// Runs the command and returns the exit status of success (0, or 4 for a diverged campaign).
///
/// # Errors
/// Whatever the command's library calls return; [`main`] prints it and takes the exit code from it.
pub fn run(cli: Cli) -> Result<ExitStatus> {
    logging::start(&cli);
    let terminal = run::Terminal { quiet: cli.quiet, json: cli.log_format == LogFormat::Json };
    // Campaigns stop in order; everything else ends at the first signal.
    if !matches!(
        cli.command,
        Command::Run(_) | Command::Image(_) | Command::Demo(_) | Command::Task(_) | Command::Watch(_)
    ) {
        interrupt::end_tidily().map_err(crate::Error::internal)?;
    }
    match cli.command {
        Command::Init(args) => init::run(args),
        Command::Validate(args) => validate::run(args),
        Command::Plan(args) => plan::run(args),
        Command::Run(args) => run::run(args, terminal),
        Command::Status(args) => status::run(args),
        Command::Watch(args) => watch::run(args),
        Command::Cancel(args) => cancel::run(args),
        Command::Report(args) => report::run(args),
        Command::Apply(args) => apply::run(args),
        Command::Image(args) => image::run(args, terminal),
        Command::Demo(args) => demo::run(args, terminal),
        Command::Task(args) => task::run(args),
        Command::Schema(args) => schema::run(args),
        Command::Mask(args) => mask::run(*args),
        Command::Automask(args) => automask::run(args),
        Command::Combine(args) => combine::run(*args),
        Command::Extractmask(args) => extractmask::run(args),
        Command::Kernel(args) => kernel::run(args),
        Command::Deconvolve(args) => deconvolve::run(*args),
        Command::Mosaic(args) => mosaic::run(args),
        Command::Inspect(args) => inspect::run(args),
        Command::Noise(args) => noise::run(args),
        Command::Metrics(args) => metrics::run(args),
        Command::Confetti(args) => confetti::run(args),
        Command::Setup(args) => environments::run(args),
        Command::Doctor(args) => doctor::run(args),
        Command::Simulate(args) => simulate::run(args),
        Command::Completions(args) => completions::run(args),
        Command::Man(args) => man::run(args),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{words}")]
    struct Told {
        words: &'static str,
        source: std::io::Error,
    }

    #[test]
    fn a_cause_is_said_once() {
        let told = |words| words_of(&Told { words, source: std::io::Error::other("no such file") });
        assert_eq!(told("a.yaml: cannot be read: no such file"), "a.yaml: cannot be read: no such file\n");
        assert_eq!(told("a.yaml: cannot be read"), "a.yaml: cannot be read\n  because: no such file\n");
    }
}
