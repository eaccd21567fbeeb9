import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { Scheduler } from '../../src/index.ts'
import { type Fault, respond } from '../remote/fault-proxy.ts'
import { BUCKET, CREDENTIALS, setCredentials, startS3, type TestS3 } from '../remote/s3-server.ts'
import { type PackageIndex, startPackageIndex, wheel } from './package-index.ts'
import { qemuProcesses } from './processes.ts'
import { recordingLogger, templateCache } from './template-cache.ts'

// Hosts with caches of their own, an S3 server, an index: all real, on loopback.

const environment = { ...process.env }
const PREFIX = 'team/ci'
const PACKAGES = ['greeting>=1']
const PROGRAM = 'import greeting, helper; print(greeting.hello(), helper.__name__)'
const OUTPUT = 'hello from greeting helper\n'

let s3: TestS3
let index: PackageIndex
beforeAll(async () => {
  setCredentials(CREDENTIALS)
  s3 = await startS3()
  index = await startPackageIndex({ files: { ...wheel('greeting', { requires: ['helper'] }), ...wheel('helper') } })
})
afterEach(() => {
  s3.proxy.reset()
  index.misbehave = undefined
})
afterAll(async () => {
  await index[Symbol.asyncDispose]()
  await s3[Symbol.asyncDispose]()
  process.env = environment
})

interface TestHost extends AsyncDisposable {
  readonly directory: string
  readonly scheduler: Scheduler
  readonly lines: readonly string[]
  /** How often packages were installed. */
  installations(): number
  warnings(): readonly string[]
}

/** A host with an empty cache. */
async function newHost(endpoint = s3.endpoint): Promise<TestHost> {
  const cache = await templateCache()
  const { logger, lines } = recordingLogger()
  const scheduler = new Scheduler({
    cacheDir: cache.directory,
    logger,
    packages: { memoryMb: 1_024, pythonIndexUrl: index.pythonIndexUrl },
    remoteCache: { bucket: BUCKET, prefix: PREFIX, endpoint },
  })
  return {
    directory: cache.directory,
    scheduler,
    lines,
    installations: () => lines.filter((line) => line.includes('packages are installed')).length,
    // The machine's own authorities may have expired: that is told by the network, and is no matter here.
    warnings: () => lines.filter((line) => line.startsWith('warn ') && !line.includes('certificate authority')),
    [Symbol.asyncDispose]: async () => {
      await scheduler.close()
      await cache.remove()
    },
  }
}

/** What stands below the cache's directory, by file name. */
async function namesIn(host: TestHost, directory: string): Promise<readonly string[]> {
  return await readdir(join(host.directory, directory), { recursive: true })
}

it('D07: one host installs and publishes, another one fetches, and needs no index', async () => {
  await using first = await newHost()
  expect(first.scheduler.stats().remoteCache).toBeUndefined()
  expect((await first.scheduler.run(PROGRAM, { packages: PACKAGES })).stdout).toBe(OUTPUT)
  await first.scheduler.close()
  expect(first.installations()).toBe(1)
  expect(first.scheduler.stats().remoteCache).toEqual({ hits: 0, misses: 1, published: 1, failed: 0, skipped: 0 })
  expect(await namesIn(first, 'uploads')).toEqual([])
  expect(s3.proxy.paths('PUT')).toHaveLength(2)
  for (const path of s3.proxy.paths('PUT'))
    expect(path).toMatch(new RegExp(`^/${BUCKET}/${PREFIX}/layers/v1/[0-9a-f]+/`))

  index.misbehave = 503
  const asked = index.requests.length
  await using second = await newHost()
  const [run, beside] = await Promise.all([
    second.scheduler.run(PROGRAM, { packages: PACKAGES }),
    second.scheduler.run(PROGRAM, { packages: PACKAGES }),
  ])
  for (const result of [run, beside]) expect(result).toMatchObject({ stdout: OUTPUT, stderr: '', exitCode: 0 })
  await using sandbox = await second.scheduler.create({ packages: PACKAGES })
  expect(sandbox.info().packages.map(({ name }) => name)).toEqual(['greeting', 'helper'])
  expect(second.scheduler.stats().remoteCache).toEqual({ hits: 1, misses: 0, published: 0, failed: 0, skipped: 0 })
  expect(second.installations()).toBe(0)
  expect(index.requests.length).toBe(asked)
  expect(second.warnings()).toEqual([])
})

/** The last byte of what the server answers is another one. */
const damaged: Fault = async (response, forward) => {
  const answer = await forward()
  const body = Buffer.from(answer.body)
  body[body.length - 1] = (body.at(-1) ?? 0) ^ 1
  respond(response, { ...answer, body })
}

it('D07: a store that gives other bytes than were published costs one warning and an installation', async () => {
  s3.proxy.fault = (method, path) => (method === 'GET' && path.endsWith('.zst') ? damaged : undefined)
  await using host = await newHost()
  expect((await host.scheduler.run(PROGRAM, { packages: PACKAGES })).stdout).toBe(OUTPUT)
  expect(host.installations()).toBe(1)
  await host.scheduler.close()
  // What was published before counts as damaged: the layer that was installed takes its place.
  expect(host.scheduler.stats().remoteCache).toEqual({ hits: 0, misses: 0, published: 1, failed: 1, skipped: 0 })
  expect(host.warnings()).toEqual([expect.stringMatching(/gave something else than what was stored/)])
})

it('D07: a store that is not there costs one warning and an installation', async () => {
  await using host = await newHost('http://127.0.0.1:9')
  expect((await host.scheduler.run(PROGRAM, { packages: PACKAGES })).stdout).toBe(OUTPUT)
  await host.scheduler.close()
  expect(host.installations()).toBe(1)
  expect(host.warnings()).toEqual([expect.stringMatching(/cannot be reached/)])
  expect(host.scheduler.stats().remoteCache).toMatchObject({ hits: 0, published: 0 })
})

it('D07: the end of a scheduler is that of an upload that hangs, which leaves nothing behind', async () => {
  let hanging = 0
  s3.proxy.fault = (method) => (method === 'PUT' ? () => void (hanging += 1) : undefined)
  // Another key, which the store does not have.
  const packages = ['helper']
  await using host = await newHost()
  expect((await host.scheduler.run('import helper; print(helper.__name__)', { packages })).stdout).toBe('helper\n')
  await expect.poll(() => hanging, { timeout: 60_000 }).toBe(1)
  await host.scheduler.close({ signal: AbortSignal.abort() })
  expect(host.scheduler.stats().remoteCache).toMatchObject({ misses: 1, published: 0 })
  expect(host.warnings()).toEqual([])
  expect(await namesIn(host, 'uploads')).toEqual([])
  expect(qemuProcesses()).toEqual([])
})
