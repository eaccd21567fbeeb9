import { execFile } from 'node:child_process'
import { cp, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

const ROOT = join(import.meta.dirname, '..', '..')

const PROGRAM = `
  const { RemoteCache, remoteCacheOptionsSchema } = await import('./dist/remote/index.js')
  remoteCacheOptionsSchema.parse({ bucket: 'layers' })
  const logger = { debug() {}, info() {}, warn() {}, error() {} }
  const error = await RemoteCache.open({ bucket: 'layers' }, { workDirectory: '/nonexistent', logger }).catch((e) => e)
  console.log(JSON.stringify({ code: error.code, message: error.message, details: error.details }))
`

test('without the SDK of S3 the product loads, and who asks for a remote cache is told the command that installs it', async () => {
  // The built package in an installation that has every dependency but the optional one.
  const directory = await mkdtemp(join(tmpdir(), 'exec-sandbox-no-sdk-'))
  try {
    await cp(join(ROOT, 'dist'), join(directory, 'dist'), { recursive: true })
    await writeFile(join(directory, 'package.json'), '{ "type": "module" }')
    for (const name of ['zod', 'fs-native-extensions', '@bokuweb/zstd-wasm']) {
      const link = join(directory, 'node_modules', name)
      await mkdir(dirname(link), { recursive: true })
      await symlink(join(ROOT, 'node_modules', name), link)
    }
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', PROGRAM], {
      cwd: directory,
    })
    expect(JSON.parse(stdout)).toEqual({
      code: 'DEPENDENCY',
      message: expect.stringContaining('npm install @aws-sdk/client-s3'),
      details: { dependency: '@aws-sdk/client-s3', fix: 'npm install @aws-sdk/client-s3' },
    })
  } finally {
    await rm(directory, { recursive: true })
  }
})
