// Generators of random numbers that live in this process, and that the copies of a template therefore share.

import { setRandomSeed } from 'bun:jsc'
import { toArrayBuffer } from 'bun:ffi'
import { readFileSync } from 'node:fs'
import process from 'node:process'

const { Buffer, DataView, Error, Number, Set, ShadowRealm, Uint8Array } = globalThis as typeof globalThis & {
  ShadowRealm: new () => object
}
const { randomUUID } = crypto

/** Random bytes that Bun holds ready for UUIDs are at most 2 048: this many UUIDs use all of them up. */
const BUFFERED_UUIDS = 256

// WTF/wtf/CryptographicallyRandomNumber.cpp: the permutation of an ARC4 stream, then, aligned, how many bytes may be drawn
// before the system is asked for more entropy.
const PERMUTATION_LENGTH = 256
const DRAWS = 1_600_000
/** Bytes drawn before the REPL begins, by far less than this. */
const DRAWN_AT_MOST = 16_384

const PAGE = 4_096

/** BoringSSL's word on whether this process was forked: not 0 for as long as it was not. */
const notForked = findForkFlag()

/** Bytes left to draw from the generator that seeds `Math.random` of new realms. */
const left = findDrawsLeft()

/** Makes what comes from now on depend on the seed, of which there are at least four bytes, and on the system's entropy. */
export function reseed(seed: Uint8Array): void {
  setRandomSeed(new DataView(seed.buffer, seed.byteOffset).getUint32(0, true))
  pretendFork(notForked)
  left?.setInt32(0, 0, true)
}

/**
 * BoringSSL keeps a generator per thread and seeds it again when the process was forked, which it learns from a page that
 * the kernel clears in the child (madvise(2), MADV_WIPEONFORK). On processors that do not call themselves Intel's it
 * takes nothing else from outside, and clones drew the same UUIDs, bytes and keys. A resumed VM is a fork that the kernel
 * does not know of, so the page is cleared by hand. Without the page there is no such promise, and no REPL.
 */
function findForkFlag(): DataView {
  // It exists from the first use on.
  drawUuids()
  for (const { start, end, name, writable } of readMappings()) {
    if (name !== '' || !writable || end - start !== PAGE) continue
    const page = memoryAt(start, end)
    const bytes = new Uint8Array(page)
    if (bytes[0] !== 1 || bytes.subarray(1).some((byte) => byte !== 0)) continue
    const flag = new DataView(page, 0, 1)
    if (answersFork(flag)) return flag
    flag.setUint8(0, 1)
  }
  throw new Error('the page by which BoringSSL knows forks was not found')
}

/** Clears the flag, whereupon the next use of the generator sets it, and uses the generator. */
function answersFork(flag: DataView): boolean {
  flag.setUint8(0, 0)
  drawUuids()
  return flag.getUint8(0) === 1
}

function pretendFork(flag: DataView): void {
  if (!answersFork(flag)) throw new Error('BoringSSL did not notice that this process was copied')
}

function drawUuids(): void {
  for (let i = 0; i < BUFFERED_UUIDS; i++) randomUUID.call(crypto)
}

function memoryAt(start: number, end: number): ArrayBuffer {
  return toArrayBuffer(start as Parameters<typeof toArrayBuffer>[0], 0, end - start)
}

/**
 * WebKit seeds `Math.random` of every further realm (workers, contexts of `node:vm`, shadow realms) from a generator of its
 * own, which no interface reaches: clones drew the same numbers. Having drawn all it may, it takes fresh entropy from the
 * system, so what it may draw is looked for, once, among the static data of the program: a number just below the largest,
 * after a permutation of all bytes. A Bun that keeps it elsewhere has none, and a test with clones tells.
 */
function findDrawsLeft(): DataView | undefined {
  // It exists from its first use on.
  new ShadowRealm()
  try {
    return staticData()
      .map(searchArea)
      .find((found) => found !== undefined)
  } catch {
    return undefined
  }
}

function searchArea({ start, end }: Mapping): DataView | undefined {
  const memory = memoryAt(start, end)
  const bytes = Buffer.from(memory)
  // The three high bytes of the number are searched for as a whole; its lowest may be anything.
  for (let high = DRAWS >> 8; high >= (DRAWS - DRAWN_AT_MOST) >> 8; high--) {
    const pattern = new Uint8Array([high & 0xff, (high >> 8) & 0xff, (high >> 16) & 0xff])
    for (let at = bytes.indexOf(pattern); at >= 0; at = bytes.indexOf(pattern, at + 1)) {
      const number = at - 1
      if (number % 4 === 0 && followsPermutation(bytes, number)) return new DataView(memory, number, 4)
    }
  }
  return undefined
}

/** Up to three bytes of padding stand between. */
function followsPermutation(bytes: Uint8Array, end: number): boolean {
  for (let padding = 0; padding < 4; padding++) {
    const first = end - padding - PERMUTATION_LENGTH
    if (first >= 0 && new Set(bytes.subarray(first, end - padding)).size === PERMUTATION_LENGTH) return true
  }
  return false
}

/** Writable memory of the program's own file and what follows it without a gap. */
function staticData(): Mapping[] {
  let programEnd = 0
  return readMappings().filter(({ start, end, name, writable }) => {
    const own = name === process.execPath || (name === '' && start === programEnd)
    if (own) programEnd = end
    return own && writable
  })
}

interface Mapping {
  readonly start: number
  readonly end: number
  readonly writable: boolean
  readonly name: string
}

/** proc_pid_maps(5). */
function readMappings(): Mapping[] {
  const mappings: Mapping[] = []
  for (const line of readFileSync('/proc/self/maps', 'utf8').split('\n')) {
    const [, from, to, writable, name = ''] = /^([0-9a-f]+)-([0-9a-f]+) r(w?)\S* \S+ \S+ \S+\s*(.*)$/.exec(line) ?? []
    if (to) mappings.push({ start: Number(`0x${from}`), end: Number(`0x${to}`), writable: writable === 'w', name })
  }
  return mappings
}
