// Environment entries of a call and of the sandbox.

import process from 'node:process'

const { env } = process

type Entry = readonly [name: string, value: string | undefined]

export function parseEntry(text: string): readonly [name: string, value: string] {
  const equals = text.indexOf('=')
  return [text.slice(0, equals), text.slice(equals + 1)]
}

/** Sets entries, undefined removes one. Gives back what restores them. */
export function setEntries(entries: readonly Entry[]): Entry[] {
  const previous = entries.map(([name]): Entry => [name, env[name]])
  for (const [name, value] of entries) {
    if (value === undefined) delete env[name]
    else env[name] = value
  }
  // In reverse, so that a name which came twice gets back what it had before the first.
  return previous.reverse()
}
