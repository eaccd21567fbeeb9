import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { chmod, chown, mkdtemp, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type JailPlan, type MemoryPlan, QemuProcess, withMemory } from '../../src/qemu/index.ts'
import { killOrphans } from '../../src/qemu/orphans.ts'
import { descendants } from './processes.ts'
import { agentSpeaks, silent, type TestHost, testHost } from './qemu-plan.ts'

let host: TestHost
let directory: string
beforeAll(async () => {
  host = await testHost()
  directory = await mkdtemp(join(tmpdir(), 'jail-'))
})
afterAll(async () => {
  await rm(directory, { recursive: true })
})

/** QEMU itself, below bubblewrap's processes. */
function qemuPid(qemu: QemuProcess): number {
  const pid = descendants(qemu.pid ?? 0).at(-1)
  if (pid === undefined) throw new Error('no QEMU below the jail')
  return pid
}

function statusOf(pid: number): ReadonlyMap<string, string> {
  const text = readFileSync(`/proc/${pid}/status`, 'utf8')
  return new Map(text.split('\n').map((line) => [line.split(':')[0] ?? '', line.slice(line.indexOf(':') + 1).trim()]))
}

/** The two ways a jail is made. A host where this process is root has both; a normal user has the second. */
function makers(): readonly JailPlan[] {
  const { jail } = host.verdict
  if (jail.kind !== 'bubblewrap') throw new Error('these tests need bubblewrap')
  return jail.maker.kind === 'root' ? [jail, { ...jail, maker: { kind: 'user' } }] : [jail]
}

