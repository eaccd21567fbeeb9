"""Runs one program in the session's namespace."""

from builtins import compile, eval
from sys import modules, setprofile, settrace

from .compiler import compile_program

__builtins__ = __builtins__.copy()

# inspect.CO_COROUTINE: the code awaits at its top level.
CO_COROUTINE = 0x80

# Loaded when pyplot asks for it, see `figures`.
FIGURE_BACKEND = f"{__package__}.matplotlib_backend"

# What dies while one of the supervisor's frames is on top, a coroutine that nobody awaited for instance, is
# reported as having died in that frame. `<sys>` is what Python calls a place that is in no program.
_LET_GO = compile("holder.clear()", "<sys>", "eval")


def let_go(holder):
    """Drops the only references to what is in the list."""
    eval(_LET_GO, {"holder": holder})


class Executor:
    def __init__(self, namespace, fence, display):
        self._namespace = namespace
        self._fence = fence
        self._display = display
        self._loop = None

    def execute(self, source, filename):
        """Runs the program and displays the value of its last expression. Raises what it raises."""
        programs, displays = compile_program(source, filename)
        if self._loop is not None:
            self._set_loop()
        self._fence.open()
        show_figures = True
        try:
            self._run(programs, displays)
        except KeyboardInterrupt:
            show_figures = False  # Its time is up, most likely, and drawing takes long.
            raise
        finally:
            try:
                if FIGURE_BACKEND in modules:
                    modules[FIGURE_BACKEND].end_run(show_figures)
                self._fence.check()
            finally:
                self._fence.close()

    def _run(self, programs, displays):
        value = None
        flags = 0
        for program in programs:
            flags |= program.co_flags
        if flags & CO_COROUTINE:
            value = self._await(programs)
        else:
            for program in programs:
                value = self._evaluate(program)
        if displays and value is not None:
            self._display(value)
            holder = [value]
            del value
            let_go(holder)

    def _evaluate(self, program):
        self._fence.check()
        try:
            return eval(program, self._namespace)
        finally:
            # A tracer or profiler of the program's would go on with the supervisor's own frames.
            settrace(None)
            setprofile(None)

    async def _evaluate_all(self, programs):
        """A program that awaits anywhere runs as one coroutine, so that all of it has a running loop."""
        value = None
        for program in programs:
            value = self._evaluate(program)
            if program.co_flags & CO_COROUTINE:
                try:
                    value = await value
                finally:
                    settrace(None)
                    setprofile(None)
        return value

    def _await(self, programs):
        """Runs the coroutine on the session's event loop, which lasts from call to call."""
        loop = self._set_loop()
        task = loop.create_task(self._evaluate_all(programs))
        try:
            return loop.run_until_complete(task)
        except BaseException as error:
            # An interrupt between two steps of the task leaves it pending. It must not go on in a later call.
            if not task.done():
                task.cancel()
                error.__traceback__ = self._settle(loop, task)
            if task.done() and not task.cancelled():
                task.exception()  # Marks it as retrieved: the error is on its way already.
            raise

    def _settle(self, loop, task):
        """Lets a cancelled task end; gives the traceback that tells where it waited."""
        try:
            loop.run_until_complete(task)
        except BaseException as error:
            return error.__traceback__

    def _set_loop(self):
        """Makes the session's loop the one that programs get who ask for it outside of a coroutine."""
        import asyncio

        if self._loop is None or self._loop.is_closed():
            self._loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self._loop)
        return self._loop
