//! `cleanloop setup [casa|quartical|dp3|mpi|check]`.

use crate::programs::setup::{Environment, EnvironmentState, Kind};
use crate::{ExitStatus, Result};

/// Arguments of `setup`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The environment to make (a complete one is left as it is), or `check`.
    #[arg(value_enum, default_value_t = What::Check)]
    pub what: What,
}

/// Actions of `setup`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum What {
    /// CASA: simulation, calibration with gaincal and applycal, imaging with tclean.
    Casa,
    /// QuartiCal, another calibrator.
    Quartical,
    /// DP3, which reads measurement sets that are compressed with Dysco, and calibrates; and CASA, if it is missing.
    Dp3,
    /// Open MPI and casampi, for tclean with `parallel: true`; and CASA, if it is missing.
    Mpi,
    /// List the environments and programs that are installed.
    Check,
}

/// Makes the environment, or lists what is there.
///
/// # Errors
/// No suitable Python, pip's failure, too small a disk; `check` has none.
pub(crate) fn run(args: Args) -> Result<ExitStatus> {
    match args.what {
        What::Casa => make(Kind::Casa),
        What::Quartical => make(Kind::Quartical),
        What::Dp3 => make(Kind::Dp3),
        What::Mpi => make(Kind::Mpi),
        What::Check => check(),
    }
}

fn make(kind: Kind) -> Result<ExitStatus> {
    crate::process::interrupt::install().map_err(crate::Error::internal)?;
    let environment = Environment::ensure(kind, &mut |line| eprintln!("{line}"))?;
    println!("{} {}: {}", kind.name(), kind.version(), environment.root.display());
    Ok(ExitStatus::Done)
}

fn check() -> Result<ExitStatus> {
    for kind in Kind::ALL {
        let place = Environment::at_home(kind)?;
        let state = match place.state() {
            EnvironmentState::Ready(environment) => environment.root.display().to_string(),
            EnvironmentState::Absent => format!("not set up (cleanloop setup {})", kind.name()),
            EnvironmentState::Broken(why) => format!("damaged: {why} (cleanloop setup {} repairs it)", kind.name()),
        };
        println!("{:<10} {:<10} {state}", kind.name(), kind.version());
    }
    let wsclean = crate::process::find_program("wsclean");
    let place = wsclean.map_or_else(|| "not found (Debian: apt install wsclean)".into(), |p| p.display().to_string());
    println!("{:<10} {:<10} {place}", "wsclean", "");
    Ok(ExitStatus::Done)
}
