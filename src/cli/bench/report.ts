import { z } from 'zod'

/** Generation of the report's form; raised with any change that a reader could notice. */
export const REPORT_FORMAT = 1

/** What was measured: the product, the same machine without it, or something a user might pick instead. */
export const ROLES = ['product', 'floor', 'alternative'] as const
export type Role = (typeof ROLES)[number]

const finite = z.number()

const seriesSchema = z.strictObject({
  /** Scenario, see `SCENARIOS`. */
  scenario: z.string(),
  /** What the values are, e.g. "call to result". Series of one measure in one language are compared with each other. */
  measure: z.string(),
  language: z.string(),
  role: z.enum(ROLES),
  /** Who was measured, e.g. "exec-sandbox", "bare QEMU, with resume". */
  name: z.string(),
  unit: z.enum(['ms', 's', 'MB', 'MB/s', '1/s', '%']),
  better: z.enum(['lower', 'higher']),
  /** Every value, in the order in which they were measured. */
  values: z.array(finite).min(1),
  /** Nearest-rank percentiles. */
  summary: z.strictObject({ n: z.number().int(), min: finite, p50: finite, p95: finite, max: finite, mean: finite }),
  /** Phases of the same measurements, as the product's results tell them. */
  phases: z.record(z.string(), z.array(finite)).optional(),
})
export type Series = z.infer<typeof seriesSchema>

const environmentSchema = z.strictObject({
  date: z.string(),
  product: z.string(),
  node: z.string(),
  kernel: z.string(),
  cpu: z.string(),
  cores: finite,
  memoryMb: finite,
  /** What bounds cores and memory. */
  boundedBy: z.enum(['host', 'cgroup']),
  /** Load averages over 1, 5 and 15 minutes when the benchmark began. */
  load: z.array(finite),
  user: z.enum(['root', 'user']),
  accelerator: z.enum(['kvm', 'tcg']),
  jail: z.string(),
  image: z.string(),
  versions: z.record(z.string(), z.string()),
})
export type BenchEnvironment = z.infer<typeof environmentSchema>

/** The report, as it stands in the JSON file. */
export const reportSchema = z.strictObject({
  format: z.literal(REPORT_FORMAT),
  environment: environmentSchema,
  options: z.strictObject({
    scenarios: z.array(z.string()),
    languages: z.array(z.string()),
    /** Rounds per scenario, as chosen by the user or by the scenario. */
    rounds: z.record(z.string(), z.number().int()),
    quick: z.boolean(),
  }),
  durationMs: finite,
  series: z.array(seriesSchema),
  /** What was left out, and why. */
  skipped: z.array(z.strictObject({ what: z.string(), why: z.string() })),
  /** What went wrong; the series of it are missing or short. */
  failed: z.array(z.strictObject({ what: z.string(), why: z.string() })),
})
export type BenchReport = z.infer<typeof reportSchema>

/** The report as JSON; each series of numbers on a line of its own, so that a change to one is a change of one line. Pure. */
export function renderReport(report: BenchReport): string {
  const text = JSON.stringify(report, undefined, 1)
  // A line feed within a text is escaped, so only a list of numbers can look like this.
  return `${text.replace(/\[\n[-+\d.,\se]+\]/g, (list) => list.replace(/\s+/g, ''))}\n`
}
