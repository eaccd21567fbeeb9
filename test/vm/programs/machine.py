"""Prints, as JSON, what the kernel says about itself and its devices. A file that cannot be read gives its errno."""

import errno
import json
import os

SYSCTLS = json.loads(os.environ["SYSCTLS"])


def content(path):
    try:
        with open(path) as file:
            return file.read().strip()
    except OSError as error:
        return errno.errorcode[error.errno]


def drivers():
    """Bus → device → the driver bound to it, for devices that have one."""
    for bus in sorted(os.listdir("/sys/bus")):
        directory = f"/sys/bus/{bus}/devices"
        for device in sorted(os.listdir(directory)) if os.path.isdir(directory) else []:
            link = f"{directory}/{device}/driver"
            if os.path.islink(link):
                yield f"{bus}:{device}", os.path.basename(os.readlink(link))


VULNERABILITIES = "/sys/devices/system/cpu/vulnerabilities"
paths = {name: "/proc/sys/" + name.replace(".", "/") for name in SYSCTLS}
print(
    json.dumps(
        {
            "sysctls": {name: content(path) for name, path in paths.items()},
            "buses": sorted(os.listdir("/sys/bus")),
            "drivers": dict(drivers()),
            "classes": sorted(os.listdir("/sys/class")),
            "network": sorted(os.listdir("/sys/class/net")),
            "flags": sorted({flag for line in open("/proc/cpuinfo") if line.startswith("flags") for flag in line.split()[2:]}),
            "vulnerabilities": {name: content(f"{VULNERABILITIES}/{name}") for name in sorted(os.listdir(VULNERABILITIES))},
        }
    )
)
