//! The program in the background, and waiting for what it does.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Longest time that a busy machine may take for anything that a test waits for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(600);

/// Returns as soon as the condition holds; fails the test, in these words, if it does not within the limit.
pub(crate) fn wait_until(what: &str, limit: Duration, mut condition: impl FnMut() -> bool) {
    let waiting = Instant::now();
    while !condition() {
        assert!(waiting.elapsed() < limit, "waited {} s for {what}", limit.as_secs());
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A run of `cleanloop`, killed if the test ends before it.
pub(crate) struct Running {
    /// None once it has ended.
    child: Option<Child>,
    /// What it wrote to its standard error so far.
    errors: PathBuf,
    _folder: tempfile::TempDir,
}

impl Running {
    /// Starts `cleanloop` in a folder.
    pub(crate) fn start(folder: &Path, words: &[&str]) -> Self {
        Self::start_as(Command::new(env!("CARGO_BIN_EXE_cleanloop")).current_dir(folder).args(words))
    }

    /// Starts it with an environment and words of the caller's own.
    pub(crate) fn start_as(command: &mut Command) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let errors = folder.path().join("errors");
        let file = std::fs::File::create(&errors).expect("a file");
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(file).spawn().expect("it starts");
        Self { child: Some(child), errors, _folder: folder }
    }

    fn child(&mut self) -> &mut Child {
        self.child.as_mut().expect("it has not ended")
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().expect("it has not ended").id()
    }

    /// The file to which its standard error goes.
    pub(crate) fn errors_file(&self) -> PathBuf {
        self.errors.clone()
    }

    pub(crate) fn errors(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.errors).expect("its words")).into_owned()
    }

    /// Waits for something that must come before the run ends.
    pub(crate) fn wait_until(&mut self, what: &str, mut condition: impl FnMut() -> bool) {
        wait_until(what, PATIENCE, || {
            let ended = self.child().try_wait().expect("a child").is_some();
            let holds = condition();
            assert!(holds || !ended, "it ended before {what}: {}", self.errors());
            holds
        });
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.pid()).expect("a process")), signal).expect("sent");
    }

    /// Whether it ended by itself within this time.
    pub(crate) fn ends_within(&mut self, time: Duration) -> bool {
        let waiting = Instant::now();
        while waiting.elapsed() < time {
            if self.child().try_wait().expect("a child").is_some() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        false
    }

    /// SIGKILL.
    pub(crate) fn kill(mut self) {
        self.child().kill().expect("killed");
        self.child.take().expect("it runs").wait().expect("gone");
    }

    /// Waits for its end; returns its exit code and what it wrote to its standard error.
    pub(crate) fn finish(mut self) -> (Option<i32>, String) {
        let Output { status, .. } = self.child.take().expect("it runs").wait_with_output().expect("it ends");
        (status.code(), self.errors())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The processor time that a process has used.
pub(crate) fn processor_time(pid: i32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // Behind the name in brackets: state, parent, ...; user and system time are fields 14 and 15 of all, in 1/100 s.
    let behind = stat.rsplit_once(')').map_or("", |(_, behind)| behind);
    let ticks = behind.split_whitespace().skip(11).take(2).filter_map(|n| n.parse::<u64>().ok()).sum::<u64>();
    Duration::from_millis(10 * ticks)
}
