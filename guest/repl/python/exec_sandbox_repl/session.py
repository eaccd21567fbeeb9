"""The REPL's main loop: one message after the other until the agent closes its side."""

import builtins
import sys
from _signal import SIG_BLOCK, SIG_SETMASK, pthread_sigmask, valid_signals
from posix import _exit, getpid, urandom

from . import environment, errors, processes
from .executor import Executor
from .interrupts import InterruptFence
from .sources import Sources
from .streams import StandardStreams
from .values import encode_bundle
from .wire import EXIT_PROTOCOL, Wire

__builtins__ = __builtins__.copy()

# Where docs/repl-protocol.md puts the private descriptor.
AGENT_DESCRIPTOR = 3

ALL_SIGNALS = valid_signals()
ModuleType = type(sys)
CALLABLE_BUILTINS = {name: value for name, value in vars(builtins).items() if callable(value)}


class Session:
    def __init__(self):
        self._pid = getpid()
        self._wire = Wire(AGENT_DESCRIPTOR)
        self._streams = StandardStreams()
        self._fence = InterruptFence(__package__)
        self._sources = Sources()
        self._call_entries = []
        self._main = _make_main()
        self._executor = Executor(self._main.__dict__, self._fence, self._display)

    def prepare(self):
        """Everything before the first message, and the paths every program takes, once."""
        self._fence.install()
        processes.install(self._wire, self._streams, self._main.__dict__)
        builtins.display = self._make_display()
        sys.argv[:] = [""]
        sys.path.insert(0, "")
        # The limit protects servers from numbers that strangers send. Here the program is the stranger.
        sys.set_int_max_str_digits(0)
        environment.adopt_search_path()
        # Both ways of compiling, and what a clone of a template is told first.
        for source in ("_ = 0\nNone", "_ = 0"):
            Executor({}, self._fence, self._display).execute(source, "<warm-up>")
        environment.reseed(urandom(environment.SEED_LENGTH))
        sys.modules["__main__"] = self._main
        self._wire.send(b"R")

    def serve(self):
        while True:
            try:
                message = self._wire.receive()
                if message is None:
                    return
                self._dispatch(*message)
            except Exception as error:
                # A signal handler of user code's that raised while the REPL was idle.
                errors.report(error, errors.format_error(error), self._streams)
            except BaseException:
                pass  # The same with SystemExit or KeyboardInterrupt: there is no program to end.

    def _dispatch(self, kind, payload):
        if kind == b"C":
            self._run(self._wire.begin_run(payload).decode("utf-8", "surrogateescape"))
        elif kind == b"E":
            self._call_entries.append(environment.parse_entry(payload))
        elif kind == b"S":
            entries = [environment.parse_entry(entry) for entry in payload[environment.SEED_LENGTH :].split(b"\0") if entry]
            self._sources.forget()
            environment.reseed(payload[: environment.SEED_LENGTH])
            environment.set_for_good(entries)
            self._wire.send(b"A")
        else:
            _exit(EXIT_PROTOCOL)

    def _run(self, source):
        entries, self._call_entries = self._call_entries, []
        code = 1
        previous = []
        try:
            self._streams.restore()
            sys.modules["__main__"] = self._main
            _repair_builtins()
            _forget_missing_modules()
            previous = environment.set_for_call(entries)
            code = self._report(self._execute(source))
            self._streams.flush()
        except BaseException:
            # Only a handler of user code's for some signal can raise between these steps.
            self._fence.close()
        # From here to the end of the run nothing may interrupt: a message must not be torn or sent twice.
        mask = pthread_sigmask(SIG_BLOCK, ALL_SIGNALS)
        try:
            self._end(previous, code)
        finally:
            pthread_sigmask(SIG_SETMASK, mask)

    def _execute(self, source):
        """Runs the program; gives back what it raised, or None."""
        filename = self._sources.register(source)
        try:
            self._executor.execute(source, filename)
            return None
        except BaseException as error:
            return error

    def _report(self, error):
        """Says on stderr and to the agent how the program failed, if it did. Gives the exit code."""
        if error is None:
            return 0
        if isinstance(error, SystemExit):
            code, text = errors.system_exit(error)
            if text is not None:
                self._streams.write_error(text)
            return code
        errors.strip_supervisor_frames(error)
        text = errors.format_error(error)
        self._wire.report(b"X", errors.encode_error(error, text))
        errors.report(error, text, self._streams)
        return errors.exit_code(error)

    def _end(self, previous, code):
        try:
            self._streams.flush()
            self._fence.install()
            environment.restore(previous)
        finally:
            if getpid() != self._pid:
                # A forked child that has left the program ends like a process of its own.
                _exit(code)
            self._wire.report(b"D", b"%d" % code)

    def _display(self, value):
        self._streams.flush_quietly()
        self._wire.report(b"O", encode_bundle(value))

    def _make_display(self):
        session = self

        def display(*values, **_options):
            """Adds the values to the results of this run, in their richest forms."""
            for value in values:
                session._display(value)
            session._fence.check()

        display.__module__ = "builtins"
        return display


def _make_main():
    """The namespace of user code: a real module with nothing in it that an interpreter would not put there."""
    main = ModuleType("__main__")
    main.__builtins__ = builtins
    return main


def _repair_builtins():
    """Puts back builtins that were deleted or replaced by something nobody can call.

    A program may well replace `print` for the whole session. One that sets `len` to a number did not mean
    to break every later call, and the standard library with it.
    """
    current = builtins.__dict__
    for name, value in CALLABLE_BUILTINS.items():
        if not callable(current.get(name)):
            current[name] = value


def _forget_missing_modules():
    """Lets imports see files that appeared since the last run, as importlib.invalidate_caches would.

    That function imports importlib.metadata, which takes longer than most programs.
    """
    cache = sys.path_importer_cache
    for path, finder in list(cache.items()):
        if finder is None:
            cache.pop(path, None)
        elif hasattr(finder, "invalidate_caches"):
            finder.invalidate_caches()


def serve():
    session = Session()
    session.prepare()
    session.serve()
