import { describe, expect, it } from 'vitest'
import { bashVerdict, javascriptJudgement, pythonVerdict } from './judge.ts'

// The messages are those of the parsers in the image; test/vm/repl.test.ts asks them.

describe('javascriptJudgement', () => {
  const verdictOf = (text: string, message: string, at = ''): string =>
    javascriptJudgement(JSON.stringify({ error: { message, at }, isObject: false }), text).verdict

  it.each([
    ['if (x) {', 'Unexpected end of file', ''],
    ['f(', 'Unexpected end of file', ''],
    ['[1,', 'Expected "]" but found end of file', ''],
    ['/* a', 'Expected "*/" to terminate multi-line comment', ''],
    ['`a', 'Unterminated string literal', '`'],
    ['`${a}', 'Unterminated string literal', '}'],
    ['"a\\', 'Unterminated string literal', '"'],
  ])('waits for more of %j', (text, message, at) => {
    expect(verdictOf(text, message, at)).toBe('incomplete')
  })

  it.each([
    ['const x: = 1', 'Unexpected =', '='],
    ['"a', 'Unterminated string literal', '"'],
    ["'a", 'Unterminated string literal', "'"],
    ['/a', 'Syntax Error', '/'],
    ['a b', 'Expected ";" but found "b"', 'b'],
  ])('lets %j say itself what is wrong', (text, message, at) => {
    expect(verdictOf(text, message, at)).toBe('complete')
  })

  it('takes what could be an object for one, unless it ends as a statement', () => {
    const answer = JSON.stringify({ isObject: true })
    expect(javascriptJudgement(answer, '{a: 1}')).toEqual({ verdict: 'open', code: '({a: 1}\n)' })
    expect(javascriptJudgement(answer, '{a: 1};')).toEqual({ verdict: 'open', code: '{a: 1};' })
    expect(javascriptJudgement(JSON.stringify({ isObject: false }), 'x')).toEqual({ verdict: 'open', code: 'x' })
  })

  it('runs the text when there is no answer', () => {
    for (const answer of ['', 'null', '[]', '{"error":null}', '{']) {
      expect(javascriptJudgement(answer, 'x').code, answer).toBe('x')
    }
  })
})

it('pythonVerdict takes anything but an answer for a reason to run the text', () => {
  expect(['open\n', 'incomplete\n', 'complete\n', '', 'x'].map(pythonVerdict)).toEqual([
    'open',
    'incomplete',
    'complete',
    'complete',
    'complete',
  ])
})

describe('bashVerdict', () => {
  it.each([
    '/bin/bash: line 2: syntax error: unexpected end of file\n',
    '/bin/bash: line 1: unexpected EOF while looking for matching `"\'\n',
    "/bin/bash: line 2: warning: here-document at line 1 delimited by end-of-file (wanted `EOF')\n",
    "/bin/bash: line 2: unexpected token `EOF' in conditional command\n/bin/bash: line 2: syntax error: unexpected end of file\n",
  ])('waits for more after %j', (stderr) => {
    expect(bashVerdict(stderr)).toBe('incomplete')
  })

  it.each([
    '',
    "/bin/bash: line 1: syntax error near unexpected token `fi'\n/bin/bash: line 1: `if true; fi'\n",
    "/bin/bash: line 1: syntax error near unexpected token `)'\n/bin/bash: line 1: `) unexpected EOF while'\n",
  ])('lets bash itself say %j', (stderr) => {
    expect(bashVerdict(stderr)).toBe('complete')
  })
})
