// Generators of random numbers that live in this process, and that the copies of a template therefore share.

import { setRandomSeed } from 'bun:jsc'

const { DataView } = globalThis
const { randomUUID } = crypto

/** Random bytes that Bun holds ready for UUIDs are at most 2 048: this many UUIDs use all of them up. */
const BUFFERED_UUIDS = 256

/** Makes what comes from now on depend on the seed, of which there are at least four bytes. */
export function reseed(seed: Uint8Array): void {
  setRandomSeed(new DataView(seed.buffer, seed.byteOffset).getUint32(0, true))
  for (let i = 0; i < BUFFERED_UUIDS; i++) randomUUID.call(crypto)
}
