/** One entry of a cpio archive. */
export type CpioEntry =
  | { readonly type: 'directory'; readonly path: string; readonly mode: number }
  | { readonly type: 'file'; readonly path: string; readonly mode: number; readonly content: Uint8Array }
  | { readonly type: 'symlink'; readonly path: string; readonly target: string }
  | {
      readonly type: 'character-device'
      readonly path: string
      readonly mode: number
      readonly major: number
      readonly minor: number
    }

/** File types in `c_mode` (inode(7)). */
const TYPE_BITS = { directory: 0o040000, file: 0o100000, symlink: 0o120000, 'character-device': 0o020000 } as const

/**
 * Writes an archive in the "newc" format that the kernel unpacks as an initramfs (Documentation/driver-api/early-userspace/buffer-format.rst).
 * Deterministic: owner root, time 0, inode numbers in order. Needs no rights, device nodes included.
 */
export function writeCpio(entries: readonly CpioEntry[]): Buffer {
  const parts: Buffer[] = []
  let inode = 0
  for (const entry of entries) {
    inode += 1
    parts.push(...renderEntry(entry, inode))
  }
  parts.push(...renderHeader('TRAILER!!!', { inode: 0, mode: 0, links: 1, size: 0, major: 0, minor: 0 }))
  return Buffer.concat(parts)
}

function renderEntry(entry: CpioEntry, inode: number): Buffer[] {
  if (entry.path.startsWith('/') || entry.path.includes('\0'))
    throw new Error(`bad path in a cpio archive: ${entry.path}`)
  const content = contentOf(entry)
  const permissions = entry.type === 'symlink' ? 0o777 : entry.mode & 0o7777
  const device = entry.type === 'character-device' ? entry : { major: 0, minor: 0 }
  const header = renderHeader(entry.path, {
    inode,
    mode: TYPE_BITS[entry.type] | permissions,
    links: entry.type === 'directory' ? 2 : 1,
    size: content.byteLength,
    major: device.major,
    minor: device.minor,
  })
  return [...header, content, padding(content.byteLength)]
}

function contentOf(entry: CpioEntry): Buffer {
  if (entry.type === 'file')
    return Buffer.from(entry.content.buffer, entry.content.byteOffset, entry.content.byteLength)
  if (entry.type === 'symlink') return Buffer.from(entry.target, 'utf8')
  return Buffer.alloc(0)
}

interface HeaderFields {
  readonly inode: number
  readonly mode: number
  readonly links: number
  readonly size: number
  readonly major: number
  readonly minor: number
}

function renderHeader(path: string, fields: HeaderFields): Buffer[] {
  const name = Buffer.from(`${path}\0`, 'utf8')
  const numbers = [
    fields.inode,
    fields.mode,
    0, // uid
    0, // gid
    fields.links,
    0, // mtime
    fields.size,
    0, // device of the file, major
    0, // and minor
    fields.major,
    fields.minor,
    name.byteLength,
    0, // checksum, unused in this variant
  ]
  const header = `070701${numbers.map((number) => number.toString(16).padStart(8, '0')).join('')}`
  return [Buffer.from(header, 'latin1'), name, padding(header.length + name.byteLength)]
}

/** Header with name, and content, each end on a multiple of 4. */
function padding(size: number): Buffer {
  return Buffer.alloc((4 - (size % 4)) % 4)
}
