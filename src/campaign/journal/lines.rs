//! From bytes to lines: what a crash cut short is left out, what something else wrote is an error.

use super::entry::Entry;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Version of the format. That of version 0.1 had no number.
const FORMAT: u32 = 2;

/// The first line.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct FirstLine {
    /// Version of the format.
    #[schemars(extend("const" = FORMAT))]
    format: u32,
}

/// A line of a journal: the first one with the format, each further one an event.
#[derive(JsonSchema)]
#[serde(untagged)]
#[schemars(title = "cleanloop journal")]
#[allow(dead_code)] // Only its schema is used.
pub(crate) enum JournalLine {
    /// The first line.
    First(FirstLine),
    /// A further line.
    Further(Entry),
}

/// Why the journal cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// The file cannot be read or written.
    #[error("{}: the journal cannot be {action}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// `read`, `written`, ...
        action: &'static str,
        /// The operating system's words.
        source: std::io::Error,
    },
    /// A line before the last one is not what cleanloop writes.
    #[error(
        "{}: line {line} is not a journal entry ({reason}); the file was changed by something else. Restore it, or start \
         again with --restart",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Line number, from 1.
        line: usize,
        /// The parser's message.
        reason: String,
    },
    /// Another version of the program wrote it.
    #[error(
        "{}: was written by {} version of cleanloop, whose campaigns this version cannot resume. Give another output, or \
         put the old one aside with --restart",
        path.display(),
        if *earlier { "an earlier" } else { "a later" }
    )]
    OtherVersion {
        /// The file.
        path: PathBuf,
        /// An earlier version, not a later one.
        earlier: bool,
    },
}

impl From<JournalError> for crate::Error {
    fn from(e: JournalError) -> Self {
        match e {
            JournalError::Damaged { .. } | JournalError::OtherVersion { .. } => Self::bad_input(e),
            JournalError::Io { .. } => Self::internal(e),
        }
    }
}

/// The first line of a new journal.
pub(super) fn header() -> Vec<u8> {
    line_of(&FirstLine { format: FORMAT })
}

/// A value as one line.
pub(super) fn line_of(value: &impl Serialize) -> Vec<u8> {
    let mut line = serde_json::to_vec(value).expect("journals are plain data");
    line.push(b'\n');
    line
}

/// Entries, and the number of bytes that hold complete lines: 0 where even the first line is missing.
pub(super) fn parse(path: &Path, bytes: &[u8]) -> Result<(Vec<Entry>, usize), JournalError> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut good = 0;
    let mut lines = bytes.split_inclusive(|&b| b == b'\n').enumerate().peekable();
    while let Some((i, line)) = lines.next() {
        let is_last = lines.peek().is_none();
        let damaged = |reason: String| JournalError::Damaged { path: path.to_path_buf(), line: i + 1, reason };
        if !line.ends_with(b"\n") {
            // The last line may be cut short.
            break;
        }
        if i == 0 {
            check_header(path, line)?;
            good += line.len();
            continue;
        }
        match serde_json::from_slice::<Entry>(line) {
            Ok(entry) if entry.seq == entries.len() as u64 => entries.push(entry),
            Ok(entry) => {
                return Err(damaged(format!("entry number {} where {} was expected", entry.seq, entries.len())));
            }
            // A file system may leave zeros where a crash lost a line's end.
            Err(_) if is_last => break,
            Err(e) => return Err(damaged(e.to_string())),
        }
        good += line.len();
    }
    Ok((entries, good))
}

fn check_header(path: &Path, line: &[u8]) -> Result<(), JournalError> {
    let path = path.to_path_buf();
    match serde_json::from_slice::<FirstLine>(line) {
        Ok(FirstLine { format: FORMAT }) => Ok(()),
        Ok(FirstLine { format }) => Err(JournalError::OtherVersion { path, earlier: format < FORMAT }),
        // Journals of version 0.1 begin with their first entry.
        Err(_) if serde_json::from_slice::<FirstEntry>(line).is_ok() => {
            Err(JournalError::OtherVersion { path, earlier: true })
        }
        Err(e) => Err(JournalError::Damaged { path, line: 1, reason: e.to_string() }),
    }
}

/// Least content of the first line of a journal of version 0.1.
#[derive(Deserialize)]
struct FirstEntry {
    #[serde(rename = "seq")]
    _seq: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A journal of a step that began and was done.
    const LINES: &str = "{\"seq\":0,\"time\":\"2026-01-02T03:04:05Z\",\"event\":\"begin\",\"step\":\"round-01/image\",\"key\":\"0123\"}\n";

    proptest::proptest! {
        #[test]
        #[ignore = "long; in `make test` and `make fuzz`"]
        fn no_journal_does_harm(bytes in crate::util::testing::damaged([header(), LINES.into()].concat())) {
            let _ = parse(Path::new("journal.jsonl"), &bytes);
        }
    }
}
