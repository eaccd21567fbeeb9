//! The entry of a program that is started often and runs for a moment. Rust's own looks at the stack's limits through /proc and sets
//! up a handler for its overflow: two thirds of all system calls of such a program.
#![allow(unsafe_code)]

/// Called by the C library's start code. `std` has the arguments from a constructor of its own.
#[unsafe(no_mangle)]
extern "C" fn main() -> libc::c_int {
    // SAFETY: a plain system call. A write to a pipe that nobody reads becomes an error.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
    crate::run().into()
}
