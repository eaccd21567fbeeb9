import type { Case } from './case.ts'
import { fails, ok, python, stillWorks } from './python-case.ts'

const TRACEBACK = /^Traceback .*\n {2}File "<input-\d+>", line \d+, in <module>\n {4}1\/0\n {4}~\^~\nZeroDivisionError/

/** What a program may break of the interpreter that it shares with the supervisor. */
export const pythonWreckCases: readonly Case[] = [
  python('a namespace without builtins is whole again in the next call', [
    ok('__builtins__ = {}'),
    stillWorks,
    ok('del __builtins__\n__builtins__ = None'),
    stillWorks,
    ok('globals().clear()'),
    ok('display(__name__)', { results: ["'__main__'"] }),
  ]),
  python('emptied builtins are whole again in the next call', [
    ok('import builtins\nbuiltins.__dict__.clear()'),
    ok('import json\ndisplay(NotImplemented)\njson.dumps([1])', { results: ['NotImplemented', "'[1]'"] }),
    ok('import builtins\nbuiltins.compile = builtins.eval = builtins.BaseException = lambda *_: 1 / 0'),
    fails('1/0', 'ZeroDivisionError'),
  ]),
  python('emptied and replaced tables of modules are whole again in the next call', [
    ok('import sys\nsys.modules.clear()'),
    ok('import json, sys\njson.dumps([1]), sys.modules["sys"] is sys', { results: ["('[1]', True)"] }),
    ok('sys.modules = {}\nfor name in list(sys.modules): sys.modules[name] = None'),
    fails('import colorsys\n1/0', 'ZeroDivisionError', { stderr: TRACEBACK }),
  ]),
  python('search paths that no import survives are whole again in the next call', [
    ok('import sys\nsys.path[:] = sys.meta_path[:] = sys.path_hooks[:] = []'),
    ok('import colorsys'),
    ok('sys.path = sys.meta_path = sys.path_hooks = sys.path_importer_cache = None'),
    ok('import sndhdr_of_nobody', { exitCode: 1, errorName: 'ModuleNotFoundError' }),
    ok('import sys\ndel sys.path, sys.meta_path, sys.modules'),
    ok('import quopri'),
  ]),
  python('a changed search path stays', [
    ok('import os, sys\nos.mkdir("lib")\n_ = open("lib/near.py", "w").write("value = 5")\nsys.path.append("lib")'),
    ok('import near\nnear.value', { results: ['5'] }),
  ]),
  python('tracebacks have their source lines whatever became of the cache', [
    ok('import linecache\nlinecache.cache = None'),
    fails('1/0', 'ZeroDivisionError', { stderr: TRACEBACK }),
    fails('import linecache\nlinecache.clearcache()\n1/0', 'ZeroDivisionError', { stderr: TRACEBACK }),
    ok('import sys\nsys.setrecursionlimit(30)'),
    fails('1/0', 'ZeroDivisionError', { stderr: TRACEBACK }),
  ]),
  python('modules of the home directory may bear the names of those the supervisor needs', [
    ok(
      'for name in "traceback", "linecache", "random", "textwrap", "sched": open(f"{name}.py", "w").write("value = 1")',
    ),
    fails('1/0', 'ZeroDivisionError', { stderr: TRACEBACK }),
    ok('import sched\nsched.value', { results: ['1'] }),
    ok('open("asyncio.py", "w").write("")\nNone'),
    fails('await nothing', 'AttributeError', { stderr: /^(?!.*exec_sandbox)/s }),
    stillWorks,
  ]),
  python('a replaced sys.excepthook reports errors, and a broken one hides none', [
    ok('import sys\nsys.excepthook = lambda kind, *_: print("mine:", kind.__name__)'),
    fails('1/0', 'ZeroDivisionError', { stdout: 'mine: ZeroDivisionError\n', stderr: '' }),
    ok('sys.excepthook = lambda *_: 1 / 0'),
    fails('[][1]', 'IndexError', { stderr: /IndexError: list index out of range\n$/ }),
    ok('del sys.excepthook'),
    fails('[][1]', 'IndexError', { stderr: /IndexError: list index out of range\n$/ }),
  ]),
  python('a working directory that was removed harms nothing but itself', [
    ok('import os\nos.mkdir("gone")\nos.chdir("gone")\nos.rmdir("../gone")'),
    ok('import colorsys'),
    fails('os.getcwd()', 'FileNotFoundError'),
    ok('os.chdir("/home/user")\nos.getcwd()', { results: ["'/home/user'"] }),
  ]),
  python('descriptors above 2 may all be closed: the program ends as it says', [
    {
      code: 'import os, sys\nos.closerange(3, 1024)\nprint("done")\nsys.exit(5)',
      expect: { exitCode: 5, stdout: 'done\n' },
    },
    stillWorks,
    ok('import os\nos.closerange(0, 1024)'),
    stillWorks,
  ]),
  python('callbacks of the garbage collector and of threads that fail do not end the program', [
    ok('import gc\ngc.callbacks.append(lambda *_: 1 / 0)\n_ = gc.collect()\ngc.callbacks.clear()', {
      stderr: /^Exception ignored in: .*\n.*\n.*\nZeroDivisionError/,
    }),
    ok('class Dying:\n    def __del__(self): raise ValueError("late")\n_ = Dying()\n_ = None', {
      stderr: /^Exception ignored in: .*\n.*\n.*\nValueError: late\n$/,
    }),
    ok('import sys, threading\nthreading.settrace(lambda *_: 1 / 0)\nsys.settrace(lambda *_: None)', {
      stdout: '',
    }),
    stillWorks,
  ]),
]
