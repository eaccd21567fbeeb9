//! Whether the machine is about to thrash, and who is to go. The kernel's own killer comes only when nothing more can be
//! reclaimed: until then a program that fills the memory, with swap in memory as it is here, makes everybody wait for pages,
//! for minutes under emulation.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{Mode, OFlags};
use rustix::process::Pid;

/// Everybody who could run waited for memory for 200 of the last 1 000 milliseconds (Documentation/accounting/psi.rst).
const TRIGGER: &[u8] = b"full 200000 1000000\0";

/// Part of the memory that must be available for the pressure to be somebody else's: a host that is slow makes waits longer,
/// too, and a guest that has memory left gets over it.
const LEAST_AVAILABLE_PERCENT: u64 = 6;

/// Asks to be told of pressure: the descriptor then has something urgent (EPOLLPRI), once a second at most.
pub fn watch() -> io::Result<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = rustix::fs::open("/proc/pressure/memory", flags, Mode::empty())?;
    rustix::io::write(&file, TRIGGER)?;
    Ok(file)
}

/// Part of the swap, by pages or by what they take compressed, with which it still takes some in.
const FULL_SWAP_PERCENT: u64 = 90;

/// Whether the memory has really run out: little of it is available, and the swap takes no more in.
#[must_use]
pub fn is_exhausted() -> bool {
    let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let zram = fs::read_to_string("/sys/block/zram0/mm_stat").unwrap_or_default();
    is_short(&meminfo) && (is_swap_full(&meminfo) || is_zram_full(&zram))
}

fn is_short(meminfo: &str) -> bool {
    match (kilobytes(meminfo, "MemTotal:"), kilobytes(meminfo, "MemAvailable:")) {
        (Some(total), Some(available)) => available < total / 100 * LEAST_AVAILABLE_PERCENT,
        _ => false,
    }
}

fn is_swap_full(meminfo: &str) -> bool {
    match (kilobytes(meminfo, "SwapTotal:"), kilobytes(meminfo, "SwapFree:")) {
        (Some(total), Some(free)) => free <= total / 100 * (100 - FULL_SWAP_PERCENT),
        _ => true,
    }
}

/// What is swapped out takes memory of its own, up to a limit: the third and fourth number
/// (Documentation/admin-guide/blockdev/zram.rst, mm_stat).
fn is_zram_full(mm_stat: &str) -> bool {
    let mut numbers = mm_stat.split_ascii_whitespace().skip(2).map(str::parse::<u64>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(used)), Some(Ok(limit))) => used >= limit / 100 * FULL_SWAP_PERCENT,
        _ => false,
    }
}

fn kilobytes(meminfo: &str, name: &str) -> Option<u64> {
    let line = meminfo.lines().find(|line| line.starts_with(name))?;
    line.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// The process that the kernel would end first. The agent has score 0, and so have the kernel's own threads.
#[must_use]
pub fn largest_process() -> Option<Pid> {
    let entries = fs::read_dir("/proc").ok()?;
    let scored = entries.filter_map(|entry| {
        let pid: i32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
        let score: u64 = fs::read_to_string(format!("/proc/{pid}/oom_score")).ok()?.trim().parse().ok()?;
        (score > 0).then_some((score, pid))
    });
    Pid::from_raw(scored.max()?.1)
}

#[cfg(test)]
mod tests {
    use super::{is_short, is_swap_full, is_zram_full};

    #[test]
    fn memory_is_short_when_little_of_it_is_available() {
        let text =
            |available: u64| format!("MemTotal:     245000 kB\nMemFree:   900 kB\nMemAvailable: {available} kB\n");
        assert!(is_short(&text(14_000)));
        assert!(!is_short(&text(15_000)));
        assert!(!is_short("MemTotal: 1 kB\n"));
    }

    #[test]
    fn swap_is_full_by_pages_or_by_what_they_take() {
        let text = |free: u64| format!("SwapTotal:  98000 kB\nSwapFree: {free} kB\n");
        assert!(is_swap_full(&text(9_000)));
        assert!(!is_swap_full(&text(10_000)));
        assert!(is_swap_full(""), "a machine without swap");
        let mm_stat = |used: u64| format!("  100663296  50000000 {used} 50331648 50331648 12 0 0 0\n");
        assert!(is_zram_full(&mm_stat(46_000_000)));
        assert!(!is_zram_full(&mm_stat(45_000_000)));
        assert!(!is_zram_full(""));
    }
}
