import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { chmod, cp, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type JailPlan, QemuProcess, type VmPlan } from '../../src/qemu/index.ts'
import { leaseUid } from '../../src/qemu/jail-uid.ts'
import { childDead, spawnQemu } from '../../src/qemu/qemu-child.ts'
import { confine, type QemuCommand } from '../../src/qemu/qemu-command.ts'
import { silent, type TestHost, testHost } from './qemu-plan.ts'

// A program in QEMU's place, in QEMU's jail, with QEMU's descriptors: what a guest can do that has taken QEMU over. QEMU's own
// seccomp filter is not there, on purpose. Each attempt that must fail in the jail gets through outside of it, if that harms nobody.

interface Line {
  readonly name: string
  readonly answer: string
}

let host: TestHost
let directory: string
let probe: string
let plan: VmPlan
/** Arguments of the probe: what there is to be reached. */
let goals: readonly string[]
const victims: { end(): Promise<void> }[] = []

beforeAll(async () => {
  host = await testHost()
  directory = await mkdtemp(join(tmpdir(), 'taken-over-'))
  await chmod(directory, 0o755)
  probe = join(directory, 'probe')
  const source = fileURLToPath(new URL('programs/taken-over.c', import.meta.url))
  await promisify(execFile)('gcc', ['-O1', '-Wall', '-Werror', '-static', '-o', probe, source])
  plan = await planWithProbe(host.plan())
  goals = ['--', ...(await makeGoals())]
})

afterAll(async () => {
  for (const victim of victims) await victim.end()
  await rm(directory, { recursive: true, force: true })
})

/** Somebody without a name, a group or a right: a normal user, where the tests are run by root. */
const USER = 61_234

/**
 * The plan of an ordinary VM whose runtime tree holds the probe where QEMU was, and whose files hold nothing: a normal user could not
 * reach those of root's cache.
 */
async function planWithProbe(ordinary: VmPlan): Promise<VmPlan> {
  if (ordinary.program.kind !== 'tree') throw new Error('this test needs the runtime tree')
  const root = join(directory, 'runtime')
  await cp(ordinary.program.root, root, { recursive: true, verbatimSymlinks: true })
  const { binary } = ordinary.program
  await rm(join(root, binary))
  await cp(probe, join(root, binary))
  const files = ordinary.files.map((file, index) => ({ ...file, host: join(directory, `file-${index}`) }))
  for (const file of files) await writeFile(file.host, 'of the VM', { mode: 0o444 })
  return { ...ordinary, files, program: { ...ordinary.program, root } }
}

function rootOf({ program }: VmPlan): string {
  if (program.kind !== 'tree') throw new Error('this test needs the runtime tree')
  return program.root
}

/** Something of the host for each attempt: another process, servers that listen, a file that anybody may read. */
async function makeGoals(): Promise<readonly string[]> {
  const sleeper = spawn('sleep', ['600'], { stdio: 'ignore' })
  victims.push({
    end: async () => {
      sleeper.kill('SIGKILL')
      if (sleeper.exitCode === null && sleeper.signalCode === null) await once(sleeper, 'exit')
    },
  })
  const abstract = `exec-sandbox-test-${process.pid}`
  const named = join(directory, 'service.sock')
  const tcp = await listen('127.0.0.1')
  await listen(`\0${abstract}`)
  await listen(named)
  await chmod(named, 0o777)
  const secret = join(directory, 'secret')
  await writeFile(secret, 'of the host', { mode: 0o644 })
  const address = tcp.address()
  if (address === null || typeof address === 'string') throw new Error('the server has no port')
  return [String(sleeper.pid), String(address.port), abstract, named, secret]
}

async function listen(where: string): Promise<Server> {
  const server = createServer((socket) => socket.destroy())
  if (where === '127.0.0.1') server.listen(0, where)
  else server.listen(where)
  await once(server, 'listening')
  victims.push({ end: async () => await new Promise((resolve) => server.close(() => resolve())) })
  return server
}

function linesOf(text: string): readonly Line[] {
  return text
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Line)
}

/** Runs the probe in the jail as the product makes it; `filter` false takes the seccomp filter out of it. */
async function takeOver(jail: JailPlan, filter: boolean): Promise<readonly Line[]> {
  const lease =
    jail.kind === 'bubblewrap' && jail.maker.kind === 'root' ? await leaseUid(plan, jail.maker.uids) : undefined
  try {
    const command = confine({ ...plan, jail }, lease?.uid, [...goals, 'jail'])
    const at = command.argv.indexOf('--seccomp')
    expect(at).toBeGreaterThan(0)
    const argv = filter ? command.argv : command.argv.toSpliced(at, 2)
    const child = spawnQemu(lease === undefined ? asUser({ ...command, argv }) : { ...command, argv }, plan.accelerator)
    let told = ''
    child.stderr.on('data', (chunk: Buffer) => (told += chunk.toString()))
    for (const stream of [child.qmp, child.console, child.channel]) stream.on('error', () => undefined).resume()
    const end = await childDead(child)
    expect(end, told).toMatchObject({ code: 0 })
    return linesOf(told)
  } finally {
    await lease?.[Symbol.asyncDispose]()
  }
}

