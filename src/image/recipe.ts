import { readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'

/** The package's own directory: both `src/image` and `dist/image` stand two levels below it. */
const PACKAGE_DIRECTORY = join(dirname(fileURLToPath(import.meta.url)), '..', '..')

/** Sources of the image that ship with the package. */
export const guestDirectory: string = join(PACKAGE_DIRECTORY, 'guest')

const group = z.strictObject({ reason: z.string().min(1), names: z.array(z.string().min(1)).min(1) })

const rootRecipeSchema = z.strictObject({
  suite: z.string().regex(/^[a-z]+$/),
  packages: z.array(group),
  /** Paths relative to the root, with shell patterns, removed after installation. */
  remove: z.array(group),
  /** Paths that dpkg does not unpack in the first place. */
  exclude: z.array(group),
})
export type RootRecipe = z.infer<typeof rootRecipeSchema>

const runtimeRecipeSchema = z.strictObject({
  suite: z.string().regex(/^[a-z]+$/),
  packages: z.array(group),
  /** Packages of the root in which QEMU is compiled, which is thrown away. */
  compiler: z.array(group),
  /** Programs: they and the libraries they are linked with are kept. */
  programs: z.array(group),
  /** Further files, absolute within the tree. */
  files: z.array(group),
  /** Empty directories on which the jail mounts. */
  directories: z.array(group),
})
export type RuntimeRecipe = z.infer<typeof runtimeRecipeSchema>

const pinned = { version: z.string().regex(/^\d[\w.]*$/), reason: z.string().min(1) }
const versionsSchema = z.strictObject({
  bun: z.strictObject({
    ...pinned,
    package: z.string().regex(/^@oven\/bun-linux-x64(?:-baseline)?$/),
    integrity: z.string(),
  }),
  uv: z.strictObject({ ...pinned, sha256: z.string().regex(/^[0-9a-f]{64}$/) }),
})
export type PinnedVersions = z.infer<typeof versionsSchema>

/** What goes into the root file system. */
export async function readRootRecipe(): Promise<RootRecipe> {
  return rootRecipeSchema.parse(await readData('root.json'))
}

/** What goes into the runtime tree. */
export async function readRuntimeRecipe(): Promise<RuntimeRecipe> {
  return runtimeRecipeSchema.parse(await readData('runtime.json'))
}

/** Programs that do not come from Debian, pinned by version and content. */
export async function readPinnedVersions(): Promise<PinnedVersions> {
  return versionsSchema.parse(await readData('versions.json'))
}

/** All names of a recipe's groups, in order. */
export function namesOf(groups: readonly { readonly names: readonly string[] }[]): string[] {
  return groups.flatMap(({ names }) => names)
}

async function readData(name: string): Promise<unknown> {
  return JSON.parse(await readFile(join(guestDirectory, 'image', name), 'utf8'))
}
