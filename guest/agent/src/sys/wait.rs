//! Children that have ended, and their resource usage.

use std::io;
use std::time::Duration;

use rustix::process::Pid;

use super::check;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Exited(u8),
    Signaled(i32),
}

/// What the kernel says about a child that has ended.
#[derive(Clone, Copy, Debug)]
pub struct Exit {
    pub status: Status,
    /// CPU time of the process and of the children it waited for.
    pub cpu: Duration,
    pub peak_bytes: u64,
}

/// A child that has ended and has not been reaped. Its pid, and so its process group's id, cannot be given to another
/// process before `reap`.
#[must_use]
pub fn ended_child() -> Option<Pid> {
    // SAFETY: siginfo_t is plain data for which zeroes are valid, and waitid fills it; WNOWAIT leaves the child be.
    let pid = unsafe {
        let mut info: libc::siginfo_t = std::mem::zeroed();
        let options = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
        if libc::waitid(libc::P_ALL, 0, &raw mut info, options) < 0 {
            return None;
        }
        info.si_pid()
    };
    Pid::from_raw(pid)
}

/// Takes a child that has ended off the process table.
pub fn reap(pid: Pid) -> io::Result<Exit> {
    let mut status = 0;
    // SAFETY: rusage is plain data for which zeroes are valid; both pointers live through the call.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        check(libc::wait4(pid.as_raw_nonzero().get(), &raw mut status, libc::WNOHANG, &raw mut usage))?;
        usage
    };
    let status = if libc::WIFSIGNALED(status) {
        Status::Signaled(libc::WTERMSIG(status))
    } else {
        Status::Exited(u8::try_from(libc::WEXITSTATUS(status)).unwrap_or(u8::MAX))
    };
    let cpu = timeval(usage.ru_utime) + timeval(usage.ru_stime);
    let peak_bytes = u64::try_from(usage.ru_maxrss).unwrap_or(0).saturating_mul(1_024);
    Ok(Exit { status, cpu, peak_bytes })
}

fn timeval(value: libc::timeval) -> Duration {
    let micros = u64::try_from(value.tv_usec).unwrap_or(0);
    Duration::from_secs(u64::try_from(value.tv_sec).unwrap_or(0)) + Duration::from_micros(micros)
}

/// The clock that counts the CPU time of a running process, without its children.
#[derive(Clone, Copy, Debug)]
pub struct CpuClock(libc::clockid_t);

impl CpuClock {
    #[must_use]
    pub fn of(pid: Pid) -> Option<Self> {
        let mut clock: libc::clockid_t = 0;
        // SAFETY: the pointer lives through the call; a pid that is gone gives an error.
        let result = unsafe { libc::clock_getcpuclockid(pid.as_raw_nonzero().get(), &raw mut clock) };
        (result == 0).then_some(Self(clock))
    }

    /// `None` once the process has been reaped.
    #[must_use]
    pub fn read(&self) -> Option<Duration> {
        // SAFETY: timespec is plain data for which zeroes are valid, and lives through the call.
        let time = unsafe {
            let mut time: libc::timespec = std::mem::zeroed();
            if libc::clock_gettime(self.0, &raw mut time) != 0 {
                return None;
            }
            time
        };
        let seconds = Duration::from_secs(u64::try_from(time.tv_sec).ok()?);
        Some(seconds + Duration::from_nanos(u64::try_from(time.tv_nsec).ok()?))
    }
}
