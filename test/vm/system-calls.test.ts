import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Sandbox, Scheduler } from '../../src/index.ts'

// The filter of system calls (guest/agent/src/seccomp), asked by programs under it. The rules themselves are tested beside their
// source, number by number; here they are in force.
let scheduler: Scheduler
let sandbox: Sandbox

beforeAll(async () => {
  scheduler = new Scheduler()
  sandbox = await scheduler.create({ language: 'python', timeoutMs: 110_000 })
})

afterAll(async () => {
  await scheduler.close()
})

async function run(language: 'python' | 'bash' | 'javascript', code: string): Promise<string> {
  const { stdout, stderr, exitCode, reason } = await sandbox.runCode(code, { language })
  expect({ stderr, exitCode, reason }).toEqual({ stderr: '', exitCode: 0, reason: 'exit' })
  return stdout.trim()
}

interface SystemCalls {
  readonly calls: Record<string, string>
  readonly clone: Record<string, string>
  readonly unshare: Record<string, string>
  readonly personality: Record<string, string>
  readonly control: Record<string, string>
}

/** Calls that are there no more, as far as a program can tell. All others of the program are refused with EPERM. */
const ABSENT = new Set([
  'clone3',
  'io_uring_setup',
  'io_uring_enter',
  'io_uring_register',
  'modify_ldt',
  'lookup_dcookie',
  'uselib',
  'sysfs',
  '_sysctl',
  'later than Linux 6.12',
  'x32 getpid',
  'x32 execve',
])

test('A06: what no program needs of the kernel is refused, and nobody is killed for asking', async () => {
  const source = readFileSync(join(import.meta.dirname, 'programs', 'system-calls.py'), 'utf8')
  const report: SystemCalls = JSON.parse(await run('python', source))
  const { calls, clone, unshare, personality, control } = report
  const wrong = Object.entries(calls).filter(([name, answer]) => answer !== (ABSENT.has(name) ? 'ENOSYS' : 'EPERM'))
  expect(wrong).toEqual([])
  expect(Object.keys(calls).length).toBeGreaterThan(60)
  expect(new Set(Object.values(clone))).toEqual(new Set(['EPERM']))
  expect(new Set(Object.values(unshare))).toEqual(new Set(['EPERM']))
  expect(personality).toEqual({
    linux: 'ok',
    older: 'ok',
    'not random': 'EPERM',
    'page 0': 'EPERM',
    'executable data': 'EPERM',
    BSD: 'EPERM',
  })
  expect(new Set(Object.values(control))).toEqual(new Set(['ok']))
})

/** Lines of /proc/self/status that tell whether a process is under a filter, and under how many. */
const FILTERED = 'Seccomp:\t2\nSeccomp_filters:\t1'

test('A06: interpreters, what they start and commands are all under one filter', async () => {
  const lines = "grep -E '^Seccomp' /proc/self/status"
  expect(await run('python', "print(*[l for l in open('/proc/self/status') if l.startswith('Seccomp')], sep='')")).toBe(
    FILTERED,
  )
  expect(await run('python', `import subprocess\nsubprocess.run(["sh", "-c", "${lines}"])`)).toBe(FILTERED)
  // A redirection of the shell itself, so that it reads its own status and not that of a child.
  expect(
    await run('bash', 'while read -r line; do [[ $line != Seccomp* ]] || echo "$line"; done </proc/self/status'),
  ).toBe(FILTERED)
  expect(await run('bash', lines)).toBe(FILTERED)
  const own =
    "(await Bun.file('/proc/self/status').text()).split('\\n').filter((line) => line.startsWith('Seccomp')).join('\\n')"
  expect(await run('javascript', `console.log(${own})`)).toBe(FILTERED)
  expect(
    await run(
      'javascript',
      `console.log(require('child_process').execFileSync('sh', ['-c', ${JSON.stringify(lines)}], { encoding: 'utf8' }))`,
    ),
  ).toBe(FILTERED)
  const { stdout, exitCode } = await sandbox.commands.run(lines)
  expect({ stdout, exitCode }).toEqual({ stdout: `${FILTERED}\n`, exitCode: 0 })
})

// numpy, psutil and others under the filter are in packages.test.ts.
test('A06: what programs do need is there: threads, processes, Bun, the terminal', async () => {
  const code = `
import multiprocessing, os, pty, subprocess, threading
done = []
threads = [threading.Thread(target=done.append, args=(n,)) for n in range(8)]
[each.start() for each in threads]; [each.join() for each in threads]
assert sorted(done) == list(range(8))
assert subprocess.run(["true"]).returncode == 0
assert os.waitstatus_to_exitcode(os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0)[1]) == 0
with multiprocessing.get_context("fork").Pool(2) as pool: assert pool.map(abs, [-1, -2]) == [1, 2]
assert pty.spawn(["true"], lambda fd: os.read(fd, 64)) == 0
print("ok")
`
  expect(await run('python', code)).toBe('ok')
  const script = `
    const worker = new Worker(URL.createObjectURL(new Blob(['postMessage(6 * 7)'])))
    const answer = await new Promise((resolve) => (worker.onmessage = ({ data }) => resolve(data)))
    worker.terminate()
    const { exitCode, stdout } = Bun.spawnSync(['bun', '--print', '6 * 7'])
    console.log(answer, exitCode, stdout.toString().trim())`
  expect(await run('javascript', script)).toBe('42 0 42')
  expect(await run('bash', 'echo $(seq 3 | tac | sort | tr "\\n" " "); (exit 3) & wait $!; echo $?')).toBe('1 2 3\n3')
})
