import { execFileSync } from 'node:child_process'
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { resolvePaths } from '../../src/host/index.ts'
import { ROOT } from '../repository/repository.ts'

let directory: string
beforeEach(() => {
  const { cacheDir } = resolvePaths(process.env)
  // Beside the cache: links do not cross file systems.
  directory = mkdtempSync(`${cacheDir}-agent-change-`)
  for (const name of ['package.json', 'dist', 'guest'])
    cpSync(join(ROOT, name), join(directory, name), { recursive: true })
  symlinkSync(join(ROOT, 'node_modules'), join(directory, 'node_modules'))
  execFileSync('cp', ['-al', cacheDir, join(directory, 'cache')])
  // cargo writes into files of its own in place, which would reach through a link.
  const target = join('build', 'agent-target')
  rmSync(join(directory, 'cache', target), { recursive: true, force: true })
  if (existsSync(join(cacheDir, target))) {
    cpSync(join(cacheDir, target), join(directory, 'cache', target), { recursive: true, preserveTimestamps: true })
  }
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

function sbx(...args: readonly string[]): string {
  return execFileSync(process.execPath, [join(directory, 'dist/cli/main.js'), ...args], {
    encoding: 'utf8',
    env: { ...process.env, EXEC_SANDBOX_CACHE_DIR: join(directory, 'cache') },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
}

/** Builds the image; gives the content key of each component. */
function build(): Readonly<Record<string, string>> {
  sbx('image', 'build')
  const images = JSON.parse(sbx('image', 'ls', '--json')) as readonly {
    readonly current: boolean
    readonly manifest: { readonly components: Readonly<Record<string, string>> }
  }[]
  return images.find(({ current }) => current)?.manifest.components ?? {}
}

it('C13: after a change of the agent nothing but the agent is built, and the product runs again', {
  timeout: 600_000,
}, () => {
  const before = build()
  for (const name of ['Cargo.toml', 'Cargo.lock']) {
    const path = join(directory, 'guest/agent', name)
    const text = readFileSync(path, 'utf8')
    writeFileSync(path, text.replace(/(name = "exec-sandbox-agent"\nversion = )"[^"]+"/, '$1"0.1.99"'))
  }
  const { initramfs, ...others } = build()
  expect(initramfs).not.toBe(before['initramfs'])
  expect({ ...others, initramfs: before['initramfs'] }).toEqual(before)
  expect(sbx('run', '-l', 'bash', '-c', 'echo $((6 * 7))')).toBe('42\n')
})
