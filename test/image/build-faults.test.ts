import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'

// What goes wrong while an image is built, through the built command line. Nothing leaves the machine: the mirrors of
// these tests are on the loopback.
const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url))

let directory: string
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'exec-sandbox-build-'))
})
afterEach(async () => await rm(directory, { recursive: true, force: true }))

interface Outcome {
  readonly code: number | null
  readonly stderr: string
}

async function run(command: readonly [string, ...string[]], env: NodeJS.ProcessEnv): Promise<Outcome> {
  const [file, ...args] = command
  const child = spawn(file, args, { stdio: ['ignore', 'ignore', 'pipe'], env: { ...process.env, ...env } })
  let stderr = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, stderr }
}

async function build(mirror: string, cacheDir: string): Promise<Outcome> {
  const env = { EXEC_SANDBOX_CACHE_DIR: cacheDir, EXEC_SANDBOX_DEBIAN_MIRROR: mirror }
  return await run([process.execPath, MAIN, 'image', 'build'], env)
}

/** Names of images and of half-made components. */
async function leftovers(cacheDir: string): Promise<readonly string[]> {
  const list = async (path: string): Promise<string[]> => await readdir(path).catch(() => [])
  const temporary = await list(join(cacheDir, 'build', 'tmp'))
  return [...(await list(join(cacheDir, 'images'))), ...temporary]
}

describe('sbx image build', () => {
  it('says so when the mirror does not have the suite, and leaves nothing half made', async () => {
    const server = createServer((_, response) => {
      response.statusCode = 404
      response.end()
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    try {
      const { port } = server.address() as AddressInfo
      const outcome = await build(`http://127.0.0.1:${port}/debian`, join(directory, 'cache'))
      expect(outcome.code).toBe(125)
      expect(outcome.stderr).toContain('suite "trixie" could not be fetched: the mirror does not have it')
      expect(outcome.stderr).toContain('EXEC_SANDBOX_DEBIAN_MIRROR')
      expect(await leftovers(join(directory, 'cache'))).toEqual([])
    } finally {
      server.close()
    }
  })

  it('says so when there is no network to the mirror', async () => {
    // A port that was free a moment ago and that nobody listens on: what a host without network answers, at once.
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    server.close()
    await once(server, 'close')
    const outcome = await build(`http://127.0.0.1:${port}/debian`, join(directory, 'cache'))
    expect(outcome.code).toBe(125)
    expect(outcome.stderr).toMatch(/^sbx: .*could not be (reached|fetched)/m)
    expect(await leftovers(join(directory, 'cache'))).toEqual([])
  })

  it('ends with 130 on Ctrl-C and leaves nothing half made', async () => {
    const cacheDir = join(directory, 'cache')
    const child = spawn(process.execPath, [MAIN, 'image', 'build'], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, EXEC_SANDBOX_CACHE_DIR: cacheDir },
    })
    // The first thing it says about a step: by then the steps have begun.
    await Promise.race([once(child.stdout, 'data'), once(child.stderr, 'data')])
    child.kill('SIGINT')
    const [code] = (await once(child, 'close')) as [number | null]
    expect(code).toBe(130)
    expect(await leftovers(cacheDir)).toEqual([])
  })

  it('names the directory and the need when the disk is too small', async () => {
    // A file system of 40 MB in a mount namespace of its own, which is gone with the command.
    const unshare = process.geteuid?.() === 0 ? ['--mount'] : ['--user', '--map-root-user', '--mount']
    const script = 'mount -t tmpfs -o size=40m none "$1" && exec "$2" "$3" image build'
    const outcome = await run(['unshare', ...unshare, 'sh', '-c', script, 'sh', directory, process.execPath, MAIN], {
      EXEC_SANDBOX_CACHE_DIR: join(directory, 'cache'),
    })
    expect(outcome.code).toBe(125)
    expect(outcome.stderr).toMatch(/needs about \d+ MB in .*cache.*, which has \d+ MB free/)
    expect(outcome.stderr).toContain('EXEC_SANDBOX_CACHE_DIR')
  })
})
