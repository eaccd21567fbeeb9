"""Fills each writable file system with data, with a sparse giant and with empty files, and prints how each ended."""

import errno
import json
import os

PLACES = ("/home/user", "/tmp", "/dev/shm")
GIANT = 10 * 1024**3
CHUNK = b"\xa5" * 1_048_576


def errno_of(action):
    try:
        action()
        return "ok"
    except OSError as error:
        return errno.errorcode[error.errno]


def fill(directory):
    """A file of 10 GiB apparent size, then data until an error."""
    path = os.path.join(directory, "giant")
    written = 0
    with open(path, "wb", buffering=0) as file:
        sparse = errno_of(lambda: file.truncate(GIANT))
        try:
            while written < GIANT:
                written += file.write(CHUNK)
            end = "never"
        except OSError as error:
            end = errno.errorcode[error.errno]
    os.unlink(path)
    return {"sparse": sparse, "written": written, "end": end}


def populate(directory, limit):
    """Empty files until an error, at most `limit`; relative to an open directory, because there are tens of thousands."""
    nest = os.path.join(directory, "nest")
    os.mkdir(nest)
    inside = os.open(nest, os.O_DIRECTORY)
    made = 0
    end = "never"
    try:
        while made < limit:
            os.mknod(str(made), 0o600, dir_fd=inside)
            made += 1
    except OSError as error:
        end = errno.errorcode[error.errno]
    for number in range(made):
        os.unlink(str(number), dir_fd=inside)
    os.close(inside)
    os.rmdir(nest)
    return {"made": made, "end": end}


def run_script(directory):
    path = os.path.join(directory, "script")
    with open(path, "w") as file:
        file.write("#!/bin/sh\nexit 0\n")
    os.chmod(path, 0o755)
    result = errno_of(lambda: os.waitpid(os.posix_spawn(path, [path], {}), 0))
    os.unlink(path)
    return result


def facts(directory):
    info = os.statvfs(directory)
    return {
        "size": info.f_blocks * info.f_frsize,
        "inodes": info.f_files,
        "owner": os.stat(directory).st_uid,
        "exec": run_script(directory),
        "fill": fill(directory),
        "populate": populate(directory, info.f_files + 1),
        "afterwards": errno_of(lambda: open(os.path.join(directory, "again"), "w").close()),
    }


def memory_total():
    with open("/proc/meminfo") as file:
        return int(file.readline().split()[1]) * 1024


report = {"memory": memory_total(), "places": {place: facts(place) for place in PLACES}}
report["mounts"] = {line.split()[1]: line.split()[2:4] for line in open("/proc/mounts")}
print(json.dumps(report))
