import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type CommandHandle, type OutputChunk, type Sandbox, Scheduler } from '../../src/index.ts'

const scheduler = new Scheduler()
let sandbox: Sandbox
beforeAll(async () => {
  sandbox = await scheduler.create({ language: 'bash', env: { OF_SANDBOX: 'yes' } })
})
afterAll(async () => await scheduler.close())

/** Reads output until `text` has come. */
async function until(handle: CommandHandle, text: string): Promise<string> {
  let seen = ''
  for await (const { data } of handle.output) {
    seen += data
    if (seen.includes(text)) break
  }
  return seen
}

/** Whether there is such a process of the user. No program sees another one in /proc, so pgrep would find none in any case. */
async function isThere(pid: number): Promise<boolean> {
  return (await sandbox.commands.run(`kill -0 ${pid}`)).exitCode === 0
}

describe('F02: a command', () => {
  it('gives output, exit code and reason like a run', async () => {
    const result = await sandbox.commands.run('echo out; echo err >&2; exit 3')
    expect(result).toMatchObject({ stdout: 'out\n', stderr: 'err\n', exitCode: 3, reason: 'exit' })
    expect(result.timing.totalMs).toBeGreaterThan(0)
    expect(result.usage.guestPeakBytes).toBeGreaterThan(0)
    expect(await sandbox.commands.run('kill -SEGV $$')).toMatchObject({ exitCode: 139, reason: 'signal' })
  })

  it('is a text for bash, or words that no shell sees', async () => {
    expect((await sandbox.commands.run('x=1; echo "$x" | tr 1 2; [[ -n $BASH_VERSION ]]')).stdout).toBe('2\n')
    expect((await sandbox.commands.run(['printf', '%s|', '$HOME', 'a b', '*', 'é'])).stdout).toBe('$HOME|a b|*|é|')
  })

  it('that cannot be executed ends as in a shell', async () => {
    const missing = await sandbox.commands.run(['no-such-program'])
    expect(missing).toMatchObject({ exitCode: 127, reason: 'exit' })
    expect(missing.stderr).toContain('no-such-program: No such file')
    expect(await sandbox.commands.run(['/etc'])).toMatchObject({ exitCode: 126 })
    expect(await sandbox.commands.run('echo x', { cwd: '/no/such' })).toMatchObject({ exitCode: 126 })
  })

  it('has the home directory, the environment of the sandbox and its own, and the rights of the user', async () => {
    const script = 'pwd; echo "$OF_SANDBOX $MINE"; id -u'
    expect((await sandbox.commands.run(script, { env: { MINE: 'a=b c' } })).stdout).toBe(
      '/home/user\nyes a=b c\n1000\n',
    )
    expect((await sandbox.commands.run('pwd', { cwd: '/tmp' })).stdout).toBe('/tmp\n')
    await sandbox.files.makeDir('below')
    expect((await sandbox.commands.run('pwd', { cwd: 'below', user: 'user' })).stdout).toBe('/home/user/below\n')
    expect((await sandbox.commands.run('pwd', { cwd: '~/below' })).stdout).toBe('/home/user/below\n')
  })

  it('is refused before anything runs when it makes no sense', async () => {
    const { commands } = sandbox
    for (const wrong of [[], [''], ['a\0b'], 'a\0b', ['\ud800'], 'x'.repeat(131_072), 7, undefined, [1]]) {
      await expect(commands.run(wrong as never)).rejects.toMatchObject({ code: 'INVALID_INPUT' })
    }
    for (const options of [
      { user: 'root' },
      { timeoutMs: 10 },
      { stdin: 5 },
      { cwd: '' },
      { cwd: 'x\udcff' },
      { env: { LD_PRELOAD: '' } },
      { no: 1 },
    ]) {
      await expect(commands.run('true', options as never)).rejects.toMatchObject({ code: 'INVALID_INPUT' })
    }
    const handle = await commands.start('sleep 60')
    await expect(handle.kill('SIGNOPE' as never)).rejects.toMatchObject({ code: 'INVALID_INPUT' })
    await handle[Symbol.asyncDispose]()
  })

  it('ends at its time limit, with what it started', async () => {
    const result = await sandbox.commands.run('sleep 611 & echo $!; sleep 611', { timeoutMs: 1_000 })
    expect(result).toMatchObject({ exitCode: 124, reason: 'timeout', stdout: expect.stringMatching(/^\d+\n$/) })
    await expect.poll(async () => await isThere(Number(result.stdout))).toBe(false)
  })

  it('is ended by its signal, and the call rejects at once', async () => {
    const controller = new AbortController()
    let pid = 0
    const call = sandbox.commands.run('sleep 612 & echo $!; wait', {
      signal: controller.signal,
      onStdout: (text) => {
        pid = Number(text)
        controller.abort(new Error('enough'))
      },
    })
    await expect(call).rejects.toMatchObject({ code: 'ABORTED', cause: new Error('enough') })
    // The next look comes after the end in the guest, or sees it coming.
    expect(pid).toBeGreaterThan(1)
    await expect.poll(async () => await isThere(pid)).toBe(false)
  })

  it('is not even begun when its signal is aborted already', async () => {
    const signal = AbortSignal.abort()
    await expect(sandbox.commands.run('touch begun', { signal })).rejects.toMatchObject({ code: 'ABORTED' })
    await expect(sandbox.commands.start('touch begun', { signal })).rejects.toMatchObject({ code: 'ABORTED' })
    await expect(sandbox.files.makeDir('begun', { signal })).rejects.toMatchObject({ code: 'ABORTED' })
    await expect(sandbox.files.write('begun', 'x', { signal })).rejects.toMatchObject({ code: 'ABORTED' })
    await expect(sandbox.runCode('touch begun', { signal })).rejects.toMatchObject({ code: 'ABORTED' })
    expect(await sandbox.files.exists('begun')).toBe(false)
  })

  it('fails with what a callback or its input threw, and nothing else does', async () => {
    const error = new RangeError('mine')
    const throwing = () => {
      throw error
    }
    await expect(sandbox.commands.run('echo; sleep 613', { onStdout: throwing })).rejects.toBe(error)
    async function* broken(): AsyncGenerator<string> {
      yield 'a'
      throw error
    }
    await expect(sandbox.commands.run('cat; sleep 613', { stdin: broken() })).rejects.toBe(error)
    expect((await sandbox.commands.run('echo next')).stdout).toBe('next\n')
  })

  it('passes on what is within the cap, says so, and goes on to its end', async () => {
    const result = await sandbox.commands.run('yes 012345678 | head -n 150000; echo end >&2; exit 5')
    expect(result).toMatchObject({ exitCode: 5, stdoutTruncated: true, stderrTruncated: false, stderr: 'end\n' })
    expect(result.stdout.length).toBe(1_000_000)
  })
})

