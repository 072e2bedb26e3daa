//! Waiting in tests.

use std::time::{Duration, Instant};

/// Returns as soon as the condition holds; fails the test, in these words, if it does not within a minute.
pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let waiting = Instant::now();
    while !condition() {
        assert!(waiting.elapsed() < Duration::from_secs(60), "waited a minute for {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}
