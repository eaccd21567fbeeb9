import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { sbx } from './sbx.ts'

describe('sbx run', () => {
  let directory: string
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'exec-sandbox-cli-'))
  })
  afterAll(async () => await rm(directory, { recursive: true, force: true }))

  it("runs sbx run -c 'print(6*7)'", async () => {
    expect(await sbx(['run', '-c', 'print(6*7)'])).toEqual({ code: 0, stdout: '42\n', stderr: '' })
  })

  it('runs a TypeScript file, found by its extension, and exits with its code', async () => {
    const file = join(directory, 'script.ts')
    await writeFile(file, 'interface A { n: number }\nconst a: A = { n: 42 }\nconsole.log(a.n)\nprocess.exit(3)\n')
    expect(await sbx([file])).toEqual({ code: 3, stdout: '42\n', stderr: '' })
  })

  it("runs a program from stdin: echo 'echo $((6*7))' | sbx run -l bash -", async () => {
    expect(await sbx(['run', '-l', 'bash', '-'], { input: 'echo $((6*7))\n' })).toEqual({
      code: 0,
      stdout: '42\n',
      stderr: '',
    })
  })

  it('streams: the first line is out while the program still runs', async () => {
    let lines = 0
    const outcome = await sbx(['-l', 'bash', '-t', '60s', '-c', 'echo first; sleep 600'], {
      onStdout: (_, child) => {
        lines += 1
        child.kill('SIGINT')
      },
    })
    expect(lines).toBe(1)
    expect(outcome).toMatchObject({ code: 130, stdout: 'first\n' })
  })

  it('keeps bytes as they are', async () => {
    const { stdout } = await sbx(['-l', 'bash', '-c', "printf '\\xe2\\x82\\xac no newline'"])
    expect(stdout).toBe('€ no newline')
  })

  it('exits 124 at the time limit and says so on stderr only', async () => {
    const outcome = await sbx(['run', '-t', '1s', '-c', 'while True: pass'])
    expect(outcome.code).toBe(124)
    expect(outcome.stdout).toBe('')
    expect(outcome.stderr).toContain('time limit of 1 s')
  })

  it('prints several sources in order, and the worst code wins', async () => {
    const outcome = await sbx([
      'run',
      '-l',
      'bash',
      '-c',
      'sleep 0.5; echo one; exit 4',
      '-c',
      'echo two',
      '-c',
      'echo three; exit 2',
    ])
    expect(outcome).toMatchObject({ code: 4, stdout: 'one\ntwo\nthree\n' })
  })

  it('prints the result as JSON', async () => {
    const { stdout, code } = await sbx(['run', '--json', '-e', 'A=1', '-c', 'import os; print(os.environ["A"]); 6*7'])
    expect(code).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({ stdout: '1\n', exitCode: 0, reason: 'exit', results: [{ text: '42' }] })
  })

  it('shows boot log and timing with --debug, on stderr only', async () => {
    const { stdout, stderr } = await sbx(['run', '--debug', '-c', 'print(1)'])
    expect(stdout).toBe('1\n')
    expect(stderr).toMatch(/Linux version 6\.12/)
    expect(stderr).toMatch(/\[timing\] source=cold-boot .*bootMs=\d/)
  })

  it.each([
    [['run'], 'Nothing to run'],
    [['run', '-l', 'cobol', '-c', 'x'], 'Unknown language'],
    [['run', '-t', 'soon', '-c', 'x'], 'Expected a number with ms, s, m, h or d'],
    [['run', '-e', 'NOT_SET_ANYWHERE', '-c', 'x'], 'NAME=VALUE'],
    [['run', 'no-such-file.py'], 'there is no such file'],
    [['run', '-m', '1', '-c', 'x'], 'memoryMb'],
    [['frobnicate'], 'unknown command'],
  ])('exits 2 with a message for %j', async (args, message) => {
    const outcome = await sbx(args)
    expect(outcome.stderr).toContain(message)
    expect(outcome).toMatchObject({ code: 2, stdout: '' })
  })

  it('exits 125 and names the fixing command when there is no image', async () => {
    const outcome = await sbx(['run', '-c', 'print(1)'], { env: { EXEC_SANDBOX_CACHE_DIR: join(directory, 'empty') } })
    expect(outcome.code).toBe(125)
    expect(outcome.stderr).toContain('sbx image build')
  })
})

describe('sbx completion', () => {
  it.each(['bash', 'zsh', 'fish'])('prints a script for %s', async (shell) => {
    const { stdout, code } = await sbx(['completion', shell])
    expect(code).toBe(0)
    for (const word of ['run', 'repl', 'doctor', 'image', 'accelerator', 'upload', 'download'])
      expect(stdout).toContain(word)
  })

  it('gives bash a script that completes options', async () => {
    const { stdout } = await sbx(['completion', 'bash'])
    const script = `${stdout}\nCOMP_WORDS=(sbx run --acc); COMP_CWORD=2; _exec_sandbox; printf '%s\\n' "\${COMPREPLY[@]}"`
    const child = spawn('bash', ['-c', script], { stdio: ['ignore', 'pipe', 'inherit'] })
    const chunks: Buffer[] = []
    child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk))
    await once(child, 'close')
    expect(Buffer.concat(chunks).toString()).toBe('--accelerator\n')
  })
})

describe('sbx run --json', () => {
  it('prints a failure of the machine as JSON too, and names the source', async () => {
    const outcome = await sbx(['run', '--json', '-c', 'print(1)', '-c', 'print(2)'], {
      env: { EXEC_SANDBOX_QEMU: '/nonexistent/qemu-system-x86_64' },
    })
    expect(outcome.code).toBe(125)
    const lines = outcome.stdout.trim().split('\n')
    expect(lines).toHaveLength(2)
    for (const line of lines)
      expect(JSON.parse(line)).toMatchObject({ failure: { code: 'DEPENDENCY', retryable: false } })
    expect(outcome.stderr).toContain('-c: sbx: ')
  })
})
