//! Kernel settings that hold before any user code (requirement A01).

use std::fs;
use std::io;

use crate::console;
use crate::error::{Step, StepError};

/// Path below /proc/sys and value. Where a feature is compiled out, its file is missing, and so is what it would guard.
const SYSCTLS: [(&str, &str); 19] = [
    ("kernel/unprivileged_bpf_disabled", "2"),
    ("net/core/bpf_jit_harden", "2"),
    ("user/max_user_namespaces", "0"),
    ("kernel/unprivileged_userns_clone", "0"),
    ("kernel/kptr_restrict", "2"),
    ("kernel/dmesg_restrict", "1"),
    ("kernel/perf_event_paranoid", "3"),
    ("vm/unprivileged_userfaultfd", "0"),
    ("kernel/yama/ptrace_scope", "2"),
    ("fs/protected_symlinks", "1"),
    ("fs/protected_hardlinks", "1"),
    ("fs/protected_fifos", "2"),
    ("fs/protected_regular", "2"),
    ("fs/suid_dumpable", "0"),
    ("kernel/sysrq", "0"),
    ("kernel/threads-max", "1200"),
    ("kernel/modules_disabled", "1"),
    // Swap is compressed memory: reading one page ahead of need is enough, and using it early costs little.
    ("vm/page-cluster", "0"),
    ("vm/swappiness", "100"),
];

pub fn set() -> Result<(), StepError> {
    for (name, value) in SYSCTLS {
        match fs::write(format!("/proc/sys/{name}"), value) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                console::debug(&format!("sysctl {name} is compiled out"));
            }
            result => result.step(&format!("setting {name} to {value}"))?,
        }
    }
    Ok(())
}
