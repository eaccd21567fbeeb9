"""Forked children, and functions that multiprocessing sends to them."""

import marshal
import sys
from os import register_at_fork
from types import CellType, FunctionType

__builtins__ = __builtins__.copy()


def prepare_forks(wire, streams, fence):
    """Children get nothing of the supervisor's, and text that is still buffered is written once."""
    register_at_fork(before=streams.flush_quietly, after_in_child=wire.close_in_child)
    register_at_fork(after_in_child=fence.leave_to_child)


def load_reduction(usual, module, namespace):
    """Teaches the pickler of multiprocessing what it would refuse."""
    usual(module)
    module.ForkingPickler.reducer_override = _make_reducer(namespace)


def _make_reducer(namespace):
    def reducer_override(_pickler, value):
        """Functions of the session that no name leads to travel by value: lambdas and closures.

        The receiver was forked from this process and has the same `__main__`.
        """
        if type(value) is not FunctionType or value.__globals__ is not namespace:
            return NotImplemented
        if namespace.get(value.__qualname__) is value:
            return NotImplemented
        cells = value.__closure__ or ()
        contents = [(cell.cell_contents,) if _filled(cell) else () for cell in cells]
        return rebuild_function, (
            marshal.dumps(value.__code__),
            value.__name__,
            value.__qualname__,
            value.__defaults__,
            value.__kwdefaults__,
            contents,
        )

    return reducer_override


def _filled(cell):
    try:
        cell.cell_contents
        return True
    except ValueError:
        return False


def rebuild_function(code, name, qualified_name, defaults, keyword_defaults, contents):
    """The other end of `reducer_override`, found by its name in this module."""
    cells = tuple(CellType(*content) for content in contents)
    namespace = sys.modules["__main__"].__dict__
    function = FunctionType(marshal.loads(code), namespace, name, defaults, cells)
    function.__qualname__ = qualified_name
    function.__kwdefaults__ = keyword_defaults
    return function
