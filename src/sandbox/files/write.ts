import { realpath, stat } from 'node:fs/promises'
import { InvalidInputError } from '../../base/index.ts'
import { bytesOf, piecesUntil } from '../pieces.ts'
import { fileError, hostFileError } from './file-error.ts'
import { type FileInfo, parseFileInfo, unreadable } from './file-info.ts'
import type { ResolvedContent } from './content.ts'
import type { WriteOptions } from './file-options.ts'
import { askTool, type FileHost, toolPath, Transfer } from './file-tool.ts'
import { readBlocks } from './host-file.ts'
import { TreeWriter } from './host-tree.ts'

const MODES = { plain: 0o644, executable: 0o755 } as const

/** What the file tool is told of a file to write. */
interface Facts {
  /** Bytes that will come; null when nobody knows. */
  readonly size: number | null
  readonly mode: number
  readonly mtimeMs: number | null
  readonly sparse: boolean
}

type Chunks = AsyncIterable<string | Uint8Array>

/** @param path absolute */
export async function writeContent(
  host: FileHost,
  path: string,
  content: ResolvedContent,
  options: WriteOptions,
): Promise<FileInfo> {
  if (content.kind === 'host') return await writeFromHost(host, path, content.hostPath, options)
  if (options.mtimeMs === true) {
    throw new InvalidInputError(
      'mtimeMs: true takes the time of a file of the host; expected a number for other content',
      {
        field: 'mtimeMs',
      },
    )
  }
  const mtimeMs = options.mtimeMs ?? null
  const size = content.kind === 'bytes' ? content.bytes.byteLength : null
  const open = (): Chunks => (content.kind === 'bytes' ? once(content.bytes) : content.chunks)
  return await writeFile(
    host,
    path,
    open,
    { size, mode: modeOf(options), mtimeMs, sparse: false, isPaced: size === null },
    options.signal,
  )
}

async function writeFromHost(host: FileHost, path: string, hostPath: string, options: WriteOptions): Promise<FileInfo> {
  try {
    const facts = await stat(hostPath)
    if (facts.isDirectory()) return await writeTree(host, path, hostPath, options)
    // A pipe or device may have no end, and to open one may take for ever; whoever means it passes a stream of it.
    if (!facts.isFile()) throw fileError(`read ${hostPath}, which is no regular file or directory`, hostPath, 'EINVAL')
    const mtimeMs = options.mtimeMs === true ? facts.mtimeMs : (options.mtimeMs ?? null)
    const sparse = facts.blocks * 512 < facts.size
    const { size } = facts
    const open = (): Chunks => readBlocks(hostPath)
    return await writeFile(
      host,
      path,
      open,
      { size, mode: modeOf(options), mtimeMs, sparse, isPaced: false },
      options.signal,
    )
  } catch (error) {
    throw hostFileError(`read ${hostPath}`, hostPath, error)
  }
}

async function writeFile(
  host: FileHost,
  path: string,
  open: () => Chunks,
  facts: Facts & { readonly isPaced: boolean },
  signal: AbortSignal | undefined,
): Promise<FileInfo> {
  const { isPaced, ...params } = facts
  const operation = {
    name: 'write',
    params: { path: toolPath(path), ...params },
    path,
    doing: `write ${path}`,
    signal,
  } as const
  const transfer = await Transfer.open(host, operation, { waitsForTurn: !isPaced })
  let sent = 0
  const printed = await transferred(transfer, async () => {
    for await (const piece of piecesUntil(open(), transfer.over)) {
      const bytes = bytesOf(piece, 'content')
      if (!(await transfer.write(bytes))) return
      sent += bytes.byteLength
    }
  })
  const info = parseFileInfo(printed, '/')
  // A tool that says it is done before it has all is not ours.
  if (info.size !== sent) throw unreadable(path)
  return info
}

async function writeTree(host: FileHost, path: string, hostPath: string, options: WriteOptions): Promise<FileInfo> {
  const { signal } = options
  const params = { path: toolPath(path), mtimes: options.mtimeMs === true }
  const doing = `write ${path}`
  const operation = { name: 'unpack', params, path, doing, signal } as const
  const transfer = await Transfer.open(host, operation, { waitsForTurn: true })
  // A link to a directory stands for it; those in it stay links.
  const root = await realpath(hostPath)
  await transferred(transfer, async () => {
    await new TreeWriter(root, async (block) => await transfer.write(block)).write()
  })
  const question = { name: 'stat', params: { path: toolPath(path), follow: true }, path, doing, signal } as const
  return parseFileInfo(await askTool(host, question), '/')
}

/** Sends what `send` writes, ends it, and gives what the tool printed. A `send` that fails leaves nothing behind. */
async function transferred(transfer: Transfer, send: () => Promise<void>): Promise<string> {
  let whole = false
  try {
    await send()
    transfer.end()
    let printed = ''
    for (let piece = await transfer.read(); piece !== undefined; piece = await transfer.read()) {
      if (printed.length < 65_536) printed += Buffer.from(piece).toString('latin1')
    }
    await transfer.finish()
    whole = true
    return printed
  } finally {
    if (!whole) transfer.abandon()
  }
}

async function* once(bytes: Uint8Array): Chunks {
  yield bytes
}

function modeOf({ mode, executable }: WriteOptions): number {
  return mode ?? (executable === true ? MODES.executable : MODES.plain)
}
