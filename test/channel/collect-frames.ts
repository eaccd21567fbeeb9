import type { FrameHeader } from '../../src/channel/frame.ts'
import { FrameDecoder } from '../../src/channel/frame-decoder.ts'
import type { Side } from '../../src/channel/wire.ts'

export interface CollectedFrame extends FrameHeader {
  /** Lower-case hex. */
  readonly payload: string
}

/** Decodes pieces of one sender's bytes; DATA payloads are put together again. */
export function collectFrames(
  sender: Side,
  pieces: Iterable<Buffer>,
): { readonly frames: CollectedFrame[]; readonly atBorder: boolean; readonly headers: FrameHeader[] } {
  const frames: CollectedFrame[] = []
  const headers: FrameHeader[] = []
  let open: { header: FrameHeader; pieces: Buffer[]; bytes: number } | undefined
  const decoder = new FrameDecoder(sender, {
    frame: (header, payload) => {
      frames.push({ ...header, payload: Buffer.from(payload).toString('hex') })
    },
    data: (header) => {
      headers.push(header)
      open = { header, pieces: [], bytes: 0 }
    },
    dataBytes: (piece) => {
      if (open === undefined) throw new Error('payload without a header')
      open.pieces.push(Buffer.from(piece))
      open.bytes += piece.byteLength
      if (open.bytes === open.header.length) {
        frames.push({ ...open.header, payload: Buffer.concat(open.pieces).toString('hex') })
      }
    },
  })
  for (const piece of pieces) decoder.push(piece)
  return { frames, headers, atBorder: decoder.atBorder }
}
