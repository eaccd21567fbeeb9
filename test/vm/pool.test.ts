import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { LogFields, Logger } from '../../src/base/index.ts'
import { type RunResult, Scheduler } from '../../src/index.ts'
import { WarmPool } from '../../src/pool/index.ts'
import type { Vm } from '../../src/vm/index.ts'
import { launchTestVm } from './launched-vm.ts'
import { qemuProcesses } from './processes.ts'

const LANGUAGES = ['python', 'javascript', 'bash'] as const

/** A logger that tells when something was logged: the tests wait for what happens, not for time to pass. */
class Log implements Logger {
  readonly #waiting = new Set<{ readonly matches: (line: string) => boolean; readonly resolve: () => void }>()

  /** Resolves at the next line that holds all the words. */
  async next(...words: readonly string[]): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#waiting.add({ matches: (line) => words.every((word) => line.includes(word)), resolve })
    })
  }

  readonly debug = (message: string, fields?: LogFields): void => this.#write(message, fields)
  readonly info = (message: string, fields?: LogFields): void => this.#write(message, fields)
  readonly warn = (message: string, fields?: LogFields): void => this.#write(message, fields)
  readonly error = (message: string, fields?: LogFields): void => this.#write(message, fields)

  #write(message: string, fields: LogFields = {}): void {
    const line = `${message} ${JSON.stringify(fields)}`
    for (const waiter of this.#waiting) {
      if (!waiter.matches(line)) continue
      this.#waiting.delete(waiter)
      waiter.resolve()
    }
  }
}

/** Kills every QEMU there is: a pool's VM, and what else may have been started ahead. */
function killAll(): readonly number[] {
  const killed = qemuProcesses()
  for (const pid of killed) process.kill(pid, 'SIGKILL')
  return killed
}

describe('a scheduler with a warm pool for each language', () => {
  let scheduler: Scheduler
  beforeAll(async () => {
    scheduler = new Scheduler({ warmPool: { python: 1, javascript: 1, bash: 1 } })
    await scheduler.ready()
  })
  afterAll(async () => await scheduler.close())

  const PROGRAMS = { python: 'print(6 * 7)', javascript: 'console.log(6 * 7)', bash: 'echo $((6 * 7))' }

  it.each(LANGUAGES)('serves a run of %s out of the pool', async (language) => {
    await scheduler.ready()
    const result = await scheduler.run(PROGRAMS[language], { language })
    expect(result).toMatchObject({ stdout: '42\n', exitCode: 0, source: 'pool', state: 'kept' })
    // Nothing was started, resumed or booted for it.
    for (const phase of ['setupMs', 'bootMs', 'restoreMs', 'spawnMs']) expect(result.timing).not.toHaveProperty(phase)
    expect(result.timing.connectMs).toBeGreaterThan(0)
  })

  it('counts hits and misses, and a miss is served all the same', async () => {
    await scheduler.ready()
    const before = scheduler.stats().pools.bash
    const results = await Promise.all(['echo one', 'echo two'].map(async (code) => await run(code, 'bash')))
    expect(results.map(({ stdout }) => stdout)).toEqual(['one\n', 'two\n'])
    expect(results.map(({ source }) => source === 'pool')).toEqual([true, false])
    const after = scheduler.stats().pools.bash
    expect(after).toMatchObject({ hits: (before?.hits ?? 0) + 1, misses: (before?.misses ?? 0) + 1 })
    expect(after?.hitRate).toBeCloseTo((after?.hits ?? 0) / ((after?.hits ?? 0) + (after?.misses ?? 0)))
  })

  it('refills from the check-out on', async () => {
    await scheduler.ready()
    const creation = scheduler.create({ language: 'bash' })
    // The check-out itself waits for nothing, and the next VM is far from being there.
    await new Promise((resolve) => setImmediate(resolve))
    expect(scheduler.stats().pools.bash).toMatchObject({ size: 1, idle: 0, filling: 1 })
    await using sandbox = await creation
    await scheduler.ready()
    expect(scheduler.stats().pools.bash).toMatchObject({ idle: 1, filling: 0 })
    expect(sandbox.info().source).toBe('pool')
    expect((await sandbox.runCode('echo mine')).stdout).toBe('mine\n')
  })

  it('gives each run a VM that nobody has used', async () => {
    for (const seen of ['', '']) {
      await scheduler.ready()
      const code =
        'import os\nprint(os.path.exists("/tmp/used") and "used", "name" in globals())\nname = 1\nopen("/tmp/used", "w")'
      expect(await run(code, 'python')).toMatchObject({ stdout: `${seen}False False\n`, source: 'pool' })
    }
  })

  it('hands a VM over with the environment, the name and the clock of its own sandbox', async () => {
    const code =
      'import os, socket, time\nprint(os.environ.get("WHO"), socket.gethostname(), time.time_ns() // 1_000_000)'
    const names = new Set<string>()
    for (const who of ['first', undefined]) {
      await scheduler.ready()
      const before = Date.now()
      const result = await scheduler.run(code, {
        language: 'python',
        ...(who === undefined ? {} : { env: { WHO: who } }),
      })
      expect(result.source).toBe('pool')
      const [seen = '', name = '', clock = ''] = result.stdout.trim().split(' ')
      expect(seen).toBe(who ?? 'None')
      expect(name).toMatch(/^sandbox-[0-9a-f]{8}$/)
      names.add(name)
      // Set at the check-out, so it cannot be behind the call; a guest that ran ahead would be past its end.
      expect(Number(clock)).toBeGreaterThanOrEqual(before - 1)
      expect(Number(clock)).toBeLessThanOrEqual(Date.now() + 1)
    }
    expect(names.size).toBe(2)
  })

  it.each([
    ['python', 'import os, random, uuid\nprint(random.random(), os.urandom(8).hex(), uuid.uuid4())'],
    [
      'javascript',
      'console.log(Math.random(), crypto.randomUUID(), crypto.getRandomValues(new Uint8Array(8)).join("-"))',
    ],
    ['bash', 'echo $RANDOM$RANDOM $SRANDOM $(head -c 8 /dev/urandom | od -An -tx1 | tr -d " ") $(cat /etc/machine-id)'],
  ] as const)('two VMs of the %s pool differ in their random numbers', async (language, code) => {
    const draws: string[][] = []
    for (let count = 0; count < 2; count += 1) {
      await scheduler.ready()
      const result = await run(code, language)
      expect(result).toMatchObject({ source: 'pool', exitCode: 0 })
      draws.push(result.stdout.trim().split(' '))
    }
    const [first = [], second = []] = draws
    expect(first.length).toBeGreaterThan(1)
    for (const [index, draw] of first.entries()) expect(second[index]).not.toBe(draw)
  })

  it('keeps away from the pool what it cannot serve', async () => {
    await scheduler.ready()
    const hits = scheduler.stats().pools.bash?.hits
    const result = await scheduler.run('free -m | wc -l', { language: 'bash', memoryMb: 192 })
    expect(result.exitCode).toBe(0)
    expect(['memory-snapshot', 'disk-snapshot', 'cold-boot']).toContain(result.source)
    const lines: string[] = []
    const watched = await scheduler.run('echo 1', { language: 'bash', onBootLog: (line) => lines.push(line) })
    expect(watched.source).toBe('cold-boot')
    expect(lines.length).toBeGreaterThan(0)
    expect(scheduler.stats().pools.bash?.hits).toBe(hits)
  })

  async function run(code: string, language: (typeof LANGUAGES)[number]): Promise<RunResult> {
    return await scheduler.run(code, { language })
  }
})

