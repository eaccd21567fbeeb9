import type { ChildProcess } from 'node:child_process'
import { readdirSync, readlinkSync, watch } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { descendants, qemuProcesses } from './processes.ts'
import { isAlive, sbx } from './sbx.ts'

let directory: string
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'exec-sandbox-cli-files-'))
})
afterEach(async () => await rm(directory, { recursive: true }))

/** What a process has open. */
function openFiles({ pid }: ChildProcess): readonly string[] {
  return readdirSync(`/proc/${pid}/fd`).flatMap((name) => {
    try {
      return [readlinkSync(`/proc/${pid}/fd/${name}`)]
    } catch {
      // Closed meanwhile.
      return []
    }
  })
}

const bash = (code: string): string[] => ['run', '-l', 'bash', '-c', code]

describe('sbx run --upload and --download', () => {
  it('take files and directories there and back, by default under their own names', async () => {
    await writeFile(join(directory, 'in.txt'), 'hello')
    await mkdir(join(directory, 'tree', 'deep'), { recursive: true })
    await writeFile(join(directory, 'tree', 'deep', 'b.bin'), Buffer.from([0, 255, 10]))
    await writeFile(join(directory, 'old.txt'), 'old')
    const code = 'cat in.txt sub/in.txt; ls -R tree; mkdir -p out/d; cp tree/deep/b.bin out/d; echo new > new.txt'
    const transfers = ['--upload', 'in.txt', '--upload', 'in.txt:~/sub/', '--upload', 'tree']
    const back = ['--download', 'out', '--download', '~/new.txt:old.txt']
    expect(await sbx([...bash(code), ...transfers, ...back], { cwd: directory })).toEqual({
      code: 0,
      stdout: 'hellohellotree:\ndeep\n\ntree/deep:\nb.bin\n',
      stderr: '',
    })
    expect([...(await readFile(join(directory, 'out', 'd', 'b.bin')))]).toEqual([0, 255, 10])
    expect(await readFile(join(directory, 'old.txt'), 'utf8')).toBe('new\n')
  })

  it.each([
    ['fails', 'echo 1 > a; exit 3', 3],
    ['runs into its time limit', 'echo 1 > a; sleep 600', 124],
  ])('bring files back although the program %s', async (_, code, exit) => {
    const outcome = await sbx([...bash(code), '-t', '2s', '--download', 'a'], { cwd: directory })
    expect(outcome.code).toBe(exit)
    expect(await readFile(join(directory, 'a'), 'utf8')).toBe('1\n')
  })

  it.each([
    ['125 after a program that ended well', 'true', 125],
    ["the program's code where that is worse", 'exit 200', 200],
  ])('exit with %s when a file cannot be brought back, and bring the others', async (_, code, exit) => {
    const transfers = ['--download', 'missing', '--download', '/etc/hostname:name']
    const outcome = await sbx([...bash(code), '-q', ...transfers], { cwd: directory })
    expect(outcome).toMatchObject({ code: exit, stderr: expect.stringMatching(/^sbx: .*missing.*\(ENOENT\)\n$/) })
    expect(await readdir(directory)).toEqual(['name'])
  })

  it('say which links were left out of a directory', async () => {
    const outcome = await sbx([...bash('mkdir d; ln -s /etc/passwd d/link'), '--download', 'd'], { cwd: directory })
    expect(outcome).toMatchObject({ code: 0, stderr: expect.stringContaining('d: left out link') })
  })

  it('give every source of several the files', async () => {
    await writeFile(join(directory, 'in.txt'), 'hello\n')
    const args = [...bash('cat in.txt; rm in.txt'), '-c', 'cat in.txt', '--upload', 'in.txt']
    expect(await sbx(args, { cwd: directory })).toMatchObject({ code: 0, stdout: 'hello\nhello\n' })
  })

  it.each([
    [['--upload', 'missing'], 'there is no such file'],
    [['--download', 'x:missing/x'], 'there is no such file'],
    [['--download', 'x:full'], 'not empty'],
    [['-c', 'true', '--download', 'x'], 'expected one source'],
  ])('are refused before any VM work: %j', async (args, message) => {
    await mkdir(join(directory, 'full', 'x'), { recursive: true })
    // There is no image here: whoever got as far as the VM would exit with 125.
    const env = { EXEC_SANDBOX_CACHE_DIR: join(directory, 'empty') }
    const outcome = await sbx([...bash('true'), ...args], { cwd: directory, env })
    expect(outcome).toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining(message) })
  })
})

describe('sbx run, interrupted,', () => {
  it('during an upload ends with 130 and leaves no QEMU', async () => {
    const file = join(directory, 'large')
    await writeFile(file, '')
    await truncate(file, 200_000_000)
    let running: readonly number[] = []
    const outcome = await sbx([...bash('true'), '--upload', file], {
      onStart: (child) => {
        void vi
          .waitFor(() => expect(openFiles(child)).toContain(file), { timeout: 60_000, interval: 5 })
          .then(() => {
            running = descendants(child.pid ?? 0)
            child.kill('SIGINT')
          })
      },
    })
    expect(outcome).toEqual({ code: 130, stdout: '', stderr: '' })
    expect(running).not.toEqual([])
    expect(running.filter(isAlive)).toEqual([])
  })

  it.each(['file', 'directory'])(
    'during the download of a %s ends with 130, and what was begun is gone',
    async (kind) => {
      const place = join(directory, 'place')
      await mkdir(place)
      let running: readonly number[] = []
      const outcome = await sbx(
        [...bash('mkdir d; truncate -s 200M f d/f'), '--download', `${kind === 'file' ? 'f' : 'd'}:${place}/copy`],
        {
          onStart: (child) => {
            const watcher = watch(place, () => {
              watcher.close()
              running = descendants(child.pid ?? 0)
              child.kill('SIGINT')
            })
          },
        },
      )
      expect(outcome).toEqual({ code: 130, stdout: '', stderr: '' })
      expect(await readdir(place)).toEqual([])
      expect(running).not.toEqual([])
      expect(running.filter(isAlive)).toEqual([])
    },
  )
})

describe('sbx run', () => {
  it('ends with the program when the reader of its output leaves', async () => {
    let running: readonly number[] = []
    const outcome = await sbx(bash('while :; do echo y; done'), {
      onStdout: (_, child) => {
        if (running.length === 0) running = descendants(child.pid ?? 0)
        child.stdout?.destroy()
      },
    })
    expect(outcome).toMatchObject({ code: 141, stderr: '' })
    expect(running).not.toEqual([])
    expect(running.filter(isAlive)).toEqual([])
  })

  it('goes on with the other sources when the VM of one is lost', async () => {
    const outcome = await sbx([...bash('echo one; exit 3'), '-c', 'echo two; sleep 600'], {
      // What the second one prints is shown when the first one is done: the QEMU that is left is its own.
      onStdout: (text) => {
        if (text.includes('two')) for (const pid of qemuProcesses()) process.kill(pid, 'SIGKILL')
      },
    })
    expect(outcome).toMatchObject({ code: 125, stdout: 'one\ntwo\n', stderr: expect.stringMatching(/^-c: sbx: /) })
  })
})
