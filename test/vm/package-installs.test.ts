import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { type PackagesOptions, Scheduler } from '../../src/index.ts'
import { sourceDistribution, startPackageIndex, wheel } from './package-index.ts'
import { qemuProcesses } from './processes.ts'
import { recordingLogger, templateCache } from './template-cache.ts'

// The whole way, against an index of the tests' own on loopback.
const cache = await templateCache()
afterAll(async () => await cache.remove())

const quick = { memoryMb: 1_024 } as const

function schedulerOf(packages: PackagesOptions): Scheduler & { readonly lines: readonly string[] } {
  const { logger, lines } = recordingLogger()
  return Object.assign(new Scheduler({ cacheDir: cache.directory, logger, packages: { ...quick, ...packages } }), {
    lines,
  })
}

async function failureOf(run: Promise<unknown>): Promise<unknown> {
  return await run.then(
    () => expect.fail('it did not fail'),
    (error: unknown) => error,
  )
}

describe('D06: packages', () => {
  it('are installed once, from an index with credentials that nobody sees, and then need no network', async () => {
    const secret = 'swordfish-4711'
    const files = {
      ...wheel('greeting', { requires: ['helper>=1'] }),
      ...wheel('helper'),
      ...wheel('helper', { version: '2.0' }),
    }
    const authorization = `Basic ${Buffer.from(`me:${secret}`).toString('base64')}`
    const index = await startPackageIndex({ files, authorization })
    const pythonIndexUrl = index.pythonIndexUrl.replace('://', `://me:${secret}@`)
    await using scheduler = schedulerOf({ pythonIndexUrl })
    const lines: string[] = []
    const program = 'import greeting, helper; print(greeting.hello(), helper.__name__)'
    const packages = ['Greeting>=1']
    const [first, beside] = await Promise.all([
      scheduler.run(program, { packages, onInstallLog: (line) => lines.push(line) }),
      scheduler.run(program, { packages }),
    ])
    for (const result of [first, beside])
      expect(result).toMatchObject({ stdout: 'hello from greeting helper\n', exitCode: 0 })
    expect(lines.join('\n')).toMatch(/\+ greeting==1\.0\n \+ helper==2\.0/)
    expect(scheduler.lines.filter((line) => line.includes('packages are installed'))).toHaveLength(1)
    await index[Symbol.asyncDispose]()
    await using other = schedulerOf({ pythonIndexUrl })
    await using sandbox = await other.create({ packages })
    expect((await sandbox.runCode(program)).stdout).toBe('hello from greeting helper\n')
    expect((await sandbox.commands.run('greeting-program')).exitCode).toBe(1)
    expect(sandbox.info().packages).toEqual([
      { name: 'greeting', version: '1.0' },
      { name: 'helper', version: '2.0' },
    ])
    const [key = ''] = await readdir(join(cache.directory, 'layers'))
    const kept = await Promise.all(
      (await readdir(join(cache.directory, 'layers', key))).map(
        async (name) => await readFile(join(cache.directory, 'layers', key, name), 'latin1'),
      ),
    )
    for (const text of [...kept, ...scheduler.lines, ...lines]) {
      expect(text).not.toContain(secret)
      expect(text).not.toContain(authorization.slice(6))
    }
  })

  it('of JavaScript come from a registry', async () => {
    const entries = [
      [
        'package.json',
        '{"name":"@scope/greeting","version":"1.0.0","main":"index.js","scripts":{"postinstall":"touch /home/user/layer/node_modules/run"}}',
      ],
      ['index.js', 'exports.hello = () => "hello from npm"'],
    ] as const
    await using index = await startPackageIndex({ npm: { '@scope/greeting': entries } })
    await using scheduler = schedulerOf({ npmRegistryUrl: index.npmRegistryUrl })
    const options = { language: 'javascript', packages: ['@scope/greeting@^1'] }
    await using sandbox = await scheduler.create(options)
    const result = await sandbox.runCode("import { hello } from '@scope/greeting'; console.log(hello())")
    expect(result).toMatchObject({ stdout: 'hello from npm\n', exitCode: 0 })
    expect(sandbox.info().packages).toEqual([{ name: '@scope/greeting', version: '1.0.0' }])
    expect((await sandbox.commands.run('ls -A /node_modules')).stdout).toBe('@scope\n')
  })

  it('that are built run their code in a VM that reaches the index and nothing else', async () => {
    await using other = await startPackageIndex({})
    const program = [
      'import os, socket, sys, zipfile',
      `def reach(*address):`,
      '    try: socket.create_connection(address, 10).close(); return "reached"',
      '    except OSError as error: return type(error).__name__',
      `found = [reach("host.exec-sandbox.internal", ${other.port}), reach("192.0.2.1", 80), reach("example.com", 80)]`,
      'name = "built-1.0-py3-none-any.whl"',
      'with zipfile.ZipFile(os.path.join(directory, name), "w") as archive:',
      '    archive.writestr("built.py", f"FOUND = {found!r}")',
      '    archive.writestr("built-1.0.dist-info/METADATA", "Metadata-Version: 2.1\\nName: built\\nVersion: 1.0\\n")',
      '    archive.writestr("built-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")',
      '    archive.writestr("built-1.0.dist-info/RECORD", "")',
      'return name',
    ].join('\n')
    await using index = await startPackageIndex({ files: sourceDistribution('built', program) })
    await using scheduler = schedulerOf({ pythonIndexUrl: index.pythonIndexUrl })
    const { stdout, stderr } = await scheduler.run('import built; print(*built.FOUND)', { packages: ['built'] })
    expect(stderr).toBe('')
    expect(stdout.trim().split(' ')).not.toContain('reached')
    expect(other.requests).toEqual([])
  })

  it('refused by the policy, or forbidden by EXEC_SANDBOX_OFFLINE, cost no VM', async () => {
    await using scheduler = schedulerOf({ policy: (spec) => spec.startsWith('pandas') })
    const refused = failureOf(scheduler.create({ packages: ['pandas', 'evil==1'] }))
    expect(await refused).toMatchObject({ code: 'PACKAGE', retryable: false, details: { spec: 'evil==1' } })
    process.env['EXEC_SANDBOX_OFFLINE'] = '1'
    try {
      const offline = failureOf(scheduler.create({ packages: ['pandas'] }))
      expect(await offline).toMatchObject({
        code: 'PACKAGE',
        retryable: false,
        message: expect.stringMatching(/OFFLINE/),
      })
    } finally {
      delete process.env['EXEC_SANDBOX_OFFLINE']
    }
    expect(scheduler.lines.join('\n')).not.toMatch(/starting QEMU/)
  })
})

