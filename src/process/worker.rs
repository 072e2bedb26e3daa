//! A long-lived program that answers requests: JSON lines on its standard input and output.
//!
//! A request is one line `{"id": 1, "operation": "name", "params": {...}, "log": "path"}`; the answer is one line with
//! the same id and `result`, or `error: {kind, message, traceback}`; lines `{"event": "name", ...}` may come between.
//! Standard error is kept in a log and, its last lines, in memory. A worker that dies is reported with those lines, and
//! started again at the next request. A fresh worker first answers the handshake, if there is one.

pub(crate) use super::running_worker::{Handshake, WorkerCommand};

use super::running_worker::Running;
use super::{Limits, ProcessError, TICK, interrupt};
use crate::util::shell;
use serde_json::{Value, json};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

/// Kind of error that the caller can mend, as workers name it.
const BAD_INPUT: &str = "bad-input";

/// Why a request has no result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkerError {
    /// The request cannot be fulfilled as it is; the worker's words say why.
    #[error("{message}")]
    BadInput {
        /// The worker's words.
        message: String,
    },
    /// The operation failed.
    #[error("{worker} failed in {operation}: {message}{}", log_line(log))]
    Failed {
        /// Name of the worker.
        worker: String,
        /// The operation.
        operation: String,
        /// The reason that it gave.
        message: String,
        /// Place in its code, if it reports one.
        traceback: String,
        /// Where all its words are.
        log: Option<PathBuf>,
    },
    /// The worker died.
    #[error(
        "{worker} died in {operation} ({how}); it is started again when needed{}\n  its last words:\n{}",
        log_line(log),
        super::indented(last_lines)
    )]
    Crashed {
        /// Name of the worker.
        worker: String,
        /// The operation that was under way.
        operation: String,
        /// Exit status or signal.
        how: String,
        /// The end of its standard error.
        last_lines: Vec<String>,
        /// Where all its words are.
        log: Option<PathBuf>,
    },
    /// It does not have the operations that its caller needs.
    #[error("the {worker} worker does not fit this version of cleanloop: {reason}")]
    Unfit {
        /// Name of the worker.
        worker: String,
        /// The difference.
        reason: String,
    },
    /// It could not be started, was interrupted or hit a limit.
    #[error(transparent)]
    Process(#[from] ProcessError),
}

impl From<WorkerError> for crate::Error {
    fn from(e: WorkerError) -> Self {
        match e {
            WorkerError::BadInput { .. } => Self::bad_input(e),
            WorkerError::Unfit { .. } => Self::internal(e),
            WorkerError::Process(e) => e.into(),
            _ => Self::external(e),
        }
    }
}

fn log_line(log: &Option<PathBuf>) -> String {
    log.as_ref().map(|l| format!("\n  log: {}", l.display())).unwrap_or_default()
}

/// A worker, started at the first request.
#[derive(Debug)]
pub(crate) struct Worker {
    command: WorkerCommand,
    running: Option<Running>,
    next_id: u64,
    starts: u64,
}

impl Worker {
    /// A worker that is not yet started.
    pub(crate) fn new(command: WorkerCommand) -> Self {
        Self { command, running: None, next_id: 1, starts: 0 }
    }

    /// How often it was started: a state that lives in the worker is lost when this changes.
    pub(crate) fn starts(&self) -> u64 {
        self.starts
    }

