import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { findCgroup } from './cgroups.ts'

// Directories and files that imitate a mounted cgroup2 (Documentation/admin-guide/cgroup-v2.rst). What the kernel would refuse is imitated by
// what cannot be written.

let root: string
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'cgroup-'))
  await group('', [])
})
afterEach(async () => {
  await rm(root, { recursive: true })
})

async function group(path: string, processes: readonly number[], controllers = 'cpuset cpu io memory pids') {
  const directory = join(root, path)
  await mkdir(directory, { recursive: true })
  await writeFile(join(directory, 'cgroup.controllers'), `${controllers}\n`)
  await writeFile(join(directory, 'cgroup.subtree_control'), '')
  await writeFile(join(directory, 'cgroup.procs'), processes.map((pid) => `${pid}\n`).join(''))
  return directory
}

const place = (path: string) => ({ root, membership: `1:name=systemd:/x\n0::${path}\n`, pid: 100 })

describe('findCgroup', () => {
  it('takes the group above, where this process is in a leaf of a delegated one', async () => {
    const above = await group('unit', [])
    await group('unit/main', [100, 101])
    expect(await findCgroup(place('/unit/main'))).toEqual({
      state: 'delegated',
      directory: above,
      controllers: ['memory', 'cpu', 'pids'],
    })
    expect(await readFile(join(above, 'cgroup.subtree_control'), 'utf8')).toBe('+memory +cpu +pids')
  })

  it('takes the group that this process is in alone, and leaves it for a leaf', async () => {
    const own = await group('user.slice/unit', [100])
    expect(await findCgroup(place('/user.slice/unit'))).toMatchObject({ state: 'delegated', directory: own })
    expect(await readFile(join(own, 'exec-sandbox.host', 'cgroup.procs'), 'utf8')).toBe('100')
  })

  it('does not touch a group that holds others', async () => {
    const own = await group('user.slice/unit', [100, 101])
    expect(await findCgroup(place('/user.slice/unit'))).toMatchObject({
      state: 'not-delegated',
      reason: expect.stringContaining('holds other processes'),
    })
    expect(await readFile(join(own, 'cgroup.subtree_control'), 'utf8')).toBe('')
  })

  it('leaves slices to systemd', async () => {
    const slice = await group('app.slice', [])
    await group('app.slice/unit', [100, 101])
    expect(await findCgroup(place('/app.slice/unit'))).toMatchObject({ state: 'not-delegated' })
    expect(await readFile(join(slice, 'cgroup.subtree_control'), 'utf8')).toBe('')
  })

  it('says which controllers are lacking', async () => {
    await group('unit', [100], 'cpu io')
    await group('', [], 'cpu io')
    expect(await findCgroup(place('/unit'))).toMatchObject({
      reason: expect.stringContaining('lacks the controllers memory, pids'),
    })
  })

  it('says when there is no second version, or no place in it', async () => {
    expect(await findCgroup({ ...place('/'), membership: '4:memory:/x\n' })).toMatchObject({
      reason: 'this process is in no cgroup v2',
    })
    await rm(join(root, 'cgroup.controllers'))
    expect(await findCgroup(place('/'))).toMatchObject({ reason: expect.stringContaining('not mounted') })
  })

  it('takes the group that the user names, and refuses one that is none', async () => {
    const named = await group('mine', [])
    expect(await findCgroup({ ...place('/elsewhere'), named })).toMatchObject({ state: 'delegated', directory: named })
    await expect(findCgroup({ ...place('/mine'), named: join(root, 'nothing') })).rejects.toThrow(/no control group/)
  })
})
