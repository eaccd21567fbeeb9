import { execFileSync } from 'node:child_process'
import { createReadStream } from 'node:fs'
import {
  chmod,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Sandbox, Scheduler } from '../../src/index.ts'

const scheduler = new Scheduler()
let sandbox: Sandbox
let here: string
beforeAll(async () => {
  sandbox = await scheduler.create({ language: 'bash' })
  here = await mkdtemp(join(tmpdir(), 'sandbox-files-'))
})
afterAll(async () => {
  await scheduler.close()
  await rm(here, { recursive: true, force: true })
})

const sh = async (command: string): Promise<string> => {
  const result = await sandbox.commands.run(command)
  expect(result, command).toMatchObject({ exitCode: 0 })
  return result.stdout
}

/**
 * The pids of the user that are none of `known`. No program sees another one in /proc, so pgrep would
 * find none in any case.
 */
async function processes(known: readonly string[] = []): Promise<readonly string[]> {
  const told = await sh('for ((p = 2; p < BASHPID; p++)); do kill -0 $p && echo $p; done 2>/dev/null; :')
  return told.split('\n').filter((pid) => pid !== '' && !known.includes(pid))
}

/** Bytes that no compression and no decoder leaves alone. */
function noise(length: number): Buffer {
  let state = 12_345
  return Buffer.from(
    Array.from({ length }, () => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fff_ffff
      return state >> 16
    }),
  )
}

describe('files: content', () => {
  it.each([0, 1, 65_535, 65_536, 65_537, 1_000_000])('round trips %i bytes exactly', async (length) => {
    const bytes = noise(length)
    const info = await sandbox.files.write('exact.bin', bytes)
    expect(info).toMatchObject({ path: '/home/user/exact.bin', name: 'exact.bin', type: 'file', size: length })
    expect(bytes.equals(await sandbox.files.read('exact.bin', { format: 'bytes' }))).toBe(true)
  })

  it('is text, bytes, pieces or a file of the host', async () => {
    const { files } = sandbox
    await files.write('text', 'é€𝄞\n')
    expect(await files.read('text')).toBe('é€𝄞\n')
    async function* pieces(): AsyncGenerator<string | Uint8Array> {
      yield 'one '
      yield Buffer.from('two')
    }
    await files.write('pieces', pieces())
    expect(await files.read('pieces', { format: 'text' })).toBe('one two')
    const hostPath = join(here, 'big')
    const bytes = noise(700_001)
    await writeFile(hostPath, bytes)
    await files.write('from-host', { hostPath })
    await files.write('from-stream', createReadStream(hostPath))
    for (const path of ['from-host', 'from-stream']) {
      expect(bytes.equals(await files.read(path, { format: 'bytes' }))).toBe(true)
    }
    const read: Uint8Array[] = []
    for await (const piece of await files.read('from-host', { format: 'stream' })) read.push(piece.slice())
    expect(bytes.equals(Buffer.concat(read))).toBe(true)
    // Files of the kernel, whose size nobody knows before.
    expect(await files.read('/proc/self/status')).toContain('Uid:\t1000\t1000')
  })

  it('belongs to the user, with the mode and the time that were asked for', async () => {
    const { files } = sandbox
    expect(await files.write('m/o/d/e', 'x')).toMatchObject({ uid: 1000, gid: 1000, mode: 0o644 })
    expect(await files.stat('m/o')).toMatchObject({ type: 'directory', mode: 0o755, uid: 1000 })
    expect(await files.write('run.sh', '#!/bin/sh\necho ran', { executable: true })).toMatchObject({ mode: 0o755 })
    expect(await sh('./run.sh')).toBe('ran\n')
    expect(await files.write('odd', 'x', { mode: 0o2604, mtimeMs: 1_000_000_123 })).toMatchObject({
      mode: 0o2604,
      mtimeMs: 1_000_000_123,
    })
    expect(await files.chmod('odd', 0o400)).toMatchObject({ mode: 0o400 })
  })

  it('appears whole or not at all', async () => {
    const { files } = sandbox
    await files.write('whole', 'old')
    const before = await processes()
    const broken = new Error('mine')
    async function* failing(): AsyncGenerator<Uint8Array> {
      yield Buffer.alloc(300_000)
      expect(await files.read('whole')).toBe('old')
      throw broken
    }
    await expect(files.write('whole', failing())).rejects.toBe(broken)
    const controller = new AbortController()
    async function* endless(): AsyncGenerator<Uint8Array> {
      for (let index = 0; ; index += 1) {
        yield Buffer.alloc(65_536)
        if (index === 8) controller.abort(new Error('enough'))
      }
    }
    await expect(files.write('whole', endless(), { signal: controller.signal })).rejects.toMatchObject({
      code: 'ABORTED',
      cause: new Error('enough'),
    })
    expect(await files.read('whole')).toBe('old')
    // What was begun is gone as soon as its process is.
    await expect.poll(async () => await sh('find ~ /tmp -size +100k -newer whole')).toBe('')
    await expect.poll(async () => await processes(before)).toEqual([])
  })

  it('goes through links as the user’s own would, and gains nobody anything by them', async () => {
    const { files } = sandbox
    await sh(
      'mkdir -p links; echo real > links/real; ln -s real links/link; ln -s /etc/shadow links/secret; ln -s /etc/new links/etc; ln -s loop links/loop',
    )
    await files.write('links/link', 'through')
    expect(await files.read('links/real')).toBe('through')
    expect(await files.stat('links/link', { followSymlinks: false })).toMatchObject({ type: 'symlink', target: 'real' })
    await expect(files.read('links/secret')).rejects.toMatchObject({ code: 'FILE', details: { errno: 'EACCES' } })
    await expect(files.write('links/etc', 'x')).rejects.toMatchObject({ details: { errno: 'EROFS' } })
    await expect(files.read('links/loop')).rejects.toMatchObject({ details: { errno: 'ELOOP' } })
  })
})

