import { chmod, lstat, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { FileError } from '../../base/index.ts'
import { receiveTree, type TreeCopy, TreeWriter } from './host-tree.ts'
import { encodeHeader, encodeLength, TreeReader } from './tree-stream.ts'

let here: string
beforeEach(async () => {
  here = await mkdtemp(join(tmpdir(), 'tree-'))
})
afterEach(async () => {
  await rm(here, { recursive: true, force: true })
})

const b64 = (text: string): string => Buffer.from(text, 'latin1').toString('base64')
const record = (value: object): Buffer => {
  const json = Buffer.from(JSON.stringify(value))
  return Buffer.concat([encodeLength(json.byteLength), json])
}
const directory = (path: string, mode = 0o755): Buffer =>
  record({ type: 'directory', path: b64(path), mode, mtimeMs: 0 })
const file = (path: string, content: string, mode = 0o644): Buffer =>
  Buffer.concat([
    record({ type: 'file', path: b64(path), mode, mtimeMs: 0, sparse: false }),
    ...(content === '' ? [] : [encodeLength(content.length), Buffer.from(content, 'latin1')]),
    encodeLength(0),
  ])
const link = (path: string, target: string): Buffer =>
  record({ type: 'symlink', path: b64(path), mode: 0o777, mtimeMs: 0, target: b64(target) })
const end = (entries: number): Buffer => record({ type: 'end', entries, skipped: [] })

/** What a guest sends, cut at random places. */
async function receive(bytes: Uint8Array, options: { maxBytes?: number; cut?: number } = {}): Promise<TreeCopy> {
  let offset = 0
  const next = async (): Promise<Uint8Array | undefined> => {
    if (offset >= bytes.byteLength) return undefined
    const chunk = bytes.subarray(offset, offset + (options.cut ?? 7))
    offset += chunk.byteLength
    return chunk
  }
  return await receiveTree(new TreeReader(next, '/guest'), join(here, 'target'), {
    maxBytes: options.maxBytes ?? 1_000,
    times: false,
    confirm: async () => undefined,
  })
}

/** Everything there is below the directory of the test, but for the target itself. */
async function beside(): Promise<string[]> {
  return (await readdir(here)).filter((name) => name !== 'target')
}

describe('a tree from the guest', () => {
  it('is made as it was told', async () => {
    const copy = await receive(
      Buffer.concat([
        directory(''),
        directory('d', 0o555),
        file('d/f', 'content', 0o4751),
        link('l', 'd/f'),
        file('\xff', ''),
        end(5),
      ]),
    )
    expect(copy).toEqual({ entries: 5, bytes: 7, skipped: [] })
    expect(await readFile(join(here, 'target/l'), 'utf8')).toBe('content')
    // No set-uid bit comes from a guest, and the owner can remove everything.
    expect((await lstat(join(here, 'target/d/f'))).mode & 0o7777).toBe(0o751 & ~process.umask())
    expect((await lstat(join(here, 'target/d'))).mode & 0o700).toBe(0o700)
    expect(
      (await readdir(join(here, 'target'), { encoding: 'buffer' })).map((name) => name.toString('latin1')),
    ).toContain('\xff')
    expect(await beside()).toEqual([])
  })

  it.each<[string, Buffer[]]>([
    ['climbs', [directory(''), file('../x', '1'), end(2)]],
    ['climbs in the middle', [directory(''), directory('a'), file('a/../../x', '1'), end(3)]],
    ['is absolute', [directory(''), file('/tmp/x', '1'), end(2)]],
    ['has an empty part', [directory(''), directory('a'), file('a//x', '1'), end(3)]],
    ['is the root twice', [directory(''), directory(''), end(2)]],
    ['has no root', [file('x', '1'), end(1)]],
    ['has a root that is a file', [file('', '1'), end(1)]],
    ['has a root that is a link', [link('', '/etc'), end(1)]],
    ['stands in a directory that never came', [directory(''), file('a/x', '1'), end(2)]],
    ['stands behind a link', [directory(''), link('a', '/tmp'), file('a/x', '1'), end(3)]],
    ['replaces a link by a directory', [directory(''), link('a', '/tmp'), directory('a'), end(3)]],
    ['has a NUL in a name', [directory(''), file('a\0b', '1'), end(2)]],
    ['has a name that is too long', [directory(''), file('a'.repeat(256), '1'), end(2)]],
    ['miscounts', [directory(''), file('x', '1'), end(5)]],
    ['has no end', [directory(''), file('x', '1')]],
    ['goes on after its end', [directory(''), end(1), directory('a')]],
    ['is of a type that cannot be sent', [directory(''), record({ type: 'fifo', path: b64('x') }), end(2)]],
    ['has a header without length', [encodeLength(0)]],
    ['has a header of a gigabyte', [encodeLength(1_073_741_824), Buffer.alloc(100)]],
    [
      'has a chunk of a gigabyte',
      [
        directory(''),
        record({ type: 'file', path: b64('x'), mode: 0, mtimeMs: 0, sparse: false }),
        encodeLength(1_073_741_824),
      ],
    ],
    ['is no JSON', [encodeLength(3), Buffer.from('{x}')]],
    ['has a prototype', [record(JSON.parse('{"__proto__":{"type":"directory"},"path":""}') as object)]],
  ])('that %s leaves nothing', async (_, parts) => {
    await expect(receive(Buffer.concat(parts))).rejects.toBeInstanceOf(FileError)
    expect(await readdir(here)).toEqual([])
  })

  it('that writes a file twice leaves nothing', async () => {
    await expect(receive(Buffer.concat([directory(''), file('x', '1'), file('x', '2'), end(3)]))).rejects.toMatchObject(
      {
        code: 'EEXIST',
      },
    )
    expect(await readdir(here)).toEqual([])
  })

  it('is no larger than allowed', async () => {
    const parts = [directory(''), file('a', 'x'.repeat(600)), file('b', 'x'.repeat(600)), end(3)]
    await expect(receive(Buffer.concat(parts), { maxBytes: 1_199 })).rejects.toMatchObject({
      details: { errno: 'EFBIG' },
    })
    expect(await receive(Buffer.concat(parts), { maxBytes: 1_200 })).toMatchObject({ bytes: 1_200 })
  })

  it('has no link that leads out, whatever way it takes', async () => {
    const links: [string, string][] = [
      ['abs', '/etc/passwd'],
      ['up', '../x'],
      ['d/up', '../../x'],
      ['d/dot', '.'],
      ['d/over', 'dot/../../x'],
      ['d/empty', ''],
      ['d/fine', '../d/f'],
      ['fine', './d/./f'],
      ['dangling', 'd/none'],
    ]
    const parts = [
      directory(''),
      directory('d'),
      file('d/f', '1'),
      ...links.map(([path, target]) => link(path, target)),
    ]
    const copy = await receive(Buffer.concat([...parts, end(3 + links.length)]))
    expect(copy.skipped.map((text) => text.split(' ')[0])).toEqual(['abs', 'up', 'd/up', 'd/over', 'd/empty'])
    expect(await readFile(join(here, 'target/d/fine'), 'utf8')).toBe('1')
    expect(await readFile(join(here, 'target/fine'), 'utf8')).toBe('1')
  })

  it('of any bytes ends in an error and leaves nothing', async () => {
    const piece = fc.oneof(
      fc.uint8Array({ maxLength: 30 }).map((bytes) => Buffer.from(bytes)),
      fc.constantFrom(
        directory(''),
        directory('a'),
        file('a', '1'),
        link('a', '..'),
        end(1),
        encodeLength(1),
        encodeLength(0),
      ),
      fc.json({ maxDepth: 3 }).map((json) => Buffer.concat([encodeLength(Buffer.byteLength(json)), Buffer.from(json)])),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(piece, { maxLength: 12 }), fc.integer({ min: 1, max: 50 }), async (pieces, cut) => {
        const outcome = await receive(Buffer.concat(pieces), { cut }).catch((error: unknown) => error)
        if (outcome instanceof Error) expect(await readdir(here)).toEqual([])
        await rm(join(here, 'target'), { recursive: true, force: true })
        expect(await readdir(here)).toEqual([])
      }),
      { numRuns: 300 },
    )
  })
})

