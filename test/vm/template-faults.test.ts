import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdir, mkdtemp, open, readdir, rename, rm, truncate } from 'node:fs/promises'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest'
import { resolvePaths } from '../../src/host/index.ts'
import { openImage } from '../../src/image/index.ts'
import { type RunResult, Scheduler } from '../../src/index.ts'
import { makeHostileImage } from '../chaos/hostile-image.mjs'
import { descendants } from './processes.ts'
import { recordingLogger, templateCache } from './template-cache.ts'

const CLI = new URL('../../dist/cli/main.js', import.meta.url).pathname
const RUN = ['run', '--json', '-l', 'bash', '-c', 'echo $((6 * 7))'] as const
const cache = await templateCache()
const templates = join(cache.directory, 'templates')
afterAll(async () => await cache.remove())

describe('a damaged template', () => {
  let key: string
  let other: string

  beforeAll(async () => {
    const scheduler = new Scheduler({ cacheDir: cache.directory })
    await scheduler.prepare({ language: 'bash' })
    key = (await templateKeys())[0] ?? ''
    await scheduler.prepare({ language: 'bash', memoryMb: 192 })
    other = (await templateKeys()).find((name) => name !== key) ?? ''
    await scheduler.close()
  })

  const damages: readonly (readonly [string, () => Promise<void>])[] = [
    ['RAM is gone', async () => await rm(join(templates, key, 'ram'))],
    ['RAM is cut off', async () => await truncate(join(templates, key, 'ram'), 2 ** 20)],
    ['state has a bit flipped', async () => await flipBit(join(templates, key, 'state'), 70_000)],
    ['RAM has a bit flipped', async () => await flipBit(join(templates, key, 'ram'), 40 * 2 ** 20)],
    ['RAM is that of another', async () => await cp(join(templates, other, 'ram'), join(templates, key, 'ram'))],
    ['place is taken by another', async () => await moveOver(other, key)],
  ]

  it.each(damages)('whose %s costs time and no result, and is made anew', async (_, damage) => {
    await damage()
    const { logger, lines } = recordingLogger()
    const scheduler = new Scheduler({ cacheDir: cache.directory, logger })
    const result = await scheduler.run('echo $((6 * 7))', { language: 'bash' })
    await scheduler.close()
    expect(result).toMatchObject({ stdout: '42\n', source: 'cold-boot' })
    // Told once, and with the reason.
    expect(lines.filter((line) => line.startsWith('warn') && line.includes(key))).toHaveLength(1)
    await using next = new Scheduler({ cacheDir: cache.directory })
    expect((await next.run('echo 1', { language: 'bash' })).source).toBe('disk-snapshot')
  })
})

