/** Bytes that the host's part of a guest takes before any of its own work: kernel, agent, interpreter and page cache. */
const GUEST_BASE_BYTES = 192 * 2 ** 20

/** The guest's kernel keeps 64 bytes for each page of 4 KiB; as much again for what else grows with memory. */
const GUEST_SHARE = 1 / 32

/**
 * Bytes to expect of a template before it is made. A saved guest has touched a fraction of its memory: measured, 44 MiB
 * (bash) to 112 MiB (JavaScript) of 256. This is an upper bound of what is likely, not of what is possible.
 */
export function expectedBytes(memoryMb: number): number {
  const memory = memoryMb * 2 ** 20
  return Math.min(memory, GUEST_BASE_BYTES + memory * GUEST_SHARE)
}
