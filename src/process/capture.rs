//! Short programs whose words are wanted: clients of a batch system and the like.

use super::{ProcessError, find_program, isolate, kill_group};
use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How often a waiting call looks whether the program has ended.
const TICK: Duration = Duration::from_millis(5);

/// Output and exit status of a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// Exit status; `None`: ended by a signal, or by us at the time limit.
    pub status: Option<i32>,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

/// Runs `words` without input for at most `limit` and returns what it said, whatever its exit status.
///
/// It is not ended by an interruption: what it changes (a job that is submitted) must be known afterwards.
///
/// # Errors
/// No such program, or the system does not start it.
pub fn capture(words: &[String], limit: Duration, hint: &str) -> Result<Said, ProcessError> {
    let program = words.first().cloned().unwrap_or_default();
    if find_program(&program).is_none() {
        return Err(ProcessError::NotFound { program, hint: hint.to_owned() });
    }
    let not_started = |reason| ProcessError::NotStarted { program: program.clone(), reason };
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    isolate(&mut command);
    let mut child = command.spawn().map_err(not_started)?;
    let out = collector(child.stdout.take());
    let err = collector(child.stderr.take());
    let status = wait(&mut child, limit).map_err(not_started)?;
    let text = |thread: std::thread::JoinHandle<Vec<u8>>| {
        String::from_utf8_lossy(&thread.join().unwrap_or_default()).into_owned()
    };
    Ok(Said { status, out: text(out), err: text(err) })
}

fn collector(pipe: Option<impl Read + Send + 'static>) -> std::thread::JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            // What was read until an error is what was said.
            let _ = pipe.read_to_end(&mut bytes);
        }
        bytes
    })
}

fn wait(child: &mut Child, limit: Duration) -> std::io::Result<Option<i32>> {
    let started = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status.code());
        }
        if started.elapsed() > limit {
            kill_group(child, Duration::from_secs(1));
            return Ok(None);
        }
        std::thread::sleep(TICK);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(line: &str, limit_s: u64) -> Said {
        capture(&["sh".into(), "-c".into(), line.into()], Duration::from_secs(limit_s), "").unwrap()
    }

    #[test]
    fn both_streams_and_the_status_come_back() {
        let said = shell("echo out; echo err >&2; exit 3", 60);
        assert_eq!(said, Said { status: Some(3), out: "out\n".into(), err: "err\n".into() });
        let long = shell("seq 100000", 60);
        assert_eq!(long.out.lines().count(), 100_000);
    }

    #[test]
    fn a_program_that_hangs_is_ended() {
        let said = shell("echo before; sleep 100", 1);
        assert_eq!((said.status, said.out.as_str()), (None, "before\n"));
    }
}
