import { mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { writeCpio } from '../../src/image/cpio.ts'
import { layOut } from '../../src/image/initramfs.ts'
import { guestDirectory } from '../../src/image/recipe.ts'
import { runCommand } from '../../src/image/run-command.ts'
import { type VmPlan, withMemory } from '../../src/qemu/index.ts'
import { startProgram } from '../../src/sandbox/program-call.ts'
import { startRun } from '../../src/sandbox/run-call.ts'
import { execProgram, launchVm, type LaunchOptions, type Vm } from '../../src/vm/index.ts'
import { silent, testHost } from './qemu-plan.ts'

const signal = new AbortController().signal

/** When a script strikes: the steps that lead there (guest/hostile/README.md). */
export const MOMENTS = {
  /** The agent's first request waits for its answer. */
  resuming: '',
  /** The VM has been handed over and nothing is asked of it. */
  ready: 'ok;until clock;ok;',
  /** A run waits for its answer. */
  running: 'ok;until run;',
  /** A program with an input waits for its answer. */
  executing: 'ok;until exec;',
  /** The run has been answered. */
  ended: 'ok;until run;ok;',
} as const
export type Moment = keyof typeof MOMENTS

/** How a VM ended, or that it did not. */
export interface Verdict {
  /** The code of the error that whoever used it got; `alive` when the run gave a result and the VM answered afterwards. */
  readonly code: string
  /** The rule that the guest broke. */
  readonly rule: string | undefined
  readonly elapsedMs: number
}

/** VMs whose PID 1 plays scripts against the host. One of them is saved, so that a scenario costs a restore. */
export class HostileGuests implements AsyncDisposable {
  readonly #directory: string
  readonly #init: Buffer
  #template: VmPlan | undefined

  private constructor(directory: string, init: Buffer) {
    this.#directory = directory
    this.#init = init
  }

  static async prepare(): Promise<HostileGuests> {
    const directory = await mkdtemp(join(tmpdir(), 'hostile-guests-'))
    const init = join(directory, 'init')
    const source = join(guestDirectory, 'hostile', 'init.c')
    await runCommand('cc', { args: ['-static', '-O2', '-Wall', '-Wextra', '-Werror', '-o', init, source], signal })
    return new HostileGuests(directory, await readFile(init))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#directory, { recursive: true, force: true })
  }

  /** Saves one that said HELLO. */
  async save(): Promise<void> {
    const memory = { ram: join(this.#directory, 'ram'), state: join(this.#directory, 'state') }
    await writeFile(memory.ram, '')
    await writeFile(memory.state, '')
    const plan = await this.#plan('hello')
    await truncate(memory.ram, plan.memoryMb * 2 ** 20)
    const vm = await launch(withMemory(plan, { kind: 'shared', ...memory }), '')
    await vm.saveAndClose(signal)
    this.#template = withMemory(plan, { kind: 'template', ...memory })
  }

  /** Resumes the saved one, uses it as a caller would, and tells how that ended. Its process is dead then. */
  async judge(moment: Moment, attack: string, changes: Partial<LaunchOptions> = {}): Promise<Verdict> {
    const template = this.#template
    if (template === undefined) throw new Error('none has been saved')
    return await verdictOf(moment, async () => await launch(template, MOMENTS[moment] + attack, changes))
  }

  /** The same of one that plays `script` from its first instruction on: nothing has been said yet. */
  async judgeBoot(script: string, changes: Partial<LaunchOptions> = {}): Promise<Verdict> {
    const plan = await this.#plan(script)
    return await verdictOf('running', async () => await launch(plan, '', changes))
  }

  async #plan(script: string): Promise<VmPlan> {
    const initramfs = join(await mkdtemp(join(this.#directory, 'initramfs-')), 'initramfs.cpio')
    const files = [
      { path: 'init', mode: 0o755, content: this.#init },
      { path: 'script', mode: 0o644, content: Buffer.from(script) },
    ]
    await writeFile(initramfs, writeCpio([...layOut(files)]))
    const plan = (await testHost()).plan({ initramfs })
    // The plan's list of files names the initramfs, too.
    return withMemory(plan, plan.memory)
  }
}

async function verdictOf(moment: Moment, start: () => Promise<Vm>): Promise<Verdict> {
  const startedAt = performance.now()
  const verdict = (error: unknown): Verdict => ({ ...told(error), elapsedMs: performance.now() - startedAt })
  let vm: Vm
  try {
    vm = await start()
  } catch (error) {
    return verdict(error)
  }
  await using _ended = vm
  try {
    if (moment === 'ready') throw vm.lostError(await vm.ended, false)
    await (moment === 'executing' ? execute(vm) : run(vm))
    if (await vm.isAlive(2_000)) return verdict(undefined)
    await vm.close('it does not answer')
    throw vm.lostError(await vm.ended, false)
  } catch (error) {
    return verdict(error)
  }
}

async function launch(plan: VmPlan, script: string, changes: Partial<LaunchOptions> = {}): Promise<Vm> {
  return await launchVm(plan, {
    language: 'bash',
    identity: { hostname: 'sandbox-test', env: script === '' ? {} : { SCRIPT: script } },
    onBootLog: undefined,
    signal,
    logger: silent,
    onRetry: () => undefined,
    ...changes,
  })
}

async function run(vm: Vm): Promise<void> {
  const limits = { timeoutMs: 1_000, stdoutLimit: 1_000_000, stderrLimit: 100_000 }
  await startRun(vm, { language: 'bash', context: 'default', code: ':', env: {}, ...limits }, {}).outcome
}

async function execute(vm: Vm): Promise<void> {
  const limits = { timeoutMs: 1_000, stdoutLimit: 1_000_000, stderrLimit: 100_000 }
  const request = { argv: ['true'], env: {}, ...limits }
  const options = { limits: { stdout: 1_000_000, stderr: 100_000 }, timeoutMs: 1_000 }
  await startProgram(vm, { begin: () => execProgram(vm.channel, request), ...options }).outcome
}

function told(error: unknown): Pick<Verdict, 'code' | 'rule'> {
  if (error === undefined) return { code: 'alive', rule: undefined }
  if (!isTyped(error)) throw new Error('expected a typed error', { cause: error })
  return { code: error.code, rule: error.details.rule }
}

function isTyped(error: unknown): error is { readonly code: string; readonly details: { readonly rule?: string } } {
  return error instanceof Error && 'code' in error && 'details' in error
}
