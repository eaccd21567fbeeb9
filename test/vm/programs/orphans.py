"""Leaves many orphans behind and prints how many of them are still there, as zombies, five seconds after the last ended."""

import json
import os
import select
import time

ORPHANS = 100


def orphan():
    """A grandchild whose parent is gone; its pid comes through a pipe, its end through a pidfd."""
    reader, writer = os.pipe()
    hold_reader, hold_writer = os.pipe()
    child = os.fork()
    if child == 0:
        if os.fork() == 0:
            os.close(hold_writer)
            os.write(writer, str(os.getpid()).encode())
            os.read(hold_reader, 1)
        os._exit(0)
    os.waitpid(child, 0)
    pid = int(os.read(reader, 16))
    pidfd = os.pidfd_open(pid)
    for descriptor in (reader, writer, hold_reader, hold_writer):
        os.close(descriptor)
    select.select([pidfd], [], [])
    os.close(pidfd)
    return pid


def exists(pid):
    try:
        os.kill(pid, 0)
        return True
    except ProcessLookupError:
        return False


pids = [orphan() for _ in range(ORPHANS)]
deadline = time.monotonic() + 5
while any(map(exists, pids)) and time.monotonic() < deadline:
    time.sleep(0.01)
print(json.dumps({"made": len(set(pids)), "left": sum(map(exists, pids))}))
