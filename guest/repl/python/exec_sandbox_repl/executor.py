"""Compiles and runs one program in the session's namespace."""

from _ast import Expr, Expression, Module, PyCF_ALLOW_TOP_LEVEL_AWAIT, PyCF_ONLY_AST
from builtins import compile, eval
from sys import setprofile, settrace

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
        tree = compile(source, filename, "exec", PyCF_ONLY_AST | PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
        last = None
        if tree.body and type(tree.body[-1]) is Expr:
            last = Expression(tree.body.pop().value)
        statements = Module(tree.body, tree.type_ignores)
        programs = []
        if tree.body:
            programs.append(_compile(statements, filename, "exec", 0))
        if last is not None:
            programs.append(_compile(last, filename, "eval", _future_flags(programs)))
        self._fence.open()
        try:
            value = None
            for program in programs:
                value = self._evaluate(program)
            if last is not None and value is not None:
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


def _compile(tree, filename, mode, flags):
    return compile(tree, filename, mode, PyCF_ALLOW_TOP_LEVEL_AWAIT | flags, dont_inherit=True)


# The compiler flags of __future__, division (0x2_0000) to annotations (0x100_0000), as they stand in co_flags.
FUTURE_MASK = 0x01FE_0000


def _future_flags(programs):
    """The last expression is compiled apart and follows the `from __future__` of its own program."""
    return programs[0].co_flags & FUTURE_MASK if programs else 0
