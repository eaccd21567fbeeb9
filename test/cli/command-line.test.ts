import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'

// The built command line where no VM is started: how it ends when its input or output does not do as usual.
const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url))

let empty: string
beforeAll(async () => {
  empty = await mkdtemp(join(tmpdir(), 'exec-sandbox-command-line-'))
})
afterAll(async () => await rm(empty, { recursive: true }))

const started: ChildProcess[] = []
afterEach(() => {
  // Only one that hangs is still there to be killed.
  for (const child of started.splice(0)) child.kill('SIGKILL')
})

function start(args: readonly string[], stdio: ('pipe' | 'ignore' | number)[], env: NodeJS.ProcessEnv = {}) {
  const child = spawn(process.execPath, [MAIN, ...args], {
    stdio,
    env: { ...process.env, EXEC_SANDBOX_CACHE_DIR: empty, EXEC_SANDBOX_IMAGE_DIR: '', ...env },
  })
  started.push(child)
  let stderr = ''
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  const ended = once(child, 'close').then(([code, signal]: unknown[]) => ({ code, signal, stderr }))
  return { child, ended }
}

describe('the command line', () => {
  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ] as const)('ends at %s while it reads a program from stdin, with %i', async (signal, code) => {
    const { child, ended } = start(['run', '-'], ['pipe', 'pipe', 'pipe'])
    // More than the pipe holds: once all of it is taken, the command is reading, and its handlers stand.
    await new Promise((resolve) => child.stdin?.write('#'.repeat(900_000), resolve))
    child.kill(signal)
    expect(await ended).toEqual({ code, signal: null, stderr: '' })
  })

  it('says in one line that its output cannot be written, and exits 125', async () => {
    const full = openSync('/dev/full', 'w')
    const { ended } = start(['completion', 'bash'], ['ignore', full, 'pipe'])
    closeSync(full)
    expect(await ended).toEqual({
      code: 125,
      signal: null,
      stderr: expect.stringMatching(/^sbx: stdout .*ENOSPC.*\n$/),
    })
  })

  it.each([
    ['stdout', ['completion', 'bash']],
    ['stderr', ['run', '-c', 'print(1)']],
  ] as const)('exits 141, as SIGPIPE would make it, when the reader of its %s has left', async (name, args) => {
    const { child, ended } = start(args, ['ignore', 'pipe', 'pipe'])
    child[name]?.destroy()
    expect(await ended).toEqual({ code: 141, signal: null, stderr: '' })
  })

  it('takes code where a command should be for a wrong command, however long', async () => {
    const { ended } = start(['print(1);'.repeat(100)], ['ignore', 'pipe', 'pipe'])
    expect(await ended).toMatchObject({ code: 2, stderr: expect.stringContaining('unknown command') })
  })

  it('does not read on in a file without end', async () => {
    const { ended } = start(['run', '/dev/zero'], ['ignore', 'pipe', 'pipe'])
    expect(await ended).toMatchObject({ code: 2, stderr: expect.stringContaining('/dev/zero is not a program') })
  })

  it('refuses a log level that is none', async () => {
    const { ended } = start(['run', '-c', '1'], ['ignore', 'pipe', 'pipe'], { EXEC_SANDBOX_LOG_LEVEL: 'loud' })
    expect(await ended).toMatchObject({ code: 2, stderr: expect.stringContaining('EXEC_SANDBOX_LOG_LEVEL') })
  })
})
