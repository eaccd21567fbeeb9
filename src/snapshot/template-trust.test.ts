import { describe, expect, it } from 'vitest'
import { BootError, CapacityError, DependencyError, ProtocolError } from '../base/index.ts'
import { TemplateTrust } from './template-trust.ts'

const KEY = 'a'
const bootError = (phase: string, retryable: boolean): BootError =>
  new BootError('no', { phase, bootLog: '', stderr: '' }, { retryable })
const refused = bootError('restore', false)
const passing = bootError('resume', true)

describe('a restore that fails', () => {
  it('tells on a template that QEMU or the guest refuses', () => {
    for (const error of [refused, new ProtocolError('no', { rule: 'opening' })]) {
      expect(new TemplateTrust().restoreFailed(KEY, error, 0)).toBe(true)
    }
  })

  it('says nothing about the template when the host has no room or lacks a program', () => {
    const trust = new TemplateTrust()
    const errors = [new CapacityError('no', { waitedMs: 0 }), new DependencyError('no', { dependency: '', fix: '' })]
    for (const error of [...errors, ...errors]) expect(trust.restoreFailed(KEY, error, 0)).toBe(false)
    expect(trust.mayBuild(KEY, 0)).toBe(true)
  })

  it.each([passing, bootError('qemu', false)])(
    'is suspicious the third time in a row if its cause can pass',
    (error) => {
      const trust = new TemplateTrust()
      expect([1, 2].map(() => trust.restoreFailed(KEY, error, 0))).toEqual([false, false])
      trust.restored(KEY)
      expect([1, 2, 3].map(() => trust.restoreFailed(KEY, error, 0))).toEqual([false, false, true])
      expect(trust.restoreFailed('b', error, 0)).toBe(false)
    },
  )
})

describe('a template', () => {
  it('is not built for a while when two in a row could not be saved, and then once more', () => {
    const trust = new TemplateTrust()
    trust.buildFailed(KEY, new Error('no'), 0)
    expect(trust.mayBuild(KEY, 0)).toBe(true)
    trust.buildFailed(KEY, new Error('no'), 0)
    expect(trust.mayBuild(KEY, 599_999)).toBe(false)
    expect(trust.mayBuild('b', 0)).toBe(true)
    expect(trust.mayBuild(KEY, 600_000)).toBe(true)
    trust.buildFailed(KEY, new Error('no'), 600_000)
    expect(trust.mayBuild(KEY, 600_001)).toBe(false)
  })

  it('is not built anew for ever when it can be saved but not resumed', () => {
    const trust = new TemplateTrust()
    expect(trust.restoreFailed(KEY, refused, 0)).toBe(true)
    expect(trust.mayBuild(KEY, 0)).toBe(true)
    expect(trust.restoreFailed(KEY, refused, 0)).toBe(true)
    expect(trust.mayBuild(KEY, 0)).toBe(false)
    trust.restored(KEY)
    expect(trust.mayBuild(KEY, 0)).toBe(true)
  })

  it('is tried again soon when there was no room to build it', () => {
    const trust = new TemplateTrust()
    for (const now of [0, 30_000, 60_000]) {
      expect(trust.mayBuild(KEY, now)).toBe(true)
      trust.buildFailed(KEY, new CapacityError('no', { waitedMs: 0 }), now)
      expect(trust.mayBuild(KEY, now + 29_999)).toBe(false)
    }
  })
})
