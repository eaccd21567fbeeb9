import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Budget, budgetOf, capacityOf, LEAST_EXPECTED_MB, needOf, OVERHEAD_MB } from './budget.ts'

const GIB = 2 ** 30
const rules = { overcommit: { memory: 5, cpu: 2 }, reserve: { memory: 0.08, cpu: 0.5 } }

describe('budgetOf', () => {
  it('gives out what is not reserved, as often as the rules say', () => {
    expect(budgetOf({ memoryBytes: 10 * GIB, cpus: 4 }, rules)).toEqual({ memoryMb: 47_104, cpus: 7 })
  })

  it('leaves a host smaller than the reserve one processor, so that it still runs one VM after the other', () => {
    expect(budgetOf({ memoryBytes: GIB, cpus: 0.25 }, rules).cpus).toBe(1)
  })

  it('grows with the host and with overcommitting, never with the reserve', () => {
    const facts = fc.record({
      gib: fc.integer({ min: 1, max: 4096 }),
      cpus: fc.integer({ min: 1, max: 256 }),
      reserve: fc.double({ min: 0, max: 0.9, noNaN: true }),
      overcommit: fc.double({ min: 1, max: 10, noNaN: true }),
    })
    const of = (gib: number, cpus: number, reserve: number, overcommit: number): Budget =>
      budgetOf(
        { memoryBytes: gib * GIB, cpus },
        { overcommit: { memory: overcommit, cpu: overcommit }, reserve: { memory: reserve, cpu: reserve } },
      )
    const compare = (one: Budget, other: Budget): readonly number[] => [
      one.memoryMb - other.memoryMb,
      one.cpus - other.cpus,
    ]
    fc.assert(
      fc.property(facts, ({ gib, cpus, reserve, overcommit }) => {
        const base = of(gib, cpus, reserve, overcommit)
        for (const more of compare(of(gib + 1, cpus + 1, reserve, overcommit), base)) expect(more).toBeGreaterThan(0)
        for (const more of compare(of(gib, cpus, reserve, overcommit + 1), base)) expect(more).toBeGreaterThanOrEqual(0)
        for (const more of compare(of(gib, cpus, reserve + 0.05, overcommit), base)) expect(more).toBeLessThanOrEqual(0)
      }),
    )
  })
})

describe('needOf', () => {
  it('counts what QEMU takes beside the memory of the guest', () => {
    expect(needOf({ memoryMb: 256, cpus: 1 }, rules)).toEqual({ memoryMb: 256 + OVERHEAD_MB, cpus: 1, expectedMb: 84 })
  })

  it('expects all of it where nothing is overcommitted, and never less than what every VM owns', () => {
    const without = { overcommit: { memory: 1, cpu: 1 } }
    expect(needOf({ memoryMb: 256, cpus: 1 }, without).expectedMb).toBe(256 + OVERHEAD_MB)
    const wild = { overcommit: { memory: 1000, cpu: 1 } }
    expect(needOf({ memoryMb: 256, cpus: 1 }, wild).expectedMb).toBe(LEAST_EXPECTED_MB)
  })

  it('counts as much translated code as QEMU is told to keep', () => {
    const source = readFileSync(new URL('../qemu/qemu-arguments.ts', import.meta.url), 'utf8')
    const cacheMb = Number(/TCG_CACHE_MB = (\d+)/.exec(source)?.[1])
    expect(OVERHEAD_MB).toBe(32 + cacheMb)
  })
})

describe('capacityOf', () => {
  it('is in MiB, rounded so that no more is promised than there is', () => {
    const host = { memoryBytes: 1000 * 2 ** 20 + 1, memoryAvailableBytes: 500 * 2 ** 20 - 1, cpus: 2 }
    expect(capacityOf(host, 3, rules)).toEqual({
      budget: { memoryMb: 4600, cpus: 3 },
      reserveMb: 81,
      availableMb: 499,
      pressurePercent: 3,
    })
  })
})
