import { describe, expect, it } from 'vitest'
import { jailUidRange } from './uid-range.ts'

describe('jailUidRange', () => {
  it('is the range that systemd lists as unused, on an ordinary host', () => {
    expect(jailUidRange('         0          0 4294967295\n')).toEqual({ first: 1_879_048_192, count: 4096 })
  })

  it('is the top of what a container maps', () => {
    expect(jailUidRange('0 100000 65536\n')).toEqual({ first: 65_536 - 2 - 4096, count: 4096 })
  })

  it.each([['0 1000 1\n'], [''], ['0 100000 20000\n'], ['not a map\n']])('is none for %j', (map) => {
    expect(jailUidRange(map)).toBeUndefined()
  })
})
