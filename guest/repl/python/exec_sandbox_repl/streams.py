"""Descriptors 0-2 and sys.stdin/stdout/stderr, put right before every run whatever the last one did."""

import sys
from io import BufferedReader, BufferedWriter, FileIO, TextIOWrapper
from posix import dup2, set_blocking

from .wire import duplicate_out_of_reach

__builtins__ = __builtins__.copy()


class StandardStreams:
    def __init__(self):
        self._saved = [duplicate_out_of_reach(descriptor) for descriptor in (0, 1, 2)]
        self._stdin = sys.stdin
        self._stdout = sys.stdout
        self._stderr = sys.stderr
        # Output streams as it is written, as it would on a terminal. Block buffering would hold back what
        # a program prints before it waits, and lose it when the program is killed.
        self._stdout.reconfigure(line_buffering=True)

    def restore(self):
        """Before a run: the original descriptors and working stream objects."""
        for descriptor, saved in enumerate(self._saved):
            dup2(saved, descriptor)
        # The open file behind a descriptor is shared with every process that has it, and so is O_NONBLOCK.
        set_blocking(1, True)
        set_blocking(2, True)
        if not _usable(self._stdin):
            self._stdin = TextIOWrapper(BufferedReader(FileIO(0, "r", closefd=False)), encoding="utf-8")
        if not _usable(self._stdout):
            self._stdout = _open_output(1, "surrogateescape")
        if not _usable(self._stderr):
            self._stderr = _open_output(2, "backslashreplace")
        sys.stdin = sys.__stdin__ = self._stdin
        sys.stdout = sys.__stdout__ = self._stdout
        sys.stderr = sys.__stderr__ = self._stderr

    def flush(self):
        """After a run: what user code's own stream objects and ours still hold."""
        for stream in (sys.stdout, sys.stderr):
            if stream is self._stdout or stream is self._stderr:
                continue
            try:
                stream.flush()
            except Exception:
                pass  # Not a stream, closed, or its file is full: what it holds was user code's to lose.
        self._stdout = _flush_or_discard(self._stdout)
        self._stderr = _flush_or_discard(self._stderr)

    def flush_quietly(self):
        """Before a fork, so that no buffered text is written by parent and child alike."""
        for stream in (self._stdout, self._stderr):
            try:
                stream.flush()
            except Exception:
                pass

    def write_error(self, text):
        """Writes to the stderr that user code sees, or else to descriptor 2."""
        for stream in (sys.stderr, self._stderr):
            try:
                stream.write(text)
                stream.flush()
                return
            except Exception:
                continue


def _usable(stream):
    try:
        return stream is not None and not stream.closed and stream.writable() is not None
    except Exception:
        return False  # Detached.


def _open_output(descriptor, errors):
    raw = FileIO(descriptor, "w", closefd=False)
    return TextIOWrapper(BufferedWriter(raw), encoding="utf-8", errors=errors, line_buffering=True)


def _flush_or_discard(stream):
    """The stream, or None when it can no longer deliver what it holds."""
    try:
        stream.flush()
        return stream
    except Exception:
        pass
    try:
        # A closed raw file keeps the destructor from writing stale text into the next run's output.
        stream.buffer.raw.close()
    except Exception:
        pass
    return None
