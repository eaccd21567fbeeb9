//! What a running process has used.

use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use rustix::process::Pid;

use crate::sys::wait::CpuClock;

/// `times(2)` ticks: USER_HZ is 100 on every Linux for x86-64.
const TICK: Duration = Duration::from_millis(10);
/// Of every Linux for x86-64.
const PAGE_BYTES: u64 = 4_096;
/// Page faults after which the peak is asked for again. The text that holds it takes the kernel several times as long as the
/// counters, which a clone would wait for before its first result. A peak that is not noticed without asking was
/// over within as many faults: half a megabyte of the process's own memory.
const FAULTS: u64 = 128;

/// The counters of one process. Its files are opened once: opening costs more than reading.
#[derive(Debug)]
pub struct Meter {
    clock: Option<CpuClock>,
    stat: Option<OwnedFd>,
    status: Option<OwnedFd>,
    peak_bytes: u64,
    /// Page faults when the peak was asked for.
    faults: u64,
}

/// The fields of proc_pid_stat(5) that count here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counters {
    faults: u64,
    /// CPU time of children that were waited for.
    children_ticks: u32,
    resident_bytes: u64,
}

impl Meter {
    /// A process that is gone, or whose files cannot be opened, has used nothing as far as this can tell.
    #[must_use]
    pub fn new(pid: Pid) -> Self {
        let open = |name: &str| {
            let path = format!("/proc/{}/{name}", pid.as_raw_nonzero());
            rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()
        };
        Self { clock: CpuClock::of(pid), stat: open("stat"), status: open("status"), peak_bytes: 0, faults: 0 }
    }

    /// CPU time of the process and of the children it has waited for, and the largest resident size so far.
    pub fn read(&mut self) -> (Duration, u64) {
        let mut buffer = [0_u8; 1_024];
        let counters = counters(contents(self.stat.as_ref(), &mut buffer)).unwrap_or_default();
        if self.peak_bytes == 0 || counters.faults.saturating_sub(self.faults) > FAULTS {
            let mut buffer = [0_u8; 4_096];
            self.peak_bytes = high_water_mark(contents(self.status.as_ref(), &mut buffer)).unwrap_or(self.peak_bytes);
            self.faults = counters.faults;
        }
        self.peak_bytes = self.peak_bytes.max(counters.resident_bytes);
        let own = self.clock.as_ref().and_then(CpuClock::read).unwrap_or_default();
        (own + TICK * counters.children_ticks, self.peak_bytes)
    }
}

/// The file from its beginning, which for these files means: as things are now.
fn contents<'a>(file: Option<&OwnedFd>, buffer: &'a mut [u8]) -> &'a [u8] {
    let length = file.and_then(|file| rustix::io::pread(file, &mut *buffer, 0).ok()).unwrap_or(0);
    buffer.get(..length).unwrap_or_default()
}

/// Numbers after the name, which may hold anything: the first one here is field 4, after the one letter of field 3.
fn counters(stat: &[u8]) -> Option<Counters> {
    const MINOR: usize = 10;
    const MAJOR: usize = 12;
    const CHILDREN_USER: usize = 16;
    const CHILDREN_SYSTEM: usize = 17;
    const RESIDENT: usize = 24;
    let name_end = stat.iter().rposition(|byte| *byte == b')')?;
    let mut fields = [0_u64; RESIDENT + 1];
    let mut field = 2;
    for byte in stat.get(name_end + 1..)? {
        match byte {
            b' ' => field += 1,
            b'0'..=b'9' => {
                let Some(value) = fields.get_mut(field) else { break };
                *value = value.wrapping_mul(10).wrapping_add(u64::from(byte - b'0'));
            }
            _ => {}
        }
    }
    if field < RESIDENT {
        return None;
    }
    Some(Counters {
        faults: fields[MINOR].saturating_add(fields[MAJOR]),
        children_ticks: u32::try_from(fields[CHILDREN_USER].saturating_add(fields[CHILDREN_SYSTEM])).ok()?,
        resident_bytes: fields[RESIDENT].saturating_mul(PAGE_BYTES),
    })
}

/// The kibibytes of the line `VmHWM:` of proc_pid_status(5).
fn high_water_mark(status: &[u8]) -> Option<u64> {
    let status = std::str::from_utf8(status).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kilobytes.saturating_mul(1_024))
}

#[cfg(test)]
mod tests {
    use std::hint::black_box;

    use rustix::process::getpid;

    use super::{counters, high_water_mark, Counters, Meter};

    #[test]
    fn counters_are_found_whatever_the_name_holds() {
        let stat = b"71 (a) 1 2) S 1 71 71 0 -1 4194560 100 2 3 4 10 20 30 40 20 0 1 0 12 8192000 25 99 1";
        assert_eq!(counters(stat), Some(Counters { faults: 103, children_ticks: 70, resident_bytes: 25 * 4_096 }));
        assert_eq!(counters(b""), None);
        assert_eq!(counters(b"71 (a) S 1 71"), None);
    }

    #[test]
    fn the_high_water_mark_is_in_kibibytes() {
        assert_eq!(high_water_mark(b"Name:\tx\nVmHWM:\t    1024 kB\nVmRSS:\t 5 kB\n"), Some(1_048_576));
        assert_eq!(high_water_mark(b"Name:\tx\n"), None);
    }

    #[test]
    fn a_peak_that_is_over_is_still_known() {
        const BYTES: usize = 64 << 20;
        let mut meter = Meter::new(getpid());
        let (cpu_before, peak_before) = meter.read();
        assert!(peak_before > 0);
        drop(black_box(vec![1_u8; black_box(BYTES)]));
        let (cpu, peak) = meter.read();
        assert!(peak >= BYTES as u64 && peak >= peak_before, "{peak_before} {peak}");
        assert!(cpu >= cpu_before && !cpu.is_zero());
    }
}
