//! What the files of a measurement set say without any program.

use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use std::fs::File;
use std::path::Path;

/// The process on this machine that holds the main table's lock for writing: CASA would wait for it without a word.
///
/// A lock file that a dead process left behind holds nobody up: the system forgets locks with their process.
pub(super) fn holder(measurement_set: &Path) -> Option<i32> {
    let file = File::open(measurement_set.join("table.lock")).ok()?;
    // casacore locks the first byte. Asked for as a reader, who is held up by writers alone.
    let mut lock = libc::flock {
        l_type: libc::F_RDLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 1,
        l_pid: 0,
    };
    fcntl(&file, FcntlArg::F_GETLK(&mut lock)).ok()?;
    (lock.l_type != libc::F_UNLCK as libc::c_short).then_some(lock.l_pid)
}