describe('a VM of a pool that is killed', () => {
  const log = new Log()
  let scheduler: Scheduler
  beforeAll(async () => {
    scheduler = new Scheduler({ warmPool: { bash: 1 }, logger: log })
    await scheduler.ready()
  })
  afterAll(async () => await scheduler.close())

  it('while idle is replaced, and nobody gets it', async () => {
    const noticed = log.next('pool', 'lost')
    const killed = killAll()
    expect(killed).not.toEqual([])
    await noticed
    expect(scheduler.stats().pools.bash).toMatchObject({ idle: 0, died: 1 })
    await scheduler.ready()
    expect(scheduler.stats().pools.bash).toMatchObject({ idle: 1, died: 1 })
    const alive = qemuProcesses()
    expect(alive).not.toEqual([])
    expect(alive.filter((pid) => killed.includes(pid))).toEqual([])
    expect(await scheduler.run('echo alive', { language: 'bash' })).toMatchObject({ stdout: 'alive\n', source: 'pool' })
  })

  it('at the moment of the check-out costs the run time and nothing else', async () => {
    await scheduler.ready()
    const { hits = 0 } = scheduler.stats().pools.bash ?? {}
    killAll()
    // No event of its death can have come: the pool hands it out.
    const result = await scheduler.run('echo alive', { language: 'bash' })
    expect(result).toMatchObject({ stdout: 'alive\n', exitCode: 0, source: 'disk-snapshot' })
    expect(scheduler.stats().pools.bash).toMatchObject({ hits: hits + 1 })
  })

  it('and its death is known to its channel before it is to its owner: it is not handed out', async () => {
    await scheduler.ready()
    const { hits = 0 } = scheduler.stats().pools.bash ?? {}
    const broken = log.next('channel ended')
    killAll()
    await broken
    await scheduler.run('echo alive', { language: 'bash' })
    expect(scheduler.stats().pools.bash).toMatchObject({ hits })
  })
})

