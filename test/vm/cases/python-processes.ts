import { type Case, lines } from './case.ts'
import { fails, ok, python, stillWorks } from './python-case.ts'

/** Children, pools, threads. */
export const pythonProcessCases: readonly Case[] = [
  python('a forked child that fails has a status of its own', [
    ok('import os, sys\npid = os.fork()\nif pid == 0: raise ValueError("child")\nos.waitpid(pid, 0)[1] >> 8', {
      results: ['1'],
      stderr: /ValueError: child\n$/,
      errorName: null,
    }),
    ok('pid = os.fork()\nif pid == 0: sys.exit("bye")\nos.waitpid(pid, 0)[1] >> 8', {
      results: ['1'],
      stderr: 'bye\n',
    }),
    ok('if os.fork() == 0: display("child")\nelse: display(os.wait()[1])', { results: ['0'] }),
    ok(
      lines`
        import threading, time
        if os.fork() == 0:
            threading.Thread(target=lambda: (time.sleep(0.05), print('its thread'))).start()
            sys.exit()
        os.wait()[1]
      `,
      { results: ['0'], stdout: 'its thread\n' },
    ),
    ok('if os.fork() == 0: sys.stdout.write("unflushed"); sys.exit()\n_ = os.wait()', { stdout: 'unflushed' }),
  ]),
  python('a daemon outlives its run and what it prints is not lost', [
    ok(
      lines`
        import os
        r, w = os.pipe()
        ended, end = os.pipe()
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                os.close(w)
                os.read(r, 1)
                print('daemon', flush=True)
                os._exit(0)
            os._exit(0)
        _ = os.wait()
        os.close(end)
      `,
      { stdout: '' },
    ),
    ok('os.close(w)\n_ = os.read(ended, 1)', { stdout: 'daemon\n' }),
  ]),
  python('a child that nobody waits for does not hold up the run', [
    ok('import os, time\nif os.fork() == 0:\n    time.sleep(60)\n    os._exit(0)\nprint("parent")', {
      stdout: 'parent\n',
    }),
    stillWorks,
  ]),
  python('a program that replaces itself ends with the other one', [
    {
      code: 'import os\nos.execv("/bin/sh", ["sh", "-c", "echo replaced; exit 9"])',
      expect: { exitCode: 9, stdout: 'replaced\n' },
    },
    stillWorks,
  ]),
  python('a pseudo-terminal is a terminal to its child', [
    ok(
      lines`
        import os, pty
        def read_all(descriptor):
            text = b''
            try:
                while data := os.read(descriptor, 100): text += data
            except OSError: pass
            return text
        pid, terminal = pty.fork()
        if pid == 0:
            print(os.isatty(0), os.isatty(1))
            os._exit(0)
        print(read_all(terminal), os.waitpid(pid, 0)[1])
      `,
      { stdout: "b'True True\\r\\n' 0\n" },
    ),
    ok('a, b = pty.openpty()\n_ = os.write(a, b"typed\\n")\nos.read(b, 10), os.ttyname(b).startswith("/dev/pts/")', {
      results: ["(b'typed\\n', True)"],
    }),
  ]),
  python('sub-processes share stdout and stderr, and find stdin at its end', [
    ok('import subprocess, sys\nsubprocess.run("echo out; echo err >&2; cat; exit 3", shell=True).returncode', {
      stdout: 'out\n',
      stderr: 'err\n',
      results: ['3'],
    }),
    ok('print("first")\n_ = subprocess.run([sys.executable, "-c", "print(__name__)"])\nprint("last")', {
      stdout: 'first\n__main__\nlast\n',
    }),
    fails('subprocess.run(["false"], check=True)', 'CalledProcessError'),
    fails('subprocess.run(["no-such-program"])', 'FileNotFoundError'),
    ok('import os\nos.system("exit 5") >> 8, os.popen("echo hi").read()', { results: ["(5, 'hi\\n')"] }),
  ]),
  python('processes, queues, managers and shared memory take classes of the session', [
    ok(
      lines`
        from multiprocessing import Manager, Process, Queue, shared_memory
        class Point:
            def __init__(self, x): self.x = x
        def child(queue, point):
            print('in the child')
            queue.put(Point(point.x + 1))
        queue = Queue()
        process = Process(target=child, args=(queue, Point(1)))
        process.start()
        print(queue.get().x, process.join(), process.exitcode)
      `,
      { stdout: 'in the child\n2 None 0\n' },
    ),
    ok('process = Process(target=lambda: 1 / 0)\nprocess.start()\nprocess.join()\nprocess.exitcode', {
      results: ['1'],
      stderr: /^Process Process-2:\nTraceback [^]*in <lambda>\n.*\n.*\nZeroDivisionError/,
    }),
    ok(
      lines`
        memory = shared_memory.SharedMemory(create=True, size=8)
        def mark(name):
            attached = shared_memory.SharedMemory(name)
            attached.buf[0] = 7
            attached.close()
        process = Process(target=mark, args=(memory.name,))
        process.start()
        process.join()
        print(memory.buf[0])
        memory.close()
        memory.unlink()
      `,
      { stdout: '7\n' },
    ),
    ok(
      lines`
        with Manager() as manager:
            shared = manager.dict()
            process = Process(target=lambda shared: shared.update(a=1), args=(shared,))
            process.start()
            process.join()
            print(dict(shared))
      `,
      { stdout: "{'a': 1}\n" },
    ),
  ]),
  python('executors run functions of the session in processes and threads', [
    ok(
      lines`
        from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
        from functools import partial
        def outer(n): return lambda x: x * n
        with ProcessPoolExecutor(1) as pool:
            print(list(pool.map(outer(3), [1, 2])), pool.submit(lambda: 1 / 0).exception())
        with ThreadPoolExecutor(2) as pool:
            print(list(pool.map(partial(pow, 2), [1, 2])))
      `,
      { stdout: '[3, 6] division by zero\n[2, 4]\n', stderr: '' },
    ),
  ]),
  python('a pool stays for later calls, and shows what failed in it', [
    ok('from multiprocessing import Pool\npool = Pool(1)\npool.map(abs, [-1])', { results: ['[1]'] }),
    fails('pool.map(lambda x: 1/x, [0])', 'ZeroDivisionError', {
      stderr: /RemoteTraceback:[^]*"<input-2>", line 1, in <lambda>\n[^]*direct cause[^]*"<input-2>"/,
    }),
    ok('pool.map(lambda x: x + 1, [1])', { results: ['[2]'] }),
    ok('pool.terminate()'),
  ]),
  python('spawned processes know nothing of the session, and say so', [
    ok(
      lines`
        import multiprocessing
        spawn = multiprocessing.get_context('spawn')
        process = spawn.Process(target=print, args=('spawned',))
        process.start()
        process.join()
        process.exitcode
      `,
      { stdout: 'spawned\n', results: ['0'] },
    ),
    ok('def mine(): pass\nprocess = spawn.Process(target=mine)\nprocess.start()\nprocess.join()\nprocess.exitcode', {
      results: ['1'],
      stderr: /AttributeError: Can't get attribute 'mine' on <module '__main__'/,
    }),
  ]),
  python('threads fail, exit and print without ending the program', [
    ok(
      'import sys, threading\ndef run(f):\n    t = threading.Thread(target=f)\n    t.start()\n    t.join()\nrun(lambda: 1 / 0)',
      {
        errorName: null,
        stderr: /^Exception in thread Thread-1 \(<lambda>\):\n[^]*\nZeroDivisionError: division by zero\n$/,
      },
    ),
    ok('run(lambda: sys.exit(5))', { stdout: '', stderr: '' }),
    ok('threading.excepthook = lambda e: print("hook", e.exc_type.__name__)\nrun(lambda: 1 / 0)', {
      stdout: 'hook ZeroDivisionError\n',
      stderr: '',
    }),
    ok('run(lambda: display("from a thread"))', { results: ["'from a thread'"] }),
    ok('timer = threading.Timer(0.5, print, ["timer"])\ntimer.start()', { stdout: '' }),
    ok('timer.join()', { stdout: 'timer\n' }),
  ]),
  python('values that several threads display at once arrive whole', [
    ok(
      lines`
        import threading
        def show(letter):
            for _ in range(5): display(letter * 65_000)
        threads = [threading.Thread(target=show, args=(letter,)) for letter in 'abc']
        for thread in threads: thread.start()
        for thread in threads: thread.join()
      `,
      { results: Array.from({ length: 15 }, () => /^'(?:a{65000}|b{65000}|c{65000})'$/) },
    ),
  ]),
]
