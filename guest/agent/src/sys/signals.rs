//! Signals as a descriptor: the agent handles none of them asynchronously.

use std::io;
use std::os::fd::{FromRawFd, OwnedFd};
use std::ptr;

use rustix::process::Pid;

use super::check;

/// Blocks all signals of the calling thread and gives a descriptor that is readable when a child has ended.
pub fn child_signals() -> io::Result<OwnedFd> {
    // SAFETY: the sets are initialized by sigfillset/sigemptyset before use; the new descriptor is ours alone.
    unsafe {
        let mut all: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&raw mut all);
        check(libc::sigprocmask(libc::SIG_SETMASK, &raw const all, ptr::null_mut()))?;
        let mut child: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut child);
        libc::sigaddset(&raw mut child, libc::SIGCHLD);
        let descriptor = check(libc::signalfd(-1, &raw const child, libc::SFD_NONBLOCK | libc::SFD_CLOEXEC))?;
        Ok(OwnedFd::from_raw_fd(descriptor))
    }
}

/// While it lives, the signals that ask a program to end wait.
pub struct HeldInterrupts {
    before: libc::sigset_t,
}

impl HeldInterrupts {
    #[must_use]
    pub fn hold() -> Self {
        // SAFETY: the sets are initialized by sigemptyset, the old one by sigprocmask or, should that fail, by sigemptyset.
        unsafe {
            let mut before: libc::sigset_t = std::mem::zeroed();
            libc::sigemptyset(&raw mut before);
            let mut asking = before;
            for signal in [libc::SIGHUP, libc::SIGINT, libc::SIGTERM] {
                libc::sigaddset(&raw mut asking, signal);
            }
            libc::sigprocmask(libc::SIG_BLOCK, &raw const asking, &raw mut before);
            Self { before }
        }
    }
}

impl Drop for HeldInterrupts {
    fn drop(&mut self) {
        // SAFETY: a set that `hold` has initialized.
        unsafe {
            libc::sigprocmask(libc::SIG_SETMASK, &raw const self.before, ptr::null_mut());
        }
    }
}

/// Sends a signal to a process group; false when nobody received it.
#[must_use]
pub fn signal_group(leader: Pid, signal: i32) -> bool {
    // SAFETY: a plain system call on numbers.
    unsafe { libc::kill(-leader.as_raw_nonzero().get(), signal) == 0 }
}

/// Sends a signal to one process; false when it is gone.
#[must_use]
pub fn signal_process(pid: Pid, signal: i32) -> bool {
    // SAFETY: a plain system call on numbers.
    unsafe { libc::kill(pid.as_raw_nonzero().get(), signal) == 0 }
}
