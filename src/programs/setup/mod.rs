//! Environments that the program makes itself: CASA, QuartiCal, DP3, and MPI for CASA, each in a virtual environment of
//! pinned versions.
//!
//! An environment is finished when its stamp is there: the stamp is written last, so whatever was interrupted is
//! noticed and made again. A list of the installed files is kept beside it, so a deleted package is noticed, too.
//! Nothing here reads or writes a user's own CASA configuration: the worker gets a private `HOME` and a private site
//! configuration in which every automatic update is off.

mod environment;
mod install;

pub use environment::{Environment, EnvironmentState};
pub(crate) use environment::{FOREIGN_VARIABLES, write_text};

use std::path::PathBuf;

/// Variable that names the folder of the environments.
pub const HOME_VARIABLE: &str = "CLEANLOOP_HOME";
/// Variable that names the Python to make environments with.
pub const PYTHON_VARIABLE: &str = "CLEANLOOP_PYTHON";

/// Kinds of environments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, clap::ValueEnum)]
pub enum Kind {
    /// casatools and casatasks: simulation, calibration, tclean.
    Casa,
    /// The calibrator QuartiCal.
    Quartical,
    /// DP3, on top of CASA's environment: it reads compressed measurement sets (Dysco), and calibrates.
    Dp3,
    /// casampi with Open MPI, on top of CASA's environment: tclean's parallel imager.
    Mpi,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Casa, Self::Quartical, Self::Dp3, Self::Mpi];

    /// Name as typed: `cleanloop setup NAME`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Casa => "casa",
            Self::Quartical => "quartical",
            Self::Dp3 => "dp3",
            Self::Mpi => "mpi",
        }
    }

    /// The pinned packages, one `name==version` a line.
    pub fn requirements(self) -> &'static str {
        match self {
            Self::Casa => include_str!("../../../workers/requirements-casa.txt"),
            Self::Quartical => include_str!("../../../workers/requirements-quartical.txt"),
            Self::Dp3 => include_str!("../../../workers/requirements-dp3.txt"),
            Self::Mpi => include_str!("../../../workers/requirements-mpi.txt"),
        }
    }

    /// Version of the package that the environment is made for.
    pub fn version(self) -> &'static str {
        let package = match self {
            Self::Casa => "casatasks==",
            Self::Quartical => "quartical==",
            Self::Dp3 => "dp3==",
            Self::Mpi => "casampi==",
        };
        self.requirements().lines().find_map(|line| line.strip_prefix(package)).unwrap_or_default().trim()
    }

    /// Minor versions of Python 3 for which all pinned wheels exist.
    pub fn python_minors(self) -> std::ops::RangeInclusive<u32> {
        match self {
            Self::Casa | Self::Dp3 | Self::Mpi => 10..=12,
            Self::Quartical => 11..=12,
        }
    }

    /// Disk that making it takes, bytes (wheels and installed files).
    pub fn disk_needed(self) -> u64 {
        match self {
            Self::Casa => 2_800_000_000,
            Self::Quartical => 1_500_000_000,
            Self::Dp3 => 250_000_000,
            Self::Mpi => 60_000_000,
        }
    }

    /// Whether its Python sees the packages and data of CASA's environment, which is made first.
    pub(super) fn builds_on_casa(self) -> bool {
        matches!(self, Self::Dp3 | Self::Mpi)
    }

    /// Statement that fails unless the installed packages work.
    fn probe(self) -> &'static str {
        match self {
            Self::Casa => "import casatools, casatasks; casatools.ctsys.resolve('geodetic/IERSeop97')",
            Self::Quartical => "import quartical.executor",
            Self::Dp3 => "import dp3, h5py, numpy",
            Self::Mpi => "import casampi, casatasks; from mpi4py import MPI",
        }
    }
}

/// Folder that holds the environments: `$CLEANLOOP_HOME`, `$XDG_DATA_HOME/cleanloop` or `~/.local/share/cleanloop`.
///
/// # Errors
/// None of the three variables (`HOME` for the last) is set.
pub fn home() -> Result<PathBuf, SetupError> {
    let variable = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    let folder = variable(HOME_VARIABLE)
        .or_else(|| variable("XDG_DATA_HOME").map(|d| d.join("cleanloop")))
        .or_else(|| variable("HOME").map(|d| d.join(".local/share/cleanloop")))
        .ok_or(SetupError::NoHome)?;
    std::path::absolute(&folder).map_err(|reason| SetupError::Io { path: folder, reason })
}

/// Why an environment is not there and cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SetupError {
    /// No place for it.
    #[error("no folder for the environments: set {HOME_VARIABLE} (or XDG_DATA_HOME, or HOME) to a folder")]
    NoHome,
    /// A file operation failed.
    #[error("{}: {reason}", path.display())]
    Io {
        /// File or folder.
        path: PathBuf,
        /// The system's words.
        reason: std::io::Error,
    },
    /// It was never made, or is broken.
    #[error("{kind} is {state}: run `cleanloop setup {kind}` (it needs Python 3.10 to 3.12 and a package index)")]
    NotReady {
        /// `casa` or `quartical`.
        kind: &'static str,
        /// `not set up`, or what is broken.
        state: String,
    },
    /// No Python that can serve.
    #[error(
        "no Python for {kind}: its packages need Python 3.{} to 3.{}\n{}\n  install one (Debian: `apt install \
         python3 python3-venv`), or name one with {PYTHON_VARIABLE}", range.start(), range.end(), tried.join("\n")
    )]
    NoPython {
        /// `casa` or `quartical`.
        kind: &'static str,
        /// Minor versions that serve.
        range: std::ops::RangeInclusive<u32>,
        /// One line a candidate: what was found.
        tried: Vec<String>,
    },
    /// Python has neither `venv` with `ensurepip` nor `pip`.
    #[error(
        "{python} can make no virtual environment: {words}\n  install the missing part (Debian: `apt install \
         python3-venv`), or name another Python with {PYTHON_VARIABLE}"
    )]
    NoVenv {
        /// The Python.
        python: String,
        /// Its output.
        words: String,
    },
    /// pip failed.
    #[error(
        "pip could not install {kind}\n  it said: {words}\n  log: {}\n  the packages come from the package index that \
         pip is configured for; without a network, give pip a folder of wheels (PIP_FIND_LINKS=DIR, PIP_NO_INDEX=1)",
        log.display()
    )]
    Pip {
        /// `casa` or `quartical`.
        kind: &'static str,
        /// Its error lines.
        words: String,
        /// Its whole output.
        log: PathBuf,
    },
    /// Installed, but does not run.
    #[error("{kind} was installed, but does not start: {words}\n  log: {}", log.display())]
    Probe {
        /// `casa` or `quartical`.
        kind: &'static str,
        /// The last line of Python's output.
        words: String,
        /// Its whole output.
        log: PathBuf,
    },
    /// The disk is too small.
    #[error(transparent)]
    Disk(#[from] crate::util::disk::DiskError),
    /// A program could not be run at all.
    #[error(transparent)]
    Process(#[from] crate::process::ProcessError),
}

impl From<SetupError> for crate::Error {
    fn from(e: SetupError) -> Self {
        match e {
            SetupError::Process(e) => e.into(),
            SetupError::Io { .. } => Self::internal(e),
            SetupError::NoHome | SetupError::Disk(_) => Self::bad_input(e),
            _ => Self::external(e),
        }
    }
}

#[cfg(test)]
mod tests;
