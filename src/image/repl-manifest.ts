import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { guestDirectory } from './recipe.ts'

/** A relative path that stays where it starts. */
const innerPath = z.string().regex(/^(?!\/)(?!.*(?:^|\/)\.\.?(?:\/|$))[\w./-]+$/)
const mode = z
  .string()
  .regex(/^0[0-7]{3}$/)
  .transform((text) => Number.parseInt(text, 8))
  .default(0o444)

const manifestSchema = z.object({
  /** Copied as they are: from below guest/repl to below /repl. */
  files: z.array(z.object({ source: innerPath, target: innerPath, mode })),
  /** Compiled as shared objects against the headers of the guest's bash. */
  cPrograms: z.array(z.object({ source: innerPath, target: innerPath, mode, flags: z.array(z.string()).default([]) })),
})
export type ReplManifest = z.infer<typeof manifestSchema>

/** Which REPL files go into the initramfs: guest/repl/manifest.json. */
export async function readReplManifest(): Promise<ReplManifest> {
  return manifestSchema.parse(JSON.parse(await readFile(join(guestDirectory, 'repl', 'manifest.json'), 'utf8')))
}
