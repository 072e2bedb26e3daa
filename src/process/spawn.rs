//! One program from start to end.

use super::{LAST_LINES, ProcessError, find_program, interrupt};
use crate::util::shell;
use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;
use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

/// How long a group may take to end after SIGTERM, unless [`Limits::grace`] says otherwise.
const GRACE: Duration = Duration::from_secs(5);
/// Within what time a signal that ended our program reaches us, too, if it was meant for both.
const SHARED_SIGNAL: Duration = Duration::from_millis(500);
/// How often a waiting run looks at the clock and the interrupt flag.
const TICK: Duration = Duration::from_millis(50);
/// Bytes that are read from a program at once.
const BUFFER: usize = 1 << 16;
/// Pieces of output that may wait for the caller before the program has to wait.
const BACKLOG: usize = 256;
/// Longest line that is handed over in one piece, bytes: a program may write without ever ending a line.
const LONGEST_LINE: usize = 1 << 20;

/// How long a program may run, and be silent.
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

/// A piece of a program's output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output<'a> {
    /// A whole line, without its end (line feed or carriage return).
    Line(&'a str),
    /// The line that is being written, as far as it goes (progress bars); it comes again, longer or as a `Line`.
    Partial(&'a str),
}

/// A program that ended with exit status 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// Wall-clock time.
    pub elapsed: Duration,
}

