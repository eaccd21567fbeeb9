import type { BenchReport, Series } from './report.ts'
import { percentile } from './statistics.ts'

/** Series that are compared with each other: one measure of one scenario in one language. */
export interface SeriesGroup {
  readonly scenario: string
  readonly measure: string
  readonly language: string
  readonly series: readonly Series[]
}

/** Groups in the order in which they were measured. Pure. */
export function groupSeries(all: readonly Series[]): readonly SeriesGroup[] {
  const groups = new Map<string, Series[]>()
  for (const series of all) {
    const id = JSON.stringify([series.scenario, series.measure, series.language])
    groups.set(id, [...(groups.get(id) ?? []), series])
  }
  return [...groups.values()].flatMap((series) => {
    const [first] = series
    return first === undefined
      ? []
      : [{ scenario: first.scenario, measure: first.measure, language: first.language, series }]
  })
}

/** A number with three significant digits, as far as they say something. Pure. */
export function formatNumber(value: number): string {
  const size = Math.abs(value)
  if (size >= 100) return value.toFixed(0)
  if (size >= 10) return value.toFixed(1)
  return size >= 1 ? value.toFixed(2) : value.toFixed(3)
}

/** The report for people. Pure. */
export function renderTable(report: BenchReport): string {
  const lines = [...describe(report), '']
  for (const group of groupSeries(report.series)) lines.push(...renderGroup(group), '')
  for (const { what, why } of report.skipped) lines.push(`skipped  ${what}: ${why}`)
  for (const { what, why } of report.failed) lines.push(`FAILED   ${what}: ${why}`)
  lines.push(`Done in ${(report.durationMs / 1000).toFixed(0)} s. ×floor compares medians with the first floor.`)
  return `${lines.join('\n')}\n`
}

function describe({ environment }: BenchReport): readonly string[] {
  const { date, product, node, kernel, cpu, cores, memoryMb, load, accelerator, jail, versions } = environment
  return [
    `exec-sandbox ${product} · ${date} · ${accelerator.toUpperCase()}, jail ${jail} · QEMU ${versions['qemu'] ?? '?'}`,
    `${cpu}, ${cores} cores, ${memoryMb} MiB · Linux ${kernel} · Node ${node} · load ${load.join(' ')}`,
  ]
}

const COLUMNS = ['n', 'p50', 'p95', 'min', 'max', '×floor'] as const
const COLUMN_WIDTH = 9

function renderGroup(group: SeriesGroup): readonly string[] {
  const floor = group.series.find(({ role }) => role === 'floor')
  const unit = group.series[0]?.unit ?? ''
  const width = Math.max(28, ...group.series.map(({ name }) => name.length + 2))
  const rows = group.series.flatMap((series) => {
    const { n, p50, p95, min, max } = series.summary
    const ratio = floor === undefined || floor.summary.p50 === 0 ? '' : (p50 / floor.summary.p50).toFixed(2)
    const cells = [String(n), ...[p50, p95, min, max].map(formatNumber), ratio]
    const phases = renderPhases(series)
    return [
      `  ${series.name.padEnd(width)}${cells.map((cell) => cell.padStart(COLUMN_WIDTH)).join('')}`,
      ...(phases === undefined ? [] : [`      ${phases}`]),
    ]
  })
  const title = `${group.scenario} · ${group.language} · ${group.measure} (${unit})`
  return [title, `  ${' '.repeat(width)}${COLUMNS.map((name) => name.padStart(COLUMN_WIDTH)).join('')}`, ...rows]
}

function renderPhases({ phases, unit }: Series): string | undefined {
  if (phases === undefined) return undefined
  const medians = Object.entries(phases)
    .filter(([name, values]) => name !== 'totalMs' && values.length > 0)
    .map(([name, values]) => `${name.replace(/Ms$/, '')} ${formatNumber(percentile(values, 50))}`)
  return medians.length === 0 ? undefined : `${medians.join(' · ')} (${unit}, medians)`
}
