"""Looks at /proc and /dev as a curious program would, and prints what it found as JSON."""

import errno
import json
import os
import pty
import stat

HIDDEN = ("cmdline", "kallsyms", "keys", "timer_list", "interrupts", "version", "kcore", "kmsg", "sched_debug", "modules")
REFUSED = ("mem", "kmem", "port", "kvm", "loop0", "loop-control", "fuse", "net/tun", "hvc0", "ttyS0", "console", "kmsg", "vda", "zram0")


def errno_of(action):
    try:
        action()
        return "ok"
    except OSError as error:
        return errno.errorcode[error.errno]


def content(path):
    try:
        with open(path, "rb") as file:
            return f"{len(file.read(4096))} bytes"
    except OSError as error:
        return errno.errorcode[error.errno]


def try_open(path, flags=os.O_RDWR):
    return errno_of(lambda: os.close(os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY)))


def every_node():
    for directory, _, names in os.walk("/dev"):
        for name in names:
            path = os.path.join(directory, name)
            yield path, os.lstat(path).st_mode


def terminal():
    """What a child with a terminal of its own gets through /dev/tty."""
    pid, master = pty.fork()
    if pid == 0:
        os._exit(0 if try_open("/dev/tty") == "ok" else 1)
    # Closing the other side earlier would hang the terminal up.
    status = os.waitpid(pid, 0)[1]
    os.close(master)
    return os.waitstatus_to_exitcode(status)


nodes = list(every_node())
print(
    json.dumps(
        {
            "mounts": {line.split()[1]: line.split()[3].split(",") for line in open("/proc/mounts")},
            "hidden": {name: content(f"/proc/{name}") for name in HIDDEN},
            "visible": sorted(int(name) for name in os.listdir("/proc") if name.isdigit()),
            "own": os.getpid(),
            "init": content("/proc/1/status"),
            "sysctl": try_open("/proc/sys/kernel/hostname", os.O_WRONLY),
            "sysrq": try_open("/proc/sysrq-trigger", os.O_WRONLY),
            "block": [path for path, mode in nodes if stat.S_ISBLK(mode)],
            "ports": {path: try_open(path) for path, _ in nodes if "vport" in path},
            "refused": {name: try_open(f"/dev/{name}") for name in REFUSED},
            "create": errno_of(lambda: os.close(os.open("/dev/new", os.O_CREAT | os.O_WRONLY))),
            "mknod": errno_of(lambda: os.mknod("/home/user/null", 0o666 | stat.S_IFCHR, os.makedev(1, 3))),
            "mkblock": errno_of(lambda: os.mknod("/home/user/disk", 0o666 | stat.S_IFBLK, os.makedev(254, 0))),
            "null": open("/dev/null", "r+b", buffering=0).read(1).hex(),
            "zero": open("/dev/zero", "rb").read(4).hex(),
            "full": errno_of(lambda: os.write(os.open("/dev/full", os.O_WRONLY), b"x")),
            "random": len(os.read(os.open("/dev/random", os.O_RDONLY), 16)),
            "urandom": len(os.read(os.open("/dev/urandom", os.O_RDONLY), 16)),
            "shm": errno_of(lambda: open("/dev/shm/x", "w").close()),
            "terminal": terminal(),
        }
    )
)
