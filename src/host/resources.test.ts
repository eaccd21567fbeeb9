import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { cgroupV1Path, cgroupV2Path } from './cgroups.ts'
import { findResources, freeDiskBytes } from './resources.ts'

let root: string
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'cgroup-'))
})
afterEach(async () => {
  await rm(root, { recursive: true })
})

async function files(content: Readonly<Record<string, string>>): Promise<void> {
  for (const [path, text] of Object.entries(content)) {
    await mkdir(join(root, path, '..'), { recursive: true })
    await writeFile(join(root, path), text)
  }
}

describe('findResources', () => {
  it('is the host itself where no cgroup bounds it', async () => {
    const found = findResources(root)
    expect(found.boundedBy).toBe('host')
    expect(found.memoryBytes).toBeGreaterThan(found.memoryAvailableBytes)
  })

  it('is what a version 2 cgroup leaves', async () => {
    await files({ 'memory.max': '104857600\n', 'memory.current': '94371840\n', 'cpu.max': '50000 100000\n' })
    expect(findResources(root)).toEqual({
      cpus: 0.5,
      memoryBytes: 104_857_600,
      memoryAvailableBytes: 10_485_760,
      boundedBy: 'cgroup',
    })
  })

  it('counts page cache as available, as the host does', async () => {
    const stat = 'anon 4096\ninactive_file 50000000\nactive_file 20000000\nslab_reclaimable 1000000\n'
    await files({ 'memory.max': '104857600\n', 'memory.current': '94371840\n', 'memory.stat': stat })
    expect(findResources(root).memoryAvailableBytes).toBe(104_857_600 - (94_371_840 - 71_000_000))
  })

  it('takes the point from which a group is slowed down for a limit', async () => {
    await files({ 'memory.max': 'max\n', 'memory.high': '73400320\n', 'memory.current': '0\n' })
    expect(findResources(root)).toMatchObject({ memoryBytes: 73_400_320, memoryAvailableBytes: 73_400_320 })
  })

  it('knows "no limit" in both versions', async () => {
    await files({
      'memory.max': 'max\n',
      'cpu.max': 'max 100000\n',
      'memory/memory.limit_in_bytes': '9223372036854771712\n',
      'cpu/cpu.cfs_quota_us': '-1\n',
      'cpu/cpu.cfs_period_us': '100000\n',
    })
    expect(findResources(root).boundedBy).toBe('host')
  })
})

describe('cgroup paths', () => {
  const membership = '4:memory:/jobs/one\n3:cpu,cpuacct:/\n1:name=systemd:/\n0::/user.slice/a.scope\n'

  it('are read per version and controller', () => {
    expect(cgroupV2Path(membership)).toBe('/user.slice/a.scope')
    expect(cgroupV1Path(membership, 'memory')).toBe('/jobs/one')
    expect(cgroupV1Path(membership, 'cpuacct')).toBe('/')
    expect(cgroupV1Path(membership, 'pids')).toBeUndefined()
    expect(cgroupV2Path('1:cpu:/\n')).toBeUndefined()
  })
})

describe('freeDiskBytes', () => {
  it('answers for a path that does not exist yet', async () => {
    expect(await freeDiskBytes(join(root, 'not/yet/there'))).toBeGreaterThan(0)
  })
})
