import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { repositoryFiles, ROOT } from './repository.ts'

/** Targets of Markdown links and images, code blocks left out. */
function linksIn(markdown: string): string[] {
  const prose = markdown.replace(/^(`{3,})[\s\S]*?^\1/gm, '').replace(/`[^`\n]*`/g, '')
  return [...prose.matchAll(/\]\(([^()\s]+)(?:\s+"[^"]*")?\)/g)].map((match) => match[1] ?? '')
}

/** The anchors that a page's headings get: lower case, punctuation dropped, spaces as hyphens. */
function anchorsIn(markdown: string): string[] {
  const prose = markdown.replace(/^(`{3,})[\s\S]*?^\1/gm, '')
  return [...prose.matchAll(/^#{1,6} +(.+)$/gm)].map((match) =>
    (match[1] ?? '')
      .trim()
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .replace(/\s/g, '-'),
  )
}

function broken(path: string, link: string): boolean {
  if (/^[a-z]+:/.test(link)) return false
  const [file = '', anchor] = link.split('#')
  const target = file === '' ? path : join(dirname(path), file)
  if (!existsSync(join(ROOT, target))) return true
  if (anchor === undefined || !target.endsWith('.md')) return false
  return !anchorsIn(readFileSync(join(ROOT, target), 'utf8')).includes(anchor)
}

test('relative links in documents lead somewhere', () => {
  const documents = repositoryFiles().filter((path) => path.endsWith('.md'))
  const found = documents.flatMap((path) =>
    linksIn(readFileSync(join(ROOT, path), 'utf8'))
      .filter((link) => broken(path, link))
      .map((link) => `${path}: ${link}`),
  )
  expect(found).toEqual([])
  expect(documents.length).toBeGreaterThan(0)
})

test('a link to nothing is found, with and without an anchor', () => {
  expect(linksIn('see [a](b.md) and `[c](d)`\n\n```\n[e](f)\n```\n')).toEqual(['b.md'])
  expect(broken('docs/requirements.md', 'no-such-file.md')).toBe(true)
  expect(broken('docs/requirements.md', '#no-such-heading')).toBe(true)
  expect(broken('docs/requirements.md', '#requirements')).toBe(false)
})
