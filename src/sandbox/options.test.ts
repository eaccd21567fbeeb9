import { describe, expect, it } from 'vitest'
import { resolveSandboxOptions, type SandboxOptions } from './options.ts'

const defaults = { memoryMb: 256, cpus: 1, timeoutMs: 30_000, idleTimeoutMs: 300_000 }

describe('resolveSandboxOptions', () => {
  it('fills in the defaults', () => {
    expect(resolveSandboxOptions({}, defaults)).toMatchObject({ ...defaults, language: 'python', metadata: {} })
  })

  it.each([
    [{ memoryMb: 64 }, 'memoryMb'],
    [{ memoryMb: 128.5 }, 'memoryMb'],
    [{ cpus: 0 }, 'cpus'],
    [{ timeoutMs: 999 }, 'timeoutMs'],
    [{ timeoutMs: 86_400_001 }, 'timeoutMs'],
    [{ idleTimeoutMs: -1 }, 'idleTimeoutMs'],
    [{ language: 'cobol' }, 'language'],
    [{ onBootLog: 'x' }, 'onBootLog'],
    [{ signal: {} }, 'signal'],
    [{ memoryMB: 512 }, 'memoryMB'],
  ])('refuses %j, naming the option', (options, field) => {
    expect(() => resolveSandboxOptions(options as unknown as SandboxOptions, defaults)).toThrow(
      expect.objectContaining({ code: 'INVALID_INPUT', details: { field } }),
    )
  })

  const circular: { self?: unknown } = {}
  circular.self = circular
  it.each([
    [Number.NaN, 'got NaN'],
    [Number.POSITIVE_INFINITY, 'got Infinity'],
    [[256], 'got an array'],
    [{ a: 1n }, 'got an object'],
    [circular, 'got an object'],
    ['256', 'got "256"'],
    [256n, 'got 256n'],
    [null, 'got null'],
  ])('names what was given, whatever it is: %#', (memoryMb, given) => {
    expect(() => resolveSandboxOptions({ memoryMb } as unknown as SandboxOptions, defaults)).toThrow(
      expect.objectContaining({ code: 'INVALID_INPUT', message: expect.stringContaining(given) }),
    )
  })

  it('says what was expected and what was given', () => {
    expect(() => resolveSandboxOptions({ memoryMb: 64 }, defaults)).toThrow(/memoryMb: .*128.*, got 64/)
  })
})
