import { compress, decompress, init } from '@bokuweb/zstd-wasm'
import { frameContentBytes } from './frame.ts'

// WebAssembly is compiled once per process. Whoever needs zstd imports this module dynamically, so that nobody else pays.
await init()

/** zstd's own default: three quarters of what level 9 saves, at a tenth of its time. */
const LEVEL = 3

/** One zstd frame that tells the size of its content. */
export function packFrame(content: Uint8Array): Uint8Array {
  return compress(content, LEVEL)
}

/**
 * The content of one frame, or undefined when the frame is damaged or its content has another size than `bytes`. Never
 * makes room for more than `bytes`, whatever the frame claims.
 */
export function unpackFrame(frame: Uint8Array, bytes: number): Uint8Array | undefined {
  if (frameContentBytes(frame) !== bytes) return undefined
  try {
    const content = decompress(frame)
    return content.byteLength === bytes ? content : undefined
  } catch {
    return undefined
  }
}