describe('a template', () => {
  it('of what does not boot is not tried, and closing has nothing to wait for', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'no-boot-'))
    onTestFinished(async () => {
      vi.unstubAllEnvs()
      await rm(directory, { recursive: true })
    })
    const { directory: original } = await openImage({ paths: resolvePaths(process.env), env: process.env })
    vi.stubEnv('EXEC_SANDBOX_IMAGE_DIR', makeHostileImage('agent-dies', 'boot', original, directory))
    const { logger, lines } = recordingLogger()
    const scheduler = new Scheduler({ cacheDir: join(directory, 'cache'), logger })
    const runs = [1, 2].map(async () => await scheduler.run('echo 1', { language: 'bash' }))
    const outcomes = await Promise.allSettled(runs)
    expect(outcomes.map((outcome) => outcome.status === 'rejected' && outcome.reason)).toMatchObject([
      { code: 'BOOT' },
      { code: 'BOOT' },
    ])
    await scheduler.close()
    expect(lines.filter((line) => line.includes('no template was saved'))).toEqual([])
  })

  it('D01: of another QEMU is another one, and each QEMU is resumed from its own', async () => {
    const image = await openImage({ paths: resolvePaths(process.env), env: process.env })
    const directory = await mkdtemp(join(tmpdir(), 'another-qemu-'))
    // Not the directory itself: the tree becomes the jail's root, which the VM's uid must be able to enter.
    const tree = join(directory, 'tree')
    try {
      await cp(image.runtime, tree, { recursive: true, verbatimSymlinks: true })
      await runCli()
      expect((await runCli()).source).toBe('disk-snapshot')
      const named = { EXEC_SANDBOX_QEMU: join(tree, 'usr/bin/qemu-system-x86_64') }
      expect(await runCli(named)).toMatchObject({ stdout: '42\n', source: 'cold-boot' })
      expect(await runCli(named)).toMatchObject({ stdout: '42\n', source: 'disk-snapshot' })
      expect(await runCli()).toMatchObject({ stdout: '42\n', source: 'disk-snapshot' })
    } finally {
      await rm(directory, { recursive: true })
    }
  })

  it('D03: that two processes want at once is saved by one of them', async () => {
    await removeTemplates()
    const results = await Promise.all([runCli(), runCli()])
    for (const result of results) expect(result.stdout).toBe('42\n')
    expect(await templateKeys()).toHaveLength(1)
    expect((await runCli()).source).toBe('disk-snapshot')
  })

  it('whose process is killed while it is saved leaves nothing that the next process would stumble over', async () => {
    await removeTemplates()
    const child = startCli([])
    await vi.waitFor(async () => expect((await readdir(templates)).length).toBe(1), { timeout: 30_000, interval: 5 })
    const processes = [child.pid ?? 0, ...descendants(child.pid ?? 0)]
    child.kill('SIGKILL')
    await once(child, 'close')
    expect(await templateKeys()).toEqual([])
    expect(await runCli()).toMatchObject({ stdout: '42\n', source: 'cold-boot' })
    // A jail that was half made when its maker was killed is removed by the next start.
    await vi.waitFor(() => expect(processes.filter(isAlive)).toEqual([]), { timeout: 10_000, interval: 10 })
    expect(await readdir(templates)).toEqual(await templateKeys())
    expect((await runCli()).source).toBe('disk-snapshot')
  })

  it('that cannot be saved because the cache is read-only costs a warning and no result', async () => {
    await removeTemplates()
    const { result, stderr } = await runMounted(
      `mount --bind ${cache.directory} ${cache.directory} && mount -o remount,ro,bind ${cache.directory}`,
    )
    expect(result).toMatchObject({ stdout: '42\n', source: 'cold-boot' })
    expect(stderr.split('\n').filter((line) => line.includes('WARN') || line.includes('warn'))).not.toEqual([])
    expect(await templateKeys()).toEqual([])
  })

  it('D05: for which the disk has no room costs a warning and no result', async () => {
    const { result, stderr } = await runMounted(`mount -t tmpfs -o size=8m tmpfs ${templates}`)
    expect(result).toMatchObject({ stdout: '42\n', source: 'cold-boot' })
    expect(stderr.split('\n').filter((line) => line.includes('WARN') || line.includes('warn'))).not.toEqual([])
  })
})

async function templateKeys(): Promise<string[]> {
  return (await readdir(templates)).filter((name) => /^[0-9a-f]+$/.test(name))
}

async function removeTemplates(): Promise<void> {
  await mkdir(templates, { recursive: true, mode: 0o700 })
  for (const name of await readdir(templates)) await rm(join(templates, name), { recursive: true })
}

async function moveOver(from: string, to: string): Promise<void> {
  await rm(join(templates, to), { recursive: true })
  await rename(join(templates, from), join(templates, to))
}

async function flipBit(path: string, offset: number): Promise<void> {
  const file = await open(path, 'r+')
  try {
    const byte = Buffer.alloc(1)
    await file.read(byte, 0, 1, offset)
    byte[0] = (byte[0] ?? 0) ^ 1
    await file.write(byte, 0, 1, offset)
  } finally {
    await file.close()
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

function startCli(prefix: readonly string[], env: NodeJS.ProcessEnv = {}): ChildProcess {
  const [file, ...argv] = [...prefix, process.execPath, CLI, ...RUN]
  return spawn(file, argv, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, EXEC_SANDBOX_CACHE_DIR: cache.directory, EXEC_SANDBOX_LOG_LEVEL: 'warn', ...env },
  })
}

async function outcomeOf(child: ChildProcess): Promise<{ readonly result: RunResult; readonly stderr: string }> {
  let [stdout, stderr] = ['', '']
  child.stdout?.on('data', (chunk: Buffer) => (stdout += chunk.toString()))
  child.stderr?.on('data', (chunk: Buffer) => (stderr += chunk.toString()))
  await once(child, 'close')
  if (stdout === '') throw new Error(stderr)
  return { result: JSON.parse(stdout), stderr }
}

async function runCli(env: NodeJS.ProcessEnv = {}): Promise<RunResult> {
  return (await outcomeOf(startCli([], env))).result
}

/** Runs the command line after a shell command that changes the mounts which it sees. */
async function runMounted(command: string): Promise<{ readonly result: RunResult; readonly stderr: string }> {
  const unshare = userInfo().uid === 0 ? ['unshare', '--mount'] : ['unshare', '--user', '--map-root-user', '--mount']
  return await outcomeOf(startCli([...unshare, 'sh', '-c', `${command} && exec "$@"`, 'sh']))
}
