"""Puts right, before every run, what the last one may have wrecked of what all programs share.

A program may well replace `print` or add a finder for the whole session. One that sets `len` to a number,
or empties `sys.modules`, did not mean to break every later call, and the standard library with it.
"""

import builtins
import linecache
import sys

__builtins__ = __builtins__.copy()

# What importing needs of sys: lists of which none may be empty, and a dictionary.
SEARCH_LISTS = ("path", "meta_path", "path_hooks")
FINDER_CACHE = "path_importer_cache"


class Repairs:
    # On the way to the first result of every clone, where only code that nothing else runs costs anything
    # (docs/decisions/0009-resume-path.md): plain look-ups rather than methods that would say it in fewer words.

    def __init__(self, main):
        """Takes note of what is whole now: called once everything is in its place."""
        self._main = main
        present = vars(builtins)
        self._callables = {name: value for name, value in present.items() if callable(value)}
        self._constants = {name: value for name, value in present.items() if not callable(value)}
        self._search_lists = [(name, getattr(sys, name).copy()) for name in SEARCH_LISTS]
        self._line_cache = linecache.cache
        self._modules = sys.modules
        self._loaded = sys.modules.copy()

    def make(self):
        self._repair_builtins()
        self._repair_imports()
        self._repair_main()
        # Anything else in its place would fail where a program's source is noted, before the program runs.
        linecache.cache = self._line_cache

    def _repair_builtins(self):
        current = builtins.__dict__
        for name, value in self._callables.items():
            if not callable(current.get(name)):
                current[name] = value
        for name, value in self._constants.items():
            if current.get(name) is not value:
                current[name] = value

    def _repair_imports(self):
        for name, content in self._search_lists:
            present = getattr(sys, name, None)
            if not present or not isinstance(present, list):
                setattr(sys, name, content.copy())
        if not isinstance(getattr(sys, FINDER_CACHE, None), dict):
            setattr(sys, FINDER_CACHE, {})
        modules = sys.modules = self._modules
        if modules.get("sys") is not sys or modules.get("builtins") is not builtins:
            # Emptied: the interpreter cannot do without the modules that were there when it was ready.
            modules.update(self._loaded)
        modules["__main__"] = self._main
        _forget_missing_modules()

    def _repair_main(self):
        names = self._main.__dict__
        names["__builtins__"] = builtins
        if "__name__" not in names:
            names["__name__"] = "__main__"
        # A warning is shown once for each line, and lines of another program are other lines.
        if "__warningregistry__" in names:
            del names["__warningregistry__"]


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
