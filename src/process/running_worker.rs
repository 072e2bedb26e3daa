//! The process behind a worker: its pipes, the threads that read them, its end.

use super::output::Tail;
use super::{Limits, ProcessError, TICK, interrupt, isolate, kill_group};
use crate::util::shell;
use serde_json::Value;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdin, Command, Stdio};
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How long a worker may take to leave by itself when its input is closed.
const LEAVING: Duration = Duration::from_secs(3);

/// The first request to a fresh worker, without parameters, and the check of its answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Handshake {
    /// The operation.
    pub operation: &'static str,
    /// Says why the worker cannot be used.
    pub check: fn(&Value) -> Result<(), String>,
}

/// Command and environment of a worker.
#[derive(Debug, Clone, Default)]
pub(crate) struct WorkerCommand {
    /// Name for messages, e.g. `CASA`.
    pub name: String,
    /// Program and arguments.
    pub words: Vec<String>,
    /// Variables added to our own environment.
    pub environment: Vec<(String, String)>,
    /// Variables of ours that it must not see.
    pub without: Vec<String>,
    /// Its standard error is appended here; `None`: only the last lines are kept.
    pub log: Option<PathBuf>,
    /// Limits of each request; words on standard error and events break the silence.
    pub limits: Limits,
    /// Advice for people who lack the program.
    pub install_hint: String,
    /// Set to `true` from elsewhere, stops a request like an interruption.
    pub cancel: Option<Arc<AtomicBool>>,
    /// Asked of each fresh process.
    pub handshake: Option<Handshake>,
}

/// The end of a worker's standard error, and when it was last heard of.
#[derive(Debug)]
struct Heard {
    tail: Tail,
    at: Instant,
}

/// The process of a worker, with the threads that read its output.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) child: Child,
    pub(super) input: Option<ChildStdin>,
    pub(super) replies: Receiver<String>,
    words: Arc<Mutex<Heard>>,
    threads: Vec<std::thread::JoinHandle<()>>,
}

impl Running {
    /// Starts it in a group of its own.
    pub(super) fn start(command: &WorkerCommand) -> Result<Self, ProcessError> {
        let program = command.words.first().cloned().unwrap_or_default();
        let log = command.log.as_deref().map(|path| open_log(path, command)).transpose()?;
        let mut process = Command::new(&program);
        process.args(command.words.get(1..).unwrap_or_default());
        process.envs(command.environment.iter().map(|(k, v)| (k, v)));
        command.without.iter().for_each(|name| {
            process.env_remove(name);
        });
        process.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        isolate(&mut process);
        // The kernel ends the worker with the thread that started it: that must be one that lives as long.
        let (started, start) = channel();
        let (sender, replies) = channel();
        let reader = std::thread::spawn(move || {
            let mut child = match process.spawn() {
                Ok(child) => child,
                Err(e) => return started.send(Err(e)).unwrap_or_default(),
            };
            let output = child.stdout.take();
            if started.send(Ok(child)).is_ok() {
                output.into_iter().for_each(|pipe| read_replies(BufReader::new(pipe), &sender));
            }
        });
        let mut child = match start.recv() {
            Ok(Ok(child)) => child,
            Ok(Err(e)) if e.kind() == std::io::ErrorKind::NotFound => {
                return Err(ProcessError::NotFound { program, hint: command.install_hint.clone() });
            }
            Ok(Err(reason)) => return Err(ProcessError::NotStarted { program, reason }),
            Err(e) => return Err(ProcessError::NotStarted { program, reason: std::io::Error::other(e) }),
        };
        let words = Arc::new(Mutex::new(Heard { tail: Tail::default(), at: Instant::now() }));
        let (input, errors) = (child.stdin.take(), child.stderr.take());
        let shared = Arc::clone(&words);
        let listener =
            std::thread::spawn(move || errors.into_iter().for_each(|e| read_words(e, &shared, log.as_ref())));
        Ok(Self { child, input, replies, words, threads: vec![reader, listener] })
    }

    /// Whether its process still runs.
    pub(super) fn alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Notes that it has answered: its silence begins again.
    pub(super) fn heard(&self) {
        if let Ok(mut words) = self.words.lock() {
            words.at = Instant::now();
        }
    }

    /// Time since it was last heard of.
    pub(super) fn silence(&self) -> Duration {
        self.words.lock().map_or(Duration::ZERO, |words| words.at.elapsed())
    }

    /// The last lines of its standard error.
    pub(super) fn last_lines(&self) -> Vec<String> {
        self.words.lock().map(|words| words.tail.lines()).unwrap_or_default()
    }

    /// How it ended, and its last words.
    pub(super) fn autopsy(mut self) -> (String, Vec<String>) {
        // It may have closed its output and gone on; and a dead one's pipes may still hold words.
        drop(self.input.take());
        let deadline = Instant::now() + LEAVING;
        while self.alive() && Instant::now() < deadline {
            std::thread::sleep(TICK);
        }
        let status = self.child.try_wait();
        kill_group(&mut self.child, Duration::ZERO);
        self.threads.drain(..).for_each(|thread| drop(thread.join()));
        let how = match status {
            Ok(Some(status)) => match status.signal() {
                Some(number) => nix::sys::signal::Signal::try_from(number)
                    .map_or_else(|_| format!("signal {number}"), |s| s.as_str().to_owned()),
                None => format!("exit status {}", status.code().unwrap_or_default()),
            },
            _ => "it closed its output".into(),
        };
        let lines = self.last_lines();
        (how, lines)
    }

    /// Ends its group.
    pub(super) fn kill(mut self, grace: Duration) {
        kill_group(&mut self.child, grace);
        self.threads.drain(..).for_each(|thread| drop(thread.join()));
    }

    /// Lets it leave by itself, then makes it.
    pub(super) fn leave(mut self, grace: Duration) {
        drop(self.input.take());
        let deadline = Instant::now() + LEAVING;
        while self.alive() && Instant::now() < deadline && !interrupt::requested() {
            std::thread::sleep(TICK / 5);
        }
        self.kill(grace);
    }
}

fn open_log(path: &Path, command: &WorkerCommand) -> Result<File, ProcessError> {
    let program = command.name.clone();
    let mut file = OpenOptions::new().create(true).append(true).open(path).map_err(|reason| ProcessError::Log {
        program,
        log: path.to_owned(),
        reason,
    })?;
    let _ = writeln!(file, "$ {}", shell::line(&command.words));
    Ok(file)
}

fn read_replies(mut pipe: impl BufRead, sender: &Sender<String>) {
    let mut line = Vec::new();
    while pipe.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
        // The receiver may be gone; the pipe must be emptied all the same, or the worker would block.
        let _ = sender.send(String::from_utf8_lossy(&line).trim_end().to_owned());
        line.clear();
    }
}

fn read_words(pipe: ChildStderr, words: &Mutex<Heard>, mut log: Option<&File>) {
    let mut pipe = BufReader::new(pipe);
    let mut line = Vec::new();
    while pipe.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
        if let Some(file) = &mut log {
            let _ = file.write_all(&line);
        }
        let text = String::from_utf8_lossy(&line).trim_end().to_owned();
        line.clear();
        let Ok(mut words) = words.lock() else { return };
        words.at = Instant::now();
        words.tail.push(&text);
    }
}
