import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { ROOT } from './repository.ts'

/** Rows of README's tables, and the series of the benchmark's results that they show. */
const ROWS: Readonly<Record<string, readonly [scenario: string, measure: string, name: RegExp]>> = {
  'restored from a template': ['restore', 'call to result', /^exec-sandbox$/],
  'floor of it: bare QEMU': ['restore', 'call to result', /^bare QEMU, with resume$/],
  'restored, loaded ahead': ['restore', 'call to result', /^exec-sandbox, loaded ahead$/],
  'out of a warm pool': ['pool', 'call to result', /^exec-sandbox$/],
  'next run in a session': ['next-run', 'call to result', /^exec-sandbox$/],
  'cold boot': ['cold-boot', 'call to result', /^exec-sandbox$/],
  'floor of it: bare QEMU, booting': ['cold-boot', 'call to result', /^bare QEMU$/],
  '**others**: plain process of the host': ['restore', 'call to result', /^plain \w+ process$/],
  'gVisor (systrap)': ['restore', 'call to result', /gVisor/],
  'memory of its own per idle VM, MB': ['memory', 'private dirty, 10 alive', /^exec-sandbox$/],
  'CPU of an idle VM, % of one processor': ['idle', 'share of one processor', /^exec-sandbox$/],
  'runs per second, each in a VM of its own': ['rate', 'runs per second', /^exec-sandbox$/],
}

interface Series {
  readonly scenario: string
  readonly measure: string
  readonly language: string
  readonly name: string
  readonly summary: { readonly p50: number }
}

const results: { readonly series: readonly Series[] } = JSON.parse(
  readFileSync(join(ROOT, 'bench', 'results', 'bench.json'), 'utf8'),
)

function median(row: keyof typeof ROWS, language: string): number {
  const [scenario, measure, name] = ROWS[row] ?? ['', '', /^$/]
  const found = results.series.find(
    (series) =>
      series.scenario === scenario &&
      series.measure === measure &&
      series.language === language &&
      name.test(series.name),
  )
  return found?.summary.p50 ?? Number.NaN
}

test.each(Object.keys(ROWS))('README’s row "%s" is what the benchmark measured', (row) => {
  const readme = readFileSync(join(ROOT, 'README.md'), 'utf8')
  const cells = readme
    .split('\n')
    .find((line) => line.startsWith(`| ${row} |`))
    ?.split('|')
    .slice(2, 5)
    .map((cell) => cell.trim())
  const measured = ['python', 'javascript', 'bash'].map((language) => median(row, language))
  const digits = (cells ?? []).map((cell) => cell.split('.')[1]?.length ?? 0)
  expect(cells).toEqual(measured.map((value, index) => value.toFixed(digits[index])))
})

test('C01: a restore takes at most 1.25 times what bare QEMU takes, and less than that when it is loaded ahead', () => {
  for (const language of ['python', 'javascript', 'bash']) {
    const floor = median('floor of it: bare QEMU', language)
    expect(median('restored from a template', language) / floor).toBeLessThanOrEqual(1.25)
    expect(median('restored, loaded ahead', language) / floor).toBeLessThan(1)
  }
})
