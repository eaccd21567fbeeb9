import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Sandbox, Scheduler } from '../../src/index.ts'

const scheduler = new Scheduler()
let sandbox: Sandbox
beforeAll(async () => {
  sandbox = await scheduler.create({ language: 'python' })
})
afterAll(async () => await scheduler.close())

/** Starts code and waits until it has printed something. */
async function begun(code: string, options: { language?: string; context?: string } = {}) {
  let announce: () => void = () => undefined
  const printed = new Promise<void>((resolve) => {
    announce = resolve
  })
  const result = sandbox.runCode(code, { ...options, onStdout: () => announce() })
  await Promise.race([printed, result])
  return { result }
}

const FOR_EVER = 'print("up", flush=True)\nwhile True: pass'

describe('contexts', () => {
  it('are interpreters of any language beside each other, each with its own state', async () => {
    await sandbox.runCode('x = 1')
    await sandbox.runCode('x = 2', { context: 'second' })
    await sandbox.runCode('x=3', { language: 'bash' })
    await sandbox.runCode('const x = 4', { language: 'js' })
    expect((await sandbox.runCode('x')).results[0]?.text).toBe('1')
    expect((await sandbox.runCode('x', { context: 'second' })).results[0]?.text).toBe('2')
    expect((await sandbox.runCode('echo $x', { language: 'sh' })).stdout).toBe('3\n')
    expect((await sandbox.runCode('x', { language: 'ts' })).results[0]?.text).toBe('4')
    expect(sandbox.contexts.list()).toEqual([
      { language: 'python', context: 'default', busy: false, waiting: 0 },
      { language: 'python', context: 'second', busy: false, waiting: 0 },
      { language: 'bash', context: 'default', busy: false, waiting: 0 },
      { language: 'javascript', context: 'default', busy: false, waiting: 0 },
    ])
  })

  it('run beside each other', async () => {
    const waits = 'import os, time\nprint("up", flush=True)\nwhile not os.path.exists("/tmp/go"): time.sleep(0.01)'
    const { result } = await begun(waits)
    expect((await sandbox.runCode('echo beside', { language: 'bash' })).stdout).toBe('beside\n')
    expect(sandbox.contexts.list()[0]).toMatchObject({ busy: true })
    await sandbox.runCode('touch /tmp/go', { language: 'bash' })
    expect((await result).exitCode).toBe(0)
  })

  it('restart one and leave the others', async () => {
    await sandbox.runCode('x = 1')
    await sandbox.contexts.restart()
    const fresh = await sandbox.runCode('"x" in globals()')
    expect(fresh).toMatchObject({ state: 'kept', results: [{ text: 'False' }] })
    // It was started by the restart, so the call did not wait for it.
    expect(fresh.timing.spawnMs).toBeUndefined()
    expect((await sandbox.runCode('x', { context: 'second' })).results[0]?.text).toBe('2')
    expect((await sandbox.runCode('echo $x', { language: 'bash' })).stdout).toBe('3\n')
  })

  it('a restart ends what runs, and what waits goes on in the new interpreter', async () => {
    await sandbox.runCode('x = 1')
    const { result } = await begun(FOR_EVER)
    const waiting = sandbox.runCode('"x" in globals()')
    expect(sandbox.contexts.list()[0]).toMatchObject({ busy: true, waiting: 1 })
    await sandbox.contexts.restart()
    expect(await result).toMatchObject({ exitCode: 137, reason: 'signal', state: 'reset', stdout: 'up\n' })
    expect((await waiting).results[0]?.text).toBe('False')
  })

  it('give each call its own output, however often they are restarted', async () => {
    await sandbox.runCode('big = bytearray(30_000_000)', { context: 'restarted' })
    for (let round = 0; round < 4; round += 1) {
      const [, first, second] = await Promise.all([
        sandbox.contexts.restart({ context: 'restarted' }),
        sandbox.runCode('print("first")', { context: 'restarted' }),
        sandbox.runCode('print("second"); big = bytearray(30_000_000)', { context: 'restarted' }),
      ])
      expect([first.stdout, second.stdout]).toEqual(['first\n', 'second\n'])
    }
  })

  it('a restart ends a program that named its interpreter, too', async () => {
    const { result } = await begun('#!/bin/sh\necho up; sleep 60', { language: 'bash' })
    await sandbox.contexts.restart({ language: 'bash' })
    expect(await result).toMatchObject({ exitCode: 137, reason: 'signal', stdout: 'up\n' })
  })

  it('that are removed while they are busy keep their line', async () => {
    const { result } = await begun(FOR_EVER, { context: 'busy' })
    const removed = sandbox.contexts.remove({ context: 'busy' })
    const next = sandbox.runCode('1', { context: 'busy' })
    await removed
    expect(await result).toMatchObject({ exitCode: 137 })
    expect((await next).results[0]?.text).toBe('1')
    await sandbox.contexts.remove({ context: 'busy' })
    expect(sandbox.contexts.list().map(({ context }) => context)).not.toContain('busy')
  })

  it('are forgotten when they are removed, and come back new', async () => {
    await sandbox.contexts.remove({ context: 'second' })
    await sandbox.contexts.remove({ context: 'never-used' })
    expect(sandbox.contexts.list().map(({ context }) => context)).not.toContain('second')
    const again = await sandbox.runCode('"x" in globals()', { context: 'second' })
    expect(again).toMatchObject({ state: 'kept', results: [{ text: 'False' }] })
    expect(again.timing.spawnMs).toBeGreaterThan(0)
  })

  it('refuse what makes no sense', async () => {
    await expect(sandbox.contexts.restart({ language: 'cobol' })).rejects.toMatchObject({ code: 'INVALID_INPUT' })
    await expect(sandbox.contexts.remove({ context: 'a b' })).rejects.toMatchObject({ code: 'INVALID_INPUT' })
    await expect(sandbox.contexts.interrupt({ name: 'x' } as never)).rejects.toMatchObject({ code: 'INVALID_INPUT' })
  })
})

