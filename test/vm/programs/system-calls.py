"""Makes each system call that no program needs, raw, and prints its errno as JSON.

The arguments are such that a kernel without a filter has another answer than the filter, wherever it looks at them before it
looks at the caller's rights: bad addresses, bad descriptors, unknown flags.
"""

import ctypes
import errno
import json
import os

libc = ctypes.CDLL(None, use_errno=True)

NUMBERS = {
    "mount": 165,
    "umount2": 166,
    "pivot_root": 155,
    "chroot": 161,
    "open_tree": 428,
    "move_mount": 429,
    "fsopen": 430,
    "fsconfig": 431,
    "fsmount": 432,
    "fspick": 433,
    "mount_setattr": 442,
    "swapon": 167,
    "swapoff": 168,
    "quotactl": 179,
    "quotactl_fd": 443,
    "name_to_handle_at": 303,
    "open_by_handle_at": 304,
    "fanotify_init": 300,
    "fanotify_mark": 301,
    "init_module": 175,
    "finit_module": 313,
    "delete_module": 176,
    "kexec_load": 246,
    "kexec_file_load": 320,
    "bpf": 321,
    "add_key": 248,
    "request_key": 249,
    "keyctl": 250,
    "reboot": 169,
    "settimeofday": 164,
    "clock_settime": 227,
    "adjtimex": 159,
    "clock_adjtime": 305,
    "sethostname": 170,
    "setdomainname": 171,
    "iopl": 172,
    "ioperm": 173,
    "syslog": 103,
    "acct": 163,
    "vhangup": 153,
    "ptrace": 101,
    "process_vm_readv": 310,
    "process_vm_writev": 311,
    "process_madvise": 440,
    "process_mrelease": 448,
    "pidfd_getfd": 438,
    "kcmp": 312,
    "migrate_pages": 256,
    "move_pages": 279,
    "perf_event_open": 298,
    "userfaultfd": 323,
    "io_uring_setup": 425,
    "io_uring_enter": 426,
    "io_uring_register": 427,
    "setns": 308,
    "clone3": 435,
    "modify_ldt": 154,
    "lookup_dcookie": 212,
    "uselib": 134,
    "sysfs": 139,
    "_sysctl": 156,
    "later than Linux 6.12": 463,
    "x32 getpid": 0x40000000 | 39,
    "x32 execve": 0x40000000 | 520,
}

NAMESPACES = {
    "time": 0x00000080,
    "mount": 0x00020000,
    "cgroup": 0x02000000,
    "uts": 0x04000000,
    "ipc": 0x08000000,
    "user": 0x10000000,
    "pid": 0x20000000,
    "network": 0x40000000,
}

PERSONALITIES = {
    "linux": 0,
    "older": 0x0020000,
    "not random": 0x0040000,
    "page 0": 0x0100000,
    "executable data": 0x0400000,
    "BSD": 0x0000006,
}


def call(number, *arguments):
    ctypes.set_errno(0)
    result = libc.syscall(ctypes.c_long(number), *map(ctypes.c_long, arguments))
    return "ok" if result >= 0 else errno.errorcode[ctypes.get_errno()]


def clone(flags):
    """A child that is made after all ends at once."""
    ctypes.set_errno(0)
    child = libc.syscall(ctypes.c_long(56), ctypes.c_long(flags | 17), *[ctypes.c_long(0)] * 4)
    if child == 0:
        os._exit(0)
    if child < 0:
        return errno.errorcode[ctypes.get_errno()]
    os.waitpid(child, 0)
    return "ok"


WRONG = [-1] * 6

print(
    json.dumps(
        {
            "calls": {name: call(number, *WRONG) for name, number in NUMBERS.items()},
            "clone": {name: clone(flag) for name, flag in NAMESPACES.items() if name != "time"},
            "unshare": {name: call(272, flag) for name, flag in NAMESPACES.items()},
            "personality": {name: call(135, value) for name, value in PERSONALITIES.items()},
            # What must keep working, so that an answer of "no" to everything is no success.
            "control": {
                "getpid": call(39),
                "fork": clone(0),
                "unshare files": call(272, 0x400),
                "personality": call(135, 0xFFFFFFFF),
            },
        }
    )
)
