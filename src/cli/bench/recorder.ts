import type { BenchReport, Role, Series } from './report.ts'
import { summarize } from './statistics.ts'

/** What tells one series from another. */
export type SeriesKey = Pick<Series, 'scenario' | 'measure' | 'language' | 'role' | 'name' | 'unit' | 'better'>

/** One measured value, and the phases it consisted of where they are known. */
export interface Sample {
  readonly value: number
  readonly phases?: Readonly<Record<string, number>>
}

/** Decimals kept: a microsecond, a byte in a megabyte. More is noise, and bytes in a file. */
const DECIMALS = 3

/** Collects what a benchmark measures, in the order in which series are first seen. */
export class Recorder {
  readonly #series = new Map<string, { readonly key: SeriesKey; readonly samples: Sample[] }>()
  readonly #skipped: { what: string; why: string }[] = []
  readonly #failed: { what: string; why: string }[] = []

  add(key: SeriesKey, sample: Sample): void {
    const id = JSON.stringify([key.scenario, key.measure, key.language, key.role, key.name])
    const entry = this.#series.get(id) ?? { key, samples: [] }
    this.#series.set(id, entry)
    entry.samples.push(sample)
  }

  skip(what: string, why: string): void {
    if (!this.#skipped.some((entry) => entry.what === what)) this.#skipped.push({ what, why })
  }

  fail(what: string, why: string): void {
    this.#failed.push({ what, why })
  }

  result(): Pick<BenchReport, 'series' | 'skipped' | 'failed'> {
    return {
      series: [...this.#series.values()].map(({ key, samples }) => {
        const values = samples.map(({ value }) => rounded(value))
        const phases = phasesOf(samples)
        return { ...key, values, summary: mapValues(summarize(values)), ...(phases === undefined ? {} : { phases }) }
      }),
      skipped: this.#skipped,
      failed: this.#failed,
    }
  }
}

/** The key of a series of durations, which most are. */
export function durations(scenario: string, measure: string, language: string, role: Role, name: string): SeriesKey {
  return { scenario, measure, language, role, name, unit: 'ms', better: 'lower' }
}

// A phase that did not take place in a sample is absent from it; a series of phases may be shorter than its values.
function phasesOf(samples: readonly Sample[]): Record<string, number[]> | undefined {
  const phases = new Map<string, number[]>()
  for (const { phases: own = {} } of samples) {
    for (const [phase, ms] of Object.entries(own)) phases.set(phase, [...(phases.get(phase) ?? []), rounded(ms)])
  }
  return phases.size === 0 ? undefined : Object.fromEntries(phases)
}

function mapValues(summary: ReturnType<typeof summarize>): ReturnType<typeof summarize> {
  return { ...summary, mean: rounded(summary.mean) }
}

function rounded(value: number): number {
  return Number(value.toFixed(DECIMALS))
}
