//! One program from start to end.

use super::group::{Group, isolate};
use super::output::{Lines, Output, Tail, read_all};
use super::{ProcessError, TICK, find_program, interrupt};
use crate::util::shell;
use nix::sys::wait::WaitStatus;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

/// Time that a group may take to end after SIGTERM, unless [`Limits::grace`] says otherwise.
const GRACE: Duration = Duration::from_secs(5);
/// Within what time a signal that ended our program reaches us, too, if it was meant for both.
const SHARED_SIGNAL: Duration = Duration::from_millis(500);
/// Pieces of output that may wait for the caller before the program has to wait.
const BACKLOG: usize = 256;

/// Limits of a program's run time and silence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Wall-clock time of the whole run; `None`: no limit.
    pub time: Option<Duration>,
    /// Time without any output; `None`: no limit.
    pub silence: Option<Duration>,
    /// Time between SIGTERM and SIGKILL.
    pub grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { time: None, silence: None, grace: GRACE }
    }
}

/// A program that ended with exit status 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgramEnd {
    /// Wall-clock time.
    pub elapsed: Duration,
}

/// A program to be started, and how it is watched.
///
/// ```no_run
/// # use cleanloop::process::{Output, Program};
/// let words = vec!["wsclean".to_owned(), "-version".to_owned()];
/// Program::new(words, "wsclean.log").run(&mut |piece| {
///     if let Output::Line(line) = piece {
///         println!("{line}");
///     }
/// })?;
/// # Ok::<(), cleanloop::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Program {
    /// The command: program and arguments.
    pub words: Vec<String>,
    /// Variables added to our own environment.
    pub environment: Vec<(String, String)>,
    /// Working folder; `None`: ours.
    pub folder: Option<PathBuf>,
    /// Its words are appended here, below the command line. The folder must exist.
    pub log: PathBuf,
    /// Limits of time and silence.
    pub limits: Limits,
    /// Advice for people who lack the program.
    pub install_hint: String,
    /// Set to `true` from elsewhere, stops the program like an interruption.
    pub cancel: Option<Arc<AtomicBool>>,
}

impl Program {
    /// A program with our environment, our folder and no limits.
    pub fn new(words: Vec<String>, log: impl Into<PathBuf>) -> Self {
        Self {
            words,
            environment: Vec::new(),
            folder: None,
            log: log.into(),
            limits: Limits::default(),
            install_hint: String::new(),
            cancel: None,
        }
    }

    fn name(&self) -> String {
        let first = self.words.first().map_or("", String::as_str);
        Path::new(first).file_name().map_or_else(|| first.to_owned(), |n| n.to_string_lossy().into_owned())
    }

    /// Runs it to its end; each piece of its output goes to `on_output` in the calling thread.
    ///
    /// Standard output and standard error share one pipe, so their order is kept. Nothing of the process group is left
    /// when this returns or unwinds.
    ///
    /// # Errors
    /// See [`ProcessError`].
    pub fn run(&self, on_output: &mut dyn FnMut(Output<'_>)) -> Result<ProgramEnd, ProcessError> {
        let program = self.name();
        self.check_interrupt(&program)?;
        if self.words.first().is_none_or(|w| find_program(w).is_none()) {
            return Err(self.not_found());
        }
        let log_error = |reason| ProcessError::Log { program: program.clone(), log: self.log.clone(), reason };
        let mut log = self.open_log().map_err(log_error)?;
        let started = Instant::now();
        let (child, from_child) = self.start()?;
        let mut group = Group::new(child, self.limits.grace);
        let (sender, receiver) = sync_channel(BACKLOG);
        let reader = std::thread::spawn(move || read_all(from_child, &sender));
        let mut watched =
            Watched { group: &mut group, pieces: &receiver, log: &mut log, started, tail: Tail::default() };
        let end = self.watch(&mut watched, on_output);
        let last_lines = watched.tail.lines();
        // With the receiver gone the reader cannot block; with the group gone the pipe has ended.
        drop(receiver);
        let status = match end {
            Ok(()) => group.finish().map_err(|reason| ProcessError::NotStarted { program: program.clone(), reason })?,
            Err(stop) => {
                drop(group);
                let _ = reader.join();
                return Err(self.stopped(stop, &mut log, last_lines));
            }
        };
        let _ = reader.join();
        let elapsed = started.elapsed();
        let _ = writeln!(log, "# {} after {:.1} s", describe(status), elapsed.as_secs_f64());
        // A batch system that ends a job sends its signal to all processes of the job; ours may come a little later.
        let failed = !matches!(status, WaitStatus::Exited(_, 0));
        if failed && interrupt::comes_within(SHARED_SIGNAL) {
            return Err(ProcessError::Interrupted { program });
        }
        let (command, log) = (shell::line(&self.words), self.log.clone());
        match status {
            WaitStatus::Exited(_, 0) => Ok(ProgramEnd { elapsed }),
            WaitStatus::Signaled(_, signal, _) => {
                Err(ProcessError::Killed { program, signal: signal.to_string(), command, log, last_lines })
            }
            WaitStatus::Exited(_, status) => Err(ProcessError::Failed { program, status, command, log, last_lines }),
            _ => Err(ProcessError::Failed { program, status: -1, command, log, last_lines }),
        }
    }

    /// Starts it in a group of its own; the pipe has its standard output and standard error.
    fn start(&self) -> Result<(Child, OwnedFd), ProcessError> {
        let not_started = |reason| ProcessError::NotStarted { program: self.name(), reason };
        let (from_child, to_us) =
            nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).map_err(|e| not_started(e.into()))?;
        let mut command = Command::new(&self.words[0]);
        command.args(&self.words[1..]).envs(self.environment.iter().map(|(k, v)| (k, v)));
        command.stdin(Stdio::null());
        command.stdout(to_us.try_clone().map_err(not_started)?).stderr(to_us);
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        isolate(&mut command);
        let child = command.spawn().map_err(|e| match e.kind() {
            ErrorKind::NotFound if self.folder.as_ref().is_none_or(|f| f.is_dir()) => self.not_found(),
            _ => not_started(e),
        })?;
        // The command, which holds our ends of the pipe, goes here: the output could not end otherwise.
        Ok((child, from_child))
    }

