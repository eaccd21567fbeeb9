import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import { repositoryFiles, ROOT } from './repository.ts'

let packed: readonly string[] = []

beforeAll(() => {
  // `--ignore-scripts`: the packing script rebuilds dist, which other tests are using.
  const report = execFileSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], {
    cwd: ROOT,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  const [{ files }]: [{ files: { path: string }[] }] = JSON.parse(report)
  packed = files.map(({ path }) => path)
})

test('the package holds what its users need', () => {
  const manifest: { bin: Record<string, string>; exports: { '.': Record<string, string> } } = JSON.parse(
    readFileSync(join(ROOT, 'package.json'), 'utf8'),
  )
  const entries = [...Object.values(manifest.bin), ...Object.values(manifest.exports['.'])]
  const recipe = repositoryFiles().filter((path) => /^guest\/(?:image|wire|agent\/src)\//.test(path))
  const papers = ['LICENSE', 'README.md', 'SECURITY.md', 'CHANGELOG.md'].filter((path) => existsSync(join(ROOT, path)))
  const wanted = ['package.json', ...papers, ...entries.map((path) => path.replace(/^\.\//, '')), ...recipe]
  expect(wanted.filter((path) => !packed.includes(path))).toEqual([])
})

test('the package holds no tests, no build outputs and nothing else', () => {
  const allowed =
    /^(?:dist|guest)\/|^(?:package\.json|README\.md|LICENSE|SECURITY\.md|CHANGELOG\.md|THIRD-PARTY-LICENSES\.md)$/
  const refused =
    /\.test\.|\.tsbuildinfo$|\.o$|\.so$|\.pyc$|(?:^|\/)(?:target|node_modules|__pycache__|corpus|fuzz|hostile|tests?)\//
  expect(packed.filter((path) => !allowed.test(path) || refused.test(path))).toEqual([])
})