describe('a tree for the guest', () => {
  it('comes back as it was', async () => {
    const source = join(here, 'source')
    await mkdir(join(source, 'a/b'), { recursive: true })
    await writeFile(join(source, 'a/large'), 'x'.repeat(600_000))
    await writeFile(Buffer.from(join(source, 'a/\xff'), 'latin1'), 'odd')
    await symlink('large', join(source, 'a/link'))
    await chmod(join(source, 'a/large'), 0o640)
    const blocks: Uint8Array[] = []
    const sent = await new TreeWriter(source, async (block) => {
      blocks.push(Uint8Array.from(block))
      return true
    }).write()
    expect(sent).toEqual({ entries: 6, bytes: 600_003, skipped: [] })
    // Towards the guest the end has no list of what was skipped: a guest's has.
    const wire = Buffer.concat(blocks)
    const ending = encodeHeader({ type: 'end', entries: 6 })
    expect(wire.subarray(-ending.byteLength)).toEqual(ending)
    const copy = await receive(Buffer.concat([wire.subarray(0, -ending.byteLength), end(6)]), {
      maxBytes: 1_000_000,
      cut: 65_536,
    })
    expect(copy).toEqual({ entries: 6, bytes: 600_003, skipped: [] })
    expect(await readFile(join(here, 'target/a/link'), 'utf8')).toBe('x'.repeat(600_000))
    expect(await readFile(Buffer.from(join(here, 'target/a/\xff'), 'latin1'), 'utf8')).toBe('odd')
    expect((await lstat(join(here, 'target/a/large'))).mode & 0o777).toBe(0o640 & ~process.umask())
  })

  it('stops when nobody wants more', async () => {
    for (let index = 0; index < 20; index += 1) await writeFile(join(here, `f${index}`), 'x'.repeat(300_000))
    let blocks = 0
    await new TreeWriter(here, async () => (blocks += 1) < 3).write()
    expect(blocks).toBe(3)
  })
})
