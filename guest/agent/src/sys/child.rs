//! `fork` and everything that happens in the child before it becomes the user's program.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::ptr;

use rustix::pipe::{pipe_with, PipeFlags};
use rustix::process::Pid;

use super::check;
use super::seccomp::confine;

/// What the child needs, prepared by the parent: between `fork` and `execve` nothing may allocate.
pub struct ChildPlan<'a> {
    /// Paths tried one after the other, as `execvp` does.
    pub programs: &'a [CString],
    pub argv: &'a [CString],
    pub environment: &'a [CString],
    pub cwd: &'a CStr,
    /// Descriptors that become 0, 1, 2 and, for a REPL, 3.
    pub descriptors: &'a [BorrowedFd<'a>],
    /// uid and gid to become; `None` stays what it is (tests outside a VM).
    pub identity: Option<(u32, u32)>,
    /// The system calls that the program has; `None` is all of them (tests outside a VM).
    pub filter: Option<&'a [libc::sock_filter]>,
    /// The kernel ends processes with a high value first when memory runs out.
    pub oom_score_adj: &'a CStr,
}

pub struct Forked {
    pub pid: Pid,
    /// Ends without a byte when the program runs; otherwise carries the stage and `errno` (`CHILD_FAILURE_BYTES`).
    pub report: OwnedFd,
}

/// Bytes of a failure report: the stage, then `errno`, both as native `i32`.
pub const CHILD_FAILURE_BYTES: usize = 8;
/// Above all targets of `ChildPlan::descriptors`, so that placing one cannot overwrite another's source.
const ABOVE: RawFd = 16;
pub const STAGE_PREPARE: i32 = 1;
pub const STAGE_IDENTITY: i32 = 2;
pub const STAGE_CWD: i32 = 3;
pub const STAGE_EXEC: i32 = 4;

/// Starts a child that is the leader of a session and a process group of its own.
pub fn fork_child(plan: &ChildPlan<'_>) -> io::Result<Forked> {
    let (report, failure) = pipe_with(PipeFlags::CLOEXEC)?;
    // Out of the way of the descriptors that are placed at 0 to 3.
    let failure = rustix::io::fcntl_dupfd_cloexec(failure, ABOVE)?;
    let argv = pointers(plan.argv);
    let environment = pointers(plan.environment);
    // SAFETY: the process has one thread in production, and the child calls only async-signal-safe functions on memory
    // that was prepared before, so it is sound in a process with threads (tests) as well.
    let pid = unsafe { libc::fork() };
    match check(pid)? {
        0 => {
            let (stage, errno) = become_program(plan, &argv, &environment);
            let mut message = [0_u8; CHILD_FAILURE_BYTES];
            message[..4].copy_from_slice(&stage.to_ne_bytes());
            message[4..].copy_from_slice(&errno.to_ne_bytes());
            // SAFETY: writes a buffer of ours to a descriptor of ours and ends the child without running destructors.
            unsafe {
                libc::write(failure.as_raw_fd(), message.as_ptr().cast(), message.len());
                libc::_exit(127)
            }
        }
        raw => match Pid::from_raw(raw) {
            Some(pid) => Ok(Forked { pid, report }),
            None => Err(io::ErrorKind::Other.into()),
        },
    }
}

fn pointers(strings: &[CString]) -> Vec<*const libc::c_char> {
    strings.iter().map(|string| string.as_ptr()).chain([ptr::null()]).collect()
}

fn last_errno() -> i32 {
    // SAFETY: errno's location is always valid in the calling thread.
    unsafe { *libc::__errno_location() }
}

/// Runs in the child; returns only on failure, with the stage and `errno`.
fn become_program(
    plan: &ChildPlan<'_>,
    argv: &[*const libc::c_char],
    environment: &[*const libc::c_char],
) -> (i32, i32) {
    // SAFETY: all pointers come from `CString`s and arrays that the parent prepared and that live in this copy of its
    // memory; every call is async-signal-safe.
    unsafe {
        libc::setsid();
        if !reset_signals() || !place_descriptors(plan.descriptors) {
            return (STAGE_PREPARE, last_errno());
        }
        // The agent runs at a raised priority and is never chosen by the out-of-memory killer; its children do not
        // inherit that. Written while still root, so that the user cannot lower it again (`oom_score_adj_min`).
        libc::setpriority(libc::PRIO_PROCESS, 0, 0);
        let oom = libc::open(c"/proc/self/oom_score_adj".as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
        let written = libc::write(oom, plan.oom_score_adj.as_ptr().cast(), plan.oom_score_adj.to_bytes().len());
        if written < 0 {
            return (STAGE_PREPARE, last_errno());
        }
        libc::umask(0o022);
        if let Some((uid, gid)) = plan.identity {
            // What `select` can take, and what a program may raise it to; the agent itself has more.
            let files = libc::rlimit { rlim_cur: 1_024, rlim_max: 65_536 };
            libc::setrlimit(libc::RLIMIT_NOFILE, &raw const files);
            // From uid 0 to another clears the permitted and effective capabilities; bounding and ambient sets,
            // no_new_privs, groups and limits are inherited from the agent, which gave them up at boot.
            if libc::setresgid(gid, gid, gid) < 0 || libc::setresuid(uid, uid, uid) < 0 {
                return (STAGE_IDENTITY, last_errno());
            }
        }
        if libc::chdir(plan.cwd.as_ptr()) < 0 {
            return (STAGE_CWD, last_errno());
        }
        // After the identity, and right before the program: what follows is `execve` alone.
        if plan.filter.is_some_and(|filter| confine(filter).is_err()) {
            return (STAGE_IDENTITY, last_errno());
        }
        let mut errno = libc::ENOENT;
        for program in plan.programs {
            libc::execve(program.as_ptr(), argv.as_ptr(), environment.as_ptr());
            let now = last_errno();
            match now {
                libc::ENOENT | libc::ENOTDIR => {}
                libc::EACCES => errno = now,
                _ => return (STAGE_EXEC, now),
            }
        }
        (STAGE_EXEC, errno)
    }
}

/// # Safety
/// Only in a child between `fork` and `execve`.
unsafe fn reset_signals() -> bool {
    // SAFETY: plain system calls on a zeroed set; the Rust runtime ignores SIGPIPE, and the agent blocks all signals.
    unsafe {
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::signal(libc::SIGPIPE, libc::SIG_DFL);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, ptr::null_mut()) == 0
    }
}

/// # Safety
/// Only in a child between `fork` and `execve`.
unsafe fn place_descriptors(descriptors: &[BorrowedFd<'_>]) -> bool {
    /// More descriptors than any child gets.
    const MOST: usize = 4;
    let mut copies = [-1; MOST];
    // SAFETY: descriptor calls on numbers that this process owns.
    unsafe {
        // Nothing of the agent's may leak even if one of its descriptors were not close-on-exec.
        libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC);
        for (copy, source) in copies.iter_mut().zip(descriptors) {
            *copy = libc::fcntl(source.as_raw_fd(), libc::F_DUPFD_CLOEXEC, ABOVE);
            if *copy < 0 {
                return false;
            }
        }
        for (target, copy) in copies.iter().take(descriptors.len()).enumerate() {
            let Ok(target) = libc::c_int::try_from(target) else {
                return false;
            };
            if libc::dup2(*copy, target) < 0 {
                return false;
            }
        }
    }
    true
}
