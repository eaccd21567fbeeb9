import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { removeStaleGroups, renderLimits, VmGroup } from './vm-group.ts'

const ALL = ['memory', 'cpu', 'pids']
const LIMITS = { memoryBytes: 536_870_912.5, cpus: 1.5, tasks: 136 }

let directory: string
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'vm-group-'))
})
afterEach(async () => {
  await rm(directory, { recursive: true })
})

describe('a VM’s control group', () => {
  it('B03: has the limits of its VM in the kernel’s words', () => {
    expect(Object.fromEntries(renderLimits(LIMITS, ALL))).toEqual({
      'memory.max': '536870912',
      'memory.oom.group': '1',
      'cpu.max': '150000 100000',
      'pids.max': '136',
    })
    expect(renderLimits(LIMITS, ['pids']).map(([file]) => file)).toEqual(['pids.max'])
    expect(renderLimits(LIMITS, [])).toEqual([])
  })

  it('is made with its limits, named after this process', async () => {
    const group = await VmGroup.create({ directory, controllers: ALL }, LIMITS)
    expect(await readdir(directory)).toEqual([expect.stringMatching(new RegExp(`^exec-sandbox\\.vm-${process.pid}-`))])
    expect(await readFile(join(group.directory, 'memory.max'), 'utf8')).toBe('536870912')
    expect(await readFile(join(group.directory, 'cpu.max'), 'utf8')).toBe('150000 100000')
  })

  it('is not left behind when it cannot be bounded', async () => {
    const parent = { directory, controllers: ALL }
    await expect(VmGroup.create({ ...parent, directory: join(directory, 'none') }, LIMITS)).rejects.toThrow(/ENOENT/)
    expect(await readdir(directory)).toEqual([])
  })

  it('tells what the VM took, and nothing where the kernel does not', async () => {
    const group = await VmGroup.create({ directory, controllers: [] }, LIMITS)
    expect(group.usage()).toEqual({ cpuMs: undefined, peakBytes: undefined })
    expect(group.ranOutOfMemory).toBe(false)
    await writeFile(join(group.directory, 'cpu.stat'), 'usage_usec 1234567\nuser_usec 1\nsystem_usec 2\n')
    await writeFile(join(group.directory, 'memory.peak'), '4096\n')
    await writeFile(
      join(group.directory, 'memory.events'),
      'low 0\nhigh 0\nmax 12\noom 1\noom_kill 3\noom_group_kill 1\n',
    )
    expect(group.usage()).toEqual({ cpuMs: 1_234.567, peakBytes: 4_096 })
    expect(group.ranOutOfMemory).toBe(true)
  })

  it('vanishes with its VM', async () => {
    const group = await VmGroup.create({ directory, controllers: [] }, LIMITS)
    await group[Symbol.asyncDispose]()
    expect(existsSync(group.directory)).toBe(false)
    await group[Symbol.asyncDispose]()
  })
})

describe('removeStaleGroups', () => {
  it('B07: removes empty groups of processes that are gone, and no others', async () => {
    // Process ids end at 4194304 (PID_MAX_LIMIT).
    const dead = 4_194_305
    const names = {
      stale: `exec-sandbox.vm-${dead}-0123456789ab`,
      trial: `exec-sandbox.trial-${dead}`,
      inhabited: `exec-sandbox.vm-${dead}-ba9876543210`,
      living: `exec-sandbox.vm-${process.pid}-0123456789ab`,
      foreign: `other.vm-${dead}-0123456789ab`,
      host: 'exec-sandbox.host',
    }
    for (const name of Object.values(names)) await mkdir(join(directory, name))
    await writeFile(join(directory, names.inhabited, 'cgroup.events'), 'populated 1\nfrozen 0\n')
    const removed = await removeStaleGroups({ directory, controllers: ALL })
    expect(removed.toSorted()).toEqual([names.stale, names.trial].toSorted())
    expect((await readdir(directory)).toSorted()).toEqual(
      [names.inhabited, names.living, names.foreign, names.host].toSorted(),
    )
  })
})
