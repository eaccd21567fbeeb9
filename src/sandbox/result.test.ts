import { expect, it } from 'vitest'
import type { ProgramOutcome } from './program-call.ts'
import { programResult } from './result.ts'

it('B06: what a guest says of its times and of what it used is cut to what can be', () => {
  const end = {
    exitCode: 0,
    host: {},
    reason: 'exit',
    stdoutTruncated: false,
    stderrTruncated: false,
    spawnMs: 1e12,
    executeMs: 1e12,
    cpuMs: 1e12,
    peakBytes: Number.MAX_SAFE_INTEGER,
  } as const
  const outcome: ProgramOutcome = {
    end,
    host: {},
    reason: 'exit',
    stdout: '',
    stderr: '',
    stdoutTruncated: false,
    stderrTruncated: false,
  }
  const mostUsage = { memoryBytes: 268_435_456, cpuMs: 2_000 }
  const { timing, usage } = programResult(outcome, { source: 'pool', startedAt: performance.now() - 50, mostUsage })
  expect(timing.totalMs).toBeGreaterThanOrEqual(50)
  expect(timing).toMatchObject({ spawnMs: timing.totalMs, executeMs: timing.totalMs })
  expect(usage).toEqual({ guestCpuMs: 2_000, guestPeakBytes: 268_435_456 })
})
