"""Runs one program in the session's namespace."""

from builtins import eval
from sys import setprofile, settrace

from .compiler import compile_program

__builtins__ = __builtins__.copy()

# inspect.CO_COROUTINE: the code awaits at its top level.
CO_COROUTINE = 0x80


class Executor:
    def __init__(self, namespace, fence, display):
        self._namespace = namespace
        self._fence = fence
        self._display = display
        self._loop = None

    def execute(self, source, filename):
        """Runs the program and displays the value of its last expression. Raises what it raises."""
        programs, displays = compile_program(source, filename)
        self._fence.open()
        try:
            value = None
            for program in programs:
                value = self._evaluate(program)
            if displays and value is not None:
                self._display(value)
            self._fence.check()
        finally:
            self._fence.close()

    def _evaluate(self, program):
        self._fence.check()
        try:
            if not program.co_flags & CO_COROUTINE:
                return eval(program, self._namespace)
            return self._await(eval(program, self._namespace))
        finally:
            # A tracer or profiler of the program's would go on with the supervisor's own frames.
            settrace(None)
            setprofile(None)

    def _await(self, coroutine):
        """Runs a coroutine on the session's event loop, which lasts from call to call."""
        loop = self._event_loop()
        task = loop.create_task(coroutine)
        try:
            return loop.run_until_complete(task)
        except BaseException:
            # An interrupt between two steps of the task leaves it pending. It must not go on in a later call.
            if not task.done():
                task.cancel()
                self._settle(loop, task)
            if task.done() and not task.cancelled():
                task.exception()  # Marks it as retrieved: the error is on its way already.
            raise

    def _settle(self, loop, task):
        try:
            loop.run_until_complete(task)
        except BaseException:
            pass

    def _event_loop(self):
        if self._loop is None or self._loop.is_closed():
            import asyncio

            self._loop = asyncio.new_event_loop()
            # Programs that ask for the loop outside of a coroutine get this one.
            asyncio.set_event_loop(self._loop)
        return self._loop
