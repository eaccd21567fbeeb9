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

/// Whether the memory has really run out.
#[must_use]
pub fn is_exhausted() -> bool {
    fs::read_to_string("/proc/meminfo").is_ok_and(|text| is_exhausted_by(&text))
}

fn is_exhausted_by(meminfo: &str) -> bool {
    match (kilobytes(meminfo, "MemTotal:"), kilobytes(meminfo, "MemAvailable:")) {
        (Some(total), Some(available)) => available < total / 100 * LEAST_AVAILABLE_PERCENT,
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
    use super::is_exhausted_by;

    #[test]
    fn memory_is_exhausted_when_little_of_it_is_available() {
        let text =
            |available: u64| format!("MemTotal:     245000 kB\nMemFree:   900 kB\nMemAvailable: {available} kB\n");
        assert!(is_exhausted_by(&text(14_000)));
        assert!(!is_exhausted_by(&text(15_000)));
        assert!(!is_exhausted_by("MemTotal: 1 kB\n"));
    }
}