describe('an installation that fails', () => {
  const compiler = 'import subprocess\nsubprocess.run(["gcc", "--version"], check=True)'
  const files = {
    ...wheel('left', { requires: ['helper==1.0'] }),
    ...wheel('right', { requires: ['helper==2.0'] }),
    ...wheel('helper'),
    ...wheel('helper', { version: '2.0' }),
    ...sourceDistribution('native', compiler),
  }
  it.each([
    ['a package that is not there', ['nosuch'], /no such package[^]*nosuch was not found/],
    ['a version that is not there', ['left==9'], /no version that fits[^]*left==9/],
    ['packages that exclude each other', ['left', 'right'], /exclude each other/],
    ['a package that needs a compiler', ['native'], /no compiler in the sandbox image/],
  ] as const)("for %s says so in the installer's words, for good", async (_what, packages, message) => {
    await using index = await startPackageIndex({ files })
    await using scheduler = schedulerOf({ pythonIndexUrl: index.pythonIndexUrl })
    const error = await failureOf(scheduler.create({ packages: [...packages] }))
    expect(error).toMatchObject({ code: 'PACKAGE', retryable: false, message: expect.stringMatching(message) })
    expect(error).toMatchObject({ details: { output: expect.stringMatching(/error/) } })
    expect(qemuProcesses()).toEqual([])
  })

  it('because the index is not there, out of order or silent may be tried again, and is right then', {
    timeout: 300_000,
  }, async () => {
    await using index = await startPackageIndex({ files })
    // What succeeds here takes 10 s where nothing else is done.
    await using scheduler = schedulerOf({ pythonIndexUrl: index.pythonIndexUrl, timeoutMs: 100_000 })
    index.misbehave = 503
    const broken = await failureOf(scheduler.create({ packages: ['left'] }))
    expect(broken).toMatchObject({ code: 'PACKAGE', retryable: true })
    index.misbehave = undefined
    expect((await scheduler.run('import left; print(6 * 7)', { packages: ['left'] })).stdout).toBe('42\n')
    await using nowhere = schedulerOf({ pythonIndexUrl: 'http://127.0.0.1:9/simple' })
    const absent = await failureOf(nowhere.create({ packages: ['left'] }))
    expect(absent).toMatchObject({
      code: 'PACKAGE',
      retryable: true,
      message: expect.stringMatching(/cannot be reached/),
    })
  })

  it('because its caller gives it up leaves no VM and no layer', async () => {
    await using index = await startPackageIndex({ files })
    index.misbehave = 'silent'
    await using scheduler = schedulerOf({ pythonIndexUrl: index.pythonIndexUrl })
    const giveUp = new AbortController()
    const before = await readdir(join(cache.directory, 'layers'))
    const run = failureOf(scheduler.create({ packages: ['right'], signal: giveUp.signal }))
    await expect.poll(() => index.requests.length, { timeout: 60_000 }).toBeGreaterThan(0)
    giveUp.abort()
    expect(await run).toMatchObject({ code: 'ABORTED' })
    await scheduler.close()
    expect(qemuProcesses()).toEqual([])
    expect(await readdir(join(cache.directory, 'layers'))).toEqual(before)
  })
})
