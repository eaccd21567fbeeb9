import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { parseFragment } from '../../src/image/kernel-config.ts'
import { guestDirectory } from '../../src/image/recipe.ts'
import { type Sandbox, Scheduler } from '../../src/index.ts'
import { qemuProcesses } from './processes.ts'

// What a program in the guest can see and do, asked by programs in the guest (test/vm/programs). One VM serves the
// whole file: nothing here may change it for the next test, and that is part of what is tested.
let scheduler: Scheduler
let sandbox: Sandbox

beforeAll(async () => {
  scheduler = new Scheduler()
  // Else the first use would save the template beside this VM, in a QEMU of its own.
  await scheduler.prepare({ language: 'python' })
  sandbox = await scheduler.create({ language: 'python', timeoutMs: 110_000 })
})

afterAll(async () => {
  await scheduler.close()
})

/** Runs one of the programs and reads the JSON it prints. */
async function ask<Report>(program: string, env: Record<string, string> = {}): Promise<Report> {
  const source = readFileSync(join(import.meta.dirname, 'programs', program), 'utf8')
  const { stdout, stderr, exitCode, reason } = await sandbox.runCode(source, { language: 'python', env })
  expect({ stderr, exitCode, reason }).toEqual({ stderr: '', exitCode: 0, reason: 'exit' })
  const report: Report = JSON.parse(stdout)
  return report
}

async function shell(code: string): Promise<string> {
  const { stdout, stderr, exitCode } = await sandbox.runCode(code, { language: 'bash' })
  expect({ stderr, exitCode }).toEqual({ stderr: '', exitCode: 0 })
  return stdout.trim()
}

interface Machine {
  readonly sysctls: Record<string, string>
  readonly buses: string[]
  readonly drivers: Record<string, string>
  readonly classes: string[]
  readonly network: string[]
  readonly flags: string[]
  readonly vulnerabilities: Record<string, string>
}

interface KernelSurface {
  readonly syscalls: Record<string, string>
  readonly sockets: Record<string, string>
  readonly control: Record<string, string>
  readonly filesystems: string[]
  readonly mounted: string[]
  readonly uid: number
}

/**
 * Values a user may read. A name that is missing has to be a feature that is missing: an option that the kernel's configuration
 * has off, which no kernel is built against.
 */
const SYSCTLS: Readonly<Record<string, { value: string; without?: string }>> = {
  'kernel.unprivileged_bpf_disabled': { value: '2', without: 'CONFIG_BPF_SYSCALL' },
  'net.core.bpf_jit_harden': { value: '2', without: 'CONFIG_BPF_SYSCALL' },
  'user.max_user_namespaces': { value: '0', without: 'CONFIG_USER_NS' },
  'kernel.unprivileged_userns_clone': { value: '0', without: 'CONFIG_USER_NS' },
  'kernel.kptr_restrict': { value: '2' },
  'kernel.dmesg_restrict': { value: '1' },
  'kernel.perf_event_paranoid': { value: '3' },
  'vm.unprivileged_userfaultfd': { value: '0', without: 'CONFIG_USERFAULTFD' },
  'kernel.yama.ptrace_scope': { value: '2' },
  'fs.protected_symlinks': { value: '1' },
  'fs.protected_hardlinks': { value: '1' },
  'fs.protected_fifos': { value: '2' },
  'fs.protected_regular': { value: '2' },
  'fs.suid_dumpable': { value: '0' },
  'kernel.threads-max': { value: '1200' },
  'kernel.modules_disabled': { value: '1', without: 'CONFIG_MODULES' },
  'kernel.shmall': { value: '16384' },
  'kernel.msgmni': { value: '32' },
}

