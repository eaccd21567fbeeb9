import { copyFile, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createLogger } from '../../src/base/index.ts'
import { resolvePaths } from '../../src/host/index.ts'
import { openImage } from '../../src/image/index.ts'
import { type Layer, LayerStore } from '../../src/layer/index.ts'
import { npmAccess, pythonAccess } from '../../src/packages/index-access.ts'
import { programCommand } from '../../src/packages/guest-programs.ts'
import type { Scheduler } from '../../src/index.ts'

/** Nobody listens there: a test whose layer is not found fails at once. */
export const NO_INDEX = { pythonIndexUrl: 'http://127.0.0.1:9/simple', npmRegistryUrl: 'http://127.0.0.1:9/' } as const

/**
 * Puts a layer into a cache that a guest has made of what `script` puts into ~/layer, as if it had been installed for `packages`.
 * Sandboxes of schedulers with that cache and `NO_INDEX` find it.
 */
export async function makeLayerByHand(
  scheduler: Scheduler,
  made: {
    readonly cacheDir: string
    readonly language: 'python' | 'javascript'
    readonly packages: readonly string[]
    readonly script: string
    /** Imported ahead. @default none */
    readonly modules?: readonly string[]
    /** Instead of the product's own way to make a disk of ~/layer. */
    readonly seal?: string
  },
): Promise<Layer> {
  const { cacheDir, language, packages, script, seal } = made
  const directory = await mkdtemp(join(tmpdir(), 'hand-made-layer-'))
  try {
    const disk = join(directory, 'disk')
    await using maker = await scheduler.create({ language: 'bash', timeoutMs: 60_000 })
    const sealing = seal ?? (await programCommand('seal.sh', ['1754697600', '-zlz4', '-C65536']))
    for (const command of [`mkdir -p ~/layer; cd ~/layer; ${script}`, sealing]) {
      const { exitCode, stderr } = await maker.commands.run(command)
      if (exitCode !== 0) throw new Error(`making a layer by hand ended with ${exitCode}: ${stderr}`)
    }
    await maker.files.download('/tmp/layer.erofs', disk)
    const image = await openImage({ paths: resolvePaths(process.env), env: process.env })
    const access =
      language === 'python'
        ? pythonAccess(NO_INDEX, { indexUrl: undefined, extraIndexUrls: [], trustedHosts: [] })
        : npmAccess(NO_INDEX, { registryUrl: undefined, scopes: {}, credentials: {} })
    const spec = { language, packages, root: image.manifest.files.root.sha256, index: access.fingerprint }
    const paths = resolvePaths(process.env, { cacheDir })
    const store = new LayerStore({ paths, limitBytes: 2 ** 40, logger: createLogger('silent') })
    return await store.build(
      spec,
      async (work) => {
        await copyFile(disk, work.disk)
        return { packages: packages.map((name) => ({ name, version: '1.0' })), modules: made.modules ?? [] }
      },
      { signal: new AbortController().signal, lockTimeoutMs: 10_000 },
    )
  } finally {
    await rm(directory, { recursive: true })
  }
}
