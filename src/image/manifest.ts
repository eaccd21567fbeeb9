import { z } from 'zod'

/** Raised when the layout of an image or the meaning of its manifest changes: other formats are foreign. */
export const IMAGE_FORMAT = 1
/** Written last: a directory without it is not an image. */
export const MANIFEST_FILE = 'manifest.json'

const digest = z.string().regex(/^[0-9a-f]{64}$/)
const fileSchema = z.strictObject({ path: z.string().regex(/^[\w.-]+$/), sha256: digest, size: z.int().positive() })

/** Every Debian package of the root file system. */
export const packageListSchema = z.array(z.object({ name: z.string(), version: z.string() }))

const manifestSchema = z.object({
  format: z.literal(IMAGE_FORMAT),
  id: z.string().regex(/^[0-9a-f]{20}$/),
  createdAt: z.iso.datetime(),
  /** Content keys of the components it was put together from. */
  components: z.strictObject({
    kernel: z.string(),
    /** What the runtime tree's QEMU was compiled as: kept so that another tree need not compile it again. */
    qemu: z.string().optional(),
    runtime: z.string(),
    rootfs: z.string(),
    initramfs: z.string(),
  }),
  files: z.strictObject({ kernel: fileSchema, initramfs: fileSchema, root: fileSchema }),
  /** The runtime tree: digest over all of it, bytes and number of its files. */
  runtime: z.strictObject({ path: z.string().regex(/^[\w.-]+$/), digest, size: z.int(), files: z.int() }),
  versions: z.strictObject({
    suite: z.string(),
    kernel: z.string(),
    qemu: z.string(),
    qemuPackage: z.string(),
    python: z.string(),
    bun: z.string(),
    bash: z.string(),
    uv: z.string(),
    agent: z.string(),
  }),
  packages: packageListSchema,
  /** How long each component took when it was built, in milliseconds. */
  buildMs: z.strictObject({ kernel: z.number(), runtime: z.number(), rootfs: z.number(), initramfs: z.number() }),
})

/** What an image says about itself. */
export type ImageManifest = z.infer<typeof manifestSchema>

export type ManifestResult =
  | { readonly ok: true; readonly manifest: ImageManifest }
  | { readonly ok: false; readonly reason: 'foreign' | 'damaged'; readonly message: string }

/** Reads a manifest. `foreign`: of another format, i.e. of another version of the product; `damaged`: not a manifest. */
export function parseManifest(text: string): ManifestResult {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return { ok: false, reason: 'damaged', message: `${MANIFEST_FILE} is not JSON` }
  }
  const format = z.object({ format: z.int() }).safeParse(value)
  if (format.success && format.data.format !== IMAGE_FORMAT) {
    const message = `it has format ${format.data.format}, this version reads format ${IMAGE_FORMAT}`
    return { ok: false, reason: 'foreign', message }
  }
  const manifest = manifestSchema.safeParse(value)
  if (manifest.success) return { ok: true, manifest: manifest.data }
  const [issue] = manifest.error.issues
  return { ok: false, reason: 'damaged', message: `${MANIFEST_FILE}: ${issue?.path.join('.')}: ${issue?.message}` }
}
