//! What a running process has used.

use std::fs;
use std::time::Duration;

use rustix::process::Pid;

use crate::sys::wait::cpu_time;

/// `times(2)` ticks: USER_HZ is 100 on every Linux for x86-64.
const TICK: Duration = Duration::from_millis(10);

/// CPU time of a process and of the children it has waited for.
#[must_use]
pub fn cpu(pid: Pid) -> Duration {
    let own = cpu_time(pid).unwrap_or_default();
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap_or_default();
    own + TICK * children_ticks(&stat).unwrap_or(0)
}

/// The largest resident size so far.
#[must_use]
pub fn peak_bytes(pid: Pid) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", pid.as_raw_nonzero())).unwrap_or_default();
    high_water_mark(&status).unwrap_or(0)
}

/// cutime + cstime: fields 16 and 17 of proc_pid_stat(5), counted after the name, which may hold anything.
fn children_ticks(stat: &str) -> Option<u32> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_ascii_whitespace().skip(13);
    let user: u32 = fields.next()?.parse().ok()?;
    let system: u32 = fields.next()?.parse().ok()?;
    Some(user.saturating_add(system))
}

fn high_water_mark(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kilobytes.saturating_mul(1_024))
}

#[cfg(test)]
mod tests {
    use super::{children_ticks, high_water_mark};

    #[test]
    fn ticks_of_children_are_found_whatever_the_name_holds() {
        let stat = "71 (a) 1 2) S 1 71 71 0 -1 4194560 1 2 3 4 10 20 30 40 20 0 1 0 12 4096 1";
        assert_eq!(children_ticks(stat), Some(70));
        assert_eq!(children_ticks(""), None);
    }

    #[test]
    fn the_high_water_mark_is_in_kibibytes() {
        assert_eq!(high_water_mark("Name:\tx\nVmHWM:\t    1024 kB\nVmRSS:\t 5 kB\n"), Some(1_048_576));
        assert_eq!(high_water_mark("Name:\tx\n"), None);
    }
}