describe('files: what cannot be', () => {
  it('is a FileError that names the path and the errno', async () => {
    const { files } = sandbox
    await sh('mkdir -p cannot/full; touch cannot/full/x; mkfifo cannot/fifo')
    const failing: [() => Promise<unknown>, string][] = [
      [async () => await files.read('cannot/none'), 'ENOENT'],
      [async () => await files.read('cannot'), 'EISDIR'],
      [async () => await files.read('cannot/fifo'), 'EINVAL'],
      [async () => await files.read('/dev/zero'), 'EINVAL'],
      [async () => await files.read('cannot/full/x/y'), 'ENOTDIR'],
      [async () => await files.write('cannot', 'x'), 'EISDIR'],
      [async () => await files.write('/usr/bin/x', 'x'), 'EROFS'],
      [async () => await files.write('cannot/fifo', 'x'), 'EINVAL'],
      [async () => await files.list('cannot/full/x'), 'ENOTDIR'],
      [async () => await files.stat('cannot/none'), 'ENOENT'],
      [async () => await files.remove('cannot/full'), 'ENOTEMPTY'],
      [async () => await files.remove('cannot/none'), 'ENOENT'],
      [async () => await files.makeDir('cannot/full', { recursive: false }), 'EEXIST'],
      [async () => await files.rename('cannot/none', 'cannot/else'), 'ENOENT'],
      [async () => await files.rename('cannot/fifo', 'cannot/full', { overwrite: false }), 'EEXIST'],
      [async () => await files.chmod('/etc/passwd', 0o777), 'EROFS'],
      [async () => await files.read('/root/x'), 'EACCES'],
      [async () => await files.download('cannot/none', join(here, 'none')), 'ENOENT'],
      [async () => await files.write('x', { hostPath: join(here, 'none') }), 'ENOENT'],
    ]
    for (const [attempt, errno] of failing) {
      await expect(attempt(), String(attempt)).rejects.toMatchObject({ code: 'FILE', details: { errno } })
    }
    await expect(files.read('cannot/none')).rejects.toThrow(
      'Cannot read /home/user/cannot/none: no such file or directory (ENOENT)',
    )
  })

  it('is refused before anything is asked when no file can have that name', async () => {
    const { files } = sandbox
    for (const path of ['', 'a\0b', 'a'.repeat(256), 'a/'.repeat(2_100), '\ud800', 7, undefined]) {
      await expect(files.read(path as never)).rejects.toMatchObject({ code: 'INVALID_INPUT' })
    }
    await expect(files.write('x', 7 as never)).rejects.toMatchObject({ code: 'INVALID_INPUT' })
    await expect(files.write('x', '\ud800')).rejects.toMatchObject({ code: 'INVALID_INPUT' })
    await expect(files.chmod('x', 0o10000)).rejects.toMatchObject({ code: 'INVALID_INPUT' })
    await expect(files.list('.', { depth: 0 })).rejects.toMatchObject({ code: 'INVALID_INPUT' })
    await expect(files.read('x', { format: 'json' as never })).rejects.toMatchObject({ code: 'INVALID_INPUT' })
  })

  it('no space is told, leaves nothing, and the next write works', async () => {
    const { files } = sandbox
    async function* tooMuch(): AsyncGenerator<Uint8Array> {
      for (let index = 0; index < 3_000; index += 1) yield Buffer.alloc(65_536, 1)
    }
    await expect(files.write('too-much', tooMuch())).rejects.toMatchObject({ details: { errno: 'ENOSPC' } })
    expect(await files.exists('too-much')).toBe(false)
    expect((await files.write('enough', 'x')).size).toBe(1)
  })

  it('more than is wanted is not taken', async () => {
    const { files } = sandbox
    await files.write('long', 'x'.repeat(1_000))
    await expect(files.read('long', { maxBytes: 999 })).rejects.toMatchObject({ details: { errno: 'EFBIG' } })
    expect(await files.read('long', { maxBytes: 1_000 })).toHaveLength(1_000)
    // Apparent size is no size on the host: a file of a terabyte of nothing is not fetched.
    await sh('truncate -s 1T sparse')
    await expect(files.read('sparse')).rejects.toMatchObject({ details: { errno: 'EFBIG' } })
    const download = files.download('sparse', join(here, 'sparse'), { maxBytes: 1_000_000 })
    await expect(download).rejects.toMatchObject({ details: { errno: 'EFBIG' } })
    expect((await readdir(here)).filter((name) => name.includes('sparse'))).toEqual([])
  })

  it('a stream that is left ends its transfer', async () => {
    const { files } = sandbox
    const before = await processes()
    for await (const piece of await files.read('/home/user/sparse', { format: 'stream' })) {
      expect(piece.byteLength).toBeGreaterThan(0)
      expect(await processes(before)).not.toEqual([])
      break
    }
    await expect.poll(async () => await processes(before)).toEqual([])
  })
})

