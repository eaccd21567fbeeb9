import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, chown, cp, link, mkdir, mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { resolvePaths } from '../../src/host/index.ts'
import { openImage } from '../../src/image/index.ts'
import { startPackageIndex, wheel } from './package-index.ts'

/** Somebody without a name, a group or a right. */
const UID = 61_234
const REPOSITORY = new URL('../..', import.meta.url).pathname

/**
 * The product as a normal user has it: in a home directory that nobody else may enter. As root the test becomes that user;
 * a normal user is one already.
 */
let home: string

describe('a normal user with a private home', () => {
  beforeAll(async () => {
    // Not in the temporary directory, which is often mounted noexec and elsewhere than the image: links would be copies.
    home = await mkdtemp('/var/tmp/normal-user-')
    await installProduct(join(home, 'product'))
    await linkImage(join(home, 'image'))
    // The image's files stay root's: they are links, and their owner is that of the image.
    if (userInfo().uid === 0) await chown(home, UID, UID)
    await chmod(home, 0o700)
  })

  afterAll(async () => {
    await rm(home, { recursive: true, force: true })
  })

  it('G09, D10: boots, saves a template, and is resumed from it; nobody else may read it', async () => {
    const first = await sbx('run', '--json', '-l', 'bash', '-c', 'id -u')
    expect(first).toMatchObject({ stdout: '1000\n', exitCode: 0, source: 'cold-boot' })
    const second = await sbx('run', '--json', '-l', 'bash', '-c', 'id -u')
    expect(second).toMatchObject({ stdout: '1000\n', exitCode: 0, source: 'disk-snapshot' })

    const templates = join(home, 'cache', 'templates')
    expect((await stat(templates)).mode & 0o077).toBe(0)
    const [key = ''] = await readdir(templates)
    const { mode, uid } = await stat(join(templates, key, 'ram'))
    expect(mode & 0o222).toBe(0)
    expect(uid).toBe(userInfo().uid === 0 ? UID : userInfo().uid)
  })

  it('G09, D10: has packages installed that nobody else may read, and uses them', async () => {
    await using index = await startPackageIndex({ files: wheel('greeting') })
    process.env['PIP_INDEX_URL'] = index.pythonIndexUrl
    try {
      const result = await sbx('run', '--json', '-p', 'greeting', '-c', 'import greeting; print(greeting.hello())')
      expect(result).toMatchObject({ stdout: 'hello from greeting\n', exitCode: 0 })
    } finally {
      delete process.env['PIP_INDEX_URL']
    }
    const layers = join(home, 'cache', 'layers')
    expect((await stat(layers)).mode & 0o077).toBe(0)
    const [key = ''] = await readdir(layers)
    expect((await stat(join(layers, key))).mode & 0o077).toBe(0)
    expect((await stat(join(layers, key, 'layer.erofs'))).mode & 0o222).toBe(0)
  })
})

async function sbx(...args: readonly string[]): Promise<unknown> {
  const become = userInfo().uid === 0 ? ['setpriv', `--reuid=${UID}`, `--regid=${UID}`, '--clear-groups', '--'] : []
  const [file = '', ...argv] = [...become, process.execPath, join(home, 'product', 'dist', 'cli', 'main.js'), ...args]
  return JSON.parse(
    await run(file, argv, {
      PATH: process.env['PATH'],
      HOME: home,
      PIP_INDEX_URL: process.env['PIP_INDEX_URL'],
      EXEC_SANDBOX_CACHE_DIR: join(home, 'cache'),
      EXEC_SANDBOX_IMAGE_DIR: join(home, 'image'),
    }),
  )
}

async function run(file: string, argv: readonly string[], env: NodeJS.ProcessEnv = process.env): Promise<string> {
  const child = spawn(file, argv, { env, cwd: '/', stdio: ['ignore', 'pipe', 'pipe'] })
  let [stdout, stderr] = ['', '']
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()))
  const [code] = await once(child, 'close')
  if (code !== 0) throw new Error(`${file} ${argv.join(' ')} exited with ${String(code)}: ${stderr}`)
  return stdout
}

/** What `npm install exec-sandbox` would put there: the compiled product and its run-time dependencies. */
async function installProduct(directory: string): Promise<void> {
  await cp(join(REPOSITORY, 'dist'), join(directory, 'dist'), { recursive: true })
  await cp(join(REPOSITORY, 'guest', 'install'), join(directory, 'guest', 'install'), { recursive: true })
  await cp(join(REPOSITORY, 'package.json'), join(directory, 'package.json'))
  const lock: { packages: Record<string, { dev?: boolean; devOptional?: boolean }> } = JSON.parse(
    await readFile(join(REPOSITORY, 'package-lock.json'), 'utf8'),
  )
  for (const [path, entry] of Object.entries(lock.packages)) {
    if (path === '' || entry.dev === true || entry.devOptional === true) continue
    await cp(join(REPOSITORY, path), join(directory, path), { recursive: true })
  }
}

/** The installed image by other names: the user may read the files, not the directory they come from. */
async function linkImage(directory: string): Promise<void> {
  const image = await openImage({ paths: resolvePaths(process.env), env: process.env })
  const entries = await readdir(image.directory, { recursive: true, withFileTypes: true })
  await mkdir(directory)
  for (const entry of entries) {
    const from = join(entry.parentPath, entry.name)
    const to = join(directory, from.slice(image.directory.length))
    if (entry.isDirectory()) await mkdir(to, { recursive: true })
    else if (entry.isSymbolicLink()) await cp(from, to, { verbatimSymlinks: true })
    else await link(from, to).catch(async () => await cp(from, to))
  }
}
