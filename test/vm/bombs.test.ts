import { readFileSync } from 'node:fs'
import { afterAll, describe, expect, it } from 'vitest'
import { type RunResult, type Sandbox, Scheduler } from '../../src/index.ts'
import { qemuProcesses } from './processes.ts'

const MEMORY_MB = 256
const scheduler = new Scheduler({ memoryMb: MEMORY_MB })
afterAll(async () => await scheduler.close())

/** Programs that take what there is, with bytes that no compression makes smaller. */
const MEMORY: Readonly<Record<string, string>> = {
  python: 'import os\nheld = []\nwhile True: held.append(os.urandom(1 << 20))',
  javascript: 'const held = []; for (;;) held.push(crypto.getRandomValues(new Uint8Array(65_536)))',
  bash: 'head -c 1G /dev/urandom | tail -c 1G | wc -c; exit "${PIPESTATUS[1]}"',
}

const PROCESSES: Readonly<Record<string, string>> = {
  python: 'import os\nwhile True:\n    try: os.fork()\n    except OSError: pass',
  javascript: 'for (;;) { try { Bun.spawn(["sleep", "100"]) } catch {} }',
  bash: 'bomb() { bomb | bomb & }; bomb; while :; do :; done',
}

const THREADS = [
  'import threading, time',
  'def wait(): time.sleep(100)',
  'count = 0',
  'try:',
  '    while True:',
  '        threading.Thread(target=wait, daemon=True).start()',
  '        count += 1',
  'except RuntimeError as error: print(count > 100, error)',
].join('\n')

const OK: Readonly<Record<string, string>> = { python: 'print("ok")', javascript: 'console.log("ok")', bash: 'echo ok' }

async function expectAlive(sandbox: Sandbox, language: string): Promise<void> {
  const next = await sandbox.runCode(OK[language] ?? '', { timeoutMs: 60_000 })
  expect(next).toMatchObject({ stdout: 'ok\n', exitCode: 0 })
}

/** What all QEMU processes of this process hold, in MiB. */
function hostMegabytes(): number {
  const rss = qemuProcesses().map((pid) => /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1])
  return rss.reduce((sum, kilobytes) => sum + Number(kilobytes ?? 0) / 1_024, 0)
}

describe.each(['python', 'javascript', 'bash'])('%s', (language) => {
  it('A14: a program that fills the memory ends for want of it, and the next call works', async () => {
    await using sandbox = await scheduler.create({ language })
    // Emulation on a busy host is slow: what counts is that the end is no time-out.
    const result = await sandbox.runCode(MEMORY[language] ?? '', { timeoutMs: 300_000 })
    expect(result).toMatchObject({ reason: 'memory', exitCode: 137 })
    await expectAlive(sandbox, language)
  }, 400_000)

  it('A14: a program that makes processes without end ends at its time limit, and the next call works', async () => {
    await using sandbox = await scheduler.create({ language })
    const result: RunResult = await sandbox.runCode(PROCESSES[language] ?? '', { timeoutMs: 2_000 })
    expect(result.reason).toMatch(/^(?:timeout|signal)$/)
    await expectAlive(sandbox, language)
    // Whatever it did, it did in the memory that its VM has, and the host holds little more than that.
    expect(hostMegabytes()).toBeLessThan(qemuProcesses().length * (MEMORY_MB + 150))
  }, 240_000)
})

it('A14: threads without end are bounded, and the next call works', async () => {
  await using sandbox = await scheduler.create({ language: 'python' })
  const result = await sandbox.runCode(THREADS, { timeoutMs: 60_000 })
  expect(result.stdout).toMatch(/^True can't start new thread/)
  await expectAlive(sandbox, 'python')
}, 240_000)

it('A14: a crowd that a program leaves behind is ended, and the next program has processes', async () => {
  await using sandbox = await scheduler.create({ language: 'python' })
  const crowd = await sandbox.runCode(THREADS, { timeoutMs: 60_000 })
  expect(crowd.stdout).toMatch(/^True can't start new thread/)
  const next = await sandbox.runCode('import subprocess\nprint(subprocess.check_output(["echo", "ok"]))', {
    timeoutMs: 60_000,
  })
  expect(next).toMatchObject({ stdout: "b'ok\\n'\n", exitCode: 0 })
}, 240_000)

it('A14: a service of many threads is nobody’s crowd while its program is waited for', async () => {
  await using sandbox = await scheduler.create({ language: 'bash' })
  const many =
    'import threading, time\nfor _ in range(560): threading.Thread(target=time.sleep, args=(600,)).start()\nprint("up")'
  await using service = await sandbox.commands.start(['python3', '-uc', many])
  for await (const { data } of service.output) if (data.includes('up')) break
  await sandbox.runCode('kept=1; sleep 600 &')
  for (const expected of ['1', '1']) {
    expect(await sandbox.runCode('echo $kept; kill -0 $!')).toMatchObject({
      stdout: `${expected}\n`,
      exitCode: 0,
      state: 'kept',
    })
  }
  expect(service.running).toBe(true)
}, 240_000)

it('A14: who fills the memory after a child of its did is ended like that child', async () => {
  await using sandbox = await scheduler.create({ language: 'python' })
  // The child stays a zombie: its parent looks at its end and does not take it.
  const fill = 'held = []\nwhile True: held.append(os.urandom(1 << 20))'
  const child = `if os.fork() == 0:\n    ${fill.replaceAll('\n', '\n    ')}`
  const code = `import os\n${child}\nos.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)\n${fill}`
  expect(await sandbox.runCode(code, { timeoutMs: 300_000 })).toMatchObject({ reason: 'memory' })
}, 400_000)

it('A14: swap is compressed memory with a cap, and of those who wait for pages only the one that took them is ended', async () => {
  await using sandbox = await scheduler.create({ language: 'python' })
  await sandbox.runCode('kept=1', { language: 'bash' })
  const facts = await sandbox.commands.run(
    'grep -o "\\[[a-z0-9]*\\]" /sys/block/zram0/comp_algorithm; cat /sys/block/zram0/disksize; awk "{print \\$4}" /sys/block/zram0/mm_stat; awk "/MemTotal/ {print \\$2 * 1024}" /proc/meminfo; grep -c zram0 /proc/swaps',
  )
  const [algorithm, disk = 0, limit = 0, total = 0, swaps] = facts.stdout.trim().split('\n')
  expect([algorithm, swaps]).toEqual(['[lz4]', '1'])
  expect(Number(disk) / Number(total)).toBeCloseTo(0.4, 1)
  expect(Number(limit) / Number(total)).toBeCloseTo(0.2, 1)
  // Half of it can be compressed, so that swapping goes on for a while.
  const half = 'import os\nheld = []\nwhile True: held.append(os.urandom(2_048) + bytes(2_048))'
  expect(await sandbox.runCode(half, { timeoutMs: 300_000 })).toMatchObject({ reason: 'memory', exitCode: 137 })
  expect((await sandbox.runCode('echo $kept', { language: 'bash', timeoutMs: 60_000 })).stdout).toBe('1\n')
}, 400_000)
