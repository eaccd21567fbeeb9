"""Forked children, and functions that multiprocessing sends to them."""

import marshal
import sys
from os import register_at_fork
from types import CellType, FunctionType

__builtins__ = __builtins__.copy()


def install(wire, streams, namespace):
    """Children get nothing of the supervisor's, and text that is still buffered is written once."""
    register_at_fork(before=streams.flush_quietly, after_in_child=wire.close_in_child)
    sys.meta_path.insert(0, _MultiprocessingHook(namespace))


class _MultiprocessingHook:
    """Waits for multiprocessing.reduction to be imported, teaches its pickler, and is gone.

    Most programs never import it, and importing it ahead of need would cost each of them.
    """

    def __init__(self, namespace):
        self._namespace = namespace

    def find_spec(self, name, path, target=None):
        if name != "multiprocessing.reduction":
            return None
        sys.meta_path.remove(self)
        for finder in sys.meta_path:
            spec = finder.find_spec(name, path, target)
            if spec is not None:
                break
        else:
            return None
        namespace = self._namespace
        execute = spec.loader.exec_module

        def exec_module(module):
            execute(module)
            module.ForkingPickler.reducer_override = _make_reducer(namespace)

        spec.loader.exec_module = exec_module
        return spec


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
