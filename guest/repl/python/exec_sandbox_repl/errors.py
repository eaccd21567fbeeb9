"""What an exception that ends a program means: exit code, text on stderr, `X` message."""

import sys
from sys import getrecursionlimit, setrecursionlimit

from .sources import is_input
from .values import encode_text, shorten

__builtins__ = __builtins__.copy()

# Characters kept of each field of an `X` message: at six bytes each in JSON they fit it together.
NAME_LIMIT = 256
MESSAGE_LIMIT = 16_384
TRACEBACK_LIMIT = 65_536

# What a shell reports for a program that SIGINT ended: 128 + 2.
EXIT_INTERRUPTED = 130

# The interpreter's own. Code that sets a lower one for the session does not mean the report of its errors.
RECURSION_LIMIT = 1_000

_default_excepthook = sys.__excepthook__


def system_exit(error):
    """(exit code, text for stderr or None), by the rules of sys.exit."""
    code = error.code
    if code is None:
        return 0, None
    if isinstance(code, int):
        return int(code) & 0xFF, None
    try:
        return 1, f"{code}\n"
    except Exception:
        return 1, None


def exit_code(error):
    return EXIT_INTERRUPTED if isinstance(error, KeyboardInterrupt) else 1


def strip_supervisor_frames(error):
    """Drops what lies above the program's own first frame, and the supervisor's frames below it."""
    first = error.__traceback__
    while first is not None and not is_input(first.tb_frame.f_code.co_filename):
        first = first.tb_next
    entry = first
    while entry is not None:
        following = entry.tb_next
        while following is not None and following.tb_frame.f_globals.get("__package__") == __package__:
            following = following.tb_next
        entry.tb_next = following
        entry = following
    try:
        error.__traceback__ = first
    except Exception:
        pass  # A class may refuse attributes; then its traceback stays as it is.


def format_error(error):
    """The traceback's text. Works, if less well, when user code broke the library that formats it."""
    limit = getrecursionlimit()
    try:
        from traceback import TracebackException

        if limit < RECURSION_LIMIT:
            setrecursionlimit(RECURSION_LIMIT)
        return "".join(TracebackException(type(error), error, error.__traceback__, compact=True).format())
    except BaseException:
        return _format_plainly(error)
    finally:
        setrecursionlimit(limit)


def encode_error(error, text):
    """The payload of an `X` message."""
    return b'{"name": %b, "message": %b, "traceback": %b}' % (
        encode_text(shorten(_type_name(error), NAME_LIMIT)),
        encode_text(shorten(_message(error), MESSAGE_LIMIT)),
        encode_text(shorten(text, TRACEBACK_LIMIT)),
    )


def report(error, text, streams):
    """Shows an uncaught error: through the program's own sys.excepthook if it has set one."""
    hook = getattr(sys, "excepthook", None)
    if hook is not _default_excepthook and callable(hook):
        try:
            hook(type(error), error, error.__traceback__)
            return
        except BaseException:
            pass  # As in the interpreter: a failing hook does not hide the error.
    streams.write_error(text)


def _type_name(error):
    return type.__dict__["__name__"].__get__(type(error))  # A metaclass may have a `__name__` of its own.


def _message(error):
    try:
        return str(error)
    except BaseException:
        return "<unprintable>"


def _format_plainly(error):
    lines = ["Traceback (most recent call last):\n"]
    entry = error.__traceback__
    while entry is not None and len(lines) < 200:
        code = entry.tb_frame.f_code
        lines.append(f'  File "{code.co_filename}", line {entry.tb_lineno}, in {code.co_name}\n')
        entry = entry.tb_next
    lines.append(f"{_type_name(error)}: {_message(error)}\n")
    return "".join(lines)
