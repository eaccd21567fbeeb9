import { mkdtemp, open, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createLogger } from '../../src/base/index.ts'
import { type HostPaths, resolvePaths } from '../../src/host/index.ts'
import { type TemplateFacts, type TemplateFiles, type TemplateSpec, TemplateStore } from '../../src/snapshot/index.ts'

// Templates with real files whose content is made up: what is tested is their keeping, and no VM is resumed from them.

/** A cache directory of its own that is removed at the end, a store in it, and the lines that the store logged. */
export interface TestCache extends AsyncDisposable {
  readonly paths: HostPaths
  readonly lines: string[]
  store(options?: { readonly limitBytes?: number }): TemplateStore
}

export async function makeCache(): Promise<TestCache> {
  const directory = await mkdtemp(join(tmpdir(), 'exec-sandbox-templates-'))
  return {
    ...cacheIn(directory),
    [Symbol.asyncDispose]: async () => await rm(directory, { recursive: true, force: true }),
  }
}

/** The same for a directory that belongs to somebody else. */
export function cacheIn(directory: string): Pick<TestCache, 'paths' | 'lines' | 'store'> {
  const paths = resolvePaths({}, { cacheDir: join(directory, 'cache'), runtimeDir: join(directory, 'run') })
  const lines: string[] = []
  const logger = createLogger('debug', (line) => lines.push(line))
  return { paths, lines, store: ({ limitBytes = 2 ** 40 } = {}) => new TemplateStore({ paths, limitBytes, logger }) }
}

/** Memory sizes are small, so that a test reads little. */
export function spec(changes: Partial<TemplateSpec> = {}): TemplateSpec {
  return {
    format: 1,
    imageId: 'image-a',
    program: 'qemu-10.0',
    host: undefined,
    accelerator: 'tcg',
    argv: ['-machine', 'microvm'],
    language: 'python',
    warmUp: 'print(42)',
    memoryMb: 8,
    cpus: 1,
    ...changes,
  }
}

export const FACTS: TemplateFacts = { bootLog: 'Linux version 6.12\n', qemuVersion: '10.0.0', savedMs: 12 }

/** Fills the files as a saving QEMU would: some pages here and there, holes between them, and a state. */
export function fill(mark: string): (files: TemplateFiles) => Promise<TemplateFacts> {
  return async ({ ram, state }) => {
    const file = await open(ram, 'r+')
    try {
      for (const at of [0, 3 * 2 ** 20 + 4096, 8 * 2 ** 20 - 4096]) {
        await file.write(Buffer.alloc(4096, `${mark} at ${at};`), 0, 4096, at)
      }
    } finally {
      await file.close()
    }
    await writeFile(state, `state of ${mark}`)
    return FACTS
  }
}

export const SIGNAL: AbortSignal = new AbortController().signal