describe('files: the tree', () => {
  it('is listed, looked at, renamed and removed', async () => {
    const { files } = sandbox
    await files.makeDir('tree/a/b')
    await files.write('tree/a/b/file', '12345')
    await files.write('tree/z', '')
    expect((await files.list('tree')).map(({ name, type }) => `${name} ${type}`)).toEqual(['a directory', 'z file'])
    expect((await files.list('tree', { depth: 3 })).map(({ path }) => path)).toEqual([
      '/home/user/tree/a',
      '/home/user/tree/a/b',
      '/home/user/tree/a/b/file',
      '/home/user/tree/z',
    ])
    expect(await files.exists('tree/a/b/file')).toBe(true)
    expect(await files.exists('tree/z/nothing')).toBe(false)
    await files.rename('tree/a/b/file', 'tree/new/place')
    expect(await files.read('tree/new/place')).toBe('12345')
    await files.remove('tree/z')
    await files.remove('tree', { recursive: true })
    expect(await files.exists('tree')).toBe(false)
  })

  it('tells sparse files by both sizes', async () => {
    await sh('truncate -s 50M hole; printf end >> hole')
    const info = await sandbox.files.stat('hole')
    expect(info.size).toBe(50 * 1_048_576 + 3)
    expect(info.allocatedBytes).toBeLessThan(100_000)
  })

  it('has names with every byte that a name can have', async () => {
    const { files } = sandbox
    await sh(`python3 -c "
import os
os.mkdir(b'names')
for byte in range(1, 256):
    if byte != 47:
        open(b'names/n' + bytes([byte]) + b'e', 'w').write(str(byte))
"`)
    const entries = await files.list('names')
    expect(entries).toHaveLength(254)
    for (const byte of [1, 10, 92, 127, 128, 200, 255]) {
      const name = byte < 128 ? `n${String.fromCharCode(byte)}e` : `n${String.fromCharCode(0xdc00 + byte)}e`
      expect(entries.map((entry) => entry.name)).toContain(name)
      expect(await files.read(`names/${name}`)).toBe(String(byte))
    }
    await files.write('names/ü €', 'x')
    expect(await files.stat('names/ü €')).toMatchObject({ name: 'ü €' })
    const copy = join(here, 'names')
    expect(await files.download('names', copy)).toMatchObject({ entries: 256 })
    await files.write('names-again', { hostPath: copy })
    expect(await sh('diff -r names names-again && echo same')).toBe('same\n')
  })

  it('goes up and down whole: modes, links, times, holes, empty directories', async () => {
    const { files } = sandbox
    const source = join(here, 'source')
    await mkdir(join(source, 'dir/empty'), { recursive: true })
    await writeFile(join(source, 'dir/file'), noise(300_000))
    await writeFile(join(source, 'script'), '#!/bin/sh\n')
    await chmod(join(source, 'script'), 0o751)
    await symlink('dir/file', join(source, 'inside'))
    await symlink('../../../etc/passwd', join(source, 'outside'))
    await files.write('copy', { hostPath: source }, { mtimeMs: true })
    expect(await files.stat('copy/script')).toMatchObject({ mode: 0o751, uid: 1000 })
    expect((await files.stat('copy/script')).mtimeMs).toBeCloseTo((await stat(join(source, 'script'))).mtimeMs, 0)
    expect(await sh('mkfifo copy/fifo; readlink copy/outside')).toBe('../../../etc/passwd\n')
    const back = join(here, 'back')
    const copied = await files.download('copy', back, { times: true })
    expect(copied).toMatchObject({ entries: 7, bytes: 300_010 })
    // Links that lead out of what was copied stay out of the host, and so do pipes.
    expect(copied.skipped.toSorted()).toEqual(['fifo (fifo)', 'outside (link that leads out)'])
    expect((await readFile(join(back, 'dir/file'))).equals(noise(300_000))).toBe(true)
    expect(await readlink(join(back, 'inside'))).toBe('dir/file')
    expect((await stat(join(back, 'script'))).mode & 0o777).toBe(0o751)
    expect((await stat(join(back, 'script'))).mtimeMs).toBeCloseTo((await stat(join(source, 'script'))).mtimeMs, 0)
    expect(await readdir(join(back, 'dir/empty'))).toEqual([])
    await expect(files.download('copy', back)).rejects.toMatchObject({ details: { errno: 'ENOTEMPTY' } })
    await expect(lstat(join(back, 'outside'))).rejects.toMatchObject({ code: 'ENOENT' })
    expect((await readdir(here)).filter((name) => name.startsWith('.'))).toEqual([])
  })

  it('of ten thousand small files goes both ways', async () => {
    const source = join(here, 'many')
    await mkdir(source)
    for (let index = 0; index < 10_000; index += 1) await writeFile(join(source, `f${index}`), `content ${index}`)
    await sandbox.files.write('many', { hostPath: source })
    expect(await sh('ls many | wc -l; cat many/f9999')).toBe('10000\ncontent 9999')
    expect(await sandbox.files.list('many')).toHaveLength(10_000)
    const copied = await sandbox.files.download('many', join(here, 'many-back'))
    expect(copied.entries).toBe(10_001)
    expect(await readFile(join(here, 'many-back/f5000'), 'utf8')).toBe('content 5000')
    await sandbox.files.remove('many', { recursive: true })
  })

  it('of a name as long as it may be comes down', async () => {
    const name = '漢'.repeat(85)
    await sandbox.files.write(name, 'long')
    expect(await sandbox.files.download(name, join(here, name))).toMatchObject({ bytes: 4 })
  })

  it('a download replaces a file whole, or leaves it', async () => {
    const place = join(here, 'replaced')
    await writeFile(place, 'old')
    const tooLarge = sandbox.files.download('sparse', place, { maxBytes: 1_000_000 })
    await expect(tooLarge).rejects.toMatchObject({ details: { errno: 'EFBIG' } })
    expect(await readFile(place, 'utf8')).toBe('old')
    await sandbox.files.write('new', 'new', { executable: true })
    expect(await sandbox.files.download('new', place)).toEqual({ entries: 1, bytes: 3, skipped: [] })
    expect(await readFile(place, 'utf8')).toBe('new')
    expect((await stat(place)).mode & 0o700).toBe(0o700)
  })
})

