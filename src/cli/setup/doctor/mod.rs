//! `cleanloop doctor`: what this machine offers to campaigns, whether it works, and what to do where it does not.

mod check;
mod machine;
mod programs;
mod self_test;
mod slurm;

use crate::programs::setup::Kind;
use crate::{Error, ExitStatus, Result};
use check::{Check, Health, text};
use schemars::JsonSchema;
use serde::Serialize;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Version of the JSON output's format.
const FORMAT: u32 = 1;

/// Say what is installed, try each program on a small simulated measurement set, and name remedies.
///
/// The exit status is 3 when something that is installed does not work, or when CASA is missing, without which no
/// campaign with calibration by defaults runs.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folder in which campaigns will run.
    #[arg(value_name = "DIR", default_value = ".")]
    pub folder: PathBuf,

    /// Look only at what is there: no program is tried on data.
    #[arg(long)]
    pub quick: bool,

    /// Write JSON instead of a list.
    #[arg(long)]
    pub json: bool,
}

/// The JSON output.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "cleanloop doctor")]
pub(in crate::cli) struct Output<'a> {
    /// Version of this format.
    #[schemars(extend("const" = FORMAT))]
    format: u32,
    /// Program and version.
    program: &'static str,
    /// Campaigns can run.
    healthy: bool,
    /// What was looked at.
    checks: &'a [Check],
}

/// Looks at the machine and the programs, and prints what was found.
///
/// # Errors
/// An interruption; what is missing or broken is part of what is printed.
pub(crate) fn run(args: Args) -> Result<ExitStatus> {
    crate::process::interrupt::install().map_err(Error::internal)?;
    let mut checks = look(&args.folder);
    if !args.quick {
        self_test::try_all(&mut checks, &mut |line| {
            if !args.json {
                eprintln!("{line}");
            }
        })?;
    }
    let healthy = is_healthy(&checks);
    let printed = if args.json {
        let program = concat!("cleanloop ", env!("CARGO_PKG_VERSION"));
        let output = Output { format: FORMAT, program, healthy, checks: &checks };
        serde_json::to_string_pretty(&output).map_err(Error::internal)?
    } else {
        text(&checks)
    };
    writeln!(std::io::stdout().lock(), "{}", printed.trim_end()).map_err(Error::internal)?;
    Ok(if healthy { ExitStatus::Done } else { ExitStatus::External })
}

/// What is there, without trials.
fn look(folder: &Path) -> Vec<Check> {
    let mut checks = machine::checks(folder);
    checks.push(programs::wsclean());
    checks.extend(Kind::ALL.map(programs::environment));
    checks.push(slurm::check());
    checks
}

/// What is there, in words, for a report of a fault.
pub(in crate::cli) fn quick(folder: &Path) -> String {
    text(&look(folder))
}

/// Whether campaigns can run: CASA is there, and nothing that is there is broken.
fn is_healthy(checks: &[Check]) -> bool {
    checks.iter().all(|check| match check.health {
        Health::Failed => false,
        Health::Absent => check.name != Kind::Casa.name(),
        Health::Good | Health::Warning => true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_casa_must_be_there_and_nothing_may_be_broken() {
        let check = |name: &str, health| Check::new("programs", name, health);
        let casa = check("casa", Health::Good);
        assert!(is_healthy(&[casa.clone(), check("quartical", Health::Absent), check("disk", Health::Warning)]));
        assert!(!is_healthy(&[check("casa", Health::Absent)]));
        assert!(!is_healthy(&[casa, check("wsclean", Health::Failed)]));
    }
}
