import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { findTool, installHint, requireTools } from './tools.ts'

let directory: string
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'exec-sandbox-tools-'))
})
afterEach(async () => await rm(directory, { recursive: true }))

async function place(name: string, mode = 0o755): Promise<string> {
  const path = join(directory, name)
  await writeFile(path, '#!/bin/sh\n')
  await chmod(path, mode)
  return path
}

test('finds programs in PATH, and only files that can be executed', async () => {
  const make = await place('make')
  await place('bison', 0o644)
  expect(await findTool('make', { PATH: directory })).toBe(make)
  expect(await findTool('bison', { PATH: directory })).toBeUndefined()
})

test('finds cargo where rustup puts it', async () => {
  await mkdir(join(directory, 'bin'))
  const cargo = await place('bin/cargo')
  expect(await findTool('cargo', { PATH: '', CARGO_HOME: directory })).toBe(cargo)
})

test('everything that is missing is told at once, with the one command that installs it', async () => {
  await place('make')
  const check = requireTools(['make', 'cc', 'mmdebstrap', 'cargo'], { PATH: directory, CARGO_HOME: directory })
  await expect(check).rejects.toMatchObject({
    code: 'DEPENDENCY',
    details: { dependency: 'cc, mmdebstrap, cargo', fix: 'sudo apt-get install -y cargo gcc mmdebstrap' },
  })
})

test('one package that brings several programs is named once', () => {
  expect(installHint(['strip', 'objdump'])).toBe('sudo apt-get install -y binutils')
})