describe('an interrupt', () => {
  it.each([
    ['python', FOR_EVER, 'kept = 5', 'print(kept)'],
    ['python', 'print("up", flush=True)\nimport time\nwhile True: time.sleep(0.05)', 'kept = 5', 'print(kept)'],
    ['javascript', 'console.log("up"); while (true);', 'const kept = 5', 'console.log(kept)'],
    ['javascript', 'console.log("up"); await Bun.sleep(60_000)', 'const kept = 5', 'console.log(kept)'],
    ['bash', 'echo up; while :; do :; done', 'kept=5', 'echo $kept'],
    ['bash', 'echo up; sleep 60 | cat', 'kept=5', 'echo $kept'],
  ])('ends a program of %s and keeps the state: %s', async (language, code, before, after) => {
    await sandbox.runCode(before, { language })
    const { result } = await begun(code, { language })
    expect(await sandbox.contexts.interrupt({ language })).toBe(true)
    expect(await result).toMatchObject({ exitCode: 130, reason: 'exit', state: 'kept', stdout: 'up\n' })
    expect((await sandbox.runCode(after, { language })).stdout).toBe('5\n')
  })

  it('that a program handles is that program’s own business', async () => {
    const { result } = await begun(
      'import time\ntry:\n    print("up", flush=True)\n    while True: time.sleep(0.05)\nexcept KeyboardInterrupt:\n    print("caught")\n7',
    )
    expect(await sandbox.contexts.interrupt()).toBe(true)
    expect(await result).toMatchObject({ exitCode: 0, stdout: 'up\ncaught\n', results: [{ text: '7' }] })
  })

  it('finds nobody when nothing runs', async () => {
    expect(await sandbox.contexts.interrupt()).toBe(false)
    expect(await sandbox.contexts.interrupt({ context: 'never-used-either' })).toBe(false)
  })
})

describe('an abort', () => {
  it('that cost the state is told by the next call, once', async () => {
    await sandbox.runCode('kept=7', { language: 'bash' })
    const controller = new AbortController()
    const code = 'trap "" INT TERM; echo up; while :; do :; done'
    const options = { language: 'bash', signal: controller.signal, onStdout: () => controller.abort() }
    await expect(sandbox.runCode(code, options)).rejects.toMatchObject({ code: 'ABORTED' })
    const next = await sandbox.runCode('echo "[$kept]"', { language: 'bash' })
    expect(next).toMatchObject({ stdout: '[]\n', state: 'reset' })
    expect(await sandbox.runCode('true', { language: 'bash' })).toMatchObject({ state: 'kept' })
  })

  it.each([
    ['python', FOR_EVER, 'kept = 6', 'print(kept)'],
    ['javascript', 'console.log("up"); while (true);', 'globalThis.kept = 6', 'console.log(kept)'],
    ['bash', 'echo up; sleep 60', 'kept=6', 'echo $kept'],
  ])('of a well-behaved program of %s keeps the state', async (language, code, before, after) => {
    await sandbox.runCode(before, { language })
    const controller = new AbortController()
    const call = sandbox.runCode(code, { language, signal: controller.signal, onStdout: () => controller.abort() })
    await expect(call).rejects.toMatchObject({ code: 'ABORTED' })
    expect(await sandbox.runCode(after, { language })).toMatchObject({ stdout: '6\n', state: 'kept' })
  })
})
