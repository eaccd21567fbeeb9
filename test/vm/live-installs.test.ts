import { afterAll, expect, it } from 'vitest'
import { Scheduler } from '../../src/index.ts'
import { startPackageIndex, wheel } from './package-index.ts'

// Installers inside a session with network, against an index of the tests' own on this host's loopback.
const HOST = 'host.exec-sandbox.internal'
const scheduler = new Scheduler({ timeoutMs: 100_000 })
const index = await startPackageIndex({
  files: { ...wheel('greeting', { requires: ['helper'] }), ...wheel('helper') },
  npm: { 'kind-words': [['index.js', 'module.exports = "kind words"']] },
})
const network = { allow: [`${HOST}:${index.port}`] }
afterAll(async () => {
  await scheduler.close()
  await index[Symbol.asyncDispose]()
})

it.each([
  ['pip', 'pip install -q'],
  ['uv', 'uv pip install -q --system --target ~/installed'],
])('F05: %s installs in a live session, whose interpreter imports it at once', async (_, command) => {
  await using sandbox = await scheduler.create({ language: 'python', network })
  expect((await sandbox.runCode('import greeting')).error?.name).toBe('ModuleNotFoundError')
  const options = `--index-url http://${HOST}:${index.port}/simple --trusted-host ${HOST}`
  const installed = await sandbox.commands.run(`${command} ${options} greeting`)
  expect(installed, installed.stderr).toMatchObject({ exitCode: 0 })
  const program = 'import sys; sys.path.append("/home/user/installed")\nimport greeting; print(greeting.hello())'
  expect(await sandbox.runCode(program)).toMatchObject({ stdout: 'hello from greeting\n', exitCode: 0, state: 'kept' })
})

it('F05: bun adds a package in a live session, and the session imports it', async () => {
  await using sandbox = await scheduler.create({ language: 'javascript', network })
  const registry = `http://${HOST}:${index.port}/npm/`
  const installed = await sandbox.commands.run('bun add kind-words', { env: { npm_config_registry: registry } })
  expect(installed, installed.stderr).toMatchObject({ exitCode: 0 })
  const program = 'const { default: words } = await import("kind-words"); console.log(words)'
  expect(await sandbox.runCode(program)).toMatchObject({ stdout: 'kind words\n', exitCode: 0 })
})
