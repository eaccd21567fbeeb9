import { describe, expect, it } from 'vitest'
import { checkCode, checkEnv, INPUT_LIMITS } from './input-checks.ts'

describe('checkCode', () => {
  it('drops a leading byte order mark', () => {
    expect(checkCode('\uFEFFprint(1)')).toBe('print(1)')
  })

  it.each([
    ['no string', 7, 'expected a string, got number'],
    ['nothing', '', 'white space'],
    ['white space', ' \n\t', 'white space'],
    ['a NUL', 'a\0b', 'NUL characters, got one at index 1'],
    ['a lone surrogate', 'x\ud800', 'lone surrogate'],
    ['more than 1 MiB of UTF-8', 'é'.repeat(INPUT_LIMITS.codeBytes / 2 + 1), 'at most 1048576 bytes'],
  ])('refuses %s', (_, code, message) => {
    expect(() => checkCode(code)).toThrow(
      expect.objectContaining({ code: 'INVALID_INPUT', message: expect.stringContaining(message) }),
    )
  })

  it('accepts exactly 1 MiB', () => {
    expect(checkCode('x'.repeat(INPUT_LIMITS.codeBytes))).toHaveLength(INPUT_LIMITS.codeBytes)
  })
})

describe('checkEnv', () => {
  it('accepts ordinary entries and returns a frozen copy without a prototype', () => {
    const env = checkEnv({ A: '1', _b2: 'two\nlines\tand tab' }, 'env')
    expect({ ...env }).toEqual({ A: '1', _b2: 'two\nlines\tand tab' })
    expect(Object.isFrozen(env)).toBe(true)
    expect(Object.getPrototypeOf(env)).toBeNull()
  })

  it.each([
    ['LD_PRELOAD'],
    ['LD_LIBRARY_PATH'],
    ['GLIBC_TUNABLES'],
    ['PYTHONSTARTUP'],
    ['PYTHONHOME'],
    ['BASH_ENV'],
    ['ENV'],
    ['PROMPT_COMMAND'],
    ['NODE_OPTIONS'],
    ['BUN_INSPECT'],
  ])('refuses %s, which subverts loader or interpreter', (name) => {
    expect(() => checkEnv({ [name]: 'x' }, 'env')).toThrow(expect.objectContaining({ code: 'INVALID_INPUT' }))
  })

  it.each([[''], ['1A'], ['A-B'], ['A=B'], ['Ä'], ['A'.repeat(257)]])('refuses the name %j', (name) => {
    expect(() => checkEnv({ [name]: 'x' }, 'env')).toThrow('expected names of letters')
  })

  it.each([
    ['a NUL', '\0'],
    ['an escape', '\x1b[0m'],
    ['a carriage return', '\r'],
    ['more than 32 KiB', 'x'.repeat(INPUT_LIMITS.envValueBytes + 1)],
  ])('refuses a value with %s', (_, value) => {
    expect(() => checkEnv({ A: value }, 'env')).toThrow(expect.objectContaining({ details: { field: 'env.A' } }))
  })

  it('refuses more than 100 entries', () => {
    const env = Object.fromEntries(Array.from({ length: 101 }, (_, index) => [`A${index}`, '']))
    expect(() => checkEnv(env, 'env')).toThrow('at most 100 entries, got 101')
  })
})
