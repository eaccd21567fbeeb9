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
    const first = full()
    readiness.setback(first)
    readiness.setback(new Error('another'))
    readiness.setback(new Error('and another'))
    await expect(wait).rejects.toBe(first)
  })

  it('waits on after fewer', async () => {
    const readiness = new Readiness()
    const wait = readiness.wait()
    readiness.setback(full())
    readiness.setback(full())
    readiness.reached()
    await expect(wait).resolves.toBeUndefined()
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
