import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Sandbox, Scheduler } from '../../src/index.ts'
import { qemuProcesses } from './processes.ts'

const scheduler = new Scheduler()
afterAll(async () => await scheduler.close())

describe('a session', () => {
  let sandbox: Sandbox
  beforeAll(async () => {
    sandbox = await scheduler.create({ language: 'python', env: { WHO: 'sandbox' } })
  })

  it('keeps its state from call to call', async () => {
    await sandbox.runCode('import math; x = math.pi * 2')
    expect((await sandbox.runCode('print(f"{x:.4f}")')).stdout).toBe('6.2832\n')
  })

  it('gives the last expression as a result and not on stdout', async () => {
    const result = await sandbox.runCode('1 + 1')
    expect(result.results[0]?.text).toBe('2')
    expect(result.stdout).toBe('')
  })

  it('runs concurrent calls on one context one after the other', async () => {
    const code = (name: string): string => `import time\nfor _ in range(5): print("${name}"); time.sleep(0.01)`
    const [a, b] = await Promise.all([sandbox.runCode(code('a')), sandbox.runCode(code('b'))])
    expect(a.stdout).toBe('a\n'.repeat(5))
    expect(b.stdout).toBe('b\n'.repeat(5))
  })

  it('has independent contexts and other languages beside it', async () => {
    await sandbox.runCode('y = 1')
    const other = await sandbox.runCode('y', { context: 'other' })
    expect(other.error?.name).toBe('NameError')
    expect((await sandbox.runCode('echo $WHO', { language: 'bash' })).stdout).toBe('sandbox\n')
    expect((await sandbox.runCode('print(y)')).stdout).toBe('1\n')
  })

  it('env of a call holds for that call', async () => {
    const code = 'import os; print(os.environ.get("ONCE"), os.environ["WHO"])'
    expect((await sandbox.runCode(code, { env: { ONCE: '1', WHO: 'call' } })).stdout).toBe('1 call\n')
    expect((await sandbox.runCode(code)).stdout).toBe('None sandbox\n')
  })

  it('ends an endless loop at its time limit and stays usable with its state', async () => {
    await sandbox.runCode('kept = 41')
    const result = await sandbox.runCode('print("before", flush=True)\nwhile True: pass', { timeoutMs: 1_000 })
    expect(result).toMatchObject({ exitCode: 124, reason: 'timeout', stdout: 'before\n', state: 'kept' })
    expect((await sandbox.runCode('print(kept + 1)')).stdout).toBe('42\n')
  })

  it('rejects an aborted call at once, and the next call works', async () => {
    const controller = new AbortController()
    const call = sandbox.runCode('import time\nprint("up", flush=True)\ntime.sleep(60)', {
      signal: controller.signal,
      onStdout: () => controller.abort(new Error('enough')),
    })
    await expect(call).rejects.toMatchObject({ code: 'ABORTED', cause: new Error('enough') })
    expect((await sandbox.runCode('print("next")')).stdout).toBe('next\n')
  })

  it('an aborted call frees its context although its callback never returns', async () => {
    const controller = new AbortController()
    const call = sandbox.runCode('for _ in range(100_000): print("x" * 9)', {
      signal: controller.signal,
      onStdout: async () => {
        controller.abort(new Error('enough'))
        await new Promise(() => undefined)
      },
    })
    await expect(call).rejects.toMatchObject({ code: 'ABORTED' })
    expect((await sandbox.runCode('print("next")')).stdout).toBe('next\n')
  })

  it('a callback that throws fails the call and nothing else', async () => {
    const call = sandbox.runCode('import time\nprint("up", flush=True)\ntime.sleep(60)', {
      onStdout: () => {
        throw new RangeError('mine')
      },
    })
    await expect(call).rejects.toThrow(new RangeError('mine'))
    expect((await sandbox.runCode('print("next")')).stdout).toBe('next\n')
  })

  it('a slow callback slows the guest and loses nothing', async () => {
    let seen = 0
    const result = await sandbox.runCode('import sys\nfor _ in range(90): sys.stdout.write("x" * 10_000)', {
      onStdout: async (text) => {
        await new Promise((resolve) => setImmediate(resolve))
        seen += text.length
      },
    })
    expect(seen).toBe(900_000)
    expect(result.stdout).toHaveLength(900_000)
    expect(result.stdoutTruncated).toBe(false)
  })

  it('cuts output at its limit, says so, and lets the program end', async () => {
    const result = await sandbox.runCode(
      'import sys\nsys.stdout.write("x" * 2_000_000)\nsys.stderr.write("y" * 200_000)\nsys.exit(7)',
    )
    expect(result.stdout).toHaveLength(1_000_000)
    expect(result.stderr).toHaveLength(100_000)
    expect(result).toMatchObject({ stdoutTruncated: true, stderrTruncated: true, exitCode: 7 })
  })

  it('F08: survives a program that kills its own interpreter, with a fresh state', async () => {
    const result = await sandbox.runCode('import os\nos._exit(42)')
    expect(result).toMatchObject({ exitCode: 42, reason: 'exit', state: 'reset' })
    const signalled = await sandbox.runCode('import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)')
    expect(signalled).toMatchObject({ exitCode: 139, reason: 'signal', state: 'reset' })
    expect((await sandbox.runCode('print("ok")')).stdout).toBe('ok\n')
  })

  it('tells when an interpreter was lost between two calls', async () => {
    await sandbox.runCode('lost = 1')
    // What a command can do to the others of its user: bash itself is the one process this leaves alive.
    await sandbox.runCode('kill -KILL -1', { language: 'bash' })
    const next = await sandbox.runCode('print("lost" in globals())')
    expect(next).toMatchObject({ stdout: 'False\n', state: 'reset' })
    expect(await sandbox.runCode('print(1)')).toMatchObject({ stdout: '1\n', state: 'kept' })
  })

  it('closes once, however often it is asked, and refuses calls afterwards with the reason', async () => {
    const running = sandbox.runCode('import time; time.sleep(60)')
    const settled = running.catch((error: unknown) => error)
    await Promise.all([sandbox.close(), sandbox.close()])
    await sandbox.close()
    expect(await settled).toMatchObject({ code: 'SANDBOX_CLOSED' })
    await expect(sandbox.runCode('1')).rejects.toMatchObject({ code: 'SANDBOX_CLOSED', details: { reason: 'closed' } })
    expect(await sandbox.closed).toMatchObject({ reason: 'closed' })
    expect(qemuProcesses()).toEqual([])
  })
})

