"""Tries every way to change what /etc says and prints how each ended, with the contents before and after."""

import ctypes
import errno
import json
import os

HOME = "/home/user"
libc = ctypes.CDLL(None, use_errno=True)


def errno_of(action):
    try:
        action()
        return "ok"
    except OSError as error:
        return errno.errorcode[error.errno]


def fresh(name):
    path = os.path.join(HOME, name)
    with open(path, "w") as file:
        file.write("6.6.6.6 everything\n")
    return path


def bind(source, target):
    if libc.mount(source.encode(), target.encode(), None, 4096, None) != 0:
        raise OSError(ctypes.get_errno(), "mount")


def append(path):
    with open(path, "a") as file:
        file.write("6.6.6.6 everything\n")


def tricks(path):
    directory = os.path.dirname(path)
    return {
        "append": errno_of(lambda: append(path)),
        "truncate": errno_of(lambda: os.truncate(path, 0)),
        "rename over": errno_of(lambda: os.rename(fresh("new"), path)),
        "rename away": errno_of(lambda: os.rename(path, path + ".old")),
        "unlink": errno_of(lambda: os.unlink(path)),
        "bind": errno_of(lambda: bind(fresh("bound"), path)),
        "symlink beside": errno_of(lambda: os.symlink("/home/user/x", os.path.join(directory, "link"))),
        "hardlink out": errno_of(lambda: os.link(path, os.path.join(HOME, "hard"), follow_symlinks=True)),
        "hardlink in": errno_of(lambda: os.link(fresh("in"), os.path.join(directory, "hard"))),
        "chmod": errno_of(lambda: os.chmod(path, 0o666)),
        "chown": errno_of(lambda: os.chown(path, 1000, 1000)),
        "create beside": errno_of(lambda: open(os.path.join(directory, "created"), "x").close()),
        "rename directory": errno_of(lambda: os.rename(directory, directory + ".old")),
    }


def content(path):
    with open(path, "rb") as file:
        return file.read().hex()


NAMES = ("hosts", "resolv.conf", "hostname", "machine-id", "passwd")
paths = {path for name in NAMES for path in (f"/etc/{name}", os.path.realpath(f"/etc/{name}"))}
before = {path: content(path) for path in paths}
attempts = {path: tricks(path) for path in sorted(paths)}
print(json.dumps({"attempts": attempts, "unchanged": before == {path: content(path) for path in paths}}))
