import { expect, test } from 'vitest'
import { type CpioEntry, writeCpio } from './cpio.ts'
import { layOut } from './initramfs.ts'

const entries: CpioEntry[] = [
  { type: 'directory', path: 'dev', mode: 0o755 },
  { type: 'character-device', path: 'dev/console', mode: 0o600, major: 5, minor: 1 },
  { type: 'file', path: 'init', mode: 0o755, content: Buffer.from('hello') },
  { type: 'symlink', path: 'link', target: 'init' },
]

/** Fields of an archive, read independently of the writer by the format's description. */
function readCpio(archive: Buffer): { name: string; mode: number; device: string; content: string }[] {
  const found = []
  let at = 0
  for (;;) {
    const header = at
    expect(archive.toString('latin1', at, at + 6)).toBe('070701')
    const field = (index: number): number =>
      Number.parseInt(archive.toString('latin1', header + 6 + index * 8, header + 14 + index * 8), 16)
    const nameSize = field(11)
    const name = archive.toString('utf8', at + 110, at + 110 + nameSize - 1)
    const start = (at + 110 + nameSize + 3) & ~3
    const content = archive.toString('utf8', start, start + field(6))
    at = (start + field(6) + 3) & ~3
    if (name === 'TRAILER!!!') break
    found.push({ name, mode: field(1), device: `${field(9)}:${field(10)}`, content })
  }
  expect(at).toBe(archive.length)
  return found
}

test('entries can be read back with type, mode, device and content', () => {
  expect(readCpio(writeCpio(entries))).toEqual([
    { name: 'dev', mode: 0o040755, device: '0:0', content: '' },
    { name: 'dev/console', mode: 0o020600, device: '5:1', content: '' },
    { name: 'init', mode: 0o100755, device: '0:0', content: 'hello' },
    { name: 'link', mode: 0o120777, device: '0:0', content: 'init' },
  ])
})

test('the first entry is byte for byte what the format asks for', () => {
  const fields =
    '00000001000041ed0000000000000000000000020000000000000000000000000000000000000000000000000000000400000000'
  expect(writeCpio(entries).toString('latin1', 0, 116)).toBe(`070701${fields}dev\0\0\0`)
})

test('the same entries give the same bytes', () => {
  expect(writeCpio(entries).equals(writeCpio(entries))).toBe(true)
})

test('a path that would leave the archive’s root by name is refused', () => {
  expect(() => writeCpio([{ type: 'directory', path: '/etc', mode: 0o755 }])).toThrow(/bad path/)
})

test('the initramfs has every parent directory before its files, and a console', () => {
  const files = [
    { path: 'repl/python/repl.py', mode: 0o444, content: Buffer.from('') },
    { path: 'init', mode: 0o755, content: Buffer.from('') },
  ]
  expect(layOut(files).map(({ path }) => path)).toEqual([
    'dev',
    'repl',
    'repl/python',
    'dev/console',
    'init',
    'repl/python/repl.py',
  ])
  expect(layOut(files)).toEqual(layOut(files.toReversed()))
})
