//! Lays a filter of system calls over the calling process.

use std::io;

/// From here on the calling thread, and what it becomes or starts, has these system calls only; there is no way back. Takes
/// `no_new_privs`. Async-signal-safe.
pub fn confine(filter: &[libc::sock_filter]) -> io::Result<()> {
    // The kernel takes 4 096 instructions at most, and refuses 0.
    let len = libc::c_ushort::try_from(filter.len()).unwrap_or(0);
    let program = libc::sock_fprog { len, filter: filter.as_ptr().cast_mut() };
    // SAFETY: the kernel reads `len` instructions, which outlive the call, and writes none.
    let result = unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) };
    super::check(result).map(drop)
}

/// What a child under this filter is told when it asks to enter a namespace.
#[cfg(test)]
pub fn probe(filter: &[libc::sock_filter]) -> io::Result<i32> {
    // SAFETY: the child makes system calls on prepared memory and ends without running destructors.
    let child = unsafe { libc::fork() };
    if super::check(child)? == 0 {
        // SAFETY: as above.
        unsafe {
            libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
            let confined = confine(filter).is_ok();
            let refused = libc::setns(-1, 0) < 0;
            libc::_exit(if confined && refused { *libc::__errno_location() } else { 127 });
        }
    }
    let mut status = 0;
    // SAFETY: waits for the child that was just made, with room for its status.
    super::check(unsafe { libc::waitpid(child, &raw mut status, 0) })?;
    Ok(libc::WEXITSTATUS(status))
}
