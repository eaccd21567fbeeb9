import { execFile } from 'node:child_process'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ROOT } from '../repository/repository.ts'

const run = promisify(execFile)

/** An empty project of a user, with nothing of this repository but the packed package and what that depends on. */
let project: string

beforeAll(async () => {
  project = await mkdtemp(join(tmpdir(), 'installed-'))
  // What stands in dist is what the tests have compiled: the package's own script would remove it under their feet.
  await run('npm', ['pack', '--ignore-scripts', '--pack-destination', project], { cwd: ROOT })
  const [tarball = ''] = await readdir(project)
  await writeFile(join(project, 'package.json'), '{ "private": true, "type": "module" }\n')
  const quiet = ['--no-audit', '--no-fund', '--prefer-offline', '--loglevel=error']
  await run('npm', ['install', ...quiet, `./${tarball}`], { cwd: project })
})

afterAll(async () => {
  await rm(project, { recursive: true, force: true })
})

describe('the packed package, installed in an empty project', () => {
  it('runs code by its library', async () => {
    const script = `import { Scheduler } from 'exec-sandbox'
const scheduler = new Scheduler()
console.log((await scheduler.run('print(6 * 7)')).stdout.trim())
await scheduler.close()
`
    await writeFile(join(project, 'run.js'), script)
    expect((await run(process.execPath, ['run.js'], { cwd: project })).stdout).toBe('42\n')
  })

  it('runs code by its two commands', async () => {
    for (const command of ['sbx', 'exec-sandbox']) {
      const { stdout } = await run('npx', ['--no-install', command, 'run', '-l', 'bash', '-c', 'echo $((6 * 7))'], {
        cwd: project,
      })
      expect(stdout).toBe('42\n')
    }
  })

  it('has types for whoever compiles against it', async () => {
    const program = `import { Scheduler, type RunResult } from 'exec-sandbox'
const result: RunResult = await new Scheduler().run('1', { language: 'python', memoryMb: 256 })
export const code: number = result.exitCode
`
    await writeFile(join(project, 'use.ts'), program)
    const options = ['--noEmit', '--strict', '--module', 'nodenext', '--target', 'es2023', '--skipLibCheck', 'use.ts']
    await run(join(ROOT, 'node_modules', '.bin', 'tsc'), options, { cwd: project })
  })
})
