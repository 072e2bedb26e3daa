//! What tests share: waiting, and looking into errors.

use std::fmt::Display;
use std::path::Path;
use std::time::{Duration, Instant};

/// Returns as soon as the condition holds; fails the test, in these words, if it does not within a minute.
pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let waiting = Instant::now();
    while !condition() {
        assert!(waiting.elapsed() < Duration::from_secs(60), "waited a minute for {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The module's own error inside `error`; fails the test if it is of another type.
pub(crate) fn inner<E: std::error::Error + 'static>(error: &crate::Error) -> &E {
    use crate::Error::{BadInput, External, Internal};
    let (BadInput(boxed) | External(boxed) | Internal(boxed)) = error else { panic!("{error:?}") };
    boxed.downcast_ref().unwrap_or_else(|| panic!("{boxed:?}"))
}

/// A message for a snapshot: with `<folder>` for the path of the test's temporary folder.
pub(crate) fn words(message: impl Display, folder: &Path) -> String {
    message.to_string().replace(&folder.display().to_string(), "<folder>")
}
