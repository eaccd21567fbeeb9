"""SIGINT: KeyboardInterrupt in user code while it runs, nothing at any other time."""

from _signal import SIGINT, SIGTERM, default_int_handler, getsignal, signal

__builtins__ = __builtins__.copy()


class InterruptFence:
    """Lets an interrupt through only where user code will receive it.

    Python runs signal handlers between bytecodes of whatever frame is on top. While that frame is one of
    this package's, raising would break the supervisor instead of the program, so the interrupt is noted
    and raised at the next place that expects it. This leaves no window between "the program runs" and
    "the program has ended": both are switched in frames where nothing is raised.
    """

    def __init__(self, package):
        self._package = package
        self._open = False
        self._noted = False

    def install(self):
        """Installs the handler; again after every run, because user code may have set its own."""
        signal(SIGINT, self._handle)

    def leave_to_child(self):
        """In a forked child there is no session to look after: Python's own handler, without a frame of ours."""
        if getsignal(SIGINT) == self._handle:
            signal(SIGINT, default_int_handler)

    def open(self):
        self._noted = False
        self._open = True

    def close(self):
        self._open = False

    def check(self):
        """Raises an interrupt that arrived while one of this package's frames was on top."""
        if self._open and self._noted:
            self._noted = False
            raise KeyboardInterrupt

    def _handle(self, _number, frame):
        if not self._open:
            return
        if frame is None or frame.f_globals.get("__package__") == self._package:
            self._noted = True
            return
        # A program that has a SIGTERM handler has said how it wants to be ended: the handler runs first.
        # Else a time-out, which begins with SIGINT, would end the program without it.
        terminate = getsignal(SIGTERM)
        if callable(terminate):
            terminate(SIGTERM, frame)
        raise KeyboardInterrupt
