"""Entry point of the Python REPL: loads the supervisor's package and hands the process over to it.

The package lies beside this file. Python runs isolated (-I), so the directory is put on the search
path for the one import and taken off again: user code never finds its modules through it.
"""

import sys

sys.path.insert(0, __file__.rpartition("/")[0])
from exec_sandbox_repl.session import serve  # noqa: E402

del sys.path[0]
serve()