describe('files: what programs and callers do to them', () => {
  it('hundreds at once take turns, and streams that wait hold nobody up', async () => {
    const { files } = sandbox
    const streams = await Promise.all(
      Array.from({ length: 20 }, async () => await files.read('/usr/bin/bash', { format: 'stream' })),
    )
    const writes = Array.from({ length: 300 }, async (_, index) => await files.write(`at-once/${index}`, String(index)))
    await Promise.all(writes)
    expect((await files.list('at-once')).map(({ size }) => size).reduce((sum, size) => sum + size)).toBe(790)
    for (const stream of streams) await stream[Symbol.asyncDispose]()
  })

  it('a home that nobody may enter is opened again', async () => {
    const { files } = sandbox
    await sh('chmod 000 /home/user')
    await expect(files.write('x', 'x')).rejects.toMatchObject({ details: { errno: 'EACCES' } })
    expect(await files.stat('/tmp')).toMatchObject({ type: 'directory' })
    await files.chmod('/home/user', 0o700)
    expect(await files.write('x', 'x')).toMatchObject({ size: 1 })
  })

  it('what the host has no room for in a path is left out, and the rest is there', async () => {
    await sh(
      'mkdir deep && cd deep && echo flat > flat && for i in $(seq 20); do mkdir $(printf "%0203d" $i); cd $(printf "%0203d" $i); echo x > f; done',
    )
    const copy = await sandbox.files.download('deep', join(here, 'deep'))
    expect(copy.skipped.length).toBeGreaterThan(0)
    expect(copy.skipped[0]).toContain('(path too long)')
    expect(await readFile(join(here, 'deep/flat'), 'utf8')).toBe('flat\n')
  })

  it('a link to a directory of the host is that directory; a pipe of the host stays one', async () => {
    await mkdir(join(here, 'linked'))
    await writeFile(join(here, 'linked/file'), 'x')
    await symlink('linked', join(here, 'link'))
    expect(await sandbox.files.write('from-link', { hostPath: join(here, 'link') })).toMatchObject({
      type: 'directory',
    })
    expect(await sandbox.files.read('from-link/file')).toBe('x')
    execFileSync('mkfifo', [join(here, 'pipe')])
    await sandbox.files.write('plain', 'x')
    const onto = sandbox.files.download('plain', join(here, 'pipe'))
    await expect(onto).rejects.toMatchObject({ details: { errno: 'EINVAL' } })
    expect((await stat(join(here, 'pipe'))).isFIFO()).toBe(true)
    await expect(sandbox.files.download('plain', 'a\0b')).rejects.toMatchObject({ code: 'INVALID_INPUT' })
  })
})

