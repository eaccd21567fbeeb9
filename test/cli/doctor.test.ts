import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'
import { ROOT } from '../repository/repository.ts'

interface Report {
  readonly status: string
  readonly facts: readonly {
    readonly id: string
    readonly status: string
    readonly detail: string
    readonly fix?: string
  }[]
}

/** `sbx doctor --json` with a directory before all others in PATH. */
async function doctor(first: string): Promise<Report> {
  const argv = [join(ROOT, 'dist', 'cli', 'main.js'), 'doctor', '--json']
  const env = { ...process.env, PATH: `${first}:${process.env['PATH'] ?? ''}` }
  const told = await promisify(execFile)(process.execPath, argv, { env }).catch((error: { stdout: string }) => error)
  return JSON.parse(told.stdout) as Report
}

it('G09: doctor says that the host forbids jails, in bubblewrap’s words, and how to allow them', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'doctor-'))
  try {
    // What bubblewrap says where namespaces are forbidden; the kernel of the machine that tests allows them.
    const program = [
      '#!/bin/sh',
      '[ "$1" = --version ] && { echo "bubblewrap 0.8.0"; exit 0; }',
      'echo "bwrap: No permissions to create new namespace" >&2',
      'exit 1',
    ].join('\n')
    await writeFile(join(directory, 'bwrap'), program, { mode: 0o755 })
    const { status, facts } = await doctor(directory)
    expect(status).toBe('fail')
    expect(facts.find(({ id }) => id === 'jail')).toMatchObject({
      status: 'fail',
      detail: expect.stringContaining('No permissions to create new namespace'),
      fix: expect.stringMatching(/sysctl -w|in a container/),
    })
  } finally {
    await rm(directory, { recursive: true })
  }
})
