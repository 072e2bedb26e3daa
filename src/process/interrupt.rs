//! Ctrl-C and SIGTERM: the first sets a flag that every wait looks at, the second ends cleanloop at once (and, through
//! the kernel, the programs that it started).

use crate::util::temporary;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

/// Exit code after the second signal, as the shell gives it for SIGINT.
const INTERRUPTED_EXIT: i32 = 130;

fn flag() -> &'static Arc<AtomicBool> {
    static FLAG: OnceLock<Arc<AtomicBool>> = OnceLock::new();
    FLAG.get_or_init(Arc::default)
}

/// Installs the handlers; later calls do nothing.
///
/// # Errors
/// The system refuses the handlers (it never does for these signals).
pub(crate) fn install() -> std::io::Result<()> {
    static INSTALLED: OnceLock<()> = OnceLock::new();
    if INSTALLED.set(()).is_err() {
        return Ok(());
    }
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        // The order matters: the shutdown looks at the flag before this signal sets it.
        signal_hook::flag::register_conditional_shutdown(signal, INTERRUPTED_EXIT, Arc::clone(flag()))?;
        signal_hook::flag::register(signal, Arc::clone(flag()))?;
    }
    Ok(())
}

/// For programs that end at the first signal: their temporary files are removed before, and the exit status is that of
/// the signal. Later calls do nothing.
///
/// # Errors
/// The system refuses the handlers (it never does for these signals).
pub(crate) fn end_tidily() -> std::io::Result<()> {
    static INSTALLED: OnceLock<()> = OnceLock::new();
    if INSTALLED.set(()).is_err() {
        return Ok(());
    }
    let mut signals = signal_hook::iterator::Signals::new([signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM])?;
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        for signal in signals.forever() {
            temporary::remove_all_and(|| {
                let _ = signal_hook::low_level::emulate_default_handler(signal);
            });
        }
    })?;
    Ok(())
}

/// Whether a signal asked us to stop.
pub(crate) fn requested() -> bool {
    flag().load(Ordering::Relaxed)
}

/// Whether a signal has asked us to stop, or does so within `time`.
pub(crate) fn comes_within(time: std::time::Duration) -> bool {
    let waiting = std::time::Instant::now();
    while !requested() && waiting.elapsed() < time {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    requested()
}

/// [`crate::Error::Interrupted`] if a signal asked us to stop: for loops between programs.
///
/// # Errors
/// The interruption.
pub(crate) fn check() -> crate::Result<()> {
    if requested() { Err(crate::Error::Interrupted) } else { Ok(()) }
}