describe('F02: standard input', () => {
  it('ends at once unless there is some', async () => {
    expect((await sandbox.commands.run('cat; echo end')).stdout).toBe('end\n')
  })

  it('is text, bytes, or pieces as they come, of any length', async () => {
    expect((await sandbox.commands.run('cat', { stdin: 'é€𝄞' })).stdout).toBe('é€𝄞')
    const bytes = Uint8Array.from({ length: 256 }, (_, index) => index)
    expect((await sandbox.commands.run('od -An -tu1 -v | wc -w', { stdin: bytes })).stdout.trim()).toBe('256')
    async function* pieces(): AsyncGenerator<string | Uint8Array> {
      for (let index = 0; index < 100; index += 1) yield index % 2 === 0 ? 'x'.repeat(50_000) : Buffer.alloc(50_000)
    }
    expect((await sandbox.commands.run('wc -c', { stdin: pieces() })).stdout).toBe('5000000\n')
  })

  it('of a source that waits for ever ends with the program, and what is no content is refused', async () => {
    async function* waiting(): AsyncGenerator<string> {
      yield 'first'
      await new Promise(() => undefined)
    }
    expect(await sandbox.commands.run('head -c 5; exit 4', { stdin: waiting() })).toMatchObject({ stdout: 'first' })
    for (const wrong of [7, new ArrayBuffer(4), '\ud800', undefined]) {
      async function* pieces(): AsyncGenerator<string> {
        yield 'x'.repeat(400_000)
        yield wrong as never
      }
      const call = sandbox.commands.run('sleep 0.2; cat | wc -c', { stdin: pieces() })
      await expect(call).rejects.toMatchObject({ code: 'INVALID_INPUT', details: { field: 'stdin' } })
    }
    expect((await sandbox.commands.run('echo next')).stdout).toBe('next\n')
  })

  it('that a program does not want holds nobody', async () => {
    let taken = 0
    let over = false
    async function* endless(): AsyncGenerator<Uint8Array> {
      try {
        for (;;) {
          taken += 1
          yield Buffer.alloc(65_536)
        }
      } finally {
        over = true
      }
    }
    expect(await sandbox.commands.run('head -c 1; exit 4', { stdin: endless() })).toMatchObject({ exitCode: 4 })
    await expect.poll(() => over).toBe(true)
    expect(taken).toBeLessThan(200)
  })

  it('slows its source down to the pace of the program', async () => {
    let taken = 0
    async function* source(): AsyncGenerator<Uint8Array> {
      for (; taken < 100; taken += 1) yield Buffer.alloc(65_536)
    }
    const call = sandbox.commands.run('until [ -e /tmp/go ]; do sleep 0.05; done; cat | wc -c', { stdin: source() })
    await sandbox.commands.run('sleep 0.5')
    // The pipe, the credit and a chunk or two: far from all of it.
    expect(taken).toBeLessThan(20)
    await sandbox.commands.run('touch /tmp/go')
    expect((await call).stdout).toBe('6553600\n')
  })
})