    /// Process id, while it runs.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.running.as_ref().map(|r| r.child.id())
    }

    /// Limits of the requests to come.
    pub(crate) fn set_limits(&mut self, limits: Limits) {
        self.command.limits = limits;
    }

    /// Sets a variable of its environment, from the next start on.
    pub(crate) fn set_variable(&mut self, name: &str, value: &str) {
        self.command.environment.retain(|(known, _)| known != name);
        self.command.environment.push((name.to_owned(), value.to_owned()));
    }

    /// Token that stops the requests to come.
    pub(crate) fn set_cancel(&mut self, cancel: Option<Arc<AtomicBool>>) {
        self.command.cancel = cancel;
    }

    /// Sends a request and waits for its answer; `on_event` gets each event in between.
    ///
    /// `log` is the file for the operation's own log.
    ///
    /// # Errors
    /// See [`WorkerError`]. After a crash, an interruption or a limit the worker is gone; the next request starts another.
    pub(crate) fn request(
        &mut self,
        operation: &str,
        params: &Value,
        log: Option<&Path>,
        on_event: &mut dyn FnMut(&Value),
    ) -> Result<Value, WorkerError> {
        interrupted(&self.command.name)?;
        // One that died while idle is replaced without a word: nothing was lost that it was asked for.
        if !self.running.as_mut().is_some_and(Running::alive) {
            self.stop();
            self.start()?;
        }
        self.ask(operation, params, log, on_event)
    }

    /// Starts the process; one that fails the handshake is ended.
    fn start(&mut self) -> Result<(), WorkerError> {
        self.starts += 1;
        self.running = Some(Running::start(&self.command)?);
        let Some(handshake) = self.command.handshake else { return Ok(()) };
        let answer = self.ask(handshake.operation, &json!({}), None, &mut |_| {});
        let checked = answer.and_then(|answer| {
            let worker = self.command.name.clone();
            (handshake.check)(&answer).map_err(|reason| WorkerError::Unfit { worker, reason })
        });
        checked.inspect_err(|_| self.stop())
    }

    /// Sends a request to the running process.
    fn ask(
        &mut self,
        operation: &str,
        params: &Value,
        log: Option<&Path>,
        on_event: &mut dyn FnMut(&Value),
    ) -> Result<Value, WorkerError> {
        let id = self.next_id;
        self.next_id += 1;
        // The worker's own working folder changes.
        let log_path = log.map(|path| std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf()));
        let request = json!({"id": id, "operation": operation, "params": params, "log": log_path});
        let Some(mut running) = self.running.take() else {
            let (program, reason) = (self.command.name.clone(), std::io::Error::other("it has ended"));
            return Err(ProcessError::NotStarted { program, reason }.into());
        };
        let log = log.map(Path::to_owned).or_else(|| self.command.log.clone());
        match self.exchange(&mut running, id, &request, on_event) {
            Ok(Answer::Result(value)) => {
                self.running = Some(running);
                Ok(value)
            }
            Ok(Answer::Error { kind, message, traceback }) => {
                self.running = Some(running);
                if kind == BAD_INPUT {
                    return Err(WorkerError::BadInput { message });
                }
                tracing::debug!("{traceback}");
                let (worker, operation) = (self.command.name.clone(), operation.to_owned());
                Err(WorkerError::Failed { worker, operation, message, traceback, log })
            }
            Err(Broken::Ended) => {
                let (how, last_lines) = running.autopsy();
                let (worker, operation) = (self.command.name.clone(), operation.to_owned());
                Err(WorkerError::Crashed { worker, operation, how, last_lines, log })
            }
            Err(Broken::Stopped(stop)) => {
                let last_lines = running.last_lines();
                running.kill(self.command.limits.grace);
                Err(self.stopped(stop, log, last_lines).into())
            }
        }
    }

    fn exchange(
        &self,
        running: &mut Running,
        id: u64,
        request: &Value,
        on_event: &mut dyn FnMut(&Value),
    ) -> Result<Answer, Broken> {
        let input = running.input.as_mut().ok_or(Broken::Ended)?;
        input.write_all(format!("{request}\n").as_bytes()).and_then(|()| input.flush()).map_err(|_| Broken::Ended)?;
        let started = Instant::now();
        let limits = self.command.limits;
        loop {
            match running.replies.recv_timeout(TICK) {
                Ok(text) => {
                    running.heard();
                    let Ok(mut reply) = serde_json::from_str::<Value>(&text) else {
                        tracing::debug!("not JSON: {text}");
                        continue;
                    };
                    if reply.get("event").is_some() {
                        on_event(&reply);
                    } else if reply["id"] == id {
                        if let Some(error) = reply.get("error") {
                            let field = |name| error[name].as_str().unwrap_or_default().to_owned();
                            let (kind, message) = (field("kind"), field("message"));
                            return Ok(Answer::Error { kind, message, traceback: field("traceback") });
                        }
                        return Ok(Answer::Result(reply["result"].take()));
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return Err(Broken::Ended),
                Err(RecvTimeoutError::Timeout) => {}
            }
            let cancelled = self.command.cancel.as_ref().is_some_and(|c| c.load(Ordering::Relaxed));
            if cancelled || interrupt::requested() {
                return Err(Broken::Stopped(RequestStop::Interrupted));
            }
            if let Some(limit) = limits.time.filter(|l| started.elapsed() > *l) {
                return Err(Broken::Stopped(RequestStop::TimedOut(limit)));
            }
            if let Some(limit) = limits.silence.filter(|l| running.silence().min(started.elapsed()) > *l) {
                return Err(Broken::Stopped(RequestStop::Stalled(limit)));
            }
        }
    }

    fn stopped(&self, stop: RequestStop, log: Option<PathBuf>, last_lines: Vec<String>) -> ProcessError {
        let program = self.command.name.clone();
        let command = shell::line(&self.command.words);
        let log = log.unwrap_or_default();
        match stop {
            RequestStop::Interrupted => ProcessError::Interrupted { program },
            RequestStop::TimedOut(limit) => ProcessError::TimedOut { program, limit, command, log },
            RequestStop::Stalled(limit) => ProcessError::Stalled { program, limit, command, log, last_lines },
        }
    }

    /// Ends it; the next request starts another.
    pub(crate) fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            running.leave(self.command.limits.grace);
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.stop();
    }
}