test('A01: every hardening sysctl has its value or its feature is compiled out', async () => {
  const fragment = parseFragment(readFileSync(join(guestDirectory, 'image', 'kernel.config'), 'utf8'))
  const off = fragment.flatMap(({ symbol, value }) => (value === 'n' ? [symbol] : []))
  const names = [...Object.keys(SYSCTLS), 'kernel.sysrq']
  const { sysctls } = await ask<Machine>('machine.py', { SYSCTLS: JSON.stringify(names) })
  const wrong = Object.entries(SYSCTLS).flatMap(([name, { value, without }]) => {
    if (sysctls[name] === value) return []
    const absent = sysctls[name] === 'ENOENT' && without !== undefined && off.includes(without)
    return absent ? [] : [`${name} = ${sysctls[name]}, and ${without ?? 'no feature'} is not off`]
  })
  expect(wrong).toEqual([])
  expect(['0', 'ENOENT']).toContain(sysctls['kernel.sysrq'])
})

test('the command line of the kernel turns no protection off', async () => {
  const [pid, ...others] = qemuProcesses()
  expect(others).toEqual([])
  const line = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')
  const appended = line[line.indexOf('-append') + 1]
  expect(appended).toContain('console=')
  expect(appended).not.toMatch(/nokaslr|mitigations=|nopti|nospec|nosmep|nosmap|spec_store_bypass_disable=off/)
  const { vulnerabilities } = await ask<Machine>('machine.py', { SYSCTLS: '[]' })
  // These two are mitigated in software on every processor, unless mitigations are turned off.
  expect(vulnerabilities['spectre_v1']).toMatch(/^Mitigation: /)
  expect(vulnerabilities['spectre_v2']).toMatch(/^Mitigation: /)
})

test('A03: the root file system cannot be written and holds no set-uid program', async () => {
  const mounts = (await shell('cat /proc/mounts')).split('\n').map((line) => line.split(' '))
  const root = mounts.find(([, target]) => target === '/')
  expect(root?.[2]).toBe('erofs')
  expect(root?.[3]?.split(',')).toEqual(expect.arrayContaining(['ro', 'nosuid', 'nodev']))
  expect(mounts.filter(([, , , options]) => !options?.split(',').includes('nosuid'))).toEqual([])
  for (const directory of ['', '/usr', '/usr/bin', '/bin', '/sbin', '/usr/lib', '/opt']) {
    expect(await shell(`touch ${directory}/x 2>&1 || true`)).toMatch(/Read-only file system/)
  }
  expect(await shell('{ echo >>/usr/bin/env; } 2>&1 || true')).toMatch(/Read-only file system/)
  expect(await shell('find / -xdev -type f 2>/dev/null | wc -l')).toMatch(/^\d{4,}$/)
  expect(
    await shell("find / -path /proc -prune -o '(' -perm -4000 -o -perm -2000 ')' -type f -print 2>/dev/null; :"),
  ).toBe('')
})

interface Space {
  readonly memory: number
  readonly mounts: Record<string, [string, string]>
  readonly places: Record<
    string,
    {
      readonly size: number
      readonly inodes: number
      readonly owner: number
      readonly exec: string
      readonly fill: { readonly sparse: string; readonly written: number; readonly end: string }
      readonly populate: { readonly made: number; readonly end: string }
      readonly afterwards: string
    }
  >
}

test('A04: the writable file systems are bounded in bytes and inodes, and filling them harms nothing', async () => {
  const { memory, mounts, places } = await ask<Space>('space.py')
  const shares = { '/home/user': 0.4, '/tmp': 0.5, '/dev/shm': 0.4 }
  for (const [path, share] of Object.entries(shares)) {
    const place = places[path]
    const [type, options] = mounts[path] ?? ['missing', '']
    expect([path, type]).toEqual([path, 'tmpfs'])
    expect(options.split(',')).toEqual(expect.arrayContaining(['nosuid', 'nodev']))
    expect(options).toMatch(/quota/)
    expect((place?.size ?? 0) / memory).toBeCloseTo(share, 1)
    expect(['ENOSPC', 'EDQUOT']).toContain(place?.fill.end)
    expect(place?.fill.written).toBeLessThanOrEqual(place?.size ?? 0)
    expect(['ENOSPC', 'EDQUOT']).toContain(place?.populate.end)
    expect(place?.populate.made).toBeLessThanOrEqual(place?.inodes ?? 0)
    expect(place?.afterwards).toBe('ok')
  }
  expect(places['/home/user']).toMatchObject({ owner: 1000, exec: 'ok' })
  expect(places['/dev/shm']?.exec).toBe('EACCES')
})

