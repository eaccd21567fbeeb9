"""Prints, as JSON, what this process and a child it starts may do."""

import ctypes
import json
import resource
import subprocess

PR_GET_DUMPABLE = 3

FIELDS = ("Uid", "Gid", "Groups", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs")


def status(text):
    pairs = (line.split(":", 1) for line in text.splitlines() if ":" in line)
    return {name: " ".join(value.split()) for name, value in pairs if name in FIELDS}


child = subprocess.run(["cat", "/proc/self/status"], capture_output=True, text=True, check=True)
# What /proc shows of a process that is not dumpable belongs to root.
owner = subprocess.run(["stat", "--format=%u", "/proc/self/maps"], capture_output=True, text=True, check=True)
print(
    json.dumps(
        {
            "self": status(open("/proc/self/status").read()),
            "child": status(child.stdout),
            "dumpable": ctypes.CDLL(None).prctl(PR_GET_DUMPABLE, 0, 0, 0, 0),
            "child_owner": int(owner.stdout),
            "processes": resource.getrlimit(resource.RLIMIT_NPROC),
            "core": resource.getrlimit(resource.RLIMIT_CORE),
        }
    )
)
