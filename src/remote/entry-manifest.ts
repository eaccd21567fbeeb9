import { z } from 'zod'
import { FRAME_BYTES, LARGEST_PACKED_FRAME_BYTES } from './frame.ts'

/** Raised when the meaning of the manifest changes. */
const FORMAT = 1

/** Bytes of the largest layer that is shared. S3 takes at most 5 GiB in one request. */
export const LARGEST_LAYER_BYTES = 4 * 2 ** 30
/** Bytes of the layer's own manifest, as JSON: ten thousand packages with their versions take half of that. */
const LARGEST_OWN_MANIFEST_BYTES = 768 * 1024
/** Bytes of a manifest: the frames of the largest layer, at seven characters each, take 115 KB beside that. */
export const LARGEST_MANIFEST_BYTES = 1024 * 1024

const digest = z.string().regex(/^[0-9a-f]{64}$/)

const entryManifestSchema = z
  .strictObject({
    format: z.literal(FORMAT),
    /** The layer's key: an object that was stored under another one is not what was asked for. */
    key: z.string().regex(/^[0-9a-f]{16,64}$/),
    createdAt: z.iso.datetime(),
    layer: z.strictObject({ sha256: digest, bytes: z.int().min(1).max(LARGEST_LAYER_BYTES) }),
    packed: z.strictObject({
      sha256: digest,
      bytes: z.int().min(1),
      /** Bytes of each zstd frame. A frame holds FRAME_BYTES of the layer, the last one what is left. */
      frames: z.array(z.int().min(1).max(LARGEST_PACKED_FRAME_BYTES)),
    }),
    /** What the layer says about itself. Opaque here: whoever reads it checks it. */
    own: z.record(z.string(), z.unknown()),
  })
  .refine(({ layer, packed }) => packed.frames.length === Math.ceil(layer.bytes / FRAME_BYTES), {
    message: 'its frames do not make a layer of its size',
  })
  .refine(({ packed }) => packed.bytes === packed.frames.reduce((sum, bytes) => sum + bytes, 0), {
    message: 'its frames do not add up to its packed size',
  })

/** What is stored beside a packed layer. */
export type EntryManifest = z.infer<typeof entryManifestSchema>

export type EntryManifestResult =
  | { readonly ok: true; readonly manifest: EntryManifest }
  | { readonly ok: false; readonly why: string }

/** Reads the manifest that was stored for a key. The text may be anything at all. */
export function parseEntryManifest(text: string, key: string): EntryManifestResult {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return { ok: false, why: 'the manifest is not JSON' }
  }
  const parsed = entryManifestSchema.safeParse(value)
  if (!parsed.success) {
    const [issue] = parsed.error.issues
    return { ok: false, why: `the manifest is none: ${issue?.path.join('.')}: ${issue?.message}`.slice(0, 300) }
  }
  if (parsed.data.key !== key) return { ok: false, why: 'the manifest is that of another key' }
  return { ok: true, manifest: parsed.data }
}

/** @throws Error when it could not be read again: a layer too large, a manifest of its own that is too large or no JSON object */
export function renderEntryManifest(parts: Omit<EntryManifest, 'format'>): string {
  const ownBytes = Buffer.byteLength(JSON.stringify(parts.own))
  if (ownBytes > LARGEST_OWN_MANIFEST_BYTES) {
    throw new RangeError(`expected a manifest of at most ${LARGEST_OWN_MANIFEST_BYTES} bytes, got ${ownBytes}`)
  }
  const text = `${JSON.stringify({ format: FORMAT, ...parts })}\n`
  const again = parseEntryManifest(text, parts.key)
  if (!again.ok) throw new TypeError(`the layer cannot be shared: ${again.why}`)
  return text
}
