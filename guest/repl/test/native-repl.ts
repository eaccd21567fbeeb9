// Starts a REPL program as the agent does, without a VM: in bubblewrap, in an unpacked root file system.

import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { closeSync, constants, mkdtempSync, openSync, readFileSync, readSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { Duplex } from 'node:stream'
import { fileURLToPath } from 'node:url'
import type { CaseLanguage } from '../../../test/vm/cases/index.ts'

const replDirectory = dirname(dirname(fileURLToPath(import.meta.url)))
const GUEST_DIRECTORY = '/run/exec-sandbox/repl'

const ARGV: Readonly<Record<CaseLanguage, readonly string[]>> = {
  python: ['/usr/bin/python3', '-I', '-X', 'utf8', '-X', 'frozen_modules=on', `${GUEST_DIRECTORY}/python/repl.py`],
  javascript: [
    '/usr/local/bin/bun',
    '--smol',
    '--no-install',
    '--no-env-file',
    '--config=/dev/null',
    'run',
    `${GUEST_DIRECTORY}/javascript/repl.ts`,
  ],
  bash: [
    '/bin/bash',
    '--noprofile',
    '--norc',
    '-c',
    `enable -f ${GUEST_DIRECTORY}/bash/repl.so exec_sandbox_repl; exec_sandbox_repl`,
    'bash',
  ],
}

/** As in guest/agent/src/repl/table.rs. */
const ENVIRONMENT: Readonly<Record<CaseLanguage, Readonly<Record<string, string>>>> = {
  python: {},
  javascript: {
    BUN_GC_TIMER_DISABLE: '1',
    BUN_JSC_thresholdForJITAfterWarmUp: '5000',
    BUN_JSC_thresholdForJITSoon: '1000',
  },
  bash: {},
}

/** What the native tests need besides the sources; from the environment, see guest/repl/README.md. */
export interface NativeSetup {
  /** An unpacked root file system of the guest. */
  readonly root: string
  /** The compiled bash builtin. */
  readonly bashBuiltin: string
}

export interface Message {
  readonly kind: string
  readonly text: string
}

/** One REPL process. */
export class NativeRepl implements AsyncDisposable {
  readonly #process: ChildProcess
  readonly #socket: Duplex
  readonly #pipes: readonly [number, number]
  readonly #exited: Promise<number>
  #pending: Buffer = Buffer.alloc(0)
  #wake: () => void = () => {}
  #closed = false

  private constructor(child: ChildProcess, pipes: readonly [number, number]) {
    this.#process = child
    this.#pipes = pipes
    this.#socket = child.stdio[3] as Duplex
    this.#socket.on('data', (data: Buffer) => {
      this.#pending = Buffer.concat([this.#pending, data])
      this.#wake()
    })
    this.#socket.on('error', () => {})
    this.#socket.on('close', () => {
      this.#closed = true
      this.#wake()
    })
    this.#exited = new Promise((resolve) => {
      child.once('exit', (code, signal) => {
        resolve(code ?? (signal ? 255 : 0))
        this.#wake()
      })
    })
  }

  static async start(language: CaseLanguage, setup: NativeSetup): Promise<NativeRepl> {
    const directory = mkdtempSync(join(tmpdir(), 'repl-'))
    const names = [join(directory, 'out'), join(directory, 'err')] as const
    execFileSync('mkfifo', names)
    const readers = names.map((name) => openSync(name, constants.O_RDONLY | constants.O_NONBLOCK))
    const writers = names.map((name) => openSync(name, constants.O_WRONLY))
    rmSync(directory, { recursive: true })
    const child = spawn('bwrap', [...sandboxArguments(setup, language), 'setsid', ...ARGV[language]], {
      stdio: ['ignore', writers[0] as number, writers[1] as number, 'pipe'],
    })
    writers.forEach((descriptor) => closeSync(descriptor))
    const repl = new NativeRepl(child, [readers[0] as number, readers[1] as number])
    const first = await repl.receive(10_000)
    if (first?.kind === 'R') return repl
    const complaint = repl.drain().stderr
    await repl[Symbol.asyncDispose]()
    throw new Error(`the REPL did not become ready: ${complaint.toString()}`)
  }

  /** Exit status once the process has ended; undefined before. */
  get exitStatus(): Promise<number> {
    return this.#exited
  }

  send(kind: string, text: string): void {
    const payload = Buffer.from(text)
    const header = Buffer.alloc(5)
    header.write(kind, 'latin1')
    header.writeUInt32LE(payload.length, 1)
    this.#socket.write(Buffer.concat([header, payload]))
  }

  /** The next message; null when the socket has closed, undefined after the given time. */
  async receive(timeoutMs: number): Promise<Message | null | undefined> {
    const end = Date.now() + timeoutMs
    for (;;) {
      const message = this.#take()
      if (message) return message
      if (this.#closed) return null
      const left = end - Date.now()
      if (left <= 0) return undefined
      await this.#event(left)
    }
  }

  /** What is in the two pipes right now. */
  drain(): { stdout: Buffer; stderr: Buffer } {
    const [stdout, stderr] = this.#pipes.map(readAvailable)
    return { stdout: stdout as Buffer, stderr: stderr as Buffer }
  }

  /** Signals the REPL's process group. */
  signal(signal: NodeJS.Signals): void {
    const pid = findRepl(this.#process.pid as number)
    if (pid !== undefined) process.kill(-pid, signal)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.kill('SIGKILL')
    await this.#exited
    this.#socket.destroy()
    this.#pipes.forEach((descriptor) => closeSync(descriptor))
  }

  #take(): Message | undefined {
    if (this.#pending.length < 5) return undefined
    const end = 5 + this.#pending.readUInt32LE(1)
    if (this.#pending.length < end) return undefined
    const message = { kind: this.#pending.toString('latin1', 0, 1), text: this.#pending.toString('utf8', 5, end) }
    this.#pending = this.#pending.subarray(end)
    return message
  }

  /** Resolves at the next event of the process or its socket, at the latest after the given time. */
  #event(timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, timeoutMs)
      this.#wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }
}

function sandboxArguments({ root, bashBuiltin }: NativeSetup, language: CaseLanguage): string[] {
  return [
    ...[
      '--ro-bind',
      root,
      '/',
      '--dev',
      '/dev',
      '--proc',
      '/proc',
      '--tmpfs',
      '/tmp',
      '--tmpfs',
      '/run',
      '--tmpfs',
      '/home',
    ],
    ...['--dir', '/home/user', '--dir', GUEST_DIRECTORY],
    ...['--ro-bind', join(replDirectory, 'python'), `${GUEST_DIRECTORY}/python`],
    ...['--ro-bind', join(replDirectory, 'javascript'), `${GUEST_DIRECTORY}/javascript`],
    ...['--ro-bind', bashBuiltin, `${GUEST_DIRECTORY}/bash/repl.so`],
    ...[
      '--unshare-all',
      '--unshare-user',
      '--uid',
      '1000',
      '--gid',
      '1000',
      '--die-with-parent',
      '--chdir',
      '/home/user',
    ],
    ...['--clearenv', '--setenv', 'HOME', '/home/user', '--setenv', 'PATH', '/usr/local/bin:/usr/bin:/bin'],
    ...['--setenv', 'LANG', 'C.UTF-8'],
    ...Object.entries(ENVIRONMENT[language]).flatMap(([name, value]) => ['--setenv', name, value]),
  ]
}

/** Below bubblewrap's two processes: the first one that is neither of them. */
function findRepl(pid: number): number | undefined {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim()
  if (children === '') return undefined
  const child = Number(children.split(' ')[0])
  const name = readFileSync(`/proc/${child}/comm`, 'utf8').trim()
  return name === 'bwrap' || name === 'setsid' ? findRepl(child) : child
}

function readAvailable(descriptor: number): Buffer {
  const chunks: Buffer[] = []
  for (;;) {
    const chunk = Buffer.alloc(65_536)
    let length: number
    try {
      length = readSync(descriptor, chunk)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EAGAIN') break
      throw error
    }
    if (length === 0) break
    chunks.push(chunk.subarray(0, length))
  }
  return Buffer.concat(chunks)
}
