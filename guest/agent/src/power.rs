//! The end of the VM. QEMU runs with `-no-reboot`, so a restart is the quickest way out of a machine without ACPI.

use rustix::system::{reboot, RebootCommand};

use crate::console;

/// Ends the VM after what is on the console has left it. Outside a VM (tests) it ends the process.
pub fn off() -> ! {
    console::drain();
    if rustix::process::getpid() == rustix::process::Pid::INIT {
        let _ = reboot(RebootCommand::Restart);
    }
    std::process::exit(70)
}

/// Says why, then ends the VM.
pub fn fail(reason: &str) -> ! {
    console::error(reason);
    off()
}