/// What to start and how to watch it.
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
    /// What to tell people who lack the program.
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
    pub fn run(&self, on_output: &mut dyn FnMut(Output<'_>)) -> Result<Finished, ProcessError> {
        let program = self.name();
        self.check_interrupt(&program)?;
        if self.words.first().is_none_or(|w| find_program(w).is_none()) {
            return Err(self.not_found());
        }
        let log_error = |reason| ProcessError::Log { program: program.clone(), log: self.log.clone(), reason };
        let mut log = self.open_log().map_err(log_error)?;
        let not_started = |reason| ProcessError::NotStarted { program: program.clone(), reason };
        let (from_child, to_us) =
            nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).map_err(|e| not_started(e.into()))?;
        let started = Instant::now();
        let child = {
            let mut command = Command::new(&self.words[0]);
            command.args(&self.words[1..]).envs(self.environment.iter().map(|(k, v)| (k, v)));
            command.stdin(Stdio::null());
            command.stdout(to_us.try_clone().map_err(not_started)?).stderr(to_us);
            if let Some(folder) = &self.folder {
                command.current_dir(folder);
            }
            isolate(&mut command);
            // The command holds our ends of the pipe: it must go before we wait for the end of the output.
            command.spawn().map_err(|e| match e.kind() {
                ErrorKind::NotFound if self.folder.as_ref().is_none_or(|f| f.is_dir()) => self.not_found(),
                _ => not_started(e),
            })?
        };
        let mut group = Group { child, grace: self.limits.grace, ended: false };
        let (sender, receiver) = sync_channel(BACKLOG);
        let reader = std::thread::spawn(move || read_all(from_child, &sender));
        let mut tail = VecDeque::with_capacity(LAST_LINES);
        let end = self.watch(&mut group, &receiver, &mut log, started, &mut tail, on_output);
        // With the receiver gone the reader cannot block; with the group gone the pipe has ended.
        drop(receiver);
        let status = match end {
            Ok(()) => group.finish().map_err(not_started)?,
            Err(stop) => {
                drop(group);
                let _ = reader.join();
                return Err(self.stopped(stop, &mut log, tail.into()));
            }
        };
        let _ = reader.join();
        let elapsed = started.elapsed();
        let _ = writeln!(log, "# {} after {:.1} s", describe(status), elapsed.as_secs_f64());
        let command = shell::line(&self.words);
        let (log, last_lines) = (self.log.clone(), tail.into());
        // A batch system that ends a job sends its signal to all processes of the job; ours may come a little later.
        let failed = !matches!(status, WaitStatus::Exited(_, 0));
        if failed && interrupt::comes_within(SHARED_SIGNAL) {
            return Err(ProcessError::Interrupted { program });
        }
        match status {
            WaitStatus::Exited(_, 0) => Ok(Finished { elapsed }),
            WaitStatus::Signaled(_, signal, _) => {
                Err(ProcessError::Killed { program, signal: signal.to_string(), command, log, last_lines })
            }
            WaitStatus::Exited(_, status) => Err(ProcessError::Failed { program, status, command, log, last_lines }),
            _ => Err(ProcessError::Failed { program, status: -1, command, log, last_lines }),
        }
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
    fn watch(
        &self,
        group: &mut Group,
        pieces: &Receiver<Vec<u8>>,
        log: &mut File,
        started: Instant,
        tail: &mut VecDeque<String>,
        on_output: &mut dyn FnMut(Output<'_>),
    ) -> Result<(), Stop> {
        let mut last_word = Instant::now();
        let mut lines = Lines::default();
        let mut ended_at: Option<Instant> = None;
        let mut each = |piece: Output<'_>| {
            if let Output::Line(line) = piece
                && !line.trim().is_empty()
            {
                if tail.len() == LAST_LINES {
                    tail.pop_front();
                }
                tail.push_back(line.trim_end().to_owned());
            }
            on_output(piece);
        };
        loop {
            match pieces.recv_timeout(TICK) {
                Ok(bytes) => {
                    last_word = Instant::now();
                    log.write_all(&bytes).map_err(Stop::Log)?;
                    lines.push(&bytes, &mut each);
                }
                Err(RecvTimeoutError::Disconnected) => {
                    lines.finish(&mut each);
                    // It may close its output before it ends.
                    if group.has_ended() {
                        return Ok(());
                    }
                    std::thread::sleep(TICK);
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
            if self.check_interrupt("").is_err() {
                return Err(Stop::Interrupted);
            }
            if let Some(limit) = self.limits.time.filter(|l| started.elapsed() > *l) {
                return Err(Stop::TimedOut(limit));
            }
            if let Some(limit) = self.limits.silence.filter(|l| last_word.elapsed() > *l) {
                return Err(Stop::Stalled(limit));
            }
            // Somebody whom the program left behind may hold the pipe open.
            if group.has_ended() && ended_at.get_or_insert_with(Instant::now).elapsed() > TICK * 4 {
                group.signal_rest();
            }
        }
    }

    fn stopped(&self, stop: Stop, log: &mut File, last_lines: Vec<String>) -> ProcessError {
        let program = self.name();
        let command = shell::line(&self.words);
        let path = self.log.clone();
        let error = match stop {
            Stop::Interrupted => ProcessError::Interrupted { program },
            Stop::TimedOut(limit) => ProcessError::TimedOut { program, limit, command, log: path },
            Stop::Stalled(limit) => ProcessError::Stalled { program, limit, command, log: path, last_lines },
            Stop::Log(reason) => ProcessError::Log { program, log: path, reason },
        };
        let first = error.to_string();
        let _ = writeln!(log, "# {}", first.lines().next().unwrap_or_default());
        error
    }
}

/// Why a running program has to be stopped.
enum Stop {
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

fn read_all(pipe: OwnedFd, sender: &SyncSender<Vec<u8>>) {
    let mut pipe = File::from(pipe);
    let mut buffer = vec![0; BUFFER];
    loop {
        match pipe.read(&mut buffer) {
            Ok(0) => return,
            Ok(n) => {
                if sender.send(buffer[..n].to_vec()).is_err() {
                    return;
                }
            }
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

/// Cuts a stream of bytes into lines.
#[derive(Default)]
struct Lines {
    rest: Vec<u8>,
}

impl Lines {
    fn push(&mut self, bytes: &[u8], each: &mut dyn FnMut(Output<'_>)) {
        let mut pieces = bytes.split(|b| matches!(b, b'\n' | b'\r'));
        // split yields at least one piece: what continues the present line.
        self.rest.extend_from_slice(pieces.next().unwrap_or_default());
        for piece in pieces {
            each(Output::Line(&String::from_utf8_lossy(&self.rest)));
            self.rest.clear();
            self.rest.extend_from_slice(piece);
        }
        if self.rest.len() > LONGEST_LINE {
            self.finish(each);
        } else if !self.rest.is_empty() {
            each(Output::Partial(&String::from_utf8_lossy(&self.rest)));
        }
    }

    fn finish(&mut self, each: &mut dyn FnMut(Output<'_>)) {
        if !self.rest.is_empty() {
            each(Output::Line(&String::from_utf8_lossy(&self.rest)));
            self.rest.clear();
        }
    }
}

/// Puts a command that is about to be spawned into a process group of its own (so that a terminal's Ctrl-C reaches us
/// alone, and the group can be stopped as one), and has the kernel send it SIGTERM when the spawning thread ends.
///
/// The thread that spawns must therefore live as long as the program.
pub fn isolate(command: &mut Command) {
    let parent = nix::unistd::getpid();
    command.process_group(0);
    // SAFETY: between fork and exec only async-signal-safe calls are made: prctl, getppid.
    unsafe {
        command.pre_exec(move || {
            nix::sys::prctl::set_pdeathsig(Signal::SIGTERM)?;
            // We may have died before the request was made.
            if nix::unistd::getppid() != parent {
                return Err(Errno::ESRCH.into());
            }
            Ok(())
        });
    }
}

/// Asks the group of `child` (started through [`isolate`]) to end, and makes it after `grace`; then reaps the child.
pub fn kill_group(child: &mut Child, grace: Duration) {
    let pid = Pid::from_raw(child.id() as i32);
    if killpg(pid, Signal::SIGTERM).is_ok() {
        let asked = Instant::now();
        while asked.elapsed() < grace && !group_is_gone(pid) {
            std::thread::sleep(TICK / 5);
        }
        let _ = killpg(pid, Signal::SIGKILL);
    }
    let _ = child.wait();
}

/// Whether all but zombies of the group are gone. The leader stays a zombie until it is reaped, so a group of one
/// zombie still takes signals: /proc tells.
fn group_is_gone(group: Pid) -> bool {
    let Ok(folder) = std::fs::read_dir("/proc") else {
        return false;
    };
    !folder.flatten().filter(|e| e.file_name().to_str().is_some_and(|n| n.parse::<i32>().is_ok())).any(|entry| {
        let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        // pid (comm) state ppid pgrp ...; comm may hold anything, also brackets.
        let mut fields = stat.rsplit(')').next().unwrap_or_default().split_ascii_whitespace();
        let state = fields.next().unwrap_or("Z");
        let pgrp = fields.nth(1).and_then(|f| f.parse::<i32>().ok());
        pgrp == Some(group.as_raw()) && !matches!(state, "Z" | "X")
    })
}

/// A running program; whatever happens, its group ends with this value.
struct Group {
    child: Child,
    grace: Duration,
    ended: bool,
}

impl Group {
    fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id() as i32)
    }

    /// Whether the leader has ended; it is left unreaped, so that its number cannot be given to another group.
    fn has_ended(&self) -> bool {
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        !matches!(waitid(Id::Pid(self.pid()), flags), Ok(WaitStatus::StillAlive))
    }

    /// Ends those whom an ended leader left behind.
    fn signal_rest(&self) {
        let _ = killpg(self.pid(), Signal::SIGTERM);
        std::thread::sleep(TICK);
        let _ = killpg(self.pid(), Signal::SIGKILL);
    }

    /// Reaps the leader, after the end of whatever it left behind.
    fn finish(mut self) -> std::io::Result<WaitStatus> {
        if !group_is_gone(self.pid()) {
            self.signal_rest();
        }
        let status = nix::sys::wait::waitpid(self.pid(), None)?;
        self.ended = true;
        Ok(status)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if !self.ended {
            kill_group(&mut self.child, self.grace);
        }
    }
}
