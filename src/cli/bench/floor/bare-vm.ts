import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { closeSync, openSync } from 'node:fs'
import { Duplex } from 'node:stream'
import { withDeadline } from '../../../base/index.ts'
import { KVM_DEVICE } from '../../../host/index.ts'
import type { BareCommand } from './bare-command.ts'
import { BareQmp } from './bare-qmp.ts'
import { type BareAnswer, BareWire } from './bare-wire.ts'
import type { OrphanGuard } from './orphan-guard.ts'

/** Milliseconds until a step of a bare VM is taken for hung; a cold boot of a loaded host takes some. */
const STEP_LIMIT_MS = 60_000

/** Bytes of output that the agent passes on; the product's own limit unless a measurement wants more. */
const STDOUT_LIMIT = 1_000_000
const STDERR_LIMIT = 100_000

/** A program, in the words of the agent's `run`. */
export interface BareProgram {
  readonly language: string
  readonly code: string
  readonly stdoutLimit?: number
  /** `count` counts the bytes of the output and drops them. @default 'keep' */
  readonly output?: 'keep' | 'count'
}

/** QEMU started by hand, with the three connections that its arguments name as descriptors 3, 4 and 5. */
export class BareVm implements AsyncDisposable {
  readonly pid: number
  readonly #child: ChildProcess
  readonly #qmp: BareQmp
  readonly #wire: BareWire
  readonly #exited: Promise<string>
  readonly #signal: AbortSignal

  constructor(command: BareCommand, options: { readonly guard: OrphanGuard; readonly signal: AbortSignal }) {
    const kvm = command.accelerator === 'kvm' ? openSync(KVM_DEVICE, 'r+') : undefined
    this.#child = spawn(command.file, command.argv, {
      stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe', 'pipe', ...(kvm === undefined ? [] : [kvm])],
    })
    if (kvm !== undefined) closeSync(kvm)
    options.guard.watch(this.#child)
    this.#signal = options.signal
    this.pid = this.#child.pid ?? 0
    this.#exited = new Promise((resolve) => {
      this.#child.once('error', (error) => resolve(error.message))
      this.#child.once('exit', (code, signal) => resolve(`QEMU ended: ${code ?? signal}`))
    })
    const [qmp, boot, channel] = [3, 4, 5].map((fd) => connection(this.#child, fd))
    if (qmp === undefined || boot === undefined || channel === undefined) throw new TypeError('a connection is missing')
    boot.resume()
    this.#qmp = new BareQmp(qmp)
    this.#wire = new BareWire(channel)
  }

  /** Waits until the booted guest has said hello. */
  async hello(): Promise<void> {
    await this.#step(this.#wire.hello)
  }

  /** Loads a template's state; the guest is still stopped. */
  async load(state: string): Promise<void> {
    await this.#step(this.#qmp.load(state))
  }

  /** Lets the guest of a loaded state go on. QEMU's answer is not waited for. */
  goOn(): void {
    this.#qmp.goOn()
  }

  async resume(): Promise<void> {
    const entropy = randomBytes(64).toString('base64')
    const params = { unixTimeNs: `${Date.now()}000000`, entropy, hostname: 'floor', env: {} }
    await this.#step(this.#wire.request({ method: 'resume', params }))
  }

  async run(program: BareProgram): Promise<BareAnswer> {
    const { language, code, stdoutLimit = STDOUT_LIMIT, output = 'keep' } = program
    const params = { language, code, context: 'default', env: {}, timeoutMs: STEP_LIMIT_MS, stdoutLimit }
    return await this.#step(
      this.#wire.request({ method: 'run', params: { ...params, stderrLimit: STDERR_LIMIT }, output }),
    )
  }

  /** Runs a program that reads `input` to its end; its output is counted. */
  async exec(argv: readonly string[], input: Uint8Array = new Uint8Array(0)): Promise<BareAnswer> {
    const params = { argv, env: {}, timeoutMs: STEP_LIMIT_MS, stdoutLimit: 0, stderrLimit: STDERR_LIMIT }
    return await this.#step(this.#wire.request({ method: 'exec', params, input, output: 'count' }))
  }

  /** Kills QEMU and waits until it is dead. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.#exited
  }

  async #step<T>(work: Promise<T>): Promise<T> {
    const died = this.#exited.then((how) => {
      throw new Error(how)
    })
    return await withDeadline(Promise.race([work, died]), {
      timeoutMs: STEP_LIMIT_MS,
      signal: this.#signal,
      onTimeout: () => new Error(`a bare VM did not answer within ${STEP_LIMIT_MS / 1000} s`),
    })
  }
}

function connection(child: ChildProcess, fd: number): Duplex | undefined {
  const stream = child.stdio[fd]
  if (!(stream instanceof Duplex)) return undefined
  // It breaks when QEMU is killed; what matters then is told by the exit.
  stream.on('error', () => undefined)
  return stream
}