describe('F02: a command in the background', () => {
  it('has a pid, takes input, streams output and is waited for', async () => {
    const handle = await sandbox.commands.start('echo $$; while read -r line; do echo "got $line"; done; echo bye >&2')
    expect(await until(handle, '\n')).toBe(`${handle.pid}\n`)
    expect(handle.running).toBe(true)
    expect(sandbox.commands.list().map(({ pid, cwd }) => [pid, cwd])).toEqual([[handle.pid, '/home/user']])
    handle.stdin.write('one\n')
    expect(await until(handle, 'one')).toContain('got one')
    handle.stdin.end('two\n')
    const result = await handle.wait()
    expect(result).toMatchObject({ stdout: `${handle.pid}\ngot one\ngot two\n`, stderr: 'bye\n', exitCode: 0 })
    expect(handle.running).toBe(false)
    expect(sandbox.commands.list()).toEqual([])
    // Late readers find all of it, any number of times.
    const late: OutputChunk[] = []
    for await (const chunk of handle.output) late.push(chunk)
    const said = (stream: string) => late.filter((chunk) => chunk.stream === stream).map(({ data }) => data)
    // Each stream keeps its order; which of the two comes first is not promised.
    expect([said('stdout').join(''), said('stderr').join('')]).toEqual([result.stdout, 'bye\n'])
    expect(await handle.kill()).toBe(false)
  })

  it('goes on beside runs and other commands', async () => {
    const handle = await sandbox.commands.start('while :; do sleep 0.05; echo tick; done')
    const [run, command] = await Promise.all([
      sandbox.runCode('sleep 0.2; echo run'),
      sandbox.commands.run('sleep 0.2; echo command'),
    ])
    expect([run.stdout, command.stdout]).toEqual(['run\n', 'command\n'])
    expect(handle.running).toBe(true)
    expect(await handle.kill('SIGKILL')).toBe(true)
    expect(await handle.wait()).toMatchObject({ exitCode: 137, reason: 'signal' })
  })

  it('gets signals as a group, by name or number', async () => {
    // The child itself says that it is there: before it is another program, it is a shell with a trap.
    const child = 'bash -c "echo \\$\\$; exec sleep 614" &'
    const handle = await sandbox.commands.start(`trap "echo usr1" USR1; ${child} while :; do wait; done`)
    const pid = Number(await until(handle, '\n'))
    expect(await isThere(pid)).toBe(true)
    expect(await handle.kill(10)).toBe(true)
    // The child of the group has no trap for it: the signal ends it.
    await until(handle, 'usr1')
    await expect.poll(async () => await isThere(pid)).toBe(false)
    expect(await handle.kill('SIGTERM')).toBe(true)
    expect(await handle.wait()).toMatchObject({ exitCode: 143, reason: 'signal' })
  })

  it('is slowed by a reader that does not read, and loses nothing', async () => {
    const handle = await sandbox.commands.start('yes 0123456789abcde | head -c 8000000; echo -n end >&2')
    const reader = handle.output[Symbol.asyncIterator]()
    let bytes = ((await reader.next()).value as OutputChunk).bytes.byteLength
    // Whoever goes on beside it is not held back.
    expect((await sandbox.commands.run('echo beside')).stdout).toBe('beside\n')
    expect(handle.running).toBe(true)
    for (let step = await reader.next(); step.done !== true; step = await reader.next()) {
      bytes += step.value.bytes.byteLength
    }
    expect(bytes).toBe(8_000_003)
    const result = await handle.wait()
    expect(result).toMatchObject({ exitCode: 0, stdoutTruncated: true, stderr: 'end' })
    expect(result.stdout.length).toBe(1_000_000)
  })

  it('runs to its end when nobody reads, and late readers find the last of it', async () => {
    const handle = await sandbox.commands.start('yes 0123456789abcde | head -c 4000000; echo last')
    await handle.wait()
    let text = ''
    for await (const { data } of handle.output) text += data
    expect(text.endsWith('last\n')).toBe(true)
    expect(text.length).toBeGreaterThan(900_000)
    expect(text.length).toBeLessThanOrEqual(1_048_576)
  })

  it('ends with `await using`', async () => {
    let pid: number
    {
      await using handle = await sandbox.commands.start('trap "" TERM INT; echo up; while :; do sleep 615; done')
      await until(handle, 'up')
      pid = handle.pid
    }
    expect((await sandbox.commands.run(`kill -0 ${pid}`)).exitCode).toBe(1)
  })

  it('ends at its own time limit, and by the signal it was started with', async () => {
    const limited = await sandbox.commands.start('sleep 616', { timeoutMs: 1_000 })
    expect(await limited.wait()).toMatchObject({ exitCode: 124, reason: 'timeout' })
    const controller = new AbortController()
    const handle = await sandbox.commands.start('sleep 617', { signal: controller.signal })
    controller.abort(new Error('mine'))
    await expect(handle.wait()).rejects.toMatchObject({ code: 'ABORTED', cause: new Error('mine') })
    await expect(until(handle, 'never')).rejects.toMatchObject({ code: 'ABORTED' })
    await expect.poll(() => handle.running, { timeout: 20_000 }).toBe(false)
  })

  it('fifty at once give each their own', async () => {
    const calls = Array.from({ length: 50 }, async (_, index) => {
      const { stdout, exitCode } = await sandbox.commands.run(`echo ${index}; exit ${index}`)
      return [stdout, exitCode]
    })
    expect(await Promise.all(calls)).toEqual(calls.map((_, index) => [`${index}\n`, index]))
  })
})

