/** Stands before the table in the compiled kernel (guest/image/pvh-kaslr.c), with its terminating zero. */
const MARK = Buffer.from('exec-sandbox kernel relocations\0', 'latin1')
/** Bytes of an entry of the table, and of the number before it that says how many fit. */
const WORD = 4

/**
 * Writes the relocations of a kernel into the place that it keeps for them, so that it can move itself.
 * @param kernel all of `vmlinux`, changed in place
 * @param relocations all of `vmlinux.relocs`: 32-bit words, of which the last one is read first
 */
export function placeRelocations(kernel: Buffer, relocations: Buffer): void {
  const mark = kernel.indexOf(MARK)
  if (mark === -1 || kernel.includes(MARK, mark + 1)) throw new Error('the kernel has no place for its relocations')
  const capacity = kernel.readUInt32LE(mark + MARK.length)
  const table = mark + MARK.length + WORD
  const words = relocations.length / WORD
  if (!Number.isInteger(words) || words === 0) throw new Error('the table of relocations is empty or damaged')
  // A zero before the first entry ends the table; what stays free is zero, the table itself begins with one.
  if (words > capacity) throw new Error(`${words} words of relocations do not fit into ${capacity}`)
  const end = table + capacity * WORD
  if (end > kernel.length) throw new Error('the place for relocations reaches beyond the kernel')
  relocations.copy(kernel, end - relocations.length)
}
