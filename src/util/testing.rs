//! What tests share: waiting, and looking into errors.

use proptest::prelude::*;
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

/// Damage to a file: bytes of it replaced, a piece doubled, the end cut off; or bytes that have nothing to do with it. The
/// number of cases is 256, or that of the environment's PROPTEST_CASES (`make fuzz`).
pub(crate) fn damaged(file: Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
    let place = 0.0..1.0f64;
    let byte = prop_oneof![any::<u8>(), b' '..=b'~', b'0'..=b'9'];
    let changes = proptest::collection::vec((place.clone(), byte), 0..12);
    let cut = prop_oneof![3 => Just(1.0), 1 => place.clone()];
    let doubled = proptest::option::weighted(0.2, (place, 1..200usize));
    let of_file = (changes, cut, doubled).prop_map(move |(changes, cut, doubled)| {
        let mut bytes = file.clone();
        let at = |place: f64, length: usize| ((place * length as f64) as usize).min(length.saturating_sub(1));
        for (place, byte) in changes {
            let i = at(place, bytes.len());
            bytes[i] = byte;
        }
        if let Some((place, length)) = doubled {
            let start = at(place, bytes.len());
            let piece = bytes[start..(start + length).min(bytes.len())].to_vec();
            drop(bytes.splice(start..start, piece));
        }
        bytes.truncate((cut * bytes.len() as f64) as usize);
        bytes
    });
    prop_oneof![9 => of_file, 1 => proptest::collection::vec(any::<u8>(), 0..400)]
}
