import { describe, expect, it } from 'vitest'
import { DOT_COMMANDS, helpText, parseDotLine, splitWords } from './dot-commands.ts'

describe('parseDotLine decides by the first word alone:', () => {
  it.each([
    ['python', '.help', { kind: 'command', name: '.help', args: [] }],
    ['bash', '.exit', { kind: 'command', name: '.exit', args: [] }],
    ['javascript', '.upload a b', { kind: 'command', name: '.upload', args: ['a', 'b'] }],
    ['python', '.hlep', { kind: 'unknown', word: '.hlep' }],
    ['javascript', '.then', { kind: 'unknown', word: '.then' }],
    ['bash', '.hlep', { kind: 'text' }],
    ['bash', '. file', { kind: 'text' }],
    ['bash', './file', { kind: 'text' }],
    ['javascript', '.5', { kind: 'text' }],
    ['javascript', '.then(x)', { kind: 'text' }],
    ['javascript', '.run(x)', { kind: 'text' }],
    ['python', ' .help', { kind: 'text' }],
    ['python', '...', { kind: 'text' }],
    ['python', 'x.help', { kind: 'text' }],
    ['javascript', '.toString', { kind: 'unknown', word: '.toString' }],
  ] as const)('%s %j', (language, line, expected) => {
    expect(parseDotLine(language, line)).toEqual(expected)
  })
})

describe('splitWords', () => {
  it.each([
    ['', []],
    ['  a  b ', ['a', 'b']],
    ['"a b" c', ['a b', 'c']],
    ["'a \"b' c", ['a "b', 'c']],
    ['a\\ b', ['a b']],
    ['a"b c"d', ['ab cd']],
    ['"a\\"b"', ['a"b']],
    ['"a\\b"', ['a\\b']],
    ['""', ['']],
  ])('%j: %j', (text, words) => {
    expect(splitWords(text)).toEqual(words)
  })
})

it('helpText has every command', () => {
  for (const name of Object.keys(DOT_COMMANDS)) expect(helpText()).toContain(name)
})
