//! Lines on the console (the UART), which the host shows as boot log. Each byte costs the guest an exit to QEMU, so
//! only errors are written unless the host asked for more.

use std::sync::OnceLock;
use std::time::Duration;

use rustix::stdio::stderr;

/// Written once, when the kernel command line has been read.
static DEBUG: OnceLock<bool> = OnceLock::new();

pub fn set_debug(debug: bool) {
    // A second call would be a defect without harm: the first value stays.
    let _ = DEBUG.set(debug);
}

fn is_debug() -> bool {
    DEBUG.get().copied().unwrap_or(false)
}

fn write_line(line: &str) {
    // The console is non-blocking: a host that does not read loses lines, it does not stop the guest.
    let _ = rustix::io::write(stderr(), format!("{line}\n").as_bytes());
}

/// What the host must see.
pub fn error(message: &str) {
    write_line(&format!("[agent] {message}"));
}

/// What helps a person looking for a fault.
pub fn debug(message: &str) {
    if is_debug() {
        write_line(&format!("[agent] {message}"));
    }
}

/// The answer to `exec_sandbox.probe`.
pub fn probe_ok() {
    write_line("[probe] ok");
}

/// How long a phase of the boot took.
pub fn timing(phase: &str, took: Duration) {
    if is_debug() {
        write_line(&format!("[timing] phase={phase} ms={:.1}", took.as_secs_f64() * 1_000.0));
    }
}

/// Waits until the UART has sent what was written.
pub fn drain() {
    let _ = rustix::termios::tcdrain(stderr());
}
