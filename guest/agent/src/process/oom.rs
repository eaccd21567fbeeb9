//! Whether the kernel ended a process for want of memory. The kernel log says so by pid; nothing else does: the exit
//! status is the same as that of any SIGKILL, and counters do not name anybody.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;

use rustix::fs::{Mode, OFlags, SeekFrom};
use rustix::process::Pid;

/// Victims that are remembered; one run asks soon after the kill.
const REMEMBERED: usize = 256;
/// Records read at one go, so that a flood of other messages cannot hold the agent.
const RECORDS: usize = 4_096;

/// Reads the kernel log from the moment of its making. Users cannot write to that log (it has no node in their /dev).
#[derive(Debug, Default)]
pub struct OomWatch {
    log: Option<OwnedFd>,
    victims: VecDeque<i32>,
    kills: u64,
}

impl OomWatch {
    /// Without a readable log (tests outside a VM) no process ever counts as a victim.
    #[must_use]
    pub fn open() -> Self {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let log = rustix::fs::open("/dev/kmsg", flags, Mode::empty()).ok();
        if let Some(log) = &log {
            // The log is a device of records: this seek means "after the last one" (Documentation/ABI/testing/dev-kmsg).
            let _ = rustix::fs::seek(log, SeekFrom::End(0));
        }
        Self { log, ..Self::default() }
    }

    /// Kills so far. Taken before a program and compared after it.
    pub fn kills(&mut self) -> u64 {
        let Some(log) = &self.log else { return 0 };
        let mut record = [0_u8; 2_048];
        for _ in 0..RECORDS {
            match rustix::io::read(log, &mut record) {
                Ok(length) => {
                    if let Some(pid) = victim(record.get(..length).unwrap_or_default()) {
                        self.kills += 1;
                        remember(&mut self.victims, pid);
                    }
                }
                // Records were overwritten before we read them: the next read goes on with the oldest that is left.
                Err(rustix::io::Errno::PIPE | rustix::io::Errno::INTR) => {}
                Err(_) => break,
            }
        }
        self.kills
    }

    /// Notes a process that the agent ends for want of memory, before the kernel would have.
    pub fn add_victim(&mut self, pid: Pid) {
        self.kills += 1;
        remember(&mut self.victims, pid.as_raw_nonzero().get());
    }

    /// Whether this process was ended for want of memory. To be asked before its pid can be given to another.
    pub fn was_victim(&mut self, pid: Pid) -> bool {
        self.kills();
        let raw = pid.as_raw_nonzero().get();
        let found = self.victims.iter().position(|victim| *victim == raw);
        found.and_then(|index| self.victims.remove(index)).is_some()
    }
}

fn remember(victims: &mut VecDeque<i32>, pid: i32) {
    victims.push_back(pid);
    if victims.len() > REMEMBERED {
        victims.pop_front();
    }
}

/// The pid in a record like `3,512,9041,-;Out of memory: Killed process 71 (python3) total-vm:…`.
fn victim(record: &[u8]) -> Option<i32> {
    let text = std::str::from_utf8(record).ok()?;
    let (_, message) = text.split_once(';')?;
    let rest = message.strip_prefix("Out of memory: Killed process ")?;
    rest.split(|character: char| !character.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::victim;

    #[test]
    fn the_victim_is_read_from_the_kernels_own_message_only() {
        let record = b"3,512,9041,-;Out of memory: Killed process 71 (python3) total-vm:1kB\n";
        assert_eq!(victim(record), Some(71));
        assert_eq!(victim(b"6,9,9,-;Killed process [71]: segfault at 0\n"), None);
        assert_eq!(victim(b"6,9,9,-;Out of memory: [71]: segfault at 0\n"), None);
        assert_eq!(victim(&[0xff, b';']), None);
    }
}
