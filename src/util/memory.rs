//! The memory that a program can have: work that cannot fit is refused before it begins.

/// Bytes that this process may use at most: the machine's memory, or the limit of the address space (`ulimit -v`), the
/// smaller of the two. `u64::MAX` where the system tells neither.
pub(crate) fn limit() -> u64 {
    use nix::sys::resource::{Resource, getrlimit};
    use nix::unistd::{SysconfVar, sysconf};
    let number = |name| sysconf(name).ok().flatten().and_then(|n| u64::try_from(n).ok());
    let machine = number(SysconfVar::_PHYS_PAGES).zip(number(SysconfVar::PAGE_SIZE)).map(|(pages, size)| pages * size);
    let process = getrlimit(Resource::RLIMIT_AS).ok().map(|(soft, _)| soft);
    [machine, process].into_iter().flatten().min().unwrap_or(u64::MAX)
}

/// Bytes of memory that are free or can be freed.
pub(crate) fn available() -> Option<u64> {
    told("MemAvailable:")
}

/// Bytes of memory of the machine.
pub(crate) fn total() -> Option<u64> {
    told("MemTotal:")
}

/// What `/proc/meminfo` tells, bytes.
fn told(key: &str) -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kb| kb * 1024)
}

/// Refuses what needs more bytes than there can be; `what` begins the sentence.
///
/// # Errors
/// The sentence, with both sizes in GB.
pub(crate) fn check(needed: u128, what: &str) -> Result<(), String> {
    const GB: f64 = 1e9;
    let limit = limit();
    if needed <= u128::from(limit) {
        return Ok(());
    }
    Err(format!("{what} {:.1} GB of memory; {:.1} GB are there", needed as f64 / GB, limit as f64 / GB))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_known() {
        assert!(available().is_some_and(|m| m > 1 << 20));
    }

    #[test]
    fn what_no_machine_holds_is_refused() {
        check(1, "nothing needs").unwrap();
        let words = check(u128::MAX, "everything needs").unwrap_err();
        assert!(words.starts_with("everything needs ") && words.ends_with(" GB are there"), "{words}");
    }
}
