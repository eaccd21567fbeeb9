"""The private descriptor: messages between the agent and this REPL."""

from _signal import SIG_BLOCK, SIG_SETMASK, pthread_sigmask, valid_signals
from _thread import RLock
from fcntl import F_DUPFD_CLOEXEC, fcntl
from posix import _exit, close, getpid, read, write

__builtins__ = __builtins__.copy()

# Limits of docs/repl-protocol.md: towards the REPL (a program is at most 1 MiB of UTF-8), and from it.
RECEIVE_LIMIT = 2_097_152
SEND_LIMIT = 524_288

# A program comes with a mark, and what is said about its run begins with it.
MARK_LENGTH = 16

# Descriptors from here on are out of the way of user code, which gets the lowest free one, and still
# below the usual limit of 1 024.
PRIVATE_DESCRIPTOR_BASE = 900

ALL_SIGNALS = valid_signals()

# sysexits.h EX_PROTOCOL: the agent broke the format or went away in the middle of a message.
EXIT_PROTOCOL = 76


def duplicate_out_of_reach(descriptor):
    """A close-on-exec duplicate with a high number."""
    return fcntl(descriptor, F_DUPFD_CLOEXEC, PRIVATE_DESCRIPTOR_BASE)


class Wire:
    def __init__(self, descriptor):
        self._descriptor = duplicate_out_of_reach(descriptor)
        close(descriptor)
        self._owner = getpid()
        self._pending = b""
        self._mark = b""
        # Threads may display something at the same time.
        self._sending = RLock()

    def close_in_child(self):
        """Called in a forked child, which must neither read the agent's messages nor answer them."""
        try:
            close(self._descriptor)
        except OSError:
            pass  # User code had closed it.
        self._descriptor = -1

    def receive(self):
        """The next (kind, payload); None once the agent has closed its side between two messages.

        A handler that user code installed may raise in here while the REPL is idle. What has been read
        stays in `_pending`, so calling again continues where it stopped.
        """
        while len(self._pending) < 5:
            if not self._fill():
                if self._pending:
                    _exit(EXIT_PROTOCOL)
                return None
        length = int.from_bytes(self._pending[1:5], "little")
        if length > RECEIVE_LIMIT:
            _exit(EXIT_PROTOCOL)
        while len(self._pending) < 5 + length:
            if not self._fill():
                _exit(EXIT_PROTOCOL)
        kind = self._pending[:1]
        payload = self._pending[5 : 5 + length]
        self._pending = self._pending[5 + length :]
        return kind, payload

    def _fill(self):
        try:
            data = read(self._descriptor, 65_536)
        except OSError:
            _exit(EXIT_PROTOCOL)  # Closed by a thread of the program's: there is nobody left to talk to.
        self._pending += data
        return data != b""

    def begin_run(self, payload):
        """Takes the mark off a `C` message; gives the source."""
        self._mark = payload[:MARK_LENGTH]
        return payload[MARK_LENGTH:]

    def report(self, kind, payload):
        """Sends a message about the run. No handler of user code's for some signal may raise in the middle of it."""
        mask = pthread_sigmask(SIG_BLOCK, ALL_SIGNALS)
        try:
            self.send(kind, self._mark + payload)
        finally:
            pthread_sigmask(SIG_SETMASK, mask)

    def end_run(self, code):
        """Sends the last message of the run; the signals are blocked."""
        if not self.send(b"D", self._mark + b"%d" % code):
            # The program closed the private descriptor. The end of the process tells the agent as much.
            _exit(code)

    def send(self, kind, payload=b""):
        """Sends a message, and tells whether it could. Only the process that the agent started may speak."""
        if getpid() != self._owner:
            return False
        message = kind + len(payload).to_bytes(4, "little") + payload
        offset = 0
        try:
            with self._sending:
                while offset < len(message):
                    offset += write(self._descriptor, message[offset : offset + 65_536])
        except OSError:
            return False
        return True
