import { describe, expect, it } from 'vitest'
import { canPass, describeExit, findPanic, type QemuExit } from './qemu-exit.ts'

const stderrTail = 'qemu-system-x86_64: warning: x\nqemu-system-x86_64: -machine nonsense: unsupported machine type\n'

describe('describeExit', () => {
  it('gives QEMU’s last words with an end of its own', () => {
    expect(describeExit({ kind: 'code', code: 1, stderrTail })).toBe(
      'QEMU ended by itself with code 1: qemu-system-x86_64: -machine nonsense: unsupported machine type',
    )
  })

  it('says the reason it was given', () => {
    expect(describeExit({ kind: 'asked', reason: 'it was closed', stderrTail: '' })).toBe('it was closed')
  })
})

describe('canPass', () => {
  it.each<[QemuExit, boolean]>([
    [{ kind: 'asked', reason: 'closed', stderrTail: '' }, false],
    [{ kind: 'spawn-failed', error: 'ENOENT', stderrTail: '' }, false],
    [{ kind: 'code', code: 1, stderrTail }, false],
    [{ kind: 'code', code: 1, stderrTail: 'cannot set up guest memory: Cannot allocate memory' }, true],
    [{ kind: 'signal', signal: 'SIGKILL', stderrTail: '' }, true],
    [{ kind: 'guest-panic', message: 'Kernel panic', stderrTail: '' }, true],
  ])('%j → %s', (exit, expected) => {
    expect(canPass(exit)).toBe(expected)
  })
})

describe('findPanic', () => {
  it('is the kernel’s line without its time stamp', () => {
    const log =
      '[    0.5] Run /init as init process\r\n[    0.612345] Kernel panic - not syncing: No init\r\n[    0.7] ---[ end'
    expect(findPanic(log)).toBe('Kernel panic - not syncing: No init')
    expect(findPanic('all is well')).toBeUndefined()
  })
})