describe('the jail', () => {
  it('leaves QEMU no privilege, no view and nothing to write, whoever makes it', async () => {
    for (const jail of makers()) {
      await using qemu = await QemuProcess.start(host.plan({ jail }), { logger: silent })
      const pid = qemuPid(qemu)
      const status = statusOf(pid)
      for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb']) expect(status.get(set)).toBe('0'.repeat(16))
      expect(status.get('NoNewPrivs')).toBe('1')
      expect(status.get('Seccomp')).toBe('2')
      const namespaces = ['pid', 'mnt', 'ipc', 'uts', 'net', 'cgroup']
      for (const name of namespaces) expect(namespaceOf(pid, name)).not.toBe(namespaceOf(process.pid, name))
      const mounts = mountsOf(pid)
      expect(mounts.map(({ at }) => at).toSorted()).toEqual([
        '/',
        '/run',
        '/run/vm/initramfs',
        '/run/vm/kernel',
        '/run/vm/root',
      ])
      for (const { options } of mounts) expect(options).toEqual(expect.arrayContaining(['ro', 'nosuid', 'nodev']))
      expect(readdirSync(`/proc/${pid}/root/proc`)).toEqual([])
    }
  })

  it('gives each VM of root a uid of its own, without groups', async () => {
    const { jail } = host.verdict
    const own = process.geteuid?.() === 0 && jail.kind === 'bubblewrap' && jail.maker.kind === 'root'
    await using first = await QemuProcess.start(host.plan(), { logger: silent })
    await using second = await QemuProcess.start(host.plan(), { logger: silent })
    const [a, b] = [statusOf(qemuPid(first)), statusOf(qemuPid(second))]
    const uids = [a.get('Uid'), b.get('Uid')].map((line) => Number(line?.split('\t')[0]))
    if (own) {
      expect(new Set(uids).size).toBe(2)
      for (const uid of uids) expect(uid).toBeGreaterThan(60_000)
      expect(a.get('Groups')).toBe('')
    } else {
      expect(uids).toEqual([process.geteuid?.(), process.geteuid?.()])
    }
  })

  it('B04: nobody can connect to a VM: none of its sockets has a name', async () => {
    await using qemu = await QemuProcess.start(host.plan(), { logger: silent })
    const pid = qemuPid(qemu)
    const inodes = readdirSync(`/proc/${pid}/fd`)
      .map((fd) => /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1])
      .filter((inode) => inode !== undefined)
    // stderr, QMP, console and channel, and no other.
    expect(inodes).toHaveLength(4)
    // The sockets were made in this process's network namespace, which is where they are listed: proc_pid_net(5).
    const listed = readFileSync('/proc/self/net/unix', 'utf8').trim().split('\n').slice(1)
    const names = new Map(listed.map((line) => line.trim().split(/\s+/)).map((field) => [field[6], field[7]]))
    for (const inode of inodes) {
      expect(names.has(inode)).toBe(true)
      expect(names.get(inode)).toBeUndefined()
    }
  })

  it('bounds descriptors, files and cores', async () => {
    await using qemu = await QemuProcess.start(host.plan(), { logger: silent })
    const limits = readFileSync(`/proc/${qemuPid(qemu)}/limits`, 'utf8')
    expect(limits).toMatch(/Max core file size\s+0\s+0/)
    expect(limits).toMatch(/Max file size\s+0\s+0/)
    expect(limits).toMatch(/Max open files\s+256\s+256/)
  })

  it('passes on no descriptor that this process was started with', async () => {
    // The child inherits descriptor 40 as a service inherits a log file, and tells what its QEMU holds.
    const script = `exec 40<>${join(directory, 'inherited')}; exec "$0" "$@"`
    const child = spawn('/bin/bash', ['-c', script, ...startScript()], { stdio: ['ignore', 'pipe', 'inherit'] })
    const pid = await announcedPid(child)
    const open = readdirSync(`/proc/${pid}/fd`).map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`))
    child.kill('SIGKILL')
    expect(open.some((target) => target.startsWith(directory))).toBe(false)
    await gone(pid)
  })

  it('dies with the host process, however that dies', async () => {
    const [command = '', ...argv] = startScript()
    const child = spawn(command, argv, { stdio: ['ignore', 'pipe', 'inherit'] })
    const pid = await announcedPid(child)
    child.kill('SIGKILL')
    await gone(pid)
    expect(existsSync(`/proc/${pid}/fd/0`)).toBe(false)
  })

  it('that a host process left half made is removed by the next start', async () => {
    let inner = 0
    let killed: readonly number[] = []
    // Tests beside this one start VMs, too: one of theirs may have been the next start.
    for (let turn = 0; turn < 5 && !killed.includes(inner); turn += 1) {
      inner = await halfMadeJail()
      killed = await killOrphans()
      await gone(inner)
      expect(existsSync(`/proc/${inner}/fd/0`)).toBe(false)
    }
    expect(killed).toContain(inner)
  })

  it('boots the same VM when a container forbids it and the user turned it off', async () => {
    const { plan } = await testHost('off')
    await using qemu = await QemuProcess.start(plan(), { logger: silent })
    await agentSpeaks(qemu.channelSocket)
    const status = statusOf(qemu.pid ?? 0)
    expect(status.get('NoNewPrivs')).toBe('1')
    expect(status.get('Seccomp')).toBe('2')
    if (process.geteuid?.() === 0) expect(status.get('Uid')).not.toMatch(/^0\t/)
  })
})

describe('the jail of a VM of a template', () => {
  const memory = (kind: 'shared' | 'template'): MemoryPlan => ({
    kind,
    ram: join(directory, 'ram'),
    state: join(directory, 'state'),
  })

  /** Our own files with such a mode, as a builder finds them and as a published template has them. */
  async function prepareFiles(mode: number): Promise<void> {
    for (const name of ['ram', 'state']) {
      const path = join(directory, name)
      await chown(path, process.geteuid?.() ?? 0, process.getegid?.() ?? 0)
      await chmod(path, mode)
    }
  }

  beforeAll(async () => {
    for (const name of ['ram', 'state']) await writeFile(join(directory, name), '')
    await truncate(join(directory, 'ram'), host.plan().memoryMb * 2 ** 20)
  })

  it('lets the VM that is saved write its two files, and no more than its memory and a little', async () => {
    for (const jail of makers()) {
      await prepareFiles(0o600)
      await using qemu = await QemuProcess.start(withMemory(host.plan({ jail }), memory('shared')), { logger: silent })
      const pid = qemuPid(qemu)
      expect(writableMounts(pid)).toEqual(['/run/vm/ram', '/run/vm/state'])
      // RAM is mapped, so the limit is for what is written. A file cannot be made larger either.
      expect(readFileSync(`/proc/${pid}/limits`, 'utf8')).toMatch(/Max file size\s+16777216\s+16777216/)
      const owner = Number(statusOf(pid).get('Uid')?.split('\t')[0])
      for (const path of [join(directory, 'ram'), join(directory, 'state')]) {
        const { uid, mode } = await stat(path)
        expect(uid).toBe(owner)
        expect(mode & 0o777).toBe(0o600)
      }
    }
  })

  it('shows a VM that is resumed the two files of its template alone, and lets it write neither', async () => {
    await prepareFiles(0o444)
    for (const jail of makers()) {
      await using qemu = await QemuProcess.start(withMemory(host.plan({ jail }), memory('template')), {
        logger: silent,
      })
      const pid = qemuPid(qemu)
      expect(mountsOf(pid).map(({ at }) => at)).toEqual(expect.arrayContaining(['/run/vm/ram', '/run/vm/state']))
      expect(writableMounts(pid)).toEqual([])
      expect(readdirSync(`/proc/${pid}/root/run/vm`).toSorted()).toEqual([
        'initramfs',
        'kernel',
        'ram',
        'root',
        'state',
      ])
      expect(readFileSync(`/proc/${pid}/limits`, 'utf8')).toMatch(/Max file size\s+0\s+0/)
      // Private: what the guest writes stays in the process. Shared mappings have an `s` where this has a `p`.
      const mapped = readFileSync(`/proc/${pid}/maps`, 'utf8')
        .split('\n')
        .filter((line) => line.endsWith('/ram'))
      expect(mapped.length).toBeGreaterThan(0)
      for (const line of mapped) expect(line).toMatch(/^\S+ ..-p /)
      const opened = readdirSync(`/proc/${pid}/fd`).filter((fd) =>
        readlinkSync(`/proc/${pid}/fd/${fd}`).endsWith('/ram'),
      )
      expect(opened.length).toBeGreaterThan(0)
      for (const fd of opened) expect(accessModeOf(pid, fd)).toBe('read')
    }
  })
})

function writableMounts(pid: number): readonly string[] {
  const writable = mountsOf(pid).filter(({ options }) => !options.includes('ro'))
  return writable.map(({ at }) => at).toSorted()
}

/** The access mode of an open descriptor: the lowest two bits of its flags, which proc_pid_fdinfo(5) gives in octal. */
function accessModeOf(pid: number, fd: string): 'read' | 'write' {
  const flags = /^flags:\s+([0-7]+)/m.exec(readFileSync(`/proc/${pid}/fdinfo/${fd}`, 'utf8'))?.[1] ?? ''
  return (Number.parseInt(flags, 8) & 3) === 0 ? 'read' : 'write'
}

function namespaceOf(pid: number, name: string): string {
  return readlinkSync(`/proc/${pid}/ns/${name}`)
}

function mountsOf(pid: number): readonly { readonly at: string; readonly options: readonly string[] }[] {
  const lines = readFileSync(`/proc/${pid}/mountinfo`, 'utf8').trim().split('\n')
  return lines.map((line) => {
    const [, , , , at = '', options = ''] = line.split(' ')
    return { at, options: options.split(',') }
  })
}

/** The inner process of a jail whose outer one was killed while it was set up. */
async function halfMadeJail(): Promise<number> {
  // bubblewrap waits for descriptor 3 while it sets up: the moment in which only its outer process can be killed.
  const words = ['--unshare-user', '--unshare-pid', '--unshare-uts', '--hostname', 'exec-sandbox', '--info-fd', '4']
  const outer = spawn('bwrap', [...words, '--block-fd', '3', '--ro-bind', '/', '/', '/bin/true'], {
    stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'],
  })
  const info = outer.stdio[4]
  if (info === null || info === undefined) throw new Error('bubblewrap has no info descriptor')
  const [text] = (await once(info, 'data')) as [Buffer]
  outer.kill('SIGKILL')
  await once(outer, 'exit')
  return Number(/"child-pid": (\d+)/.exec(text.toString())?.[1])
}

/** A Node of its own that starts a VM, prints the pid of its outermost process and waits. */
function startScript(): readonly string[] {
  return [process.execPath, fileURLToPath(new URL('jail-child.mjs', import.meta.url))]
}

/** QEMU's pid in the VM that the child has started. */
async function announcedPid(child: ChildProcess): Promise<number> {
  if (child.stdout === null) throw new Error('the child has no stdout')
  const [line] = (await once(child.stdout, 'data')) as [Buffer]
  const pid = descendants(Number(line.toString())).at(-1)
  if (pid === undefined) throw new Error('the child has no QEMU')
  return pid
}

/** Resolves when the process is gone: its descriptor directory vanishes with it. */
async function gone(pid: number): Promise<void> {
  const deadline = performance.now() + 10_000
  while (existsSync(`/proc/${pid}/fd`) && performance.now() < deadline) await delay(5)
}