interface Identity {
  readonly self: Record<string, string>
  readonly child: Record<string, string>
  readonly dumpable: number
  readonly child_owner: number
  readonly processes: [number, number]
  readonly core: [number, number]
}

const NO_CAPABILITIES = '0000000000000000'
const UNPRIVILEGED = {
  Uid: '1000 1000 1000 1000',
  Gid: '1000 1000 1000 1000',
  Groups: '',
  CapInh: NO_CAPABILITIES,
  CapPrm: NO_CAPABILITIES,
  CapEff: NO_CAPABILITIES,
  CapBnd: NO_CAPABILITIES,
  CapAmb: NO_CAPABILITIES,
  NoNewPrivs: '1',
}

test('A05: Python and what it starts are an unprivileged, bounded user', async () => {
  const identity = await ask<Identity>('identity.py')
  expect(identity.self).toEqual(UNPRIVILEGED)
  expect(identity.child).toEqual(UNPRIVILEGED)
  expect(identity.dumpable).toBe(0)
  expect(identity.child_owner).toBe(0)
  expect(identity.processes[1]).toBe(1024)
  expect(identity.core).toEqual([0, 0])
})

/** The lines of /proc/self/status as a record, those of `UNPRIVILEGED` only. */
function statusFields(text: string): Record<string, string> {
  const pairs = text.split('\n').map((line) => line.split(':'))
  return Object.fromEntries(
    pairs.flatMap(([name = '', value = '']) =>
      name in UNPRIVILEGED ? [[name, value.trim().replace(/\s+/g, ' ')]] : [],
    ),
  )
}

test('A05: bash and what it starts are an unprivileged, bounded user', async () => {
  // A redirection of the shell itself, so that it reads its own status and not that of a child.
  expect(statusFields(await shell('mapfile -t lines </proc/self/status; printf "%s\\n" "${lines[@]}"'))).toEqual(
    UNPRIVILEGED,
  )
  expect(statusFields(await shell('cat /proc/self/status'))).toEqual(UNPRIVILEGED)
  expect(await shell('ulimit -Hu; ulimit -Hc; ulimit -Sc')).toBe('1024\n0\n0')
  // A process that is not dumpable belongs to root in /proc, so its own memory is out of its reach.
  expect(await shell('[[ -O /proc/self/maps ]] && echo dumpable || echo hidden')).toBe('hidden')
})

test('A05: JavaScript and what it starts are an unprivileged, bounded user', async () => {
  const code = `
    import { readFileSync, statSync } from 'node:fs'
    import { execFileSync } from 'node:child_process'
    const child = execFileSync('cat', ['/proc/self/status'], { encoding: 'utf8' })
    const limits = readFileSync('/proc/self/limits', 'utf8')
    console.log(JSON.stringify({ self: readFileSync('/proc/self/status', 'utf8'), child, limits, owner: statSync('/proc/self/maps').uid }))`
  const { stdout, stderr, exitCode } = await sandbox.runCode(code, { language: 'javascript' })
  expect({ stderr, exitCode }).toEqual({ stderr: '', exitCode: 0 })
  const report: { self: string; child: string; limits: string; owner: number } = JSON.parse(stdout)
  expect(statusFields(report.self)).toEqual(UNPRIVILEGED)
  expect(statusFields(report.child)).toEqual(UNPRIVILEGED)
  expect(report.limits).toMatch(/^Max processes +\d+ +1024 /m)
  expect(report.limits).toMatch(/^Max core file size +0 +0 /m)
  expect(report.owner).toBe(0)
})

