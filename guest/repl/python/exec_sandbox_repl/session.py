"""The REPL's main loop: one message after the other until the agent closes its side."""

import builtins
import sys
from _signal import SIG_BLOCK, SIG_SETMASK, pthread_sigmask
from posix import _exit, getpid, urandom
from sys import modules

from . import environment, errors, processes
from .executor import Executor, let_go
from .interrupts import InterruptFence
from .late_imports import LateImports
from .repairs import Repairs
from .sources import Sources
from .streams import StandardStreams
from .values import encode_bundle, encode_raw
from .wire import ALL_SIGNALS, EXIT_PROTOCOL, Wire

__builtins__ = __builtins__.copy()

# Where docs/repl-protocol.md puts the private descriptor.
AGENT_DESCRIPTOR = 3

ModuleType = type(sys)


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
        processes.prepare_forks(self._wire, self._streams, self._fence)
        LateImports(self._additions())
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
        # Reports of errors need it. Imported now, it is in the template, and cannot be a file of the program's.
        import traceback  # noqa: F401

        self._mask = pthread_sigmask(SIG_BLOCK, ())
        self._repairs = Repairs(self._main)
        self._repairs.make()
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
                errors.strip_supervisor_frames(error)
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
            self._repairs.make()
            previous = environment.set_for_call(entries)
            failure = [self._execute(source)]
            code = self._report(failure[0])
            if failure[0] is not None:
                let_go(failure)
            self._streams.flush()
        except BaseException as error:
            # A handler of user code's for some signal raised between these steps, or something is beyond repair.
            self._fence.close()
            self._report_late(error)
        # From here to the end of the run nothing may interrupt: a message must not be torn or sent twice.
        pthread_sigmask(SIG_BLOCK, ALL_SIGNALS)
        try:
            self._end(previous, code)
        finally:
            # Not what was set before: a program that blocks SIGINT could not be interrupted in the next call.
            pthread_sigmask(SIG_SETMASK, self._mask)

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
        errors.strip_supervisor_frames(error)
        if isinstance(error, SystemExit):
            code, text = errors.system_exit(error)
            if text is not None:
                self._streams.write_error(text)
            return code
        self._sources.recall()
        text = errors.format_error(error)
        self._wire.report(b"X", errors.encode_error(error, text))
        errors.report(error, text, self._streams)
        return errors.exit_code(error)

    def _report_late(self, error):
        """Says at least on stderr why a run ends that has no program any more."""
        try:
            errors.strip_supervisor_frames(error)
            self._streams.write_error(errors.format_error(error))
        except BaseException:
            pass

    def _end(self, previous, code):
        try:
            self._streams.flush()
            self._fence.install()
            environment.restore(previous)
        finally:
            if getpid() != self._pid:
                self._end_child(code)
            self._wire.end_run(code)

    def _end_child(self, code):
        """A forked child that has left the program ends like a process of its own."""
        threading = modules.get("threading")
        try:
            pthread_sigmask(SIG_SETMASK, self._mask)
            if threading is not None:
                threading._shutdown()  # Waits for the threads that it started.
                self._streams.flush()
        finally:
            _exit(code)

    def _additions(self):
        """Module → how it is loaded here."""

        def load_reduction(usual, module):
            processes.load_reduction(usual, module, self._main.__dict__)

        def load_matplotlib(usual, module):
            from .figures import load_matplotlib

            load_matplotlib(usual, module)

        def load_figure(usual, module):
            from .figures import load_figure

            load_figure(usual, module)

        return {
            "multiprocessing.reduction": load_reduction,
            "matplotlib": load_matplotlib,
            "matplotlib.figure": load_figure,
        }

    def _display(self, value, encode=encode_bundle):
        self._streams.flush_quietly()
        self._wire.report(b"O", encode(value))

    def _make_display(self):
        session = self

        def display(*values, raw=False, **_options):
            """Adds the values to the results of this run, in their richest forms.

            With raw=True each value is a dictionary that holds these forms: MIME type -> data.
            """
            for value in values:
                session._display(value, encode_raw if raw else encode_bundle)
            session._fence.check()

        display.__module__ = "builtins"
        return display


def _make_main():
    """The namespace of user code: a real module with nothing in it that an interpreter would not put there."""
    main = ModuleType("__main__")
    main.__builtins__ = builtins
    return main


def serve():
    session = Session()
    session.prepare()
    session.serve()
