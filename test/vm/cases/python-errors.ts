import { type Case, lines } from './case.ts'
import { fails, ok, python, stillWorks } from './python-case.ts'

/** Errors, warnings and sources. */
export const pythonErrorCases: readonly Case[] = [
  python('SystemExit in all its forms', [
    { code: 'import sys\ndef f():\n    def g(): sys.exit(12)\n    g()\nf()', expect: { exitCode: 12, stderr: '' } },
    { code: 'class End(SystemExit): pass\nraise End(4)', expect: { exitCode: 4, stderr: '', errorName: null } },
    { code: 'raise SystemExit((1, 2))', expect: { exitCode: 1, stderr: '(1, 2)\n' } },
    { code: 'sys.exit(2.5)', expect: { exitCode: 1, stderr: '2.5\n' } },
    { code: 'sys.exit(2 ** 40 + 3)', expect: { exitCode: 3 } },
    { code: 'try:\n    sys.exit(3)\nfinally:\n    print("finally")', expect: { exitCode: 3, stdout: 'finally\n' } },
    { code: 'quit()', expect: { exitCode: 0 } },
    ok('try: sys.exit(3)\nexcept SystemExit as error: print(error.code)', { stdout: '3\n' }),
  ]),
  python('errors are shown with their causes, contexts and notes', [
    fails('try: 1/0\nexcept Exception as e: raise ValueError("v") from e', 'ValueError', {
      stderr: /ZeroDivisionError: .*\n\nThe above exception was the direct cause of [^]*ValueError: v\n$/,
    }),
    fails('try: 1/0\nexcept Exception: {}["x"]', 'KeyError', {
      stderr: /ZeroDivisionError: .*\n\nDuring handling of the above [^]*KeyError: 'x'\n$/,
    }),
    fails('e = ValueError("v")\ne.add_note("a note")\nraise e', 'ValueError', { stderr: /ValueError: v\na note\n$/ }),
    fails('raise ExceptionGroup("both", [ValueError(1), KeyError(2)])', 'ExceptionGroup', {
      stderr: /ExceptionGroup: both \(2 sub-exceptions\)\n[^]*ValueError: 1\n[^]*KeyError: 2\n/,
    }),
    fails('pint = 1\nprin(1)', 'NameError', { stderr: /Did you mean: 'pr?int'\?\n$/ }),
  ]),
  python('errors that cannot say what they are', [
    fails('class Mute(Exception):\n    def __str__(self): raise RuntimeError\nraise Mute', 'Mute', {
      stderr: /Mute: <exception str\(\) failed>\n$/,
    }),
    fails(
      lines`
        class Meta(type):
            __name__ = property(lambda _: 1 / 0)
            def __repr__(self): raise RuntimeError
        class Odd(Exception, metaclass=Meta): pass
        raise Odd('x')
      `,
      'Odd',
      { stderr: /Odd: x\n$/ },
    ),
    fails('raise 5', 'TypeError', { stderr: /exceptions must derive from BaseException/ }),
    fails('raise ValueError("m" * 50_000)', 'ValueError', { stderr: /ValueError: m{50000}\n$/ }),
    fails('raise GeneratorExit', 'GeneratorExit'),
    stillWorks,
  ]),
  python('data nested too deep is an error and not the end', [
    ok('nested = []\nfor _ in range(100_000): nested = [nested]'),
    fails('nested', 'RecursionError'),
    fails('import json\njson.dumps(nested)', 'RecursionError'),
    ok('import sys\nsys.setrecursionlimit(1_000_000)'),
    fails('repr(nested)', 'RecursionError'),
    ok('while nested: nested = nested[0]'),
  ]),
  python('a warning is shown once for each line, and again in the next call', [
    ok('import warnings\nfor _ in range(3): warnings.warn("careful")', {
      stderr: '<input-1>:2: UserWarning: careful\n  for _ in range(3): warnings.warn("careful")\n',
    }),
    ok('import warnings\nfor _ in range(3): warnings.warn("careful")', { stderr: /^<input-2>:2: UserWarning/ }),
    ok('if True:\n    print(\n"\\d")', {
      stdout: '\\d\n',
      stderr: '<input-3>:3: SyntaxWarning: invalid escape sequence \'\\d\'\n  "\\d")\n',
    }),
    ok('from __future__ import annotations\n1 is 1', {
      results: ['True'],
      stderr: /^<input-4>:2: Syntax[^\n]*\n[^\n]*\n$/,
    }),
  ]),
  python('every kind of syntax error says where', [
    fails('if 1:\nprint(2)', 'IndentationError', { stderr: /line 2\n {4}print\(2\)\n {4}\^+\nIndentationError/ }),
    fails('if 1:\n\tprint(1)\n        print(2)', 'TabError'),
    fails('x = (1,', 'SyntaxError', { stderr: /'\(' was never closed/ }),
    fails('text = """abc', 'SyntaxError', { stderr: /unterminated triple-quoted string literal/ }),
    fails('return 5', 'SyntaxError', { stderr: /'return' outside function/ }),
    fails('!ls', 'SyntaxError'),
    stillWorks,
  ]),
  python('sources with odd line ends, cookies and characters', [
    ok('print(1)\r\nif 1:\r\n    print(2)\r\n"x"\r\n', { stdout: '1\n2\n', results: ["'x'"] }),
    ok('# -*- coding: latin-1 -*-\nprint("é")', { stdout: 'é\n' }),
    ok('x = 1\f\nx', { results: ['1'] }),
    fails('"\u2028"\n1/0', 'ZeroDivisionError', { stderr: /line 2, in <module>\n {4}1\/0\n/ }),
    ok('# only a comment', { stdout: '', results: [] }),
    ok('größe = 3\ngröße', { results: ['3'] }),
  ]),
  python('__future__ imports hold for their program', [
    ok('from __future__ import annotations\ndef f(x: Missing): ...\nf.__annotations__', {
      results: ["{'x': 'Missing'}"],
    }),
    ok('def f(x: int): ...\nf.__annotations__', { results: ["{'x': <class 'int'>}"] }),
  ]),
  python('the session is no file and no package', [
    fails('__file__', 'NameError'),
    fails('from . import x', 'ImportError', { stderr: /attempted relative import with no known parent package/ }),
    ok('import inspect\ndouble = lambda x: 2 * x\ninspect.getsource(double)', {
      results: ["'double = lambda x: 2 * x\\n'"],
    }),
  ]),
  python('classes of the session can be pickled and decorated', [
    ok(
      lines`
        import copy, enum, pickle
        from dataclasses import dataclass
        from typing import NamedTuple
        @dataclass
        class Point: x: int
        class Colour(enum.Enum): RED = 1
        class Pair(NamedTuple): a: int
        pickle.loads(pickle.dumps([Point(1), Colour.RED, Pair(2)])), copy.deepcopy(Point(3))
      `,
      { results: ['([Point(x=1), <Colour.RED: 1>, Pair(a=2)], Point(x=3))'] },
    ),
    fails('pickle.dumps(lambda: 1)', 'PicklingError'),
  ]),
]
