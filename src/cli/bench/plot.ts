import { chooseScale, type Scale } from './plot-scale.ts'
import { PLOT_STYLE } from './plot-style.ts'
import type { BenchReport, Series } from './report.ts'
import { percentile } from './statistics.ts'
import { formatNumber } from './table.ts'

/** Pixels. Two columns of panels, each with names on the left, bars, and medians on the right. */
const SIZE = {
  margin: 28,
  column: 560,
  gutter: 40,
  header: 92,
  title: 34,
  row: 19,
  bar: 11,
  language: 22,
  axis: 34,
  names: 206,
  values: 66,
} as const

/** A panel of the plot: one measure, one row per series, grouped by language. */
interface Panel {
  readonly title: string
  readonly scenario: string
  readonly measure: RegExp
}

/** What is worth a picture; the table and the JSON have the rest. */
const PANELS: readonly Panel[] = [
  { title: 'Run, restored from the template', scenario: 'restore', measure: /^call to result$/ },
  { title: 'Run, handed out of a pool', scenario: 'pool', measure: /^call to result$/ },
  { title: 'Next run in a session', scenario: 'next-run', measure: /^call to result$/ },
  { title: 'Run, booted', scenario: 'cold-boot', measure: /^call to result$/ },
  { title: '20 runs at once, time to each result', scenario: 'burst-20', measure: /result/ },
  { title: '100 runs at once, time to each result', scenario: 'burst-100', measure: /result/ },
  { title: 'Runs per second', scenario: 'rate', measure: /per second/ },
  { title: 'CPU of the calling process per 100 runs', scenario: 'sequential', measure: /^CPU/ },
  { title: 'Memory of its own per idle VM', scenario: 'memory', measure: /^anonymous, (?:5|10) / },
  { title: 'CPU while idle, of one processor', scenario: 'idle', measure: /^share/ },
  { title: 'Output to a callback, 1 MB', scenario: 'output', measure: /^throughput/ },
]

interface PlacedPanel {
  readonly panel: Panel
  readonly series: readonly Series[]
  readonly height: number
}

