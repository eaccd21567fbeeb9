"""Descriptors 0-2 and sys.stdin/stdout/stderr, put right before every run whatever the last one did."""

import sys
from io import BufferedReader, BufferedWriter, FileIO, TextIOWrapper
from posix import dup2, set_blocking

from .wire import duplicate_out_of_reach

__builtins__ = __builtins__.copy()

# As Python itself begins, in UTF-8 mode.
ENCODING = "utf-8"
STDOUT_ERRORS = "surrogateescape"
STDERR_ERRORS = "backslashreplace"


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
        # First of all, what the last program put in their place dies: closing a stream of its own may close a
        # descriptor, or the buffer that it took from one of ours.
        self._install()
        for descriptor, saved in enumerate(self._saved):
            dup2(saved, descriptor)
        # The open file behind a descriptor is shared with every process that has it, and so is O_NONBLOCK.
        set_blocking(1, True)
        set_blocking(2, True)
        if not _usable_input(self._stdin):
            self._stdin = TextIOWrapper(BufferedReader(FileIO(0, "r", closefd=False)), encoding=ENCODING)
        if not _usable_output(self._stdout, STDOUT_ERRORS):
            self._stdout = _open_output(1, STDOUT_ERRORS)
        if not _usable_output(self._stderr, STDERR_ERRORS):
            self._stderr = _open_output(2, STDERR_ERRORS)
        self._install()

    def _install(self):
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
            except BaseException:
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


def _usable_input(stream):
    try:
        return not stream.closed and stream.writable() is not None
    except Exception:
        return False  # None, or detached.


def _usable_output(stream, errors):
    try:
        if stream.closed or not stream.writable():
            return False
        if stream.encoding != ENCODING or not stream.line_buffering:
            stream.reconfigure(encoding=ENCODING, errors=errors, line_buffering=True)
        return True
    except Exception:
        return False


def _open_output(descriptor, errors):
    raw = FileIO(descriptor, "w", closefd=False)
    return TextIOWrapper(BufferedWriter(raw), encoding=ENCODING, errors=errors, line_buffering=True)


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