describe('closing a scheduler with a pool', () => {
  it.each(['setup', 'restore', 'connect', 'pool filled'])(
    'while it is filled, past "%s", leaves no QEMU',
    async (moment) => {
      const log = new Log()
      const scheduler = new Scheduler({ warmPool: { bash: 2 }, logger: log })
      await log.next(moment)
      expect(qemuProcesses().length).toBeGreaterThan(0)
      await Promise.all([scheduler.close(), scheduler.close()])
      expect(qemuProcesses()).toEqual([])
      expect(scheduler.stats().pools.bash).toMatchObject({ idle: 0, filling: 0, fillFailures: 0 })
    },
  )

  it('that has not begun to fill leaves no QEMU, and tells who waits', async () => {
    const scheduler = new Scheduler({ warmPool: { bash: 1 } })
    const ready = scheduler.ready().catch((error: unknown) => error)
    await scheduler.close()
    expect(qemuProcesses()).toEqual([])
    expect(await ready).toMatchObject({ code: 'SANDBOX_CLOSED' })
  })

  it('that is full, during a run of one of its VMs, leaves no QEMU', async () => {
    const scheduler = new Scheduler({ warmPool: { bash: 2 } })
    await scheduler.ready()
    expect(qemuProcesses().length).toBeGreaterThanOrEqual(2)
    let closed: Promise<void> | undefined
    const run = scheduler.run('echo up; sleep 60', {
      language: 'bash',
      onStdout: () => {
        closed ??= scheduler.close()
      },
    })
    await expect(run).rejects.toMatchObject({ code: 'SANDBOX_CLOSED' })
    await closed
    expect(qemuProcesses()).toEqual([])
    expect(scheduler.stats().pools.bash).toMatchObject({ hits: 1, idle: 0 })
  })
})

describe('a pool that is larger than its host', () => {
  it('leaves room for those who want another VM', async () => {
    const log = new Log()
    await using scheduler = new Scheduler({
      warmPool: { bash: 64 },
      overcommit: { memory: 1 },
      reserve: { memory: 0.9 },
      logger: log,
    })
    await log.next('a fill failed', 'No room')
    const { budget, inUse } = scheduler.stats().admission
    expect(inUse.memoryMb).toBeLessThanOrEqual(budget.memoryMb / 2)
    const result = await scheduler.run('print(6 * 7)', { language: 'python' })
    expect(result).toMatchObject({ stdout: '42\n', exitCode: 0 })
    expect(scheduler.stats().pools.bash).toMatchObject({ died: 0, fillFailures: 0 })
  })
})

describe('a program that forgets to close its scheduler', () => {
  const INDEX = new URL('../../dist/index.js', import.meta.url).href

  it.each([
    ['full', 'await scheduler.ready()'],
    ['being filled again', 'await scheduler.ready(); await scheduler.run("true", { language: "bash" })'],
  ])('ends all the same, with its pool %s', async (_, use) => {
    const program = [
      `import { Scheduler } from ${JSON.stringify(INDEX)}`,
      'const scheduler = new Scheduler({ warmPool: { bash: 1 } })',
      use,
      'console.log(scheduler.stats().pools.bash.idle)',
    ].join('\n')
    const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let stdout = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text
    })
    const [code] = (await once(child, 'close')) as [number | null]
    expect({ code, stdout }).toMatchObject({ code: 0, stdout: expect.stringMatching(/^[01]\n$/) })
  })
})

describe('a program that closes its scheduler while the pool is filled', () => {
  const INDEX = new URL('../../dist/index.js', import.meta.url).href

  it.each(['setup', 'restore', 'connect'])('goes on, past "%s"', async (phase) => {
    const program = [
      `import { Scheduler } from ${JSON.stringify(INDEX)}`,
      'let notify; const reached = new Promise((resolve) => { notify = resolve })',
      'const ignore = () => undefined',
      `const debug = (message, fields) => { if (fields?.phase === ${JSON.stringify(phase)}) setImmediate(notify) }`,
      'const logger = { debug, info: ignore, warn: ignore, error: ignore }',
      'const scheduler = new Scheduler({ warmPool: { bash: 1 }, logger })',
      'const hold = setInterval(ignore, 1_000)',
      'await reached',
      'clearInterval(hold)',
      'await scheduler.close()',
      'console.log("closed")',
    ].join('\n')
    const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let stdout = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text
    })
    const [code] = (await once(child, 'close')) as [number | null]
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'closed\n' })
  })
})

describe('a VM that hangs while it is idle', () => {
  it('is found by the heartbeat, killed and replaced', async () => {
    const log = new Log()
    await using pool = new WarmPool({
      name: 'bash',
      size: 1,
      fill: async () => entryOf(await launchTestVm()),
      logger: log,
      heartbeatMs: 100,
    })
    await pool.ready()
    const [hung = 0] = qemuProcesses()
    const found = log.next('lost', 'it did not answer')
    process.kill(hung, 'SIGSTOP')
    await found
    expect(pool.take()).toBeUndefined()
    await pool.ready()
    expect(() => readFileSync(`/proc/${hung}/comm`)).toThrow('ENOENT')
    expect(qemuProcesses()).toHaveLength(1)
  })

  function entryOf(vm: Vm) {
    return {
      vm,
      ended: vm.ended,
      isAlive: async () => await vm.isAlive(1_000),
      close: async () => await vm.close(),
    }
  }
})
