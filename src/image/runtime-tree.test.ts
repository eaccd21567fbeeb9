import { readFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { newestGlibcMinor } from './bash-builtin.ts'
import { hasPvhEntryNote } from './elf-notes.ts'
import { parseLoaderList } from './runtime-tree.ts'

test('reads what the loader lists: libraries, missing ones, neither loader nor vDSO', () => {
  const output = `\tlinux-vdso.so.1 (0x00007ffd)
\tlibfdt.so.1 => /tree/usr/lib/x86_64-linux-gnu/libfdt.so.1 (0x00007f01)
\tlibgone.so.2 => not found
\t/lib64/ld-linux-x86-64.so.2 => /tree/usr/lib64/ld-linux-x86-64.so.2 (0x00007f02)
`
  expect(parseLoaderList(output)).toEqual([
    '/tree/usr/lib/x86_64-linux-gnu/libfdt.so.1',
    undefined,
    '/tree/usr/lib64/ld-linux-x86-64.so.2',
  ])
})

test('the newest glibc a shared object asks for', () => {
  const symbols = '0000 DF *UND* (GLIBC_2.2.5) read\n0000 DF *UND* (GLIBC_2.34) __libc_start_main\n'
  expect(newestGlibcMinor(symbols)).toBe(34)
  expect(newestGlibcMinor('')).toBe(0)
})

function elfWithNote(name: string, type: number): Buffer {
  const elf = Buffer.alloc(256)
  elf.writeUInt32BE(0x7f454c46, 0)
  elf[4] = 2
  elf[5] = 1
  elf.writeBigUInt64LE(64n, 32)
  elf.writeUInt16LE(56, 54)
  elf.writeUInt16LE(1, 56)
  elf.writeUInt32LE(4, 64)
  elf.writeBigUInt64LE(160n, 72)
  elf.writeBigUInt64LE(48n, 96)
  elf.writeUInt32LE(4, 160)
  elf.writeUInt32LE(4, 164)
  elf.writeUInt32LE(1, 168)
  elf.write('GNU\0', 172, 'latin1')
  elf.writeUInt32LE(name.length, 180)
  elf.writeUInt32LE(4, 184)
  elf.writeUInt32LE(type, 188)
  elf.write(name, 192, 'latin1')
  return elf
}

test('the PVH entry note is found behind other notes, and nothing else is taken for it', async () => {
  expect(hasPvhEntryNote(elfWithNote('Xen\0', 18))).toBe(true)
  expect(hasPvhEntryNote(elfWithNote('Xen\0', 5))).toBe(false)
  expect(hasPvhEntryNote(elfWithNote('Zen\0', 18))).toBe(false)
  expect(hasPvhEntryNote(Buffer.from('not ELF'))).toBe(false)
  expect(hasPvhEntryNote(await readFile(process.execPath))).toBe(false)
})
