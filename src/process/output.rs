//! Output of programs, cut into lines.

use super::LAST_LINES;
use std::collections::VecDeque;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::fd::OwnedFd;
use std::sync::mpsc::SyncSender;

/// Bytes that are read from a program at once.
const BUFFER: usize = 1 << 16;
/// Longest line that is handed over in one piece, bytes: a program may write without ever ending a line.
const LONGEST_LINE: usize = 1 << 20;

/// A piece of a program's output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output<'a> {
    /// A whole line, without its end (line feed or carriage return).
    Line(&'a str),
    /// The line that is being written, as far as it goes (progress bars); it comes again, longer or as a `Line`.
    Partial(&'a str),
}

/// The last lines of an output: [`LAST_LINES`] that are not blank.
#[derive(Debug, Default)]
pub(super) struct Tail(VecDeque<String>);

impl Tail {
    /// Adds a line, which takes the place of the oldest one.
    pub(super) fn push(&mut self, line: &str) {
        if line.trim().is_empty() {
            return;
        }
        if self.0.len() == LAST_LINES {
            self.0.pop_front();
        }
        self.0.push_back(line.trim_end().to_owned());
    }

    /// The lines, oldest first.
    pub(super) fn lines(&self) -> Vec<String> {
        self.0.iter().cloned().collect()
    }
}

/// Cuts a stream of bytes into lines.
#[derive(Default)]
pub(super) struct Lines {
    rest: Vec<u8>,
}

impl Lines {
    pub(super) fn push(&mut self, bytes: &[u8], each: &mut dyn FnMut(Output<'_>)) {
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

    pub(super) fn finish(&mut self, each: &mut dyn FnMut(Output<'_>)) {
        if !self.rest.is_empty() {
            each(Output::Line(&String::from_utf8_lossy(&self.rest)));
            self.rest.clear();
        }
    }
}

/// Reads a pipe to its end, or until nobody receives any more.
pub(super) fn read_all(pipe: OwnedFd, sender: &SyncSender<Vec<u8>>) {
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
