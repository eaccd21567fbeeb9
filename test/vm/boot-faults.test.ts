import { beforeAll, describe, expect, it } from 'vitest'
import type { VmPlan } from '../../src/qemu/index.ts'
import { BOOT_TRIES, type LaunchOptions, launchVm } from '../../src/vm/index.ts'
import { qemuProcesses } from './processes.ts'
import { silent, type TestHost, testHost } from './qemu-plan.ts'

let host: TestHost
beforeAll(async () => {
  host = await testHost()
})

/** Launches and gives the error, what was counted, and how long it took. */
async function failing(plan: VmPlan, changes: Partial<LaunchOptions> = {}) {
  let retries = 0
  const startedAt = performance.now()
  const error: unknown = await launchVm(plan, {
    language: 'bash',
    identity: { hostname: 'sandbox-test', env: {} },
    onBootLog: undefined,
    signal: new AbortController().signal,
    logger: silent,
    onRetry: () => {
      retries += 1
    },
    ...changes,
  }).then(
    async (vm) => await vm.close(),
    (reason: unknown) => reason,
  )
  return { error, retries, elapsedMs: performance.now() - startedAt }
}

/** The plan with the kernel's and the agent's log in the boot log. */
function verbose(plan: VmPlan): VmPlan {
  return { ...plan, kernelCommandLine: plan.kernelCommandLine.filter((word) => word !== 'quiet') }
}

describe('a boot that fails', () => {
  it('is tried again and then told with its phase and boot log when the guest stays silent', async () => {
    const { error, retries } = await failing(verbose(host.plan()), {
      // Many times what a busy machine takes to the first line, from which on nothing more comes.
      bootLimitMs: 4_000,
      // Stopped in its first breath: QEMU is there, and nothing ever comes from the guest.
      onBootLog: () => {
        for (const pid of qemuProcesses()) process.kill(pid, 'SIGSTOP')
      },
    })
    expect(error).toMatchObject({ code: 'BOOT', retryable: true, details: { phase: 'hello' } })
    expect(error).toMatchObject({ message: expect.stringContaining('within 4 s') })
    expect(error).toMatchObject({ details: { bootLog: expect.stringContaining('Linux version') } })
    expect(retries).toBe(BOOT_TRIES - 1)
    expect(qemuProcesses()).toEqual([])
  })

  it('is told at once, with the panic, when the kernel has no init', async () => {
    const plan = verbose(host.plan())
    const { error, elapsedMs } = await failing({
      ...plan,
      kernelCommandLine: [...plan.kernelCommandLine, 'rdinit=/nothing', 'init=/nothing'],
    })
    expect(error).toMatchObject({ code: 'BOOT', message: expect.stringContaining('panicked') })
    expect(error).toMatchObject({ details: { bootLog: expect.stringContaining('Kernel panic') } })
    // All tries together, and far from the limit of a single one.
    expect(elapsedMs).toBeLessThan(45_000)
  })

  it('is told at once when something kills QEMU', async () => {
    const { error, retries } = await failing(verbose(host.plan()), {
      onBootLog: () => {
        for (const pid of qemuProcesses()) process.kill(pid, 'SIGKILL')
      },
    })
    expect(error).toMatchObject({ code: 'BOOT', message: expect.stringContaining('SIGKILL') })
    expect(retries).toBe(BOOT_TRIES - 1)
  })

  it('is not tried again when the guest refuses what it is asked', async () => {
    const { error, retries } = await failing(host.plan(), { language: 'cobol' })
    expect(error).toMatchObject({ code: 'BOOT', retryable: false, details: { phase: 'start cobol' } })
    expect(retries).toBe(0)
  })

  it('ends with the caller’s signal at any moment, and leaves no process', async () => {
    const plan = verbose(host.plan())
    // Moments are counted in lines of the boot log, because a boot takes its own time on every machine.
    const wholeBoot = countLines()
    expect(await failing(plan, { onBootLog: wholeBoot.count })).toMatchObject({ error: undefined })
    expect(wholeBoot.lines()).toBeGreaterThan(20)
    for (const share of [0, 0.01, 0.25, 0.5, 0.75]) {
      const controller = new AbortController()
      const stop = () => {
        controller.abort(new Error('enough'))
      }
      const boot = countLines(Math.ceil(share * wholeBoot.lines()), stop)
      if (share === 0) setImmediate(stop)
      const { error } = await failing(plan, { signal: controller.signal, onBootLog: boot.count })
      expect(error).toMatchObject({ code: 'ABORTED', cause: new Error('enough') })
      expect(qemuProcesses()).toEqual([])
    }
  })
})

/** Counts the lines of a boot log, which come one by one, and calls `reached` when there are `limit` of them. */
function countLines(limit = Infinity, reached: () => void = () => undefined) {
  let seen = 0
  return {
    lines: () => seen,
    count: () => {
      seen += 1
      if (seen === limit) reached()
    },
  }
}
