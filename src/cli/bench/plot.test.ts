import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { chooseScale } from './plot-scale.ts'
import { escapeXml, renderPlot } from './plot.ts'
import type { BenchReport, Series } from './report.ts'
import { summarize } from './statistics.ts'

const ENVIRONMENT: BenchReport['environment'] = {
  date: '2026-01-01T00:00:00.000Z',
  product: '0.1.0',
  node: 'v20.19.0',
  kernel: '6.12',
  cpu: 'AT&T <486>',
  cores: 2,
  memoryMb: 4096,
  boundedBy: 'host',
  load: [0],
  user: 'user',
  accelerator: 'tcg',
  jail: 'bubblewrap',
  image: '0123',
  versions: {},
}

function series(name: string, values: number[], more: Partial<Series> = {}): Series {
  return {
    scenario: 'restore',
    measure: 'call to result',
    language: 'python',
    role: 'product',
    name,
    unit: 'ms',
    better: 'lower',
    values,
    summary: summarize(values),
    ...more,
  }
}

function report(...all: Series[]): BenchReport {
  const options = { scenarios: [], languages: [], rounds: {}, quick: false }
  return { format: 1, environment: ENVIRONMENT, options, durationMs: 0, series: all, skipped: [], failed: [] }
}

describe('escapeXml', () => {
  it('leaves nothing that XML would read as markup', () => {
    expect(escapeXml(`<a b="c" d='e'> & \u001b`)).toBe('&lt;a b=&quot;c&quot; d=&apos;e&apos;&gt; &amp; \ufffd')
  })

  it('keeps the text, whatever it is', () => {
    const entities: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const escaped = escapeXml(text)
        expect(escaped).not.toMatch(/[<>"']/)
        expect(escaped).not.toMatch(/&(?!(?:amp|lt|gt|quot|apos);)/)
        const plain = escaped.replace(/&(\w+);/g, (_, name: string) => entities[name] ?? '')
        // oxlint-disable-next-line no-control-regex
        expect(plain).toBe(text.replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, '\ufffd'))
      }),
    )
  })
})

describe('renderPlot', () => {
  it('draws nothing when nothing was measured', () => {
    expect(renderPlot(report())).toBeUndefined()
    expect(renderPlot(report(series('x', [1], { scenario: 'no panel' })))).toBeUndefined()
  })

  it('has a bar and a whisker for each series, and its median as text', () => {
    const svg = renderPlot(report(series('one', [10, 20, 30]), series('two', [15], { role: 'floor' }))) ?? ''
    expect(svg.match(/class="whisker"/g)).toHaveLength(2)
    expect(svg.match(/<text class="value"[^>]*>[^<]*/g)?.map((text) => text.split('>')[1])).toEqual(['20.0', '15.0'])
  })

  it('escapes names and facts of the machine', () => {
    const svg = renderPlot(report(series('</text><script>', [1]))) ?? ''
    expect(svg).not.toContain('<script>')
    expect(svg).toContain('AT&amp;T &lt;486&gt;')
  })

  it('puts the whisker at the bad end: the smaller rates, the longer durations', () => {
    const values = Array.from({ length: 100 }, (_, index) => index + 1)
    const tip = (svg: string): number[] =>
      (/class="whisker" d="M([\d.]+) [\d.]+H([\d.]+)/.exec(svg) ?? []).slice(1).map(Number)
    const [median = 0, long = 0] = tip(renderPlot(report(series('a', values))) ?? '')
    expect(long).toBeGreaterThan(median)
    const rates = series('a', values, { unit: '1/s', better: 'higher' })
    const [middle = 0, slow = 0] = tip(renderPlot(report(rates)) ?? '')
    expect(slow).toBeLessThan(middle)
  })
})

describe('chooseScale', () => {
  it('is linear from zero for values of one size, logarithmic for others', () => {
    expect(chooseScale([80, 100]).kind).toBe('linear')
    expect(chooseScale([80, 100]).at(0)).toBe(0)
    expect(chooseScale([1, 100]).kind).toBe('log')
  })

  it('keeps every value on the axis, larger ones further right, all ticks on it', () => {
    const positive = fc.double({ min: 1e-3, max: 1e6, noNaN: true })
    fc.assert(
      fc.property(fc.array(positive, { minLength: 1, maxLength: 20 }), (values) => {
        const scale = chooseScale(values)
        const places = values.toSorted((a, b) => a - b).map(scale.at)
        expect(places).toEqual(places.toSorted((a, b) => a - b))
        expect(Math.min(...places)).toBeGreaterThan(0)
        expect(Math.max(...places)).toBeLessThanOrEqual(1)
        const ticks = scale.ticks.map(scale.at)
        expect(ticks.length).toBeGreaterThan(1)
        expect(new Set(ticks).size).toBe(ticks.length)
      }),
    )
  })
})