describe('files of a run', () => {
  it('are there before the program and are fetched after it, however it ended', async () => {
    const result = await scheduler.run('cat in/a > out; mkdir o; echo deep > o/x; exit 3', {
      language: 'bash',
      files: { 'in/a': 'given', '/tmp/b': new Uint8Array([1]) },
      downloads: { out: join(here, 'run-out'), o: join(here, 'run-o'), none: join(here, 'run-none') },
    })
    expect(result.exitCode).toBe(3)
    expect(await readFile(join(here, 'run-out'), 'utf8')).toBe('given')
    expect(await readFile(join(here, 'run-o/x'), 'utf8')).toBe('deep\n')
    expect(result.downloads).toMatchObject([
      { path: 'out', copy: { entries: 1, bytes: 5 } },
      { path: 'o', copy: { entries: 2 } },
      { path: 'none', error: { code: 'FILE', details: { errno: 'ENOENT' } } },
    ])
    expect(result.timing.uploadMs).toBeGreaterThan(0)
    expect(result.timing.downloadMs).toBeGreaterThan(0)
  })

  it('that cannot be written end the sandbox and are told', async () => {
    const before = scheduler.stats().sandboxes
    const creating = scheduler.create({ files: { '/etc/x': '1' } })
    await expect(creating).rejects.toMatchObject({ code: 'FILE', details: { path: '/etc/x', errno: 'EROFS' } })
    expect(scheduler.stats().sandboxes).toBe(before)
    await expect(scheduler.run('true', { files: { 'a\0': '' } })).rejects.toMatchObject({ code: 'INVALID_INPUT' })
    await expect(scheduler.run('true', { files: { a: 1 as never } })).rejects.toMatchObject({ code: 'INVALID_INPUT' })
    await expect(scheduler.run('true', { downloads: { a: '' } })).rejects.toMatchObject({ code: 'INVALID_INPUT' })
  })
})

