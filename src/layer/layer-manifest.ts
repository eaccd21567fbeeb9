import { z } from 'zod'
import { LAYER_FORMAT, layerKey } from './layer-key.ts'
import { PACKAGE_LANGUAGES } from './package-spec.ts'

const digest = z.string().regex(/^[0-9a-f]{64}$/)

/** Names of modules: they go into a program, so they must be nothing but names. */
export const moduleNamesSchema = z.array(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]{0,127}$/)).max(32)

/** A package that was installed, named by whoever resolved the specs: text of the guest, shown and never acted on. */
// A package chooses both, and people read them on a terminal.
// oxlint-disable-next-line no-control-regex
const packageWord = z.string().regex(/^[^\u0000-\u0020\u007f-\u00a0\u2028-\u202e\u2066-\u2069]{1,256}$/)
export const installedPackageSchema = z.strictObject({
  name: packageWord,
  version: packageWord,
})

/** Packages of one layer: the largest trees have some thousand. */
export const installedPackagesSchema = z.array(installedPackageSchema).max(10_000)

const manifestSchema = z.strictObject({
  format: z.literal(LAYER_FORMAT),
  key: z.string(),
  spec: z.strictObject({
    language: z.enum(PACKAGE_LANGUAGES),
    packages: z.array(z.string()),
    root: digest,
    index: z.string(),
  }),
  createdAt: z.iso.datetime(),
  /** Milliseconds from the start of the installing VM to the finished disk. */
  installMs: z.number().nonnegative(),
  disk: z.strictObject({ size: z.int().positive(), sha256: digest }),
  /** Everything that was installed, with the versions that the specs were resolved to. */
  packages: installedPackagesSchema,
  /** Top-level modules of the packages that were asked for; none where nobody imports them ahead. */
  modules: moduleNamesSchema,
})

/** A package of a layer. */
export type InstalledPackage = z.infer<typeof installedPackageSchema>

/** What a layer says about itself. */
export type LayerManifest = z.infer<typeof manifestSchema>

export type LayerManifestResult =
  | { readonly ok: true; readonly manifest: LayerManifest }
  | { readonly ok: false; readonly reason: string }

/** Reads the manifest of the layer that is to stand under `key`; `reason` says what is wrong with it. Pure. */
export function parseLayerManifest(text: string, key: string): LayerManifestResult {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return { ok: false, reason: 'its manifest is not JSON' }
  }
  return checkLayerManifest(value, key)
}

/** The same for what has been read as JSON already. Pure. */
export function checkLayerManifest(value: unknown, key: string): LayerManifestResult {
  const format: unknown = typeof value === 'object' && value !== null ? Reflect.get(value, 'format') : undefined
  if (typeof format === 'number' && format !== LAYER_FORMAT) {
    return { ok: false, reason: `it has format ${format}, this version reads format ${LAYER_FORMAT}` }
  }
  const parsed = manifestSchema.safeParse(value, { jitless: true })
  if (!parsed.success) {
    const [issue] = parsed.error.issues
    return { ok: false, reason: `its manifest is wrong at ${issue?.path.join('.')}: ${issue?.message}` }
  }
  const manifest = parsed.data
  if (manifest.key !== key) return { ok: false, reason: `its manifest is that of another layer, ${manifest.key}` }
  if (layerKey(manifest.spec) !== key) return { ok: false, reason: 'its manifest describes another layer' }
  return { ok: true, manifest }
}

/** The manifest as it stands on the disk. */
export function renderLayerManifest(manifest: LayerManifest): string {
  return `${JSON.stringify(manifest)}\n`
}
