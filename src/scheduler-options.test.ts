import { describe, expect, it } from 'vitest'
import { resolveSchedulerOptions, type SchedulerOptions } from './scheduler-options.ts'

describe('resolveSchedulerOptions', () => {
  it('fills in the defaults', () => {
    expect(resolveSchedulerOptions({}, {})).toMatchObject({
      memoryMb: 256,
      cpus: 1,
      timeoutMs: 30_000,
      idleTimeoutMs: 300_000,
      accelerator: 'auto',
      jail: 'required',
    })
  })

  it('takes the accelerator from the environment unless an option names it', () => {
    const environment = { EXEC_SANDBOX_ACCELERATOR: 'tcg' }
    expect(resolveSchedulerOptions({}, environment).accelerator).toBe('tcg')
    expect(resolveSchedulerOptions({ accelerator: 'kvm' }, environment).accelerator).toBe('kvm')
  })

  it.each([
    [{ cpus: Number.NaN }, {}, 'cpus'],
    [{ jail: 'maybe' }, {}, 'jail'],
    [{ logger: { debug() {} } }, {}, 'logger'],
    [{ cacheDir: '' }, {}, 'cacheDir'],
    [{ warmpool: {} }, {}, 'warmpool'],
    [{ remoteCache: {} }, {}, 'remoteCache.bucket'],
    [{ remoteCache: { bucket: 'layers', endpoint: 'ftp://store' } }, {}, 'remoteCache.endpoint'],
    [{}, { EXEC_SANDBOX_ACCELERATOR: 'xen' }, 'EXEC_SANDBOX_ACCELERATOR'],
    [{}, { EXEC_SANDBOX_LOG_LEVEL: 'loud' }, 'EXEC_SANDBOX_LOG_LEVEL'],
  ])('refuses %j with the environment %j, naming what is wrong', (options, environment, field) => {
    expect(() => resolveSchedulerOptions(options as SchedulerOptions, environment)).toThrow(
      expect.objectContaining({ code: 'INVALID_INPUT', details: { field } }),
    )
  })

  it("passes lines on to the caller's logger, and ignores what it throws", () => {
    const lines: unknown[] = []
    const logger = {
      tag: 'mine',
      debug(message: string, fields?: object) {
        lines.push([this.tag, message, fields])
      },
      info() {
        throw new Error('no')
      },
      warn() {},
      error() {},
    }
    const resolved = resolveSchedulerOptions({ logger }, {})
    resolved.logger.debug('hello', { a: 1 })
    expect(() => resolved.logger.info('x')).not.toThrow()
    expect(lines).toEqual([['mine', 'hello', { a: 1 }]])
  })
})
