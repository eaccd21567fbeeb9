import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { repositoryFiles, ROOT } from './repository.ts'

/**
 * The hosts of package registries and mirrors that this machine is configured to use. They are this machine's affair:
 * one that is written into the repository would bind every user to it.
 */
function configuredHosts(): string[] {
  const texts = [
    output('npm', ['config', 'get', 'registry']),
    output('pip', ['config', 'list']),
    ...filesIn('/etc/apt'),
    ...filesIn('/etc/apt/sources.list.d'),
    content(join(homedir(), '.cargo', 'config.toml')),
  ]
  return hostsIn(texts.join('\n'))
}

/** Dotted names in URLs; `localhost` and the like name no registry. */
function hostsIn(text: string): string[] {
  return [...new Set([...text.matchAll(/\bhttps?:\/\/([a-z0-9-]+(?:\.[a-z0-9-]+)+)/gi)].map((match) => match[1] ?? ''))]
}

function output(command: string, args: readonly string[]): string {
  try {
    return execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
  } catch {
    return ''
  }
}

function content(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

function filesIn(directory: string): string[] {
  try {
    return readdirSync(directory)
      .filter((name) => /\.(?:list|sources)$/.test(name))
      .map((name) => content(join(directory, name)))
  } catch {
    return []
  }
}

/** Where a host is written, in the repository's text files. */
function mentions(paths: readonly string[], hosts: readonly string[]): string[] {
  return paths.flatMap((path) => {
    const text = content(join(ROOT, path))
    return hosts.filter((host) => text.includes(host)).map((host) => `${path}: ${host}`)
  })
}

test('no registry or mirror of this machine is written into the repository', () => {
  expect(mentions(repositoryFiles(), configuredHosts())).toEqual([])
})

test('hosts are found in the forms in which tools keep them', () => {
  const text =
    "global.index-url='https://pip.example.test/simple'\nURIs: http://deb.example.test/debian\nhttp://localhost:4873/"
  expect(hostsIn(text)).toEqual(['pip.example.test', 'deb.example.test'])
  expect(mentions(['package.json'], ['exec-sandbox'])).toEqual(['package.json: exec-sandbox'])
})
