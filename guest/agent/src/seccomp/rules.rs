//! What no program of the user needs, by group and reason. A call that nobody may make by its rights alone is listed all the
//! same: the filter answers before the kernel's code for it runs, so a defect there is out of reach.

use std::ffi::c_long;

use libc::{ENOSYS, EPERM};

/// What happens to a system call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Allow,
    Deny(i32),
    /// Denied with `EPERM` when the lower half of the first argument has any of these bits.
    DenyBits(u32),
    /// Denied with `EPERM` unless the lower half of the first argument is one of these. The kernel looks at that half only.
    AllowValues(&'static [u32]),
}

/// The highest number of a call that these rules were written for: `mseal`, of Linux 6.12. What comes later is `ENOSYS` until
/// somebody has looked at it, and so are the x32 calls, which have bit 30 set.
pub const HIGHEST_CALL: c_long = 462;

/// Every namespace in `unshare`.
const NAMESPACES: u32 = CLONE_NAMESPACES | 0x80;
/// Every namespace in `clone`, where `CLONE_NEWTIME` (0x80) would be part of the exit signal: mount, cgroup, UTS, IPC, user, PID, network.
const CLONE_NAMESPACES: u32 = 0x7e02_0000;
/// Linux, a 32-bit or an older Linux as far as `uname` tells, and the question which one it is. Not among them: what takes
/// randomization or page protections away.
const PERSONALITIES: &[u32] = &[0, 0x8, 0x2_0000, 0x2_0008, 0xffff_ffff];

const REFUSED: Verdict = Verdict::Deny(EPERM);
/// For what programs try and do without, or have another way for: libraries take this for an older kernel.
const ABSENT: Verdict = Verdict::Deny(ENOSYS);

pub const RULES: &[(c_long, Verdict)] = &[
    // The file tree is the agent's to make.
    (libc::SYS_mount, REFUSED),
    (libc::SYS_umount2, REFUSED),
    (libc::SYS_pivot_root, REFUSED),
    (libc::SYS_chroot, REFUSED),
    (libc::SYS_open_tree, REFUSED),
    (libc::SYS_move_mount, REFUSED),
    (libc::SYS_fsopen, REFUSED),
    (libc::SYS_fsconfig, REFUSED),
    (libc::SYS_fsmount, REFUSED),
    (libc::SYS_fspick, REFUSED),
    (libc::SYS_mount_setattr, REFUSED),
    (libc::SYS_swapon, REFUSED),
    (libc::SYS_swapoff, REFUSED),
    (libc::SYS_quotactl, REFUSED),
    (libc::SYS_quotactl_fd, REFUSED),
    // Files by handle go around the directories that lead to them; fanotify watches whole file systems.
    (libc::SYS_name_to_handle_at, REFUSED),
    (libc::SYS_open_by_handle_at, REFUSED),
    (libc::SYS_fanotify_init, REFUSED),
    (libc::SYS_fanotify_mark, REFUSED),
    // Code and keys of the kernel's.
    (libc::SYS_init_module, REFUSED),
    (libc::SYS_finit_module, REFUSED),
    (libc::SYS_delete_module, REFUSED),
    (libc::SYS_kexec_load, REFUSED),
    (libc::SYS_kexec_file_load, REFUSED),
    (libc::SYS_bpf, REFUSED),
    (libc::SYS_add_key, REFUSED),
    (libc::SYS_request_key, REFUSED),
    (libc::SYS_keyctl, REFUSED),
    // The machine, its clock, names, ports and log.
    (libc::SYS_reboot, REFUSED),
    (libc::SYS_settimeofday, REFUSED),
    (libc::SYS_clock_settime, REFUSED),
    (libc::SYS_adjtimex, REFUSED),
    (libc::SYS_clock_adjtime, REFUSED),
    (libc::SYS_sethostname, REFUSED),
    (libc::SYS_setdomainname, REFUSED),
    (libc::SYS_iopl, REFUSED),
    (libc::SYS_ioperm, REFUSED),
    (libc::SYS_syslog, REFUSED),
    (libc::SYS_acct, REFUSED),
    (libc::SYS_vhangup, REFUSED),
    // Other processes' memory, descriptors and state. Yama refuses a debugger anyway.
    (libc::SYS_ptrace, REFUSED),
    (libc::SYS_process_vm_readv, REFUSED),
    (libc::SYS_process_vm_writev, REFUSED),
    (libc::SYS_process_madvise, REFUSED),
    (libc::SYS_process_mrelease, REFUSED),
    (libc::SYS_pidfd_getfd, REFUSED),
    (libc::SYS_kcmp, REFUSED),
    (libc::SYS_migrate_pages, REFUSED),
    (libc::SYS_move_pages, REFUSED),
    // Subsystems with a long record of defects.
    (libc::SYS_perf_event_open, REFUSED),
    (libc::SYS_userfaultfd, REFUSED),
    (libc::SYS_io_uring_setup, ABSENT),
    (libc::SYS_io_uring_enter, ABSENT),
    (libc::SYS_io_uring_register, ABSENT),
    // Namespaces. A filter cannot read the flags of `clone3`, which stand in memory; without it glibc takes `clone`.
    (libc::SYS_setns, REFUSED),
    (libc::SYS_unshare, Verdict::DenyBits(NAMESPACES)),
    (libc::SYS_clone, Verdict::DenyBits(CLONE_NAMESPACES)),
    (libc::SYS_clone3, ABSENT),
    (libc::SYS_personality, Verdict::AllowValues(PERSONALITIES)),
    // Remains of older kernels.
    (libc::SYS_modify_ldt, ABSENT),
    (libc::SYS_lookup_dcookie, ABSENT),
    (libc::SYS_uselib, ABSENT),
    (libc::SYS_sysfs, ABSENT),
    (libc::SYS__sysctl, ABSENT),
    (libc::SYS_nfsservctl, ABSENT),
];

/// What the rules say of a call, from 64-bit code.
pub fn verdict(rules: &[(c_long, Verdict)], highest: c_long, call: c_long) -> Verdict {
    if call < 0 || call > highest {
        return ABSENT;
    }
    rules.iter().find(|(number, _)| *number == call).map_or(Verdict::Allow, |(_, verdict)| *verdict)
}
