import { describe, expect, it } from 'vitest'
import { clockKey, clockRate, processorKey } from './processor.ts'

const processors = (bogomips: string): string => `processor\t: 0\nflags\t\t: fpu tsc\nbogomips\t: ${bogomips}\n\n`

describe('the rate of the time stamp counter', () => {
  it('is the same for two measurements of one kernel, and another for another processor', () => {
    expect(clockRate(processors('5192.27'))).toBe(clockRate(processors('5191.40')))
    expect(clockRate(processors('5192.27'))).not.toBe(clockRate(processors('5000.00')))
  })

  it('is unknown where the kernel does not tell', () => {
    expect(clockRate('processor\t: 0\n')).toBeUndefined()
  })
})

describe('the keys of this host', () => {
  it('are the same each time, and differ from each other', async () => {
    const keys = [await processorKey(), await clockKey()]
    expect([await processorKey(), await clockKey()]).toEqual(keys)
    expect(new Set(keys).size).toBe(2)
    for (const key of keys) expect(key).toMatch(/^[0-9a-f]{64}$/)
  })
})
