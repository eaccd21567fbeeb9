import { type Case, lines } from './case.ts'
import { interrupted, ok, python, stillWorks } from './python-case.ts'

/** What a time limit, or a signal, does to a program. State stays in all of these. */
export const pythonInterruptCases: readonly Case[] = [
  python('a wait in C is interrupted where it stands', [
    ok('import threading, time\nkept = 1\nlock = threading.Lock()\n_ = lock.acquire()'),
    interrupted('lock.acquire()', { stderr: /line 1, in <module>\n {4}lock\.acquire\(\)\n.*\nKeyboardInterrupt\n$/ }),
    interrupted('t = threading.Thread(target=time.sleep, args=(3,), daemon=True)\nt.start()\nt.join()'),
    ok('kept', { results: ['1'] }),
  ]),
  python('waiting for a sub-process or a pipe is interrupted, the sub-process too', [
    ok('import os, subprocess\nkept = 1'),
    interrupted('child = subprocess.Popen(["sleep", "60"])\nchild.wait()'),
    ok('child.wait()\nkept', { results: ['1'] }),
    interrupted('r, w = os.pipe()\nos.read(r, 1)'),
    ok('kept', { results: ['1'] }),
  ]),
  python('a pool at work is interrupted', [
    ok('import multiprocessing, time\nkept = 1'),
    interrupted('with multiprocessing.Pool(2) as pool: pool.map(time.sleep, [60, 60])', {
      stderr: /^(?!.*exec_sandbox)/s,
    }),
    ok('kept, multiprocessing.active_children()', { results: ['(1, [])'] }),
  ]),
  python('an interrupted import leaves no half a module', [
    ok('kept = 1\nopen("slow.py", "w").write("import time\\nready = False\\ntime.sleep(60)\\n")\nNone'),
    interrupted('import slow', { stderr: /File "\/home\/user\/slow\.py", line 3, in <module>/ }),
    ok('import sys\n_ = open("slow.py", "w").write("ready = True\\n\\n")\n"slow" in sys.modules, kept', {
      results: ['(False, 1)'],
    }),
    ok('import slow\nslow.ready', { results: ['True'] }),
  ]),
  python('an interrupt that the program catches is its own affair', [
    {
      code: lines`
        import time
        try:
            time.sleep(60)
        except KeyboardInterrupt:
            print('caught')
      `,
      timeoutMs: 1_000,
      expect: { exitCode: 124, reason: 'timeout', stdout: 'caught\n', stderr: '', errorName: null },
    },
    ok('import signal\ntry:\n    signal.raise_signal(signal.SIGINT)\nexcept KeyboardInterrupt:\n    print("again")', {
      stdout: 'again\n',
    }),
    { code: 'raise KeyboardInterrupt', expect: { exitCode: 130, errorName: 'KeyboardInterrupt' } },
    ok('time', { results: [/module 'time'/] }),
  ]),
  python('generators and context managers are left in order', [
    interrupted(
      lines`
        import contextlib
        @contextlib.contextmanager
        def manager():
            try:
                yield
            finally:
                print('left')
        def numbers():
            try:
                while True: yield 1
            finally:
                print('closed')
        with manager():
            for _ in numbers(): pass
      `,
      { stdout: 'closed\nleft\n' },
    ),
    stillWorks,
  ]),
  python('signals that a program blocks or ignores are open again in the next call', [
    ok('import signal\n_ = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())'),
    interrupted('while True: pass'),
    ok('signal.signal(signal.SIGINT, signal.SIG_IGN)\nsignal.raise_signal(signal.SIGINT)', { stdout: '' }),
    { code: 'signal.raise_signal(signal.SIGINT)', expect: { exitCode: 130, errorName: 'KeyboardInterrupt' } },
  ]),
  python('a handler for a timer raises in the program, and at the next one too', [
    ok(lines`
      import signal, time
      def late(*_): raise TimeoutError('late')
      signal.signal(signal.SIGALRM, late)
      def limited(seconds):
          signal.setitimer(signal.ITIMER_REAL, seconds)
          try:
              time.sleep(60)
          except TimeoutError as error:
              return str(error)
          finally:
              signal.setitimer(signal.ITIMER_REAL, 0)
    `),
    ok('limited(0.05)', { results: ["'late'"] }),
    ok('limited(0.05)', { results: ["'late'"] }),
  ]),
  python('a handler that raises while no program runs is told of in the next call', [
    ok(lines`
      import os, signal
      came = False
      def noted(*_):
          global came
          came = True
          raise RuntimeError('noted')
      _ = signal.signal(signal.SIGUSR1, noted)
    `),
    ok('_ = os.system(f"(sleep 0.5; kill -USR1 {os.getpid()}) &")', { stderr: '' }),
    ok('import time\ntry:\n    while not came: time.sleep(0.01)\nexcept RuntimeError: pass', {
      stderr: /^(?:Traceback .*\n {2}File "<input-1>"|$)/,
    }),
    stillWorks,
  ]),
  python('fatal signals end the program as what they are', [
    { code: 'import os\nos.abort()', expect: { exitCode: 134, reason: 'signal' } },
    {
      code: 'import signal\nprint("before")\nsignal.alarm(1)\nsignal.pause()',
      expect: { exitCode: 142, reason: 'signal', stdout: 'before\n' },
    },
    { code: 'import ctypes\nctypes.string_at(0)', expect: { exitCode: 139, reason: 'signal' } },
    { code: 'import os, signal\nos.kill(os.getpid(), signal.SIGKILL)', expect: { exitCode: 137, reason: 'signal' } },
    ok('import os, signal\nos.kill(os.getpid(), signal.SIGPIPE)\nsignal.getsignal(signal.SIGPIPE)', {
      results: ['<Handlers.SIG_IGN: 1>'],
    }),
  ]),
  python('faulthandler tells where the process died', [
    {
      code: 'import faulthandler\nfaulthandler.enable()\nfaulthandler._sigsegv()',
      expect: {
        exitCode: 139,
        reason: 'signal',
        stderr: /^Fatal Python error: Segmentation fault\n[^]*"<input-1>", line 3/,
      },
    },
    stillWorks,
  ]),
]