interface ProcAndDev {
  readonly mounts: Record<string, string[]>
  readonly hidden: Record<string, string>
  readonly visible: number[]
  readonly own: number
  readonly init: string
  readonly sysctl: string
  readonly sysrq: string
  readonly block: string[]
  readonly ports: Record<string, string>
  readonly refused: Record<string, string>
  readonly create: string
  readonly mknod: string
  readonly mkblock: string
  readonly null: string
  readonly zero: string
  readonly full: string
  readonly random: number
  readonly urandom: number
  readonly shm: string
  readonly terminal: number
}

test('A07: /proc shows nothing of the system and lets nothing be set', async () => {
  const report = await ask<ProcAndDev>('proc-and-dev.py')
  expect(report.mounts['/proc']?.some((option) => ['hidepid=2', 'hidepid=invisible'].includes(option))).toBe(true)
  expect(report.visible).toContain(report.own)
  expect(report.visible).not.toContain(1)
  expect(report.init).toBe('ENOENT')
  expect(report.mounts['/proc/sys']).toContain('ro')
  expect(['EROFS', 'EACCES']).toContain(report.sysctl)
  expect(['ENOENT', 'EROFS', 'EACCES']).toContain(report.sysrq)
  const answers = Object.entries(report.hidden)
  expect(answers.filter(([, answer]) => !['ENOENT', 'EACCES', 'EPERM', '0 bytes'].includes(answer))).toEqual([])
})

test('A08: /dev offers the usual devices and no others', async () => {
  const report = await ask<ProcAndDev>('proc-and-dev.py')
  expect(report.mounts['/dev']).toContain('ro')
  expect(report.create).toBe('EROFS')
  expect([report.mknod, report.mkblock]).toEqual(['EPERM', 'EPERM'])
  expect(report.block).toEqual([])
  const open = Object.entries({ ...report.refused, ...report.ports }).filter(
    ([, answer]) => !['ENOENT', 'EACCES'].includes(answer),
  )
  expect(open).toEqual([])
  const { null: nothing, zero, full, random, urandom, shm, terminal } = report
  expect({ nothing, zero, full, random, urandom, shm, terminal }).toEqual({
    nothing: '',
    zero: '00000000',
    full: 'ENOSPC',
    random: 16,
    urandom: 16,
    shm: 'ok',
    terminal: 0,
  })
})

test('A09: no trick changes what /etc says', async () => {
  const { attempts, unchanged } = await ask<{
    attempts: Record<string, Record<string, string>>
    unchanged: boolean
  }>('etc.py')
  const worked = Object.entries(attempts).flatMap(([path, tricks]) =>
    Object.entries(tricks).flatMap(([trick, answer]) => (answer === 'ok' ? [`${trick} ${path}`] : [])),
  )
  expect(worked).toEqual([])
  expect(Object.keys(attempts)).toContain('/etc/hosts')
  expect(unchanged).toBe(true)
})

test('A10: no signal reaches PID 1, sent in any way and any number of times', async () => {
  const { ways, own } = await ask<{ ways: Record<string, string[]>; own: number[] }>('signals-to-init.py')
  expect(Object.keys(ways)).toEqual(['kill', 'tkill', 'tgkill', 'sigqueue', 'tgsigqueue', 'pidfd'])
  for (const [way, answers] of Object.entries(ways)) expect([way, answers]).toEqual([way, ['EPERM']])
  expect(own).toHaveLength(1)
  expect(await shell('echo alive')).toBe('alive')
})

