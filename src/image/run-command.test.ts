import { readFile } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { AbortedError, DependencyError } from '../base/index.ts'
import { CommandError, runCommand } from './run-command.ts'

const never = new AbortController().signal

test('gives stdout, and lines of both outputs as they come', async () => {
  const lines: string[] = []
  const args = ['-c', 'echo out; echo err >&2; printf "no newline"']
  const { stdout } = await runCommand('sh', { args, signal: never, onLine: (line) => lines.push(line) })
  expect(stdout).toBe('out\nno newline')
  expect(lines.toSorted()).toEqual(['err', 'no newline', 'out'])
})

test('a failure carries the exit code and the last output', async () => {
  const failure = runCommand('sh', { args: ['-c', 'echo reason >&2; exit 3'], signal: never })
  await expect(failure).rejects.toMatchObject({ name: 'CommandError', exitCode: 3, output: 'reason' })
  await expect(failure).rejects.toBeInstanceOf(CommandError)
})

test('a program that is not there is a DependencyError with the command that installs it', async () => {
  const attempt = runCommand('mkfs.erofs-missing', { args: [], signal: never })
  await expect(attempt).rejects.toBeInstanceOf(DependencyError)
})

test('an abort ends the whole process group before the promise settles', async () => {
  const abort = new AbortController()
  const pids: string[] = []
  const running = runCommand('sh', {
    args: ['-c', 'sleep 300 & echo $!; echo $$; wait'],
    signal: abort.signal,
    onLine: (line) => {
      pids.push(line)
      if (pids.length === 2) abort.abort(new Error('enough'))
    },
  })
  await expect(running).rejects.toBeInstanceOf(AbortedError)
  expect(pids).toHaveLength(2)
  for (const pid of pids) expect(await endsSoon(pid)).toBe(true)
})

test('a command that ignores its time is ended and says so', async () => {
  const running = runCommand('sleep', { args: ['300'], signal: never, timeoutMs: 50 })
  await expect(running).rejects.toThrow(/did not end within 0.05 seconds/)
})

test('a child left behind that holds the output does not hold the command', async () => {
  const { stdout } = await runCommand('sh', { args: ['-c', 'setsid sleep 5 & echo done'], signal: never })
  expect(stdout).toBe('done\n')
})

/** A killed process may be a zombie until its reaper comes: that counts as ended. */
async function endsSoon(pid: string): Promise<boolean> {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const state = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined)
    if (state === undefined || /\) [ZX] /.test(state)) return true
    await delay(20)
  }
  return false
}
