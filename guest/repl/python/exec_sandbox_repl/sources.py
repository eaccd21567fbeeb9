"""Source text of past calls, for tracebacks, warnings and inspect.getsource."""

import linecache
from _collections import deque

__builtins__ = __builtins__.copy()

# Programs stay readable for inspect until this many characters of newer ones have come: a session may
# make any number of calls, each with up to 1 MiB of source.
RETAINED_CHARACTERS = 8_388_608


class Sources:
    def __init__(self):
        self._count = 0
        self._entries = deque()
        self._retained = 0

    def forget(self):
        """What ran until now was not the user's: their first call is the first."""
        for name, _ in self._entries:
            linecache.cache.pop(name, None)
        self._entries.clear()
        self._count = self._retained = 0

    def register(self, text):
        """A file name that belongs to this call alone."""
        self._count += 1
        name = f"<input-{self._count}>"
        # The compiler's idea of a line, which str.splitlines does not share (form feed, U+2028).
        unified = text.replace("\r\n", "\n").replace("\r", "\n")
        lines = [line + "\n" for line in unified.split("\n")]
        # Without a modification time linecache.checkcache leaves the entry alone.
        entry = (len(text), None, lines, name)
        self.recall()
        linecache.cache[name] = entry
        self._entries.append((name, entry))
        self._retained += len(text)
        while self._retained > RETAINED_CHARACTERS and len(self._entries) > 1:
            oldest, entry = self._entries.popleft()
            self._retained -= entry[0]
            linecache.cache.pop(oldest, None)
        return name

    def recall(self):
        """Puts the texts back if something has emptied the cache, as linecache.clearcache does."""
        if self._entries and self._entries[-1][0] not in linecache.cache:
            linecache.cache.update(self._entries)


def is_input(filename):
    return filename.startswith("<input-")
