import { describe, expect, it } from 'vitest'
import { durations, Recorder } from './recorder.ts'
import { renderReport, type BenchReport, REPORT_FORMAT, reportSchema } from './report.ts'

const environment: BenchReport['environment'] = {
  date: '2026-01-01T00:00:00.000Z',
  product: '0.1.0',
  node: 'v20.19.0',
  kernel: '6.12',
  cpu: 'a processor',
  cores: 2,
  memoryMb: 4096,
  boundedBy: 'host',
  load: [0, 0, 0],
  user: 'user',
  accelerator: 'tcg',
  jail: 'bubblewrap',
  image: '0123',
  versions: { qemu: '10.0.0' },
}

function reportOf(recorder: Recorder): BenchReport {
  const options = { scenarios: ['restore'], languages: ['python'], rounds: { restore: 2 }, quick: true }
  return { format: REPORT_FORMAT, environment, options, durationMs: 1, ...recorder.result() }
}

describe('Recorder', () => {
  it('keeps every value of a series in its order, and series apart that differ in anything', () => {
    const recorder = new Recorder()
    const product = durations('restore', 'call', 'python', 'product', 'exec-sandbox')
    recorder.add(product, { value: 3 })
    recorder.add({ ...product, role: 'floor', name: 'QEMU' }, { value: 2 })
    recorder.add({ ...product, language: 'bash' }, { value: 9 })
    recorder.add({ ...product }, { value: 1.00049 })
    const { series } = recorder.result()
    expect(series.map(({ role, language, values }) => [role, language, values])).toEqual([
      ['product', 'python', [3, 1]],
      ['floor', 'python', [2]],
      ['product', 'bash', [9]],
    ])
    expect(series[0]?.summary).toEqual({ n: 2, min: 1, p50: 1, p95: 3, max: 3, mean: 2 })
  })

  it('keeps the phases that took place', () => {
    const recorder = new Recorder()
    const key = durations('restore', 'call', 'python', 'product', 'exec-sandbox')
    recorder.add(key, { value: 3, phases: { setupMs: 1, executeMs: 2 } })
    recorder.add(key, { value: 4, phases: { executeMs: 4 } })
    expect(recorder.result().series[0]?.phases).toEqual({ setupMs: [1], executeMs: [2, 4] })
  })

  it('tells what is not there once', () => {
    const recorder = new Recorder()
    recorder.skip('runsc', 'not found')
    recorder.skip('runsc', 'not found')
    recorder.fail('restore', 'no template')
    expect(recorder.result()).toEqual({
      series: [],
      skipped: [{ what: 'runsc', why: 'not found' }],
      failed: [{ what: 'restore', why: 'no template' }],
    })
  })
})

describe('the report', () => {
  it('is what its schema says, raw series and all, with a line per series of numbers', () => {
    const recorder = new Recorder()
    for (const value of [1.5, 2, 1e-3]) {
      recorder.add(durations('restore', 'call', 'python', 'product', 'a "name", [1, 2]'), { value })
    }
    const report = reportOf(recorder)
    const text = renderReport(report)
    expect(reportSchema.parse(JSON.parse(text))).toEqual(report)
    expect(text).toContain('"values": [1.5,2,0.001]')
  })
})
