import { z } from 'zod'
import { LAYOUT_FORMAT, templateKey } from './template-key.ts'

const digest = z.string().regex(/^[0-9a-f]{64}$/)
const size = z.int().nonnegative()

const specSchema = z.strictObject({
  format: z.int(),
  imageId: z.string(),
  layer: z.string().optional(),
  program: z.string(),
  host: z.string().optional(),
  accelerator: z.enum(['kvm', 'tcg']),
  argv: z.array(z.string()),
  language: z.string(),
  warmUp: z.string(),
  memoryMb: z.int().positive(),
  cpus: z.int().positive(),
})

const manifestSchema = z.strictObject({
  format: z.literal(LAYOUT_FORMAT),
  key: z.string(),
  spec: specSchema,
  createdAt: z.iso.datetime(),
  qemuVersion: z.string(),
  /** Milliseconds that saving took, with its cold boot. */
  savedMs: z.number(),
  /** The RAM file: its size, what the file system gave it, and its digest with the chunks that the digest is over. */
  ram: z.strictObject({
    size,
    allocated: size,
    sha256: digest,
    chunks: z.array(z.tuple([z.int().nonnegative(), z.int().positive()])),
  }),
  state: z.strictObject({ size, sha256: digest }),
})

/** What a template says about itself. */
export type TemplateManifest = z.infer<typeof manifestSchema>

export type TemplateManifestResult =
  | { readonly ok: true; readonly manifest: TemplateManifest }
  | { readonly ok: false; readonly reason: string }

/** Reads the manifest of the template that is to stand under `key`; `reason` says what is wrong with it. Pure. */
export function parseTemplateManifest(text: string, key: string): TemplateManifestResult {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return { ok: false, reason: 'its manifest is not JSON' }
  }
  const format: unknown = typeof value === 'object' && value !== null ? Reflect.get(value, 'format') : undefined
  if (typeof format === 'number' && format !== LAYOUT_FORMAT) {
    return { ok: false, reason: `it has format ${format}, this version reads format ${LAYOUT_FORMAT}` }
  }
  // One manifest is read by most processes: compiling the schema would take longer than interpreting it.
  const parsed = manifestSchema.safeParse(value, { jitless: true })
  if (!parsed.success) {
    const [issue] = parsed.error.issues
    return { ok: false, reason: `its manifest is wrong at ${issue?.path.join('.')}: ${issue?.message}` }
  }
  const manifest = parsed.data
  if (manifest.key !== key) return { ok: false, reason: `its manifest is that of another template, ${manifest.key}` }
  // The key is made of the spec: a manifest that was changed in either does not agree with itself any more.
  const { host, layer, ...rest } = manifest.spec
  if (templateKey({ ...rest, host, layer }) !== key)
    return { ok: false, reason: 'its manifest describes another template' }
  return { ok: true, manifest }
}

/** The manifest as it stands on the disk. */
export function renderTemplateManifest(manifest: TemplateManifest): string {
  return `${JSON.stringify(manifest)}\n`
}