/** The same command by a normal user, if we are root. */
function asUser(command: QemuCommand): QemuCommand {
  if (process.geteuid?.() !== 0) return command
  const become = [`--reuid=${USER}`, `--regid=${USER}`, '--clear-groups', '--', command.file]
  return { ...command, file: 'setpriv', argv: [...become, ...command.argv] }
}

/** The two ways a jail is made; a normal user has the second alone. */
function makers(): readonly JailPlan[] {
  const { jail } = host.verdict
  if (jail.kind !== 'bubblewrap') throw new Error('this test needs bubblewrap')
  return jail.maker.kind === 'root' ? [jail, { ...jail, maker: { kind: 'user' } }] : [jail]
}

/** Names of the attempts that got through. */
function doneOf(lines: readonly Line[]): readonly string[] {
  return lines.filter(({ answer }) => answer === 'done').map(({ name }) => name)
}

/** What the namespaces, the mounts and the uid do not stop. The filter does, and it is nothing but the kernel's own surface. */
const LEFT_TO_THE_FILTER = [
  'make a datagram socket',
  'make a netlink socket',
  'make a process',
  'make memory that can be executed as a file',
  'join a keyring',
  'look at file events',
  'make a user namespace',
  'mount in a namespace of its own',
  'take a lease',
  'make a ring',
  'handle page faults',
  'make a vsock socket',
  'make a crypto socket',
  'count events',
  'watch the file system',
]

describe('a QEMU that was taken over', () => {
  it('B01: reaches nothing and gets nothing of the host, whoever made its jail', async () => {
    // A neighbour whose processes, sockets and memory are there to be found.
    await using neighbour = await QemuProcess.start(host.plan(), { logger: silent })
    for (const jail of makers()) {
      const lines = await takeOver(jail, true)
      expect(doneOf(lines)).toEqual([])
      expect(lines.length).toBeGreaterThan(60)
    }
    expect(neighbour.pid).toBeGreaterThan(0)
  })

  it('B01: is held by its namespaces, mounts and uid alone where the filter is taken away', async () => {
    for (const jail of makers()) {
      const through = doneOf(await takeOver(jail, false))
      expect(through.filter((name) => !LEFT_TO_THE_FILTER.includes(name))).toEqual([])
      // Else the filter would not be what stopped these.
      expect(through).toEqual(expect.arrayContaining(['make a datagram socket', 'make a process', 'join a keyring']))
    }
  })

  it('B01: sees its own program and its own VM’s files, and can write and change none', async () => {
    for (const jail of makers()) {
      const lines = await takeOver(jail, false)
      const answers = (name: string): string[] => lines.filter((line) => line.name === name).map(({ answer }) => answer)
      expect(answers('writable')).toEqual([])
      expect(answers('changeable')).toEqual([])
      expect(answers('top').toSorted()).toEqual(readdirSync(rootOf(plan)).toSorted())
      // What was walked through was something.
      expect(Number(answers('names seen')[0])).toBeGreaterThan(20)
    }
  })

  it('B01: holds its three connections and nothing else that was open', async () => {
    for (const jail of makers()) {
      const open = (await takeOver(jail, true)).filter(({ name }) => name === 'descriptor').map(({ answer }) => answer)
      // stderr is a socket, too. The place of /dev/kvm is empty under emulation.
      const kvm = plan.accelerator === 'kvm' ? '6 device' : '6 null'
      expect(open.slice(0, 7)).toEqual(['0 null', '1 null', '2 socket', '3 socket', '4 socket', '5 socket', kvm])
      // Whatever this process was started with is covered.
      for (const other of open.slice(7)) expect(other).toMatch(/ null$/)
    }
  })

  it('can do these things when nothing holds it', async () => {
    // The control: as whoever runs the tests, with no jail around it.
    const { stderr } = await promisify(execFile)(probe, [...goals, 'free'])
    const answers = linesOf(stderr).filter(({ name }) => name !== 'descriptor')
    const stopped = answers.filter(({ answer }) => answer !== 'done')
    // A host may forbid tracing of processes that are no children (yama).
    const excused = ['trace another process', "read another process's memory"]
    expect(stopped.filter(({ name }) => !excused.includes(name))).toEqual([])
    expect(answers.length).toBe(16)
  })
})
