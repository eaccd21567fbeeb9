import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { findInPath } from '../../src/host/index.ts'
import type { LayerSpec } from '../../src/layer/index.ts'
import type { TemplateSpec } from '../../src/snapshot/index.ts'

const CHILD = fileURLToPath(new URL('./store-child.mjs', import.meta.url))

export type Step =
  | {
      readonly do: 'build'
      readonly spec: TemplateSpec
      readonly wait?: boolean
      readonly stateMib?: readonly number[]
    }
  /** Builds `spec` while `other` is being made. */
  | { readonly do: 'buildBeside'; readonly spec: TemplateSpec; readonly other: TemplateSpec }
  | { readonly do: 'buildLayer'; readonly spec: LayerSpec; readonly mib: number; readonly wait?: boolean }
  | { readonly do: 'open'; readonly key: string }
  | { readonly do: 'fillDisk'; readonly freeMib: number }

/** What a step came to: the keys of its templates, how often `make` was called, all keys of the cache, and the log. */
export interface StepResult {
  readonly key?: string
  readonly other?: string
  readonly made?: number
  /** Of a layer that could not be made. */
  readonly error?: string
  readonly keys: readonly string[]
  readonly lines: readonly string[]
}

export interface StoreProcess extends AsyncDisposable {
  readonly process: ChildProcess
  /** The next line that it prints; fails when it has ended. */
  line(): Promise<string>
  /** Lets it go on from where it waits. */
  goOn(): void
  /** The result of every step, once it has ended. */
  results(): Promise<readonly StepResult[]>
}

export interface StoreProcessOptions {
  readonly directory: string
  readonly limitBytes?: number
  readonly steps: readonly Step[]
  /** Options of bubblewrap, which changes what the process sees of the file system or may do there. */
  readonly bubblewrap?: readonly string[]
}

/** Starts a process with a store of its own, killed at the end of the test that forgot it. */
export async function startStore(options: StoreProcessOptions): Promise<StoreProcess> {
  const { bubblewrap, ...rest } = options
  const command = [process.execPath, CHILD, JSON.stringify(rest)]
  const jail = bubblewrap === undefined ? [] : await jailCommand(bubblewrap)
  const [file = '', ...argv] = [...jail, ...command]
  const child = spawn(file, argv, { stdio: ['pipe', 'pipe', 'inherit'] })
  const ended = once(child, 'close')
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const line = async (): Promise<string> => {
    const next = await lines.next()
    if (next.done === true) throw new Error(`the store's process has ended: ${child.exitCode ?? child.signalCode}`)
    return next.value
  }
  return {
    process: child,
    line,
    goOn: () => child.stdin.write('\n'),
    results: async () => {
      const results: StepResult[] = []
      for (const _step of rest.steps) results.push(JSON.parse(await line()))
      child.stdin.end()
      await ended
      return results
    },
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGKILL')
      await ended
    },
  }
}

/** Runs the steps in a process of their own. */
export async function runStore(options: StoreProcessOptions): Promise<readonly StepResult[]> {
  await using store = await startStore(options)
  return await store.results()
}

async function jailCommand(options: readonly string[]): Promise<readonly string[]> {
  const bwrap = await findInPath('bwrap', process.env['PATH'] ?? '')
  if (bwrap === undefined) throw new Error('these tests need bubblewrap, as VMs do')
  return [bwrap, '--dev-bind', '/', '/', '--die-with-parent', ...options, '--']
}