fn interrupted(program: &str) -> Result<(), ProcessError> {
    if interrupt::requested() { Err(ProcessError::Interrupted { program: program.into() }) } else { Ok(()) }
}

enum Answer {
    Result(Value),
    Error { kind: String, message: String, traceback: String },
}

enum Broken {
    Ended,
    Stopped(RequestStop),
}

enum RequestStop {
    Interrupted,
    TimedOut(Duration),
    Stalled(Duration),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::util::testing::words;

    /// A worker in shell: `echo`, `fail`, `bad`, `die`, `sleep`.
    const SCRIPT: &str = r#"
echo "hello from $$" >&2
while read -r line; do
  id=$(echo "$line" | sed 's/.*"id":\([0-9]*\).*/\1/')
  case "$line" in
    *'"echo"'*) echo '{"event":"progress","done":1}'; echo "{\"id\":$id,\"result\":{\"pid\":$$}}";;
    *'"fail"'*) echo "{\"id\":$id,\"error\":{\"kind\":\"failed\",\"message\":\"no luck\"}}";;
    *'"bad"'*) echo "{\"id\":$id,\"error\":{\"kind\":\"bad-input\",\"message\":\"no such column\"}}";;
    *'"die"'*) echo "last words" >&2; kill -KILL $$;;
    *'"sleep"'*) sleep 77.25;;
  esac
