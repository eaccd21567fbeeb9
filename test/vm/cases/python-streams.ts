import { type Case, lines } from './case.ts'
import { fails, ok, python, stillWorks } from './python-case.ts'

/** Descriptors 0 to 2 and what Python makes of them. */
export const pythonStreamCases: readonly Case[] = [
  python('stdout is what a pipe in UTF-8 is', [
    ok('import sys\nsys.stdout.write("abc")', { stdout: 'abc', results: ['3'] }),
    ok('[(s.fileno(), s.isatty(), s.encoding) for s in (sys.stdin, sys.stdout, sys.stderr)]', {
      results: ["[(0, False, 'utf-8'), (1, False, 'utf-8'), (2, False, 'utf-8')]"],
    }),
    fails('import os\nos.get_terminal_size()', 'OSError'),
    ok('import locale, shutil\nlocale.setlocale(locale.LC_ALL, ""), tuple(shutil.get_terminal_size())', {
      results: ["('C.UTF-8', (80, 24))"],
    }),
  ]),
  python('bytes and text are written in the order of the program', [
    ok(
      'import os, sys\nsys.stdout.buffer.write(b"bytes ")\nprint("text", end=" ", flush=True)\nos.system("echo child")',
      {
        stdout: 'bytes text child\n',
        results: ['0'],
      },
    ),
    ok('for i in range(3): sys.stdout.buffer.write(b"%d" % i)', { stdout: '012' }),
  ]),
  python('what is not text fails where it is printed', [
    fails('print("\\ud800")', 'UnicodeEncodeError', { stdout: '' }),
    ok('import sys\nprint("\\ud800", file=sys.stderr)\n"\\ud800"', { stderr: '\\ud800\n', results: ["'\\ud800'"] }),
    fails('raise ValueError("\\ud800")', 'ValueError', { stderr: /ValueError: \\ud800\n$/ }),
  ]),
  python('one line may be as long as the output', [
    ok('print("x" * 900_000)', { stdoutLength: 900_001 }),
    ok('import sys\nfor _ in range(9): sys.stderr.write("e" * 10_000)', { stdout: '' }),
  ]),
  python('objects of any kind in place of sys.stdout last for one call', [
    ok('import sys\nclass Nothing: pass\nsys.stdout = sys.stderr = Nothing()'),
    stillWorks,
    {
      code: 'class Ends:\n    def write(self, _): sys.exit(7)\nsys.stdout = Ends()\nprint(1)',
      expect: { exitCode: 7 },
    },
    fails(
      lines`
        class Breaks:
            def write(self, _): raise ValueError('write')
            def flush(self): raise KeyboardInterrupt
        sys.stdout = sys.stderr = Breaks()
        1/0
      `,
      'ZeroDivisionError',
      { stderr: /ZeroDivisionError: division by zero\n$/ },
    ),
    stillWorks,
    ok('import contextlib, io\nwith contextlib.redirect_stdout(io.StringIO()) as text: print("in")\ntext.getvalue()', {
      stdout: '',
      results: ["'in\\n'"],
    }),
  ]),
  python('wrappers around the streams last for one call and take nothing with them', [
    ok('import io, sys\nsys.stdout = io.TextIOWrapper(sys.stdout.buffer, encoding="utf-8")\nprint("é", end="")', {
      stdout: 'é',
    }),
    stillWorks,
    ok('sys.stdout = open(1, "w")\nsys.stderr = open(2, "w")\nsys.stdin = open(0)\nprint("w")', { stdout: 'w\n' }),
    stillWorks,
    ok('import codecs\nsys.stdout = codecs.getwriter("utf-8")(sys.stdout.detach())\nprint("é")', { stdout: 'é\n' }),
    ok('sys.stdout.reconfigure(encoding="ascii", line_buffering=False)'),
    { code: 'import os\nprint("é")\nos._exit(3)', expect: { exitCode: 3, stdout: 'é\n' } },
  ]),
  python('a descriptor that was pointed elsewhere comes back', [
    ok(
      'import os\nlog = os.open("log", os.O_CREAT | os.O_RDWR)\nos.dup2(log, 1)\nprint("logged")\n_ = os.system("echo too")',
      {
        stdout: '',
      },
    ),
    ok('print(open("log").read(), end="")', { stdout: 'logged\ntoo\n' }),
    ok('saved = os.dup(1)\nos.close(1)\n_ = os.write(saved, b"saved\\n")', { stdout: 'saved\n' }),
    ok('os.set_blocking(1, False)\nos.dup2(1, 2)'),
    { code: 'import sys\nprint("e", file=sys.stderr)', expect: { exitCode: 0, stdout: '', stderr: 'e\n' } },
  ]),
  python('the program’s own descriptors begin at 3', [
    ok('import os\nos.open("/dev/null", os.O_RDONLY), os.dup(1)', { results: ['(3, 4)'] }),
  ]),
  python('whoever asks for input gets the end of the file', [
    fails('input("name? ")', 'EOFError', { stdout: 'name? ' }),
    ok('import sys\nsys.stdin.read(), sys.stdin.readline(), list(sys.stdin)', { results: ["('', '', [])"] }),
    fails('breakpoint()', 'BdbQuit', { stdout: /\(Pdb\) / }),
    stillWorks,
    ok('help()', { stdout: /^Welcome to Python 3\.\d+'s help utility!/ }),
    ok('help(len)', { stdout: /^Help on built-in function len/ }),
  ]),
]
