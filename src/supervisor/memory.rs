//! How much memory workers keep.

/// Whether one of `workers` processes has more than its share of half the machine when its job is over.
/// Then something in its libraries leaks, and it is replaced before the kernel has to choose whom to
/// kill.
pub fn keeps_too_much(pid: u32, workers: usize) -> bool {
    resident(pid)
        .zip(total())
        .is_some_and(|(resident, total)| resident > share(total, workers))
}

fn share(total: u64, workers: usize) -> u64 {
    total / 2 / workers.max(1) as u64
}

/// Bytes that the process has in memory.
fn resident(pid: u32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    let pages: u64 = text.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * sysconf(libc::_SC_PAGESIZE)?)
}

/// Bytes of memory that the machine has.
fn total() -> Option<u64> {
    Some(sysconf(libc::_SC_PHYS_PAGES)? * sysconf(libc::_SC_PAGESIZE)?)
}

fn sysconf(name: libc::c_int) -> Option<u64> {
    // SAFETY: the call has no preconditions; what is not known is -1.
    u64::try_from(unsafe { libc::sysconf(name) }).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_share_half_of_the_memory() {
        assert_eq!(share(16 << 30, 4), 2 << 30);
        assert_eq!(share(16 << 30, 0), 8 << 30);
        let own = std::process::id();
        assert!(!keeps_too_much(own, 1), "this test is small");
        assert!(keeps_too_much(own, usize::MAX));
    }
}
