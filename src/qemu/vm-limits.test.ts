import { describe, expect, it } from 'vitest'
import { dataLimit, groupLimits } from './vm-limits.ts'

const plan = { accelerator: 'tcg', memoryMb: 256, cpus: 1 } as const

describe('what a VM may take of its host', () => {
  it('is its guest’s memory and QEMU’s own, and more with each', () => {
    const MB = 1_048_576
    expect(groupLimits(asPlan(plan)).memoryBytes).toBe((256 + 1 + 256) * MB)
    expect(groupLimits(asPlan({ ...plan, accelerator: 'kvm' })).memoryBytes).toBe((256 + 1 + 128) * MB)
    expect(groupLimits(asPlan({ ...plan, memoryMb: 4_096 })).memoryBytes).toBe((4_096 + 16 + 256) * MB)
  })

  it('is its processors and half of one for QEMU', () => {
    expect(groupLimits(asPlan(plan)).cpus).toBe(1.5)
    expect(groupLimits(asPlan({ ...plan, cpus: 4 })).cpus).toBe(4.5)
  })

  it('is something, too, for a QEMU without a guest', () => {
    const { accelerator } = plan
    expect(groupLimits(asPlan({ accelerator }))).toMatchObject({ cpus: 1.5, tasks: 136 })
    expect(dataLimit()).toBeLessThan(dataLimit(256))
  })

  it('is more address space than memory', () => {
    expect(dataLimit(256)).toBeGreaterThan(groupLimits(asPlan(plan)).memoryBytes)
  })
})

type Given = Parameters<typeof groupLimits>[0]

/** The fields that count; the rest of a plan does not. */
function asPlan(fields: Partial<Given>): Given {
  return {
    accelerator: 'tcg',
    program: { kind: 'tree', named: false, root: '/', binary: '/qemu' },
    jail: { kind: 'off', user: { kind: 'user' } },
    runtimeDir: '/run',
    files: [],
    ...fields,
  }
}
