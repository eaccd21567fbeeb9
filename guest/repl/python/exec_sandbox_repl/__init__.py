"""The supervisor that runs user code in this interpreter (docs/repl-protocol.md).

User code shares the interpreter and may replace anything it can reach. So every module here begins by
taking its own copy of the builtins, and binds the functions of other modules that it needs by name when
it is loaded: `builtins.len = None` or `os.write = None` in user code changes neither.
"""
