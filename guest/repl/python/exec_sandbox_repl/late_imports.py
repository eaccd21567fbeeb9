"""What the supervisor adds to modules of others, at the moment when a program imports them.

Most programs never import them, and importing them ahead of need would cost each of those.
"""

import sys

__builtins__ = __builtins__.copy()


class LateImports:
    """A finder that wraps the loading of a few modules by name, and leaves every other import to the next one."""

    def __init__(self, additions):
        """Module name → what loads it: a function of the usual loading and of the module."""
        self._additions = additions
        sys.meta_path.insert(0, self)

    def find_spec(self, name, path, target=None):
        load = self._additions.pop(name, None)
        if load is None:
            return None
        for finder in sys.meta_path:
            spec = None if finder is self else finder.find_spec(name, path, target)
            if spec is not None:
                break
        else:
            self._additions[name] = load  # Not installed yet.
            return None
        usual = spec.loader.exec_module
        spec.loader.exec_module = lambda module: load(usual, module)
        return spec
