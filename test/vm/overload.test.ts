import { setImmediate as nextTurn } from 'node:timers/promises'
import { describe, expect, it, vi } from 'vitest'
import { type AdmissionStats, Scheduler } from '../../src/index.ts'
import { qemuProcesses } from './processes.ts'

const RUNS = 100

describe('a hundred runs at once', () => {
  it('G07: all finish in the order they came, and never more VMs than the budget allows', async () => {
    await using scheduler = new Scheduler()
    await scheduler.prepare({ language: 'bash' })
    const finished: number[] = []
    const run = async (index: number): Promise<string> => {
      const { stdout } = await scheduler.run(`echo ${index}`, { language: 'bash' })
      finished.push(index)
      return stdout
    }
    const runs = Promise.all(Array.from({ length: RUNS }, async (_, index) => await run(index)))
    const seen = await observe(scheduler, () => finished.length === RUNS)

    expect(await runs).toEqual(Array.from({ length: RUNS }, (_, index) => `${index}\n`))
    expect(seen.cpus).toBeGreaterThan(0)
    expect(seen.cpus).toBeLessThanOrEqual(seen.budget.cpus)
    expect(seen.memoryMb).toBeLessThanOrEqual(seen.budget.memoryMb)
    // There was a line, so the budget was what held them back.
    expect(seen.waiting).toBeGreaterThan(RUNS / 2)
    for (const [place, index] of finished.entries()) {
      // Whoever comes later may finish earlier by as many places as there are VMs at work, and no more.
      expect(index - place).toBeLessThanOrEqual(2 * seen.working)
      // One whose VM stood still for a while is overtaken by those beside it, and by none of a long line.
      expect(place - index).toBeLessThan(RUNS / 4)
    }
    const { admission, templates } = scheduler.stats()
    expect(admission).toMatchObject({ waiting: 0, refused: 0 })
    expect(templates).toMatchObject({ restoreFailures: 0, boots: 0 })
    expect(qemuProcesses().length).toBeLessThanOrEqual(1)
  })

  it('whoever does not want to wait is told that there is no room, and the others are served', async () => {
    await using scheduler = new Scheduler({ admissionTimeoutMs: 0 })
    await scheduler.prepare({ language: 'bash' })
    const outcomes = await Promise.allSettled(
      Array.from({ length: 20 }, async () => await scheduler.run('echo served', { language: 'bash' })),
    )
    const served = outcomes.filter(({ status }) => status === 'fulfilled')
    const refused = outcomes.filter((outcome) => outcome.status === 'rejected').map(({ reason }) => reason)
    expect(served.length).toBeGreaterThan(0)
    expect(refused.length).toBe(20 - served.length)
    for (const reason of refused) expect(reason).toMatchObject({ code: 'CAPACITY', retryable: true })
    expect(scheduler.stats().admission.refused).toBe(refused.length)
  })

  it('an idle session holds memory and no processor: there may be more of them than may work', async () => {
    await using scheduler = new Scheduler({ admissionTimeoutMs: 20_000 })
    await scheduler.prepare({ language: 'bash' })
    const count = Math.ceil(scheduler.stats().admission.budget.cpus) + 3
    const sandboxes = await Promise.all(
      Array.from({ length: count }, async () => await scheduler.create({ language: 'bash' })),
    )
    // Nothing works once the spare that may be on its way is there.
    await vi.waitFor(() => expect(scheduler.stats().admission.inUse).toMatchObject({ working: 0 }), { timeout: 20_000 })
    expect(scheduler.stats().admission.inUse.vms).toBeGreaterThanOrEqual(count)
    const outputs = await Promise.all(sandboxes.map(async (sandbox) => (await sandbox.runCode('echo here')).stdout))
    expect(outputs).toEqual(Array(count).fill('here\n'))
  })
})

/** The most of everything that admission has told, asked at each turn of the event loop until `done`. */
async function observe(
  scheduler: Scheduler,
  done: () => boolean,
): Promise<AdmissionStats['inUse'] & Pick<AdmissionStats, 'budget' | 'waiting'>> {
  const most = { memoryMb: 0, cpus: 0, vms: 0, working: 0, waiting: 0 }
  while (!done()) {
    const { inUse, waiting } = scheduler.stats().admission
    for (const name of ['memoryMb', 'cpus', 'vms', 'working'] as const) most[name] = Math.max(most[name], inUse[name])
    most.waiting = Math.max(most.waiting, waiting)
    await nextTurn()
  }
  return { ...most, budget: scheduler.stats().admission.budget }
}
