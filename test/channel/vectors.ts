import { readFileSync } from 'node:fs'
import type { FrameType, Side } from '../../src/channel/wire.ts'

/** guest/wire/vectors.json; its own `about` says how each part is used. */
export interface Vectors {
  readonly constants: {
    readonly generation: number
    readonly magic: number
    readonly magicBytes: string
    readonly headerBytes: number
    readonly highestStream: number
    readonly highestId: number
    readonly initialCreditBytes: number
    readonly highestCreditBytes: number
    readonly guestJsonDepth: number
    readonly types: Readonly<Record<string, { type: number; from: readonly Side[]; limitBytes: number }>>
    readonly askerTypes: readonly string[]
    readonly answererTypes: readonly string[]
    readonly evenJsonLimitBytes: number
    readonly mostEvenExchanges: number
    readonly errorCodes: readonly string[]
    readonly methods: Readonly<Record<string, MethodVector>>
    readonly guestMethods: Readonly<Record<string, MethodVector>>
    readonly connectErrorCodes: readonly string[]
    readonly resolveStatuses: readonly string[]
    readonly mostAddresses: number
  }
  readonly frames: readonly FrameVector[]
  readonly headers: readonly { name: string; decodedBy: readonly Side[]; hex: string; header: HeaderFields }[]
  readonly sequences: readonly { name: string; decodedBy: readonly Side[]; frames: readonly string[] }[]
  readonly rejections: readonly {
    name: string
    rule: string
    rejectedBy: readonly Side[]
    stage: 'header' | 'payload'
    hex: string
  }[]
  readonly conversations: readonly (Talk & { rule: string; rejectedBy: Side })[]
  readonly tolerated: readonly (Talk & { acceptedBy: Side })[]
}

interface MethodVector {
  readonly hostStreams: readonly number[]
  readonly guestStreams: readonly number[]
}

interface HeaderFields {
  readonly type: FrameType
  readonly stream: number
  readonly id: number
  readonly length: number
}

export interface FrameVector {
  readonly name: string
  readonly decodedBy: readonly Side[]
  readonly hex: string
  readonly frame: Omit<HeaderFields, 'length'> & { json?: object; payload?: string; credit?: number }
}

export interface Talk {
  readonly name: string
  readonly open: readonly { readonly id: number; readonly method: string }[] | null
  readonly serving?: boolean
  readonly parts: readonly {
    readonly hex: string
    readonly payloadByte?: string
    readonly payloadBytes?: number
    readonly times?: number
  }[]
}

export const VECTORS = JSON.parse(
  readFileSync(new URL('../../guest/wire/vectors.json', import.meta.url), 'utf8'),
) as Vectors

/** The bytes of one part of a conversation. */
export function bytesOfPart(part: Talk['parts'][number]): Buffer {
  const one = Buffer.concat([
    Buffer.from(part.hex, 'hex'),
    Buffer.alloc(part.payloadBytes ?? 0, Number.parseInt(part.payloadByte ?? '0', 16)),
  ])
  return Buffer.concat(Array.from({ length: part.times ?? 1 }, () => one))
}
