//! Kernel settings that hold before any user code (requirement A01).

use std::fs;
use std::io;

use crate::console;
use crate::error::{Step, StepError};

/// Path below /proc/sys and value. Where a feature is compiled out, its file is missing, and so is what it would guard.
const SYSCTLS: [(&str, &str); 27] = [
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
    // What System V objects hold stays when its maker ends, so no kill for want of memory would free it: 64 MiB of shared
    // memory (in pages), 32 queues of 16 KiB, and semaphores (per set, in all, operations per call, sets).
    ("kernel/shmall", "16384"),
    ("kernel/msgmni", "32"),
    ("kernel/sem", "250 32000 32 128"),
    // Swap is compressed memory: reading one page ahead of need is enough, and using it early costs little.
    ("vm/page-cluster", "0"),
    ("vm/swappiness", "100"),
    // What users can make the kernel say without end: crashes of theirs, and the table of tasks at each lack of memory.
    ("debug/exception-trace", "0"),
    ("vm/oom_dump_tasks", "0"),
    // Twice a second a thread of the kernel's would look whether huge pages could be made, which nobody uses here, and
    // every second another would gather counters. An idle VM should sleep, and a clone not begin with either.
    ("vm/compaction_proactiveness", "0"),
    ("vm/stat_interval", "60"),
    // The device of the network has no IPv6: a program that tries it is told so at once. The loopback interface, which is up by
    // now, keeps it.
    ("net/ipv6/conf/default/disable_ipv6", "1"),
];

/// Only messages about the kernel's own end go to the console. The UART is slow, and users can cause all others.
const QUIET_CONSOLE: (&str, &str) = ("kernel/printk", "1 4 1 7");

pub fn set(debug: bool) -> Result<(), StepError> {
    let console = (!debug).then_some(QUIET_CONSOLE);
    for (name, value) in SYSCTLS.into_iter().chain(console) {
        match fs::write(format!("/proc/sys/{name}"), value) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                console::debug(&format!("sysctl {name} is compiled out"));
            }
            result => result.step(&format!("setting {name} to {value}"))?,
        }
    }
    Ok(())
}
