//! The one error of the public interface: each module has its own precise error type; here they are sorted
//! by what the caller (and the exit code) must know: whose fault it is.

use std::fmt;

/// Exit codes of the program, documented in `docs/campaign.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitStatus {
    /// The work is done.
    Done = 0,
    /// cleanloop itself failed; please report it.
    Internal = 1,
    /// Bad input: arguments, a campaign file, an image, a measurement set.
    BadInput = 2,
    /// An external program (imager, calibrator, scheduler) failed.
    External = 3,
    /// The campaign was stopped as diverged; its best round was kept.
    Diverged = 4,
    /// Interrupted by Ctrl-C or SIGTERM; the folder can be resumed.
    Interrupted = 130,
}

/// Any failure, with the class that decides the exit code.
///
/// The words belong to the source error, which names the file, the key or line, what was expected and what to do.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The caller can mend it.
    BadInput(Box<dyn std::error::Error + Send + Sync>),
    /// A program that cleanloop started failed, or could not be started.
    External(Box<dyn std::error::Error + Send + Sync>),
    /// The campaign diverged and was stopped.
    Diverged(String),
    /// A signal stopped the work.
    Interrupted,
    /// A fault of cleanloop's own, or of the machine (disk full, permission lost in mid-run).
    Internal(Box<dyn std::error::Error + Send + Sync>),
}

/// Shorthand used all over the library.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Bad input described by `error` (a message or a module's error).
    pub fn bad_input(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::BadInput(error.into())
    }

    /// Failure of an external program.
    pub fn external(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::External(error.into())
    }

    /// Failure of cleanloop or of the machine.
    pub fn internal(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Internal(error.into())
    }

    /// The exit status this error ends the program with.
    pub fn exit_status(&self) -> ExitStatus {
        match self {
            Self::BadInput(_) => ExitStatus::BadInput,
            Self::External(_) => ExitStatus::External,
            Self::Diverged(_) => ExitStatus::Diverged,
            Self::Interrupted => ExitStatus::Interrupted,
            Self::Internal(_) => ExitStatus::Internal,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadInput(e) | Self::External(e) | Self::Internal(e) => e.fmt(f),
            Self::Diverged(why) => write!(f, "the campaign diverged and was stopped: {why}"),
            Self::Interrupted => write!(f, "interrupted; the same command resumes the work"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::BadInput(e) | Self::External(e) | Self::Internal(e) => e.source(),
            _ => None,
        }
    }
}
