import { describe, expect, it } from 'vitest'
import { continues, exitCodeOfStatement, isIndented, runsNow } from './statement.ts'

describe('runsNow', () => {
  it.each([
    ['complete', 'x = 1', 'python', 'terminal', true],
    ['complete', 'x = 1', 'python', 'pipe', true],
    ['incomplete', 'f(', 'python', 'terminal', false],
    ['incomplete', 'f(\n', 'python', 'terminal', false],
    ['open', 'if x: y', 'python', 'terminal', false],
    ['open', 'if x:\n  y', 'python', 'terminal', false],
    ['open', 'if x:\n  y\n', 'python', 'terminal', true],
    ['open', 'if x:\n  y\n  ', 'python', 'terminal', true],
    ['open', 'if x:\n  y\n', 'python', 'pipe', false],
    ['open', 'x', 'javascript', 'terminal', true],
    ['open', 'x', 'javascript', 'pipe', false],
  ] as const)('%s %j of %s from a %s: %s', (verdict, text, language, origin, expected) => {
    expect(runsNow(verdict, text, { language, origin })).toBe(expected)
  })
})

describe('continues', () => {
  it.each([
    ['python', ['', '  x', '# c', 'else:', 'elif x:', 'except E:', 'finally:', ')', ']']],
    [
      'javascript',
      [
        '',
        '  .map(f)',
        '.map(f)',
        'else {',
        'catch (e) {',
        '} else',
        '(x)',
        '[1]',
        '`a`',
        '+ 1',
        '&& y',
        '// c',
        '? a',
        'instanceof A',
      ],
    ],
    ['bash', ['']],
  ] as const)('%s: %j', (language, lines) => {
    for (const line of lines) expect(continues(language, line), line).toBe(true)
  })

  it.each([
    ['python', ['x', 'elsewhere()', 'def f():', '@d', '"""']],
    ['javascript', ['x', 'elsewhere()', '++x', '--x', 'const a = 1', '!x', '{', '~x', 'inner()']],
    ['bash', ['x', '.']],
  ] as const)('%s begins anew: %j', (language, lines) => {
    for (const line of lines) expect(continues(language, line), line).toBe(false)
  })
})

it('indented and empty lines are parts of something', () => {
  expect(['  x', '\tx', '', '   '].every(isIndented)).toBe(true)
  expect(['x', '}', ')'].some(isIndented)).toBe(false)
})

describe('exitCodeOfStatement', () => {
  it.each([
    ['python', 'exit()', 0],
    ['python', ' exit(3) ', 3],
    ['python', 'quit', 0],
    ['python', 'sys.exit(256)', 0],
    ['javascript', 'process.exit(2);', 2],
    ['bash', 'exit', 9],
    ['bash', 'exit 4', 4],
    ['bash', 'logout', 9],
    ['python', 'exit(code)', undefined],
    ['python', 'exit_all()', undefined],
    ['python', 'if x: exit()', undefined],
    ['bash', 'exit $x', undefined],
    ['javascript', 'exit()', undefined],
  ] as const)('%s %j: %s', (language, text, code) => {
    expect(exitCodeOfStatement(language, text, 9)).toBe(code)
  })
})
