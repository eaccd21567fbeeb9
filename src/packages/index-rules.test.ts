import { describe, expect, it } from 'vitest'
import { indexRules, type ResolvedHost } from './index-rules.ts'

const isPublic = (address: string): boolean => !/^(?:10\.|127\.|fd)/.test(address)
const rulesOf = (indexes: readonly ResolvedHost[], files: readonly ResolvedHost[] = []): readonly string[] =>
  indexRules({ indexes, files, isPublic, loopbackName: 'host.internal' })
const host = (name: string, ...addresses: readonly string[]): ResolvedHost => ({ host: name, port: 443, addresses })

const outside = host('index.test', '192.0.2.1')
const inside = host('index.corp', '10.1.2.3', 'fd00::1')

describe('an installing VM', () => {
  it('reaches a public index and the public hosts it names, by name', () => {
    expect(rulesOf([outside], [host('files.test', '192.0.2.2'), outside])).toEqual(['index.test:443', 'files.test:443'])
    // A proxy resolves it.
    expect(rulesOf([host('index.test')], [host('files.test')])).toEqual(['index.test:443', 'files.test:443'])
  })

  it('reaches a private index, and private hosts that it names, by their addresses', () => {
    const rules = ['index.corp:443', '10.1.2.3:443', '[fd00::1]:443']
    expect(rulesOf([inside])).toEqual(rules)
    expect(rulesOf([inside], [host('files.corp', '10.9.9.9')])).toEqual([...rules, 'files.corp:443', '10.9.9.9:443'])
    expect(rulesOf([host('10.1.2.3', '10.1.2.3')])).toEqual(['10.1.2.3:443'])
    expect(rulesOf([host('fd00::1', 'fd00::1')])).toEqual(['[fd00::1]:443'])
  })

  it('reaches no private host, and not this one, because a public index names it', () => {
    const named = [
      host('files.corp', '10.9.9.9'),
      host('both.test', '192.0.2.2', '10.9.9.9'),
      host('10.9.9.9', '10.9.9.9'),
      host('host.internal'),
      host('127.0.0.1', '127.0.0.1'),
    ]
    expect(rulesOf([outside], named)).toEqual(['index.test:443'])
    expect(rulesOf([host('host.internal')], [host('host.internal')])).toEqual(['host.internal:443'])
  })
})