describe('F02: the end of the sandbox', () => {
  it('ends commands with its reason, and handles that nobody waits for trouble nobody', async () => {
    const other = await scheduler.create({ language: 'bash' })
    const waited = await other.commands.start('sleep 618')
    await other.commands.start('sleep 619')
    // Both may end before the close does.
    await Promise.all([
      expect(other.commands.run('sleep 620')).rejects.toMatchObject({
        code: 'SANDBOX_CLOSED',
        details: { reason: 'closed' },
      }),
      expect(waited.wait()).rejects.toMatchObject({ code: 'SANDBOX_CLOSED' }),
      other.close(),
    ])
    await expect(waited.wait()).rejects.toMatchObject({ code: 'SANDBOX_CLOSED' })
    await expect(other.commands.run('true')).rejects.toMatchObject({ code: 'SANDBOX_CLOSED' })
    expect(await waited.kill()).toBe(false)
    expect(other.commands.list()).toEqual([])
    // Input that nobody takes any more is dropped without an event that would end this process.
    waited.stdin.write('late\n')
    await waited[Symbol.asyncDispose]()
  })

  it('comes although a command runs in the background, and does not while someone waits for one', async () => {
    const idle = await scheduler.create({ language: 'bash', idleTimeoutMs: 1_500 })
    const background = await idle.commands.start('sleep 621')
    const waiting = await idle.commands.start('sleep 2.5; echo done')
    expect((await waiting.wait()).stdout).toBe('done\n')
    expect(background.running).toBe(true)
    expect(await idle.closed).toMatchObject({ reason: 'idle' })
    await expect(background.wait()).rejects.toMatchObject({ code: 'SANDBOX_CLOSED', details: { reason: 'idle' } })
  })
})