    fn check_interrupt(&self, program: &str) -> Result<(), ProcessError> {
        let cancelled = self.cancel.as_ref().is_some_and(|c| c.load(Ordering::Relaxed));
        if cancelled || interrupt::requested() {
            return Err(ProcessError::Interrupted { program: program.to_owned() });
        }
        Ok(())
    }

    fn not_found(&self) -> ProcessError {
        let program = self.words.first().cloned().unwrap_or_default();
        ProcessError::NotFound { program, hint: self.install_hint.clone() }
    }

    fn open_log(&self) -> std::io::Result<File> {
        let mut log = OpenOptions::new().create(true).append(true).open(&self.log)?;
        let now = jiff::Zoned::now().strftime("%Y-%m-%d %H:%M:%S %z").to_string();
        writeln!(log, "# {now}\n$ {}", shell::line(&self.words))?;
        Ok(log)
    }

    /// Waits for the end of the program or a reason to stop it.
    fn watch(&self, run: &mut Watched<'_>, on_output: &mut dyn FnMut(Output<'_>)) -> Result<(), ProgramStop> {
        let mut last_word = Instant::now();
        let mut lines = Lines::default();
        let mut ended_at: Option<Instant> = None;
        let tail = &mut run.tail;
        let mut each = |piece: Output<'_>| {
            if let Output::Line(line) = piece {
                tail.push(line);
            }
            on_output(piece);
        };
        loop {
            match run.pieces.recv_timeout(TICK) {
                Ok(bytes) => {
                    last_word = Instant::now();
                    run.log.write_all(&bytes).map_err(ProgramStop::Log)?;
                    lines.push(&bytes, &mut each);
                }
                Err(RecvTimeoutError::Disconnected) => {
                    lines.finish(&mut each);
                    // It may close its output before it ends.
                    if run.group.has_ended() {
                        return Ok(());
                    }
                    std::thread::sleep(TICK);
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
            if self.check_interrupt("").is_err() {
                return Err(ProgramStop::Interrupted);
            }
            if let Some(limit) = self.limits.time.filter(|l| run.started.elapsed() > *l) {
                return Err(ProgramStop::TimedOut(limit));
            }
            if let Some(limit) = self.limits.silence.filter(|l| last_word.elapsed() > *l) {
                return Err(ProgramStop::Stalled(limit));
            }
            // Somebody whom the program left behind may hold the pipe open.
            if run.group.has_ended() && ended_at.get_or_insert_with(Instant::now).elapsed() > TICK * 4 {
                run.group.signal_rest();
            }
        }
    }

    fn stopped(&self, stop: ProgramStop, log: &mut File, last_lines: Vec<String>) -> ProcessError {
        let program = self.name();
        let command = shell::line(&self.words);
        let path = self.log.clone();
        let error = match stop {
            ProgramStop::Interrupted => ProcessError::Interrupted { program },
            ProgramStop::TimedOut(limit) => ProcessError::TimedOut { program, limit, command, log: path },
            ProgramStop::Stalled(limit) => ProcessError::Stalled { program, limit, command, log: path, last_lines },
            ProgramStop::Log(reason) => ProcessError::Log { program, log: path, reason },
        };
        let first = error.to_string();
        let _ = writeln!(log, "# {}", first.lines().next().unwrap_or_default());
        error
    }
}

/// A run that is being watched.
struct Watched<'a> {
    group: &'a mut Group,
    pieces: &'a Receiver<Vec<u8>>,
    log: &'a mut File,
    started: Instant,
    tail: Tail,
}

/// Why a running program has to be stopped.
enum ProgramStop {
    Interrupted,
    TimedOut(Duration),
    Stalled(Duration),
    Log(std::io::Error),
}

fn describe(status: WaitStatus) -> String {
    match status {
        WaitStatus::Exited(_, code) => format!("exit status {code}"),
        WaitStatus::Signaled(_, signal, _) => format!("ended by {signal}"),
        other => format!("{other:?}"),
    }
}
