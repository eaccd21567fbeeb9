import { describe, expect, it } from 'vitest'
import { createLogger, logLevelFrom } from './logger.ts'

describe('createLogger', () => {
  it('writes one line per message from its level up', () => {
    const lines: string[] = []
    const logger = createLogger('info', (line) => lines.push(line))
    logger.debug('not this')
    logger.info('booted', { ms: 3, reason: 'two words', gone: undefined })
    logger.error('bad')
    expect(lines).toEqual(['exec-sandbox INFO booted ms=3 reason="two words"', 'exec-sandbox ERROR bad'])
  })

  it('lets no line break or escape sequence through', () => {
    const lines: string[] = []
    createLogger('debug', (line) => lines.push(line)).warn('a\nb\x1b[2J', { from: 'guest\n\x9b' })
    expect(lines).toHaveLength(1)
    // oxlint-disable-next-line no-control-regex
    expect(lines[0]).not.toMatch(/[\u0000-\u001f\u007f-\u009f]/)
  })

  it('is silent when told so', () => {
    const lines: string[] = []
    createLogger('silent', (line) => lines.push(line)).error('x')
    expect(lines).toEqual([])
  })
})

describe('logLevelFrom', () => {
  it.each([
    [undefined, 'silent'],
    ['', 'silent'],
    ['DEBUG', 'debug'],
    ['loud', undefined],
  ])('%j means %j', (value, level) => {
    expect(logLevelFrom({ EXEC_SANDBOX_LOG_LEVEL: value })).toBe(level)
  })
})
