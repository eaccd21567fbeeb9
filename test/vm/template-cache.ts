import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { LogFields, Logger } from '../../src/index.ts'
import { resolvePaths } from '../../src/host/index.ts'
import { openImage } from '../../src/image/index.ts'

/** An empty cache of its own, with the installed image: what templates are there is what the test has made. */
export async function templateCache(): Promise<{ readonly directory: string; remove(): Promise<void> }> {
  const image = await openImage({ paths: resolvePaths(process.env), env: process.env })
  process.env['EXEC_SANDBOX_IMAGE_DIR'] = image.directory
  const directory = await mkdtemp(join(tmpdir(), 'template-cache-'))
  return {
    directory,
    remove: async () => {
      delete process.env['EXEC_SANDBOX_IMAGE_DIR']
      await rm(directory, { recursive: true, force: true })
    },
  }
}

/** A logger that keeps its lines, each with its level in front. */
export function recordingLogger(): { readonly logger: Logger; readonly lines: string[] } {
  const lines: string[] = []
  const at =
    (level: string) =>
    (message: string, fields: LogFields = {}): void =>
      void lines.push(`${level} ${message} ${JSON.stringify(fields)}`)
  return { logger: { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }, lines }
}
