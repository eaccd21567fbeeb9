/** Type of the note by which a kernel says where its PVH entry point is (Xen's public header elfnote.h). */
const XEN_ELFNOTE_PHYS32_ENTRY = 18
/** Program header type of note segments (elf(5)). */
const PT_NOTE = 4

/** True when a 64-bit little-endian ELF file carries the PVH entry note, without which QEMU cannot boot it directly. */
export function hasPvhEntryNote(elf: Buffer): boolean {
  if (elf.length < 64 || elf.readUInt32BE(0) !== 0x7f454c46 || elf[4] !== 2 || elf[5] !== 1) return false
  const tableOffset = Number(elf.readBigUInt64LE(32))
  const entrySize = elf.readUInt16LE(54)
  const entries = elf.readUInt16LE(56)
  for (let index = 0; index < entries; index += 1) {
    const at = tableOffset + index * entrySize
    if (at + 56 > elf.length) return false
    if (elf.readUInt32LE(at) !== PT_NOTE) continue
    const offset = Number(elf.readBigUInt64LE(at + 8))
    const size = Number(elf.readBigUInt64LE(at + 32))
    if (hasNote(elf.subarray(offset, offset + size))) return true
  }
  return false
}

function hasNote(notes: Buffer): boolean {
  let at = 0
  while (at + 12 <= notes.length) {
    const nameSize = notes.readUInt32LE(at)
    const contentSize = notes.readUInt32LE(at + 4)
    const name = notes.toString('latin1', at + 12, at + 12 + nameSize)
    if (notes.readUInt32LE(at + 8) === XEN_ELFNOTE_PHYS32_ENTRY && name === 'Xen\0') return true
    at += 12 + align4(nameSize) + align4(contentSize)
  }
  return false
}

function align4(size: number): number {
  return (size + 3) & ~3
}
