/** Bytes of the layer in one zstd frame: small enough that packing one keeps the event loop for a few milliseconds only. */
export const FRAME_BYTES = 256 * 1024

/** ZSTD_COMPRESSBOUND of zstd.h for FRAME_BYTES, and room to spare: no honest frame is larger. */
export const LARGEST_PACKED_FRAME_BYTES = FRAME_BYTES + FRAME_BYTES / 256 + 1024

const MAGIC = 0xfd2fb528

/**
 * The size that a zstd frame says its content has, or undefined when it says none or is no frame. Pure; reads the header
 * alone (RFC 8878, section 3.1.1.1), so that a decoder need not be asked to make room for what a stranger claims.
 */
export function frameContentBytes(frame: Uint8Array): number | undefined {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength)
  if (view.byteLength < 5 || view.getUint32(0, true) !== MAGIC) return undefined
  const descriptor = view.getUint8(4)
  // The reserved bit must be zero.
  if ((descriptor & 0x08) !== 0) return undefined
  const singleSegment = (descriptor & 0x20) !== 0
  const dictionaryIdBytes = [0, 1, 2, 4][descriptor & 0x03] ?? 0
  const sizeBytes = [singleSegment ? 1 : 0, 2, 4, 8][descriptor >> 6] ?? 0
  const at = 5 + (singleSegment ? 0 : 1) + dictionaryIdBytes
  if (sizeBytes === 0 || view.byteLength < at + sizeBytes) return undefined
  if (sizeBytes === 1) return view.getUint8(at)
  // Two bytes count from 256: smaller sizes fit into one.
  if (sizeBytes === 2) return view.getUint16(at, true) + 256
  if (sizeBytes === 4) return view.getUint32(at, true)
  return Number(view.getBigUint64(at, true))
}
