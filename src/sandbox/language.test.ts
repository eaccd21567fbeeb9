import { describe, expect, it } from 'vitest'
import { detectLanguage, parseLanguage } from './language.ts'

describe('parseLanguage', () => {
  it.each([
    ['py', 'python'],
    ['TS', 'javascript'],
    ['node', 'javascript'],
    ['sh', 'bash'],
    ['raw', 'bash'],
  ])('takes %s as %s', (alias, language) => {
    expect(parseLanguage(alias)).toBe(language)
  })

  it('refuses others, naming what it knows', () => {
    expect(() => parseLanguage('perl')).toThrow(/expected one of python, .*got "perl"/)
  })
})

describe('detectLanguage', () => {
  it.each([
    ['a.py', '', 'python'],
    ['a.MJS', '', 'javascript'],
    ['a.tsx', '', 'javascript'],
    ['a.bash', '', 'bash'],
    ['tool', '#!/usr/bin/env python3\n', 'python'],
    ['tool', '#!/usr/bin/env -S bun run\n', 'javascript'],
    ['tool', '#!/bin/sh\n', 'bash'],
    ['tool', '#!/usr/bin/awk -f\n', 'bash'],
    ['a.py', '#!/bin/sh\n', 'python'],
    ['-', 'print(1)', undefined],
  ])('%s with %j is %s', (name, source, language) => {
    expect(detectLanguage(name, source)).toBe(language)
  })
})