describe('a write whose source waits', () => {
  async function* waiting(): AsyncGenerator<string> {
    yield 'first'
    await new Promise(() => undefined)
  }

  it('ends at its signal, with the tool’s failure, and with the sandbox', async () => {
    const controller = new AbortController()
    const aborted = sandbox.files.write('waiting', waiting(), { signal: controller.signal })
    controller.abort()
    await expect(aborted).rejects.toMatchObject({ code: 'ABORTED' })
    await expect(sandbox.files.write('/etc/waiting', waiting())).rejects.toMatchObject({ details: { errno: 'EROFS' } })
    const other = await scheduler.create({ language: 'bash' })
    const written = other.files.write('waiting', waiting())
    await Promise.all([expect(written).rejects.toMatchObject({ code: 'SANDBOX_CLOSED' }), other.close()])
    const creating = new AbortController()
    const created = scheduler.create({ language: 'bash', files: { a: waiting() }, signal: creating.signal })
    creating.abort()
    await expect(created).rejects.toMatchObject({ code: 'ABORTED' })
    expect(await sandbox.files.exists('waiting')).toBe(false)
  })

  it('refuses what is no content', async () => {
    async function* wrong(): AsyncGenerator<string> {
      yield 7 as never
    }
    await expect(sandbox.files.write('wrong', wrong())).rejects.toMatchObject({ code: 'INVALID_INPUT' })
    await expect(sandbox.files.write('wrong', 'x', { mtimeMs: true })).rejects.toMatchObject({ code: 'INVALID_INPUT' })
    await expect(sandbox.files.write('wrong', { hostPath: '/dev/zero' })).rejects.toMatchObject({
      details: { errno: 'EINVAL' },
    })
    expect(await sandbox.files.exists('wrong')).toBe(false)
  })
})

describe('files of a sandbox that ends', () => {
  it('tell it: transfers in progress, and whatever comes later', async () => {
    const other = await scheduler.create({ language: 'bash' })
    const stream = await other.files.read('/dev/../proc/kmsg-none').catch((error: unknown) => error)
    expect(stream).toMatchObject({ details: { errno: 'ENOENT' } })
    async function* slow(): AsyncGenerator<Uint8Array> {
      yield Buffer.alloc(100)
      await other.close()
      yield Buffer.alloc(100)
    }
    await expect(other.files.write('x', slow())).rejects.toMatchObject({ code: 'SANDBOX_CLOSED' })
    await expect(other.files.read('x')).rejects.toMatchObject({ code: 'SANDBOX_CLOSED' })
    await expect(other.files.list()).rejects.toMatchObject({ code: 'SANDBOX_CLOSED' })
  })
})
