import { describe, expect, it } from 'vitest'
import { CapacityError, DependencyError } from '../base/index.ts'
import { Readiness } from './readiness.ts'

const full = (): Error => new CapacityError('the host is full', { waitedMs: 0 })

describe('Readiness', () => {
  it('tells all who wait at once', async () => {
    const readiness = new Readiness()
    const waits = [readiness.wait(), readiness.wait()]
    readiness.reached()
    await Promise.all(waits)
  })

  it('tells the first of three causes that can pass', async () => {
    const readiness = new Readiness()
    const wait = readiness.wait()
    const first = new Error('the first')
    readiness.setback(first)
    readiness.setback(new Error('another'))
    readiness.setback(new Error('and another'))
    await expect(wait).rejects.toBe(first)
  })

  it('waits on after fewer', async () => {
    const readiness = new Readiness()
    const wait = readiness.wait()
    readiness.setback(new Error('once'))
    readiness.setback(new Error('twice'))
    readiness.reached()
    await expect(wait).resolves.toBeUndefined()
  })

  it('has patience with a host that is full, but not for ever', async () => {
    const readiness = new Readiness()
    const startedAt = performance.now()
    const patient = readiness.wait()
    for (let count = 0; count < 20; count += 1) readiness.setback(full(), startedAt + 29_000)
    readiness.reached()
    await expect(patient).resolves.toBeUndefined()
    const wait = readiness.wait()
    const first = full()
    readiness.setback(first, startedAt + 1_000)
    readiness.setback(full(), startedAt + 59_000)
    readiness.setback(full(), startedAt + 60_000)
    await expect(wait).rejects.toBe(first)
  })

  it('tells at once what a host is too small for', async () => {
    const readiness = new Readiness()
    const wait = readiness.wait()
    const never = new CapacityError('it never fits', { waitedMs: 0 }, { retryable: false })
    readiness.setback(never)
    await expect(wait).rejects.toBe(never)
  })

  it('tells a cause that cannot pass at once', async () => {
    const readiness = new Readiness()
    const wait = readiness.wait()
    const missing = new DependencyError('no image', { dependency: 'image', fix: 'build one' })
    readiness.setback(missing)
    await expect(wait).rejects.toBe(missing)
  })

  it('begins to count anew for who waits after that', async () => {
    const readiness = new Readiness()
    const before = readiness.wait()
    readiness.end(new Error('old'))
    await expect(before).rejects.toThrow('old')
    const wait = readiness.wait()
    readiness.setback(full())
    readiness.reached()
    await expect(wait).resolves.toBeUndefined()
  })

  it('has nothing to tell when nobody waits', async () => {
    const readiness = new Readiness()
    readiness.setback(new DependencyError('no image', { dependency: 'image', fix: 'build one' }))
    readiness.reached()
    const wait = readiness.wait()
    readiness.reached()
    await expect(wait).resolves.toBeUndefined()
  })
})
