import { describe, expect, it } from 'vitest'
import { chooseCpu, compareVersions, OLDEST_QEMU } from './qemu-features.ts'

describe('chooseCpu', () => {
  it('prefers the model with the mitigation flags and turns off what cannot be emulated', () => {
    const models = [
      { name: 'max' },
      { name: 'SapphireRapids-v2', 'unavailable-features': ['pcid', 'vmx', 'avx512f'] },
      { name: 'Skylake-Server-v4', 'unavailable-features': [] },
    ]
    expect(chooseCpu(models)).toEqual({
      model: 'SapphireRapids-v2',
      vendor: 'AuthenticAMD',
      off: ['svm', 'vmx', 'erms', 'fsrm', 'fsrs', 'fzrm', 'pcid', 'avx512f'],
    })
  })

  it('takes the best of what an older QEMU has, and drops names that are no names', () => {
    const models = [{ name: 'max' }, { name: 'Skylake-Server-v4', 'unavailable-features': ['hle', 'a=on,b'] }]
    expect(chooseCpu(models)).toEqual({
      model: 'Skylake-Server-v4',
      vendor: 'AuthenticAMD',
      off: ['svm', 'vmx', 'erms', 'fsrm', 'fsrs', 'fzrm', 'hle'],
    })
    expect(chooseCpu([])).toEqual({
      model: 'max',
      vendor: 'AuthenticAMD',
      off: ['svm', 'vmx', 'erms', 'fsrm', 'fsrs', 'fzrm'],
    })
  })
})

describe('compareVersions', () => {
  it('orders by major, minor, micro', () => {
    expect(compareVersions({ major: 7, minor: 2, micro: 9 }, OLDEST_QEMU)).toBeLessThan(0)
    expect(compareVersions({ major: 8, minor: 2, micro: 0 }, OLDEST_QEMU)).toBe(0)
    expect(compareVersions({ major: 10, minor: 0, micro: 0 }, OLDEST_QEMU)).toBeGreaterThan(0)
  })
})