done
"#;

    fn worker(folder: &tempfile::TempDir) -> Worker {
        let mut command = WorkerCommand { name: "tester".into(), ..Default::default() };
        command.words = ["sh", "-c", SCRIPT].map(str::to_owned).to_vec();
        command.log = Some(folder.path().join("worker.log"));
        command.limits.grace = Duration::from_millis(300);
        Worker::new(command)
    }

    fn ask(worker: &mut Worker, method: &str) -> Result<Value, WorkerError> {
        worker.request(method, &json!({}), None, &mut |_| {})
    }

    #[test]
    fn one_process_answers_many_requests_with_events_between() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut worker = worker(&folder);
        let mut events = Vec::new();
        let first = worker.request("echo", &json!({"a": 1}), None, &mut |e| events.push(e.clone())).expect("an answer");
        let second = ask(&mut worker, "echo").expect("an answer");
        assert_eq!(first, second, "the same process");
        assert_eq!(events, [json!({"event": "progress", "done": 1})]);
        assert_eq!(worker.starts(), 1);
    }

    #[test]
    fn a_worker_that_fails_the_handshake_is_not_used() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut worker = worker(&folder);
        let check = |answer: &Value| answer.get("pid").map(drop).ok_or_else(|| "no pid".to_owned());
        worker.command.handshake = Some(Handshake { operation: "echo", check });
        ask(&mut worker, "echo").expect("an answer");
        worker.stop();
        worker.command.handshake = Some(Handshake { operation: "echo", check: |_| Err("old keys".into()) });
        let error = ask(&mut worker, "echo").expect_err("refused");
        assert!(matches!(&error, WorkerError::Unfit { reason, .. } if reason == "old keys"), "{error}");
        assert!(worker.pid().is_none() && worker.starts() == 2);
        assert!(matches!(crate::Error::from(error), crate::Error::Internal(_)));
    }

    #[test]
    fn failures_leave_it_running_and_are_sorted_by_fault() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut worker = worker(&folder);
        let bad = ask(&mut worker, "bad").expect_err("bad");
        assert!(matches!(&bad, WorkerError::BadInput { message } if message == "no such column"), "{bad:?}");
        assert!(matches!(crate::Error::from(bad), crate::Error::BadInput(_)));
        let failed = ask(&mut worker, "fail").expect_err("failed");
        assert!(matches!(failed, WorkerError::Failed { .. }), "{failed:?}");
        insta::assert_snapshot!(words(&failed, folder.path()), @"
        tester failed in fail: no luck
          log: <folder>/worker.log
        ");
        assert!(matches!(crate::Error::from(failed), crate::Error::External(_)));
        assert_eq!(worker.starts(), 1);
    }

    #[test]
    fn a_crash_is_told_with_the_last_words_and_the_next_request_restarts() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut worker = worker(&folder);
        let error = ask(&mut worker, "die").expect_err("it dies");
        let WorkerError::Crashed { worker: name, operation, how, last_lines, log } = error else { panic!("{error:?}") };
        assert_eq!((name.as_str(), operation.as_str(), how.as_str()), ("tester", "die", "SIGKILL"));
        assert_eq!(last_lines.last().map(String::as_str), Some("last words"));
        assert_eq!(log, Some(folder.path().join("worker.log")));
        let last_lines = vec!["last words".to_owned()];
        let error = WorkerError::Crashed { worker: name, operation, how, last_lines, log: None };
        insta::assert_snapshot!(error, @"
        tester died in die (SIGKILL); it is started again when needed
          its last words:
            last words
        ");
        ask(&mut worker, "echo").expect("another one answers");
        assert_eq!(worker.starts(), 2);
        let log = std::fs::read_to_string(folder.path().join("worker.log")).expect("the log");
        assert_eq!(log.lines().filter(|l| l.starts_with("hello from")).count(), 2, "{log}");
    }

    #[test]
    fn one_that_was_killed_while_idle_is_replaced() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut worker = worker(&folder);
        let first = ask(&mut worker, "echo").expect("an answer");
        let pid = nix::unistd::Pid::from_raw(worker.pid().expect("it runs") as i32);
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).expect("killed");
        let state = || std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        crate::util::testing::wait_until("its end", || state().is_empty() || state().contains(") Z "));
        assert_ne!(ask(&mut worker, "echo").expect("an answer"), first);
    }

    #[test]
    fn limits_of_silence_and_time_end_the_group() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut worker = worker(&folder);
        let short = Some(Duration::from_millis(300));
        worker.set_limits(Limits { silence: short, ..worker.command.limits });
        let error = ask(&mut worker, "sleep").expect_err("silent");
        assert!(matches!(error, WorkerError::Process(ProcessError::Stalled { .. })), "{error}");
        worker.set_limits(Limits { time: short, silence: None, ..worker.command.limits });
        let error = ask(&mut worker, "sleep").expect_err("long");
        assert!(matches!(error, WorkerError::Process(ProcessError::TimedOut { .. })), "{error}");
        assert!(worker.pid().is_none());
    }

    #[test]
    fn a_missing_program_is_named() {
        let mut command = WorkerCommand { name: "tester".into(), ..Default::default() };
        command.words = vec!["/no/such/python".into()];
        command.install_hint = "make one".into();
        let error = ask(&mut Worker::new(command), "echo").expect_err("absent");
        assert!(matches!(error, WorkerError::Process(ProcessError::NotFound { .. })), "{error:?}");
        insta::assert_snapshot!(error, @"/no/such/python: program not found: make one");
    }
}
