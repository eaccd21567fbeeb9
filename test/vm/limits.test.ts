import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { access, constants, mkdir, mkdtemp, readFile, rm, rmdir, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { DependencyError, Scheduler } from '../../src/index.ts'
import { removeStaleGroups } from '../../src/host/index.ts'
import { QemuProcess } from '../../src/qemu/index.ts'
import { descendants } from './processes.ts'
import { silent, type TestHost, testHost } from './qemu-plan.ts'

let host: TestHost
let directory: string
beforeAll(async () => {
  host = await testHost()
  directory = await mkdtemp(join(tmpdir(), 'limits-'))
})
afterAll(async () => {
  await rm(directory, { recursive: true, force: true })
})

const MB = 1_048_576

describe('B03: the limits of a VM', () => {
  it('B03: are rlimits on every host', async () => {
    await using qemu = await QemuProcess.start(host.plan({ groups: undefined }), { logger: silent })
    const pid = descendants(qemu.pid ?? 0).at(-1)
    const limits = readFileSync(`/proc/${pid}/limits`, 'utf8')
    expect(limits).toMatch(new RegExp(`Max data size +${(192 + 256 + 1_024) * MB} `))
    expect(limits).toMatch(/Max file size +0 +0/)
    expect(limits).toMatch(/Max open files +256 +256/)
    expect(limits).toMatch(/Max locked memory +0 +0/)
    expect(limits).toMatch(/Max core file size +0 +0/)
    if (process.geteuid?.() === 0) expect(limits).toMatch(/Max processes +128 +128/)
  })

  it('B03: are written into a control group that the VM enters before anything of it runs', async () => {
    // A directory that imitates a delegated group: the kernel would act on what is written, here it can be read.
    const group = join(directory, 'delegated')
    await mkdir(group)
    await writeFile(join(group, 'cgroup.controllers'), 'cpu memory pids\n')
    process.env['EXEC_SANDBOX_CGROUP'] = group
    try {
      await using scheduler = new Scheduler()
      const result = await scheduler.run('echo in a group', { language: 'bash', memoryMb: 256, cpus: 2 })
      expect(result.stdout).toBe('in a group\n')
    } finally {
      delete process.env['EXEC_SANDBOX_CGROUP']
    }
    expect(await readFile(join(group, 'cgroup.subtree_control'), 'utf8')).toBe('+memory +cpu +pids')
    // The imitation keeps the group, whose files the kernel would have removed with it.
    const groups = readdirSync(group).filter((name) => name.startsWith('exec-sandbox.vm-'))
    const read = (name: string, file: string): string => readFileSync(join(group, name, file), 'utf8').trim()
    const ofVm = groups.find((name) => read(name, 'cpu.max') === '250000 100000')
    if (ofVm === undefined) throw new Error(`no group of a VM with two processors among ${groups.join(' ')}`)
    const overheadMb = host.verdict.accelerator === 'kvm' ? 128 : 256
    expect(read(ofVm, 'memory.max')).toBe(String((256 + 1 + overheadMb) * MB))
    expect(read(ofVm, 'memory.oom.group')).toBe('1')
    expect(read(ofVm, 'pids.max')).toBe('136')
    for (const name of groups) expect(read(name, 'cgroup.procs')).toBe('0')
  })

  it('B03, B07: hold all processes of a VM in a real group, which vanishes with it, also when the host process is killed', async () => {
    const mounted = await writableHierarchy()
    if (mounted === undefined) {
      // Nothing to be had on this host: then the product must have seen that, too.
      expect(host.verdict.groups).toBeUndefined()
      return
    }
    const parent = join(mounted, `exec-sandbox-test-${process.pid}`)
    await mkdir(parent)
    try {
      const groups = { directory: parent, controllers: [] }
      const qemu = await QemuProcess.start(host.plan({ groups }), { logger: silent })
      const [name = ''] = childGroups(parent)
      const inside = readFileSync(join(parent, name, 'cgroup.procs'), 'utf8')
        .trim()
        .split('\n')
        .map(Number)
      expect(new Set(inside)).toEqual(new Set([qemu.pid ?? 0, ...descendants(qemu.pid ?? 0)]))
      await qemu.stop('forced', 'the test is over')
      expect(childGroups(parent)).toEqual([])

      await startAndKill(parent)
      expect(childGroups(parent)).toHaveLength(1)
      await untilEmpty(join(parent, childGroups(parent)[0] ?? ''))
      expect(await removeStaleGroups(groups)).toHaveLength(1)
      expect(childGroups(parent)).toEqual([])
    } finally {
      await removeTree(parent)
    }
  })

  it('B03: are refused with the way to mend it when the group that the user names cannot be used', async () => {
    process.env['EXEC_SANDBOX_CGROUP'] = join(directory, 'nothing')
    try {
      await using scheduler = new Scheduler()
      const error: unknown = await scheduler.run('true', { language: 'bash' }).catch((reason: unknown) => reason)
      expect(error).toBeInstanceOf(DependencyError)
      expect(error).toMatchObject({ message: expect.stringContaining('is no control group') })
    } finally {
      delete process.env['EXEC_SANDBOX_CGROUP']
    }
  })

  it('B03: what was taken of the host stands in the result', async () => {
    await using scheduler = new Scheduler()
    await using sandbox = await scheduler.create({ language: 'python' })
    const idle = await sandbox.runCode('1')
    const busy = await sandbox.runCode('for i in range(2_000_000): pass')
    expect(idle.usage.hostPeakBytes).toBeGreaterThan(10 * MB)
    expect(busy.usage.hostCpuMs).toBeGreaterThan(idle.usage.hostCpuMs ?? Number.POSITIVE_INFINITY)
    const filled = await sandbox.runCode('x = bytearray(b"x") * 80_000_000')
    expect(filled.usage.hostPeakBytes).toBeGreaterThan((busy.usage.hostPeakBytes ?? 0) + 50 * MB)
  })
})

/** A mounted cgroup2 that this user may make groups in, with or without controllers. */
async function writableHierarchy(): Promise<string | undefined> {
  const mounts = readFileSync('/proc/self/mounts', 'utf8').split('\n')
  const root = mounts.map((line) => line.split(' ')).find(([, , type]) => type === 'cgroup2')?.[1]
  if (root === undefined) return undefined
  const allowed = await access(join(root, 'cgroup.procs'), constants.W_OK).then(
    () => true,
    () => false,
  )
  return allowed ? root : undefined
}

function childGroups(parent: string): readonly string[] {
  return readdirSync(parent).filter((name) => name.startsWith('exec-sandbox.vm-'))
}

/** A host process of its own starts a VM below `parent` and is killed. */
async function startAndKill(parent: string): Promise<void> {
  const child = spawn(process.execPath, [fileURLToPath(new URL('jail-child.mjs', import.meta.url))], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, TEST_GROUP: parent },
  })
  if (child.stdout === null) throw new Error('the child has no stdout')
  await once(child.stdout, 'data')
  child.kill('SIGKILL')
  await once(child, 'exit')
}

/** The kernel counts a killed process until it is reaped. */
async function untilEmpty(group: string): Promise<void> {
  const deadline = performance.now() + 10_000
  while (/^populated 1$/m.test(readFileSync(join(group, 'cgroup.events'), 'utf8')) && performance.now() < deadline)
    await delay(5)
}

/** Groups are removed as empty directories, from the innermost on. */
async function removeTree(group: string): Promise<void> {
  if (!existsSync(group)) return
  for (const name of childGroups(group)) await rmdir(join(group, name))
  await rmdir(group)
}
