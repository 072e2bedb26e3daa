//! This program itself: how it was called, and how to call it again.

use crate::util::memory;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::OnceLock;

/// The words that the program was called with, its own name first.
static WORDS: OnceLock<Vec<OsString>> = OnceLock::new();

/// Stores the words that the program was called with (its own name first), once.
pub fn set_words(words: impl IntoIterator<Item = OsString>) -> &'static [OsString] {
    WORDS.get_or_init(|| words.into_iter().collect())
}

/// The words that the program was called with, its own name first.
pub fn words() -> Vec<String> {
    let words = WORDS.get().cloned().unwrap_or_else(|| std::env::args_os().collect());
    words.into_iter().map(|word| word.to_string_lossy().into_owned()).collect()
}

/// The machine's memory, GB.
pub fn memory_gb() -> Option<f64> {
    memory::total().map(|bytes| bytes as f64 / 1e9)
}

/// The file that runs this program again: the executable, or the script that the Python package installs.
///
/// # Errors
/// The operating system does not say.
pub fn executable() -> std::io::Result<PathBuf> {
    let executable = std::env::current_exe()?;
    let is_python = executable.file_name().is_some_and(|name| name.to_string_lossy().starts_with("python"));
    match WORDS.get().and_then(|words| words.first()).filter(|_| is_python) {
        Some(script) => std::path::absolute(script),
        None => Ok(executable),
    }
}
