//! Starting, watching and stopping external programs.
//!
//! Everything that cleanloop starts goes through [`Program::run`]: it stands in a process group of its own, its words
//! go to a log file and, line by line, to the caller, it may be limited in time and in silence, and it never outlives
//! us: on an interruption (see `interrupt`), a limit, an error or a panic the whole group is asked to end (SIGTERM)
//! and, after a grace, made to (SIGKILL). If cleanloop itself is killed, the kernel ends the program.

mod capture;
mod group;
mod output;
mod running_worker;
mod spawn;

pub(crate) mod interrupt;
pub mod own;
pub(crate) mod worker;

pub use capture::{Said, capture};
pub use group::{isolate, kill_group};
pub use output::Output;
pub use spawn::{Limits, Program, ProgramEnd};

use std::path::{Path, PathBuf};
use std::time::Duration;

/// Lines of a program's output that an error repeats.
pub const LAST_LINES: usize = 20;

/// How often whoever waits for a program looks at the clock and the interrupt flag.
const TICK: Duration = Duration::from_millis(50);

/// Why a program could not be run to a good end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProcessError {
    /// The program is not installed, or not under that name.
    #[error("{program}: program not found{}{hint}", if hint.is_empty() { "" } else { ": " })]
    NotFound {
        /// First word of the command.
        program: String,
        /// How to install it, or which key names another executable.
        hint: String,
    },
    /// The operating system refused to start it.
    #[error("{program}: cannot be started: {reason}")]
    NotStarted {
        /// First word of the command.
        program: String,
        /// The system's words.
        reason: std::io::Error,
    },
    /// It ended with an exit status other than 0.
    #[error(
        "{program} failed with exit status {status}\n  command: {command}\n  log: {}\n  its last words:\n{}",
        log.display(), indented(last_lines)
    )]
    Failed {
        /// First word of the command.
        program: String,
        /// Exit status.
        status: i32,
        /// The command line, quoted for a shell.
        command: String,
        /// Where all its words are.
        log: PathBuf,
        /// The last lines of its output.
        last_lines: Vec<String>,
    },
    /// A signal that we did not send ended it.
    #[error(
        "{program} was ended by {signal}{}\n  command: {command}\n  log: {}\n  its last words:\n{}",
        signal_hint(signal), log.display(), indented(last_lines)
    )]
    Killed {
        /// First word of the command.
        program: String,
        /// Name of the signal, e.g. `SIGKILL`.
        signal: String,
        /// The command line, quoted for a shell.
        command: String,
        /// Where all its words are.
        log: PathBuf,
        /// The last lines of its output.
        last_lines: Vec<String>,
    },
    /// It ran longer than the limit and was stopped.
    #[error(
        "{program} was stopped: it ran for more than {} (the time limit)\n  command: {command}\n  log: {}",
        seconds(*limit), log.display()
    )]
    TimedOut {
        /// First word of the command.
        program: String,
        /// The limit.
        limit: Duration,
        /// The command line, quoted for a shell.
        command: String,
        /// Where all its words are.
        log: PathBuf,
    },
    /// It said nothing for longer than the limit and was stopped.
    #[error(
        "{program} was stopped: no output for {} (the limit of silence)\n  command: {command}\n  log: {}\n  \
         its last words:\n{}", seconds(*limit), log.display(), indented(last_lines)
    )]
    Stalled {
        /// First word of the command.
        program: String,
        /// The limit.
        limit: Duration,
        /// The command line, quoted for a shell.
        command: String,
        /// Where all its words are.
        log: PathBuf,
        /// The last lines of its output.
        last_lines: Vec<String>,
    },
    /// Ctrl-C, SIGTERM or the caller's own token stopped it.
    #[error("{program} was stopped: interrupted")]
    Interrupted {
        /// First word of the command.
        program: String,
    },
    /// The log could not be written (a full disk, mostly).
    #[error("{}: the log of {program} cannot be written: {reason}", log.display())]
    Log {
        /// First word of the command.
        program: String,
        /// The log.
        log: PathBuf,
        /// The system's words.
        reason: std::io::Error,
    },
}

impl From<ProcessError> for crate::Error {
    fn from(e: ProcessError) -> Self {
        match e {
            ProcessError::Interrupted { .. } => Self::Interrupted,
            ProcessError::Log { .. } => Self::internal(e),
            _ => Self::external(e),
        }
    }
}

fn indented(lines: &[String]) -> String {
    if lines.is_empty() {
        return "    (none)".into();
    }
    lines.iter().map(|l| format!("    {l}")).collect::<Vec<_>>().join("\n")
}

fn seconds(limit: Duration) -> String {
    format!("{} s", limit.as_secs_f64())
}

fn signal_hint(signal: &str) -> &'static str {
    match signal {
        // The kernel's out-of-memory killer leaves no other trace with the victim.
        "SIGKILL" => " (often the kernel's answer to a lack of memory: see `dmesg`)",
        "SIGSEGV" | "SIGABRT" | "SIGBUS" | "SIGILL" | "SIGFPE" => " (a fault of the program, or a corrupt input)",
        _ => "",
    }
}

/// Where `program` is: itself if it is a path to an executable file, else the first hit in `PATH`.
pub fn find_program(program: &str) -> Option<PathBuf> {
    let executable = |p: &Path| {
        use std::os::unix::fs::PermissionsExt;
        p.metadata().is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
    };
    if program.contains('/') {
        let path = PathBuf::from(program);
        return executable(&path).then_some(path);
    }
    std::env::split_paths(&std::env::var_os("PATH")?).map(|d| d.join(program)).find(|p| executable(p))
}

#[cfg(test)]
mod tests;