test('A11: the kernel offers no surface that programs do not need', async () => {
  const { syscalls, sockets, control, filesystems, mounted, uid } = await ask<KernelSurface>('kernel-surface.py')
  expect(uid).toBe(1000)
  expect(control).toEqual({ getpid: 'ok', stream: 'ok' })
  // By the kernel or by the filter: which of them is asked in absent-features.test.ts and system-calls.test.ts.
  expect(
    Object.entries(syscalls).filter(([, answer]) => !['ENOSYS', 'EPERM', 'EACCES', 'EINVAL', 'ESRCH'].includes(answer)),
  ).toEqual([])
  const refused = ['EPERM', 'EAFNOSUPPORT', 'EPROTONOSUPPORT', 'ESOCKTNOSUPPORT']
  expect(Object.entries(sockets).filter(([, answer]) => !refused.includes(answer))).toEqual([])
  const unwanted = [
    'cgroup',
    'cgroup2',
    'debugfs',
    'tracefs',
    'bpf',
    'fuse',
    'fusectl',
    'nfs',
    'hugetlbfs',
    'configfs',
    'securityfs',
  ]
  expect(
    filesystems.filter((type) => ['cgroup', 'cgroup2', 'debugfs', 'tracefs', 'bpf', 'fuse', 'nfs'].includes(type)),
  ).toEqual([])
  expect(mounted.filter((type) => unwanted.includes(type))).toEqual([])
})

test('A12: only virtio drivers and the console are bound', async () => {
  const { buses, drivers, classes, network } = await ask<Machine>('machine.py', { SYSCTLS: '[]' })
  const unwanted = [
    'pci',
    'usb',
    'scsi',
    'hid',
    'i2c',
    'pnp',
    'acpi',
    'serio',
    'eisa',
    'isa',
    'parport',
    'pcmcia',
    'mmc',
    'nvme',
  ]
  expect(buses.filter((bus) => unwanted.includes(bus))).toEqual([])
  expect(
    classes.filter((name) => ['sound', 'drm', 'graphics', 'input', 'usb', 'scsi_host', 'vtconsole'].includes(name)),
  ).toEqual([])
  const bound = Object.values(drivers)
  expect(bound.some((driver) => driver === 'virtio_blk')).toBe(true)
  expect([...new Set(bound)].filter((driver) => !/^virtio|^serial8250$|^port$|^ctrl$/.test(driver))).toEqual([])
  expect(network.filter((name) => !['lo', 'tun0'].includes(name))).toEqual([])
})

test('A13: no nested virtualization is offered', async () => {
  const { flags } = await ask<Machine>('machine.py', { SYSCTLS: '[]' })
  expect(flags).toContain('sse2')
  expect(flags.filter((flag) => ['vmx', 'svm'].includes(flag))).toEqual([])
  const { refused } = await ask<ProcAndDev>('proc-and-dev.py')
  expect(refused['kvm']).toBe('ENOENT')
})

test('A15: zombies of orphaned children are reaped', async () => {
  expect(await ask('orphans.py')).toEqual({ made: 100, left: 0 })
})

test('memory that outlives its process is bounded', async () => {
  const code = `
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
IPC_PRIVATE, IPC_RMID = 0, 0
shared, queues, sets = [], [], []
for made, make in (
    (shared, lambda: libc.shmget(IPC_PRIVATE, 1 << 20, 0o1600)),
    (queues, lambda: libc.msgget(IPC_PRIVATE, 0o1600)),
    (sets, lambda: libc.semget(IPC_PRIVATE, 250, 0o1600)),
):
    while len(made) < 1000 and (id := make()) >= 0: made.append(id)
for id in shared: libc.shmctl(id, IPC_RMID, None)
for id in queues: libc.msgctl(id, IPC_RMID, None)
for id in sets: libc.semctl(id, 0, IPC_RMID)
print(len(shared), len(queues), len(sets))
`
  const { stdout } = await sandbox.runCode(code, { language: 'python' })
  expect(stdout).toBe('64 32 128\n')
})

test('the machine is as alive after all this as before', async () => {
  expect(await shell('echo $((6*7)); id -u')).toBe('42\n1000')
  const { stdout, exitCode } = await sandbox.runCode('print(6*7)', { language: 'python' })
  expect({ stdout, exitCode }).toEqual({ stdout: '42\n', exitCode: 0 })
})
