import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { FileLock } from './file-lock.ts'

let directory: string
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'file-lock-'))
})
afterEach(async () => {
  await rm(directory, { recursive: true })
})

const patience = { timeoutMs: 10_000, onTimeout: () => new Error('no lock in time') }

describe('FileLock', () => {
  it('is held by one at a time, also within a process', async () => {
    const path = join(directory, 'a.lock')
    const first = await FileLock.tryAcquire(path)
    expect(first).toBeDefined()
    expect(await FileLock.tryAcquire(path)).toBeUndefined()
    await first?.release()
    await first?.release()
    const second = await FileLock.tryAcquire(path)
    expect(second).toBeDefined()
    await second?.release()
  })

  it('of one byte leaves the other bytes of the file to others', async () => {
    const path = join(directory, 'bytes.lock')
    await using first = await FileLock.tryAcquire(path, 7)
    await using second = await FileLock.tryAcquire(path, 4_095)
    expect([first, second].every((lock) => lock !== undefined)).toBe(true)
    expect(await FileLock.tryAcquire(path, 7)).toBeUndefined()
    await first?.release()
    await using again = await FileLock.tryAcquire(path, 7)
    expect(again).toBeDefined()
  })

  it('is handed on when the holder releases it', async () => {
    const path = join(directory, 'a.lock')
    const first = await FileLock.acquire(path, patience)
    const waiting = FileLock.acquire(path, patience)
    await first.release()
    await using second = await waiting
    expect(second.path).toBe(path)
  })

  it('gives up at its deadline and at its signal', async () => {
    const path = join(directory, 'a.lock')
    await using _held = await FileLock.acquire(path, patience)
    await expect(FileLock.acquire(path, { ...patience, timeoutMs: 50 })).rejects.toThrow('no lock in time')
    const controller = new AbortController()
    const waiting = FileLock.acquire(path, { ...patience, signal: controller.signal })
    controller.abort()
    await expect(waiting).rejects.toMatchObject({ code: 'ABORTED' })
  })

  it('vanishes with a holder that is killed', async () => {
    const path = join(directory, 'a.lock')
    const holder = spawn(process.execPath, ['--input-type=module', '-e', HOLDER, path], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    await once(holder.stdout, 'data')
    expect(await FileLock.tryAcquire(path)).toBeUndefined()
    holder.kill('SIGKILL')
    await using lock = await FileLock.acquire(path, patience)
    expect(lock.path).toBe(path)
  })
})

const HOLDER = `
import { openSync } from 'node:fs'
import { tryLock } from 'fs-native-extensions'
if (tryLock(openSync(process.argv[1], 'a'))) console.log('held')
setInterval(() => {}, 1000)
`
