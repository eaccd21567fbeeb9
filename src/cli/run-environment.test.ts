import { describe, expect, it } from 'vitest'
import { environmentOf } from './run-environment.ts'

describe('environmentOf', () => {
  it('takes values as given, and those of bare names from here', () => {
    expect({ ...environmentOf(['A=1', 'B=x=y', 'C', 'D='], { C: 'here' }) }).toEqual({
      A: '1',
      B: 'x=y',
      C: 'here',
      D: '',
    })
  })

  it.each(['toString', 'constructor', '__proto__', 'NOT_SET'])('refuses %s when it is not set here', (name) => {
    expect(() => environmentOf([name], {})).toThrow(expect.objectContaining({ code: 'INVALID_INPUT' }))
  })

  it('knows no special name', () => {
    expect(Object.entries(environmentOf(['__proto__=x'], {}))).toEqual([['__proto__', 'x']])
  })
})