/** Horizontal bars of all medians; undefined when there is nothing to show. Pure. */
export function renderPlot(report: BenchReport): string | undefined {
  const placed = PANELS.flatMap((panel): PlacedPanel[] => {
    const series = report.series.filter(
      ({ scenario, measure }) => scenario === panel.scenario && panel.measure.test(measure),
    )
    return series.length === 0 ? [] : [{ panel, series, height: heightOf(series) }]
  })
  if (placed.length === 0) return undefined
  const bottoms: [number, number] = [SIZE.header, SIZE.header]
  const body = placed.map((entry) => {
    // The shorter column takes the next panel.
    const column = bottoms[0] <= bottoms[1] ? 0 : 1
    const x = SIZE.margin + column * (SIZE.column + SIZE.gutter)
    const y = bottoms[column]
    bottoms[column] += entry.height
    return `<g transform="translate(${x} ${y})">${renderPanel(entry)}</g>`
  })
  const columns = placed.length === 1 ? 1 : 2
  const width = SIZE.margin * 2 + SIZE.column * columns + SIZE.gutter * (columns - 1)
  const height = Math.max(...bottoms) + SIZE.margin
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="Benchmark of exec-sandbox">`,
    `<style>${PLOT_STYLE}</style>`,
    `<rect class="paper" width="${width}" height="${height}" rx="8"/>`,
    renderHeader(report, width),
    ...body,
    '</svg>',
    '',
  ].join('\n')
}

/** Text as it stands in XML, in an element or an attribute; characters that XML does not allow are replaced. Pure. */
export function escapeXml(text: string): string {
  return (
    text
      // oxlint-disable-next-line no-control-regex
      .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]|\p{Surrogate}/gu, '\ufffd')
      .replaceAll('&', '&amp;')
      .replaceAll('<', '&lt;')
      .replaceAll('>', '&gt;')
      .replaceAll('"', '&quot;')
      .replaceAll("'", '&apos;')
  )
}

function renderHeader({ environment }: BenchReport, width: number): string {
  const { cpu, cores, accelerator, kernel, node, versions, date, load } = environment
  const facts = `${cpu}, ${cores} cores · ${accelerator.toUpperCase()} · Linux ${kernel} · QEMU ${versions['qemu'] ?? '?'} · Node ${node} · ${date.slice(0, 10)} · load at start ${load[0] ?? '?'}`
  const legend = [
    ['product', 'exec-sandbox'],
    ['floor', 'floor: the same by hand'],
    ['alternative', 'alternatives, with other walls or none'],
  ] as const
  let x = SIZE.margin
  const entries = legend.map(([role, label]) => {
    const entry = `<rect class="${role}" x="${x}" y="62" width="11" height="11" rx="2"/><text class="small" x="${x + 17}" y="71.5">${label}</text>`
    x += 40 + label.length * 6.4
    return entry
  })
  return [
    `<text class="head" x="${SIZE.margin}" y="30">exec-sandbox: medians, with the 95th percentile on the bad side</text>`,
    `<text class="small" x="${SIZE.margin}" y="49">${escapeXml(facts)}</text>`,
    ...entries,
    `<line class="rule" x1="${SIZE.margin}" x2="${width - SIZE.margin}" y1="82" y2="82"/>`,
  ].join('')
}

function languagesOf(series: readonly Series[]): readonly string[] {
  return [...new Set(series.map(({ language }) => language))]
}

function heightOf(series: readonly Series[]): number {
  return SIZE.title + languagesOf(series).length * SIZE.language + series.length * SIZE.row + SIZE.axis
}

/** The end of the whisker: all but 5 % of the measurements are better. */
function badEnd({ better, values, summary }: Series): number {
  return better === 'lower' ? summary.p95 : percentile(values, 5)
}

function renderPanel({ panel, series, height }: PlacedPanel): string {
  const [first] = series
  if (first === undefined) return ''
  const scale = chooseScale(series.flatMap((one) => [one.summary.p50, badEnd(one)]))
  const end = height - SIZE.axis
  const better = first.better === 'lower' ? 'less is better' : 'more is better'
  const note = `${first.unit}, ${better}${scale.kind === 'log' ? ', logarithmic' : ''}`
  const parts = [
    `<text class="title" x="0" y="22">${escapeXml(panel.title)}</text>`,
    `<text class="small note" x="${SIZE.column}" y="22">${escapeXml(note)}</text>`,
    ...scale.ticks.map((tick) => renderTick(tick, scale, end)),
  ]
  let y: number = SIZE.title
  for (const language of languagesOf(series)) {
    parts.push(`<text class="language" x="0" y="${y + 14}">${escapeXml(language)}</text>`)
    y += SIZE.language
    for (const one of series.filter((candidate) => candidate.language === language)) {
      parts.push(renderRow(one, scale, y))
      y += SIZE.row
    }
  }
  return parts.join('\n')
}

function axisX(share: number): string {
  return (SIZE.names + share * (SIZE.column - SIZE.names - SIZE.values)).toFixed(1)
}

function renderTick(tick: number, scale: Scale, end: number): string {
  const x = axisX(scale.at(tick))
  return `<line class="grid" x1="${x}" x2="${x}" y1="${SIZE.title}" y2="${end}"/><text class="small tick" x="${x}" y="${end + 14}">${tick}</text>`
}

function renderRow(series: Series, scale: Scale, y: number): string {
  const { p50 } = series.summary
  const middle = y + SIZE.row / 2
  const start = axisX(0)
  const tip = axisX(scale.at(p50))
  const width = Math.max(1.5, Number(tip) - Number(start)).toFixed(1)
  const bad = axisX(scale.at(badEnd(series)))
  const name = series.name.length > 32 ? `${series.name.slice(0, 31)}…` : series.name
  return [
    `<text class="name ${series.role}" x="${SIZE.names - 8}" y="${middle + 4}">${escapeXml(name)}</text>`,
    `<rect class="${series.role}" x="${start}" y="${middle - SIZE.bar / 2}" width="${width}" height="${SIZE.bar}" rx="2"/>`,
    `<path class="whisker" d="M${tip} ${middle}H${bad}M${bad} ${middle - 3.5}v7"/>`,
    `<text class="value" x="${SIZE.column}" y="${middle + 4}">${formatNumber(p50)}</text>`,
  ].join('')
}
