import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { sbx, type SbxOptions } from './sbx.ts'

const schema = JSON.parse(readFileSync(new URL('../../docs/run-result.schema.json', import.meta.url), 'utf8')) as object
const validate = new Ajv2020({ strict: true, allErrors: true }).compile(schema)

/** The lines that `sbx run --json` prints. */
async function linesOf(args: readonly string[], options: SbxOptions = {}): Promise<readonly unknown[]> {
  const { stdout } = await sbx(['run', '--json', ...args], options)
  return stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as unknown)
}

describe('sbx run --json prints what docs/run-result.schema.json says:', () => {
  let directory: string
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'exec-sandbox-cli-json-'))
  })
  afterAll(async () => await rm(directory, { recursive: true }))

  it.each([
    ['a program with displayed values', ['-c', 'display({"a": [1]}); print(1); 6*7'], { stdout: '1\n', downloads: [] }],
    ['an error', ['-c', '1/0'], { exitCode: 1, error: { name: 'ZeroDivisionError' } }],
    ['a time-out', ['-t', '1s', '-c', 'while True: pass'], { reason: 'timeout', exitCode: 124 }],
    ['a signal', ['-l', 'bash', '-c', 'kill -9 $$'], { reason: 'signal', exitCode: 137, state: 'reset' }],
    ['output that was cut', ['-c', 'print("x" * 2_000_000)'], { stdoutTruncated: true }],
    ['a boot', ['--debug', '-c', 'print(1)'], { source: 'cold-boot' }],
  ])('%s', async (_, args, expected) => {
    const [line, ...more] = await linesOf(args)
    expect(more).toEqual([])
    expect(line).toMatchObject(expected)
    expect(validate(line), JSON.stringify(validate.errors)).toBe(true)
  })

  it('downloads, those that failed too', async () => {
    const args = ['-l', 'bash', '-c', 'mkdir d; echo 1 > d/f', '--download', 'd', '--download', 'missing']
    const [line] = await linesOf(args, { cwd: directory })
    expect(line).toMatchObject({
      downloads: [
        { path: 'd', hostPath: 'd', copy: { entries: 2, bytes: 2, skipped: [] } },
        {
          path: 'missing',
          error: { code: 'FILE', message: expect.stringContaining('ENOENT'), details: { errno: 'ENOENT' } },
        },
      ],
    })
    expect(validate(line), JSON.stringify(validate.errors)).toBe(true)
  })

  it('a failure of the tool, for each source', async () => {
    const lines = await linesOf(['-c', '1', '-c', '2'], { env: { EXEC_SANDBOX_CACHE_DIR: join(directory, 'empty') } })
    expect(lines).toHaveLength(2)
    for (const line of lines) {
      expect(line).toMatchObject({ failure: { code: 'DEPENDENCY' } })
      expect(validate(line), JSON.stringify(validate.errors)).toBe(true)
    }
  })

  it('and nothing else: a field that is not described is refused', () => {
    expect(validate({ failure: { code: 'VM_LOST', message: 'm', retryable: false } })).toBe(true)
    expect(validate({ failure: { code: 'VM_LOST', message: 'm', retryable: false, more: 1 } })).toBe(false)
    expect(validate({ stdout: '' })).toBe(false)
  })
})
