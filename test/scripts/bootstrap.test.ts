import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { expect, test } from 'vitest'

const SCRIPTS = join(import.meta.dirname, '..', '..', 'scripts')

test('where packages are missing and there is no apt, it names them and stops with exit code 2', () => {
  // An empty path is what a machine without any of the tools looks like.
  const { status, stderr } = spawnSync(process.execPath, [join(SCRIPTS, 'bootstrap.mjs')], {
    env: { PATH: '/nonexistent' },
    encoding: 'utf8',
  })
  expect(status).toBe(2)
  expect(stderr).toMatch(/not Debian/)
  expect(stderr).toMatch(/gcc: compiles the guest kernel/)
})

test('an interrupt ends the children first, and the exit code tells the signal', async () => {
  const program = `
    import { endChildrenOnInterrupt, run } from ${JSON.stringify(pathToFileURL(join(SCRIPTS, 'bootstrap', 'child.mjs')).href)}
    endChildrenOnInterrupt()
    await run(process.execPath, ['-e', 'console.log(process.pid); setInterval(() => {}, 1000)'])`
  const parent = spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [chunk]: Buffer[] = await once(parent.stdout, 'data')
  const child = Number(String(chunk))
  expect(child).toBeGreaterThan(0)
  parent.kill('SIGTERM')
  const [code]: (number | null)[] = await once(parent, 'close')
  expect(code).toBe(128 + 15)
  expect(() => process.kill(child, 0)).toThrow(/ESRCH/)
})
