import { PassThrough } from 'node:stream'
import { describe, expect, it } from 'vitest'
import { leavesLineOpen, Screen } from './screen.ts'

describe('leavesLineOpen', () => {
  it.each([
    ['', true, true],
    ['', false, false],
    ['a', false, true],
    ['a\n', true, false],
    ['a\nb', false, true],
    ['a\n\u001b[0m', false, false],
    ['\u001b[31m', true, true],
    ['\u001b]0;title\u0007', false, false],
    ['50 %\r', false, true],
  ])('%j after %s: %s', (text, before, after) => {
    expect(leavesLineOpen(text, before)).toBe(after)
  })
})

describe('Screen', () => {
  function screenOn(isTTY: boolean) {
    const stdout = Object.assign(new PassThrough(), { isTTY })
    const stderr = Object.assign(new PassThrough(), { isTTY })
    return { screen: new Screen({ stdout, stderr }), stdout, stderr }
  }

  it('passes output on unchanged, and shows the control characters of a value as dots', async () => {
    const { screen, stdout } = screenOn(false)
    await screen.output('stdout', '\u001b[2J\n')
    await screen.value({ text: 'a\n\tb\u001b[2J\u009b1m\r' })
    await screen.value({ 'image/png': '' })
    expect(String(stdout.read())).toBe('\u001b[2J\na\n\tb·[2J·1m·\n[image/png]\n')
  })

  it('begins messages and prompts on a line of their own, on a terminal', async () => {
    const { screen, stdout, stderr } = screenOn(true)
    await screen.output('stdout', 'no newline')
    await screen.beginLine()
    await screen.beginLine()
    await screen.say('sbx: a message\n')
    expect(String(stdout.read())).toBe('no newline')
    expect(String(stderr.read())).toBe('\nsbx: a message\n')
  })

  it('adds nothing to output that is not shown on a terminal', async () => {
    const { screen, stderr } = screenOn(false)
    await screen.output('stdout', 'no newline')
    await screen.beginLine()
    expect(stderr.read()).toBeNull()
  })
})