describe('a session that ends by itself', () => {
  it('F08: a close ends a call whose program is over and whose callback never returns', async () => {
    await using sandbox = await scheduler.create({ language: 'bash' })
    let entered: () => void = () => undefined
    const inCallback = new Promise<void>((resolve) => {
      entered = resolve
    })
    const onStdout = async (): Promise<void> => {
      entered()
      await new Promise(() => undefined)
    }
    const call = sandbox.runCode('echo up', { onStdout })
    const settled = call.catch((error: unknown) => error)
    await inCallback
    // Answered behind the end of the program, which has nothing left to do.
    await sandbox.runCode('echo beside', { context: 'beside' })
    await sandbox.close()
    expect(await settled).toMatchObject({ code: 'SANDBOX_CLOSED', details: { reason: 'closed' } })
  })

  it('closes when it has been idle for its time', async () => {
    await using sandbox = await scheduler.create({ language: 'bash', idleTimeoutMs: 50 })
    expect(await sandbox.closed).toMatchObject({ reason: 'idle' })
    await expect(sandbox.runCode('echo 1')).rejects.toMatchObject({
      code: 'SANDBOX_CLOSED',
      details: { reason: 'idle' },
    })
  })

  it('F08: notices the death of its VM when nobody calls', async () => {
    await using sandbox = await scheduler.create({ language: 'bash' })
    for (const pid of qemuProcesses()) process.kill(pid, 'SIGKILL')
    expect(await sandbox.closed).toMatchObject({ reason: 'vm-lost' })
    await expect(sandbox.runCode('echo 1')).rejects.toMatchObject({
      code: 'SANDBOX_CLOSED',
      details: { reason: 'vm-lost' },
    })
    await expect(sandbox.files.read('x')).rejects.toMatchObject({ code: 'SANDBOX_CLOSED' })
    await expect(sandbox.commands.run('true')).rejects.toMatchObject({ code: 'SANDBOX_CLOSED' })
  })

  it('F08: notices at once that its VM died, and tells the call under way', async () => {
    await using sandbox = await scheduler.create({ language: 'bash' })
    const call = sandbox.runCode('echo up; sleep 60', {
      onStdout: () => {
        for (const pid of qemuProcesses()) process.kill(pid, 'SIGKILL')
      },
    })
    await expect(call).rejects.toMatchObject({ code: 'VM_LOST', details: { dispatched: true }, retryable: false })
    expect(await sandbox.closed).toMatchObject({ reason: 'vm-lost' })
    await expect(sandbox.runCode('echo 1')).rejects.toMatchObject({ code: 'SANDBOX_CLOSED' })
  })
})
