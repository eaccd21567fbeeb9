import { type Case, lines } from './case.ts'
import { python } from './python-case.ts'

/** State, results, tracebacks, processes. */
export const pythonCases: readonly Case[] = [
  python('globals stay from call to call', [
    { code: 'import math\nx = math.pi * 2', expect: { exitCode: 0, stdout: '' } },
    { code: 'print(f"{x:.4f}")', expect: { exitCode: 0, stdout: '6.2832\n' } },
  ]),
  python('the last expression is a result and not output', [
    { code: 'y = 20\ny + 1', expect: { exitCode: 0, stdout: '', results: ['21'] } },
    { code: 'None', expect: { exitCode: 0, stdout: '', results: [] } },
    { code: 'display(1, "a")\n2', expect: { exitCode: 0, stdout: '', results: ['1', "'a'", '2'] } },
    { code: 'y = 3', expect: { exitCode: 0, stdout: '', results: [] } },
  ]),
  python('the last expression is found however the program is laid out', [
    { code: 'x = """\nprint(1)"""', expect: { exitCode: 0, stdout: '', results: [] } },
    { code: '"""\nprint(1)"""', expect: { exitCode: 0, stdout: '', results: ["'\\nprint(1)'"] } },
    { code: 'dict(\n  a=1,\n)', expect: { exitCode: 0, stdout: '', results: ["{'a': 1}"] } },
    { code: 'if x:\n    y = 1\ny', expect: { exitCode: 0, stdout: '', results: ['1'] } },
    { code: 'if x:\n    y', expect: { exitCode: 0, stdout: '', results: [] } },
    { code: 'y = 2; y', expect: { exitCode: 0, stdout: '', results: ['2'] } },
    { code: 'y = \\\n3\ny  # = 4', expect: { exitCode: 0, stdout: '', results: ['3'] } },
    { code: 'y = [\n1\n]', expect: { exitCode: 0, stdout: '', results: [] } },
    { code: 'str(y)[0] = 1', expect: { exitCode: 1, stderr: /TypeError/ } },
    {
      code: 'def f(): raise ValueError\n\n\nf()',
      expect: { exitCode: 1, stderr: /<input-\d+>", line 4, in <module>\n    f\(\)/ },
    },
    { code: 'print(1)\nprint(', expect: { exitCode: 1, stdout: '', stderr: /line 2\n    print\(\n/ } },
  ]),
  python('a long result is shortened with a note', [
    {
      code: '"x" * 1_000_000',
      expect: { exitCode: 0, results: [/^'x{65535}\n\[truncated: 65536 of 1000002 characters\]$/] },
    },
  ]),
  python('top-level await uses one event loop for the session', [
    { code: 'import asyncio\nawait asyncio.sleep(0.01)\n7', expect: { exitCode: 0, results: ['7'] } },
    { code: 'loop1 = asyncio.get_running_loop() if await asyncio.sleep(0) is None else None', expect: { exitCode: 0 } },
    {
      code: 'loop1 is asyncio.get_running_loop() and await asyncio.sleep(0, True)',
      expect: { exitCode: 0, results: ['True'] },
    },
    { code: 'asyncio.run(asyncio.sleep(0, 5))', expect: { exitCode: 0, results: ['5'] } },
  ]),
  python('the namespace is that of __main__ and holds nothing of ours', [
    {
      code: 'import sys\nprint(sys.argv, __name__, sys.modules["__main__"].__dict__ is globals())\nprint(sorted(globals()))',
      expect: {
        exitCode: 0,
        stdout:
          "[''] __main__ True\n['__builtins__', '__doc__', '__loader__', '__name__', '__package__', '__spec__', 'sys']\n",
      },
    },
  ]),
  python('names like those of the supervisor are the program’s own', [
    { code: 'exit_code = 7\nsys = None\nsentinel_id = 1\ntraceback = 1', expect: { exitCode: 0, stderr: '' } },
    {
      code: '1/0',
      expect: { exitCode: 1, stderr: /ZeroDivisionError: division by zero\n$/, errorName: 'ZeroDivisionError' },
    },
    { code: 'print(exit_code)', expect: { exitCode: 0, stdout: '7\n' } },
  ]),
  python('wrecked builtins do not reach the next call', [
    {
      code: 'import builtins, os\nbuiltins.len = None\nbuiltins.isinstance = None\ndel builtins.str\nos.write = None',
      expect: { exitCode: 0 },
    },
    { code: 'print(len(str(123)))\n1/0', expect: { exitCode: 1, stdout: '3\n', stderr: /ZeroDivisionError/ } },
  ]),
  python('annotations are real types', [
    { code: 'def f(x: int): ...\nf.__annotations__', expect: { exitCode: 0, results: ["{'x': <class 'int'>}"] } },
  ]),
  python('source is there for inspect and for tracebacks', [
    { code: 'def f():\n    return 1/0', expect: { exitCode: 0 } },
    {
      code: 'import inspect\nprint(inspect.getsource(f), end="")',
      expect: { exitCode: 0, stdout: 'def f():\n    return 1/0\n' },
    },
    {
      code: '\nf()',
      expect: {
        exitCode: 1,
        stderr:
          lines`
          Traceback (most recent call last):
            File "<input-3>", line 2, in <module>
              f()
              ~^^
            File "<input-1>", line 2, in f
              return 1/0
                     ~^~
          ZeroDivisionError: division by zero
        ` + '\n',
      },
    },
  ]),
  python('a syntax error says where', [
    {
      code: 'x = = 1',
      expect: {
        exitCode: 1,
        stderr: '  File "<input-1>", line 1\n    x = = 1\n        ^\nSyntaxError: invalid syntax\n',
      },
    },
    { code: 'print("alive")', expect: { exitCode: 0, stdout: 'alive\n' } },
  ]),
  python('a module written during the session can be imported', [
    { code: 'import nosuchmodule', expect: { exitCode: 1, errorName: 'ModuleNotFoundError' } },
    { code: 'open("nosuchmodule.py", "w").write("value = 3\\n")', expect: { exitCode: 0 } },
    { code: 'import nosuchmodule\nnosuchmodule.value', expect: { exitCode: 0, results: ['3'] } },
  ]),
  python('packages that the user installed for himself are found', [
    {
      code: 'import pathlib, sys\nsite = pathlib.Path.home() / ".local/lib" / f"python3.{sys.version_info.minor}" / "site-packages"\nsite.mkdir(parents=True)\n_ = (site / "mine.py").write_text("value = 4")',
      expect: { exitCode: 0 },
    },
    { code: 'import mine\nmine.value', expect: { exitCode: 0, results: ['4'] } },
  ]),
  python('multiprocessing forks and takes lambdas and session functions', [
    {
      code: 'from multiprocessing import Pool\nwith Pool(2) as pool:\n    print(pool.map(lambda x: x * x, [1, 2, 3]))',
      expect: { exitCode: 0, stdout: '[1, 4, 9]\n' },
    },
    { code: 'def cube(x):\n    return x ** 3', expect: { exitCode: 0 } },
    {
      code: 'with Pool(2) as pool:\n    print(pool.map(cube, [1, 2, 3]))',
      expect: { exitCode: 0, stdout: '[1, 8, 27]\n' },
    },
  ]),
  python('forked children print once and leave the result to the parent', [
    {
      code: lines`
        import os, sys
        print('start', end=' ')
        pid = os.fork()
        if pid == 0:
            print('child', end=' ')
            sys.exit(3)
        print(os.waitpid(pid, 0)[1] >> 8)
      `,
      expect: { exitCode: 0, stdout: 'start child 3\n', errorName: null },
    },
    {
      code: lines`
        pids = []
        for i in range(50):
            pid = os.fork()
            if pid == 0:
                break
            pids.append(pid)
        else:
            print(sum(os.waitpid(p, 0)[1] == 0 for p in pids))
      `,
      expect: { exitCode: 0, stdout: '50\n' },
    },
    {
      code: 'if os.fork() == 0:\n    if os.fork() == 0:\n        print("grandchild")\n    else:\n        os.wait()\nelse:\n    os.wait()\n    print("parent")',
      expect: { exitCode: 0, stdout: 'grandchild\nparent\n' },
    },
  ]),
  python('a thread that prints after the end of its run loses nothing', [
    {
      code: 'import threading, time\nt = threading.Thread(target=lambda: (time.sleep(0.3), print("late")))\nt.start()',
      expect: { exitCode: 0, stdout: '' },
    },
    { code: 't.join()\nprint("now")', expect: { exitCode: 0, stdout: 'late\nnow\n' } },
  ]),
  python('stdin is at its end', [
    { code: 'input()', expect: { exitCode: 1, errorName: 'EOFError' } },
    { code: 'import os\nos.read(0, 1), open("/dev/stdin").read()', expect: { exitCode: 0, results: ["(b'', '')"] } },
  ]),
  python('numbers of any length can be written and read', [
    { code: 'len(str(2 ** 100_000)), int("9" * 10_000) % 10', expect: { exitCode: 0, results: ['(30103, 9)'] } },
  ]),
  python('environment entries of a call end with it', [
    {
      code: 'import os\nprint(os.environ["A"], os.popen("echo $A").read(), end="")',
      env: { A: 'x=1\ny' },
      expect: { exitCode: 0, stdout: 'x=1\ny x=1 y\n' },
    },
    { code: 'print(os.environ.get("A"))', expect: { exitCode: 0, stdout: 'None\n' } },
  ]),
  python('characters of two to four bytes survive every read border', [
    { code: 'print("é€𝄞" * 40_000, end="")', expect: { exitCode: 0, stdoutLength: 160_000, stdout: /^(?:é€𝄞)+$/u } },
  ]),
  python('output of awkward sizes is exact', [
    ...[65_535, 65_536, 65_537].map((size) => ({
      code: `import sys\nsys.stdout.write("x" * ${size})\nNone`,
      expect: { exitCode: 0, stdoutLength: size },
    })),
    {
      code: 'import os\nfor _ in range(999): os.write(1, b"y" * 999 + b"\\n")',
      expect: { exitCode: 0, stdoutLength: 999_000 },
    },
    { code: 'for i in range(10_000): print(i % 10)', expect: { exitCode: 0, stdoutLength: 20_000 } },
  ]),
  python('a server and a client meet on 127.0.0.1', [
    {
      code: lines`
        import socket, threading
        server = socket.create_server(('127.0.0.1', 0))
        def answer():
            connection, _ = server.accept()
            connection.sendall(connection.recv(10)[::-1])
            connection.close()
        threading.Thread(target=answer).start()
        client = socket.create_connection(server.getsockname())
        client.sendall(b'ping')
        print(client.recv(10))
      `,
      expect: { exitCode: 0, stdout: "b'gnip'\n" },
    },
  ]),
]
