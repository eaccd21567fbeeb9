import { type Case, lines } from './case.ts'
import { fails, interrupted, ok, python, stillWorks } from './python-case.ts'

/** Coroutines, tasks and event loops. */
export const pythonAsyncCases: readonly Case[] = [
  python('a program that awaits anywhere has a running loop everywhere', [
    ok('import asyncio\nasync def answer(): return 42\ntask = asyncio.create_task(answer())\nawait task', {
      results: ['42'],
    }),
    ok('loop = asyncio.get_running_loop()\nasync with asyncio.timeout(5): pass'),
    ok('async def count():\n    for i in range(3): yield i\n[i async for i in count()]', { results: ['[0, 1, 2]'] }),
    ok('asyncio.get_running_loop() is loop and await answer()', { results: ['42'] }),
  ]),
  python('tasks left pending go on while a later program awaits', [
    ok('import asyncio\nasync def late(): await asyncio.sleep(0.01); print("late")'),
    ok('task = asyncio.create_task(late())\nawait asyncio.sleep(0)', { stdout: '' }),
    ok('print("between")', { stdout: 'between\n' }),
    ok('await task', { stdout: 'late\n' }),
  ]),
  python('asyncio.run works again and again, and not within a program that awaits', [
    ok('import asyncio\nasync def answer(): return 42\nprint(asyncio.run(answer()))\nasyncio.run(answer())', {
      stdout: '42\n',
      results: ['42'],
    }),
    fails('async def outer(): return asyncio.run(answer())\nawait outer()', 'RuntimeError', {
      stderr: /asyncio\.run\(\) cannot be called from a running event loop/,
    }),
    ok('asyncio.run(answer())', { results: ['42'] }),
    ok('asyncio.get_event_loop().run_until_complete(answer())', { results: ['42'] }),
  ]),
  python('a stopped or closed event loop is replaced', [
    fails('import asyncio\nasyncio.get_running_loop().stop()\nawait asyncio.sleep(0.01)', 'RuntimeError'),
    ok('await asyncio.sleep(0, 1)', { results: ['1'] }),
    ok('asyncio.get_event_loop().close()'),
    ok('await asyncio.sleep(0, 2)', { results: ['2'] }),
    fails('asyncio.current_task().cancel()\nawait asyncio.sleep(1)', 'CancelledError'),
    ok('await asyncio.sleep(0, 3)', { results: ['3'] }),
  ]),
  python('a coroutine that nobody awaited is told of, and no frame of the supervisor', [
    ok('async def main(): pass\nmain()', {
      results: [/^<coroutine object main at /],
      stderr: /^<sys>:1: RuntimeWarning: coroutine 'main' was never awaited\n(?!.*exec_sandbox)/s,
    }),
    fails('def fail(_): 1/0\nfail(main())', 'ZeroDivisionError', {
      stderr: /RuntimeWarning: coroutine 'main' was never awaited(?!.*exec_sandbox)/s,
    }),
  ]),
  python('errors of tasks and groups are shown whole', [
    ok('import asyncio\nasync def fail(): 1/0\ntask = asyncio.create_task(fail())\nawait asyncio.sleep(0)\ndel task', {
      stderr: /^Task exception was never retrieved\n.*in fail\n.*ZeroDivisionError/s,
    }),
    fails('async with asyncio.TaskGroup() as group: group.create_task(fail())', 'ExceptionGroup', {
      stderr: /\(1 sub-exception\)\n.*line 2, in fail\n(?!.*exec_sandbox)/s,
    }),
    fails('async with asyncio.timeout(0.01): await asyncio.sleep(1)', 'TimeoutError', {
      stderr: /CancelledError\n\nThe above exception was the direct cause/,
    }),
  ]),
  python('sys.exit in a coroutine and in a task ends the program', [
    {
      code: 'import asyncio, sys\nasync def end(code): sys.exit(code)\nawait end(4)',
      expect: { exitCode: 4, stderr: '' },
    },
    {
      code: 'task = asyncio.create_task(end(6))\nawait asyncio.sleep(1)\nprint("no")',
      expect: { exitCode: 6, stdout: '' },
    },
    ok('await asyncio.sleep(0, 1)', { results: ['1'] }),
  ]),
  python('an interrupted await says where it waited and runs its finally', [
    ok(lines`
      import asyncio
      async def wait():
          try:
              await asyncio.sleep(60)
          finally:
              print('tidied')
    `),
    interrupted('await wait()', {
      stdout: 'tidied\n',
      stderr:
        /^Traceback .*\n {2}File "<input-2>", line 1, in <module>\n {4}await wait\(\)\n {2}File "<input-1>", line 4/,
    }),
    ok('await asyncio.sleep(0, "kept")', { results: ["'kept'"] }),
    interrupted('asyncio.run(wait())', { stdout: 'tidied\n' }),
    stillWorks,
  ]),
  python('streams, threads and sub-processes work below top-level await', [
    ok(
      lines`
        import asyncio
        async def answer(reader, writer):
            writer.write((await reader.readline()).upper())
            writer.close()
        server = await asyncio.start_server(answer, '127.0.0.1', 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b'ping\n')
        print(await reader.read())
        process = await asyncio.create_subprocess_exec('echo', 'hi', stdout=-1)
        print((await process.communicate())[0], await asyncio.to_thread(len, 'abc'))
      `,
      { stdout: "b'PING\\n'\nb'hi\\n' 3\n", stderr: '' },
    ),
  ]),
]
