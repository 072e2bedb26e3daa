//! Process groups: a program and all that it started, which end together.

use super::TICK;
use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

/// Variable and value that give every program the same numbers, words and order of names: a comma for the decimal point
/// spoils headers, parameters and what is read from logs.
const LOCALE: (&str, &str) = ("LC_ALL", "C");

/// Puts a command that is about to be spawned into a process group of its own (so that a terminal's Ctrl-C reaches us
/// alone, and the group can be stopped as one), and has the kernel send it SIGTERM when the spawning thread ends. Its
/// locale is C.
///
/// The thread that spawns must therefore live as long as the program.
pub fn isolate(command: &mut Command) {
    let parent = nix::unistd::getpid();
    command.process_group(0).env(LOCALE.0, LOCALE.1);
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
pub(super) struct Group {
    child: Child,
    grace: Duration,
    ended: bool,
}

impl Group {
    /// A child that was started through [`isolate`].
    pub(super) fn new(child: Child, grace: Duration) -> Self {
        Self { child, grace, ended: false }
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id() as i32)
    }

    /// Whether the leader has ended; it is left unreaped, so that its number cannot be given to another group.
    pub(super) fn has_ended(&self) -> bool {
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        !matches!(waitid(Id::Pid(self.pid()), flags), Ok(WaitStatus::StillAlive))
    }

    /// Ends those whom an ended leader left behind.
    pub(super) fn signal_rest(&self) {
        let _ = killpg(self.pid(), Signal::SIGTERM);
        std::thread::sleep(TICK);
        let _ = killpg(self.pid(), Signal::SIGKILL);
    }

    /// Reaps the leader, after the end of whatever it left behind.
    pub(super) fn finish(mut self) -> std::io::Result<WaitStatus> {
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
