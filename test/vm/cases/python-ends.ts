import { type Case, lines } from './case.ts'
import { python, stillWorks } from './python-case.ts'

/** Ways in which a Python program ends. */
export const pythonEndCases: readonly Case[] = [
  python('a hard exit resets the state and nothing else', [
    { code: 'import os\nos._exit(42)', expect: { exitCode: 42 } },
    stillWorks,
    { code: 'os', expect: { exitCode: 1, errorName: 'NameError' } },
  ]),
  python('a fatal signal is reported as such', [
    { code: 'import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)', expect: { exitCode: 139, reason: 'signal' } },
    stillWorks,
  ]),
  python('sys.exit follows the rules of the language and keeps the state', [
    { code: 'import sys\nkept = 1\nsys.exit("msg")', expect: { exitCode: 1, stderr: 'msg\n', errorName: null } },
    { code: 'sys.exit(-1)', expect: { exitCode: 255, stderr: '' } },
    { code: 'sys.exit(300)', expect: { exitCode: 44 } },
    { code: 'sys.exit(True)', expect: { exitCode: 1, stderr: '' } },
    { code: 'sys.exit()', expect: { exitCode: 0 } },
    { code: 'exit(3)', expect: { exitCode: 3 } },
    { code: 'kept', expect: { exitCode: 0, results: ['1'] } },
  ]),
  python('closed and replaced streams are whole again in the next call', [
    {
      code: 'import sys, os, io\nsys.stdout.close()\nos.close(1)\nos.close(2)\nsys.stderr = io.StringIO()',
      expect: { exitCode: 0, stdout: '' },
    },
    stillWorks,
    { code: 'sys.stdout = None\nos.close(0)\nsys.stdin.close()', expect: { exitCode: 0 } },
    {
      code: 'print(repr(sys.stdin.read()))\nprint("e", file=sys.stderr)',
      expect: { exitCode: 0, stdout: "''\n", stderr: 'e\n' },
    },
  ]),
  python('an endless loop is interrupted at its time limit and the state stays', [
    {
      code: 'kept = 5\nwhile True: pass',
      timeoutMs: 2_000,
      expect: { exitCode: 124, reason: 'timeout', errorName: 'KeyboardInterrupt' },
    },
    { code: 'kept', expect: { exitCode: 0, results: ['5'] } },
  ]),
  python('an endless loop that swallows the interrupt ends all the same', [
    {
      code: 'while True:\n    try:\n        while True: pass\n    except BaseException: pass',
      timeoutMs: 2_000,
      expect: { exitCode: 124, reason: 'timeout' },
    },
    stillWorks,
  ]),
  python('a handler for SIGTERM has its say at the time limit', [
    {
      code: lines`
        import signal, sys
        def handler(number, frame):
            print('cleanup')
            sys.exit(42)
        signal.signal(signal.SIGTERM, handler)
        while True: pass
      `,
      timeoutMs: 2_000,
      expect: { exitCode: 124, reason: 'timeout', stdout: 'cleanup\n' },
    },
    stillWorks,
  ]),
  python('text printed before the time limit is there', [
    {
      code: 'import time\nprint("before")\ntime.sleep(60)',
      timeoutMs: 2_000,
      expect: { exitCode: 124, reason: 'timeout', stdout: 'before\n' },
    },
    stillWorks,
  ]),
  python('a coroutine that waits for ever is interrupted', [
    { code: 'import asyncio', expect: { exitCode: 0 } },
    { code: 'await asyncio.sleep(60)', timeoutMs: 2_000, expect: { exitCode: 124, reason: 'timeout' } },
    { code: 'await asyncio.sleep(0)\n1', expect: { exitCode: 0, results: ['1'] } },
  ]),
  python('a signal handler that raises between two calls harms neither', [
    {
      code: 'import signal\ndef alarm(*_): raise RuntimeError("alarm")\nsignal.signal(signal.SIGALRM, alarm)\nsignal.setitimer(signal.ITIMER_REAL, 0.3)\nNone',
      expect: { exitCode: 0 },
    },
    {
      code: 'import time\nwhile signal.getitimer(signal.ITIMER_REAL)[0] > 0: time.sleep(0.01)',
      expect: { exitCode: 1, errorName: 'RuntimeError' },
    },
    stillWorks,
  ]),
  python('a tracer left behind does not trace the supervisor', [
    { code: 'import sys\ndef tracer(*_): raise ValueError("traced")\nsys.settrace(tracer)', expect: { exitCode: 0 } },
    stillWorks,
  ]),
  python('a recursion without end is an error like any other', [
    { code: 'def f(): f()\nf()', expect: { exitCode: 1, errorName: 'RecursionError' } },
    stillWorks,
  ]),
]
