import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { DependencyError } from '../base/index.ts'
import { explainDiskFull, requireDiskSpace } from './disk-space.ts'
import { runCommand } from './run-command.ts'

test('too little space is an error that names the directory, the need and the way out', async () => {
  const parent = await mkdtemp(join(tmpdir(), 'exec-sandbox-disk-'))
  try {
    const directory = join(parent, 'build')
    await requireDiskSpace(directory, 0)
    const check = requireDiskSpace(directory, 1e12)
    await expect(check).rejects.toBeInstanceOf(DependencyError)
    await expect(check).rejects.toThrow(directory)
    await expect(check).rejects.toThrow(/1000000000000 MB.*EXEC_SANDBOX_CACHE_DIR/)
  } finally {
    await rm(parent, { recursive: true })
  }
})

test('a command that met a full device is explained as that', async () => {
  const signal = new AbortController().signal
  const failure: unknown = await runCommand('dd', { args: ['if=/dev/zero', 'of=/dev/full', 'count=1'], signal }).catch(
    (error: unknown) => error,
  )
  expect(await explainDiskFull(failure, tmpdir(), 10)).toBeInstanceOf(DependencyError)
})

test('another failure stays what it is', async () => {
  const failure = new Error('syntax error')
  expect(await explainDiskFull(failure, tmpdir(), 10)).toBe(failure)
})
