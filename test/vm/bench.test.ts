import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { descendants, isQemu } from '../../src/cli/bench/process-facts.ts'
import { reportSchema } from '../../src/cli/bench/report.ts'

const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url))

let directory: string
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'exec-sandbox-bench-'))
})
afterAll(async () => await rm(directory, { recursive: true, force: true }))

const started: ChildProcess[] = []
afterEach(() => {
  for (const child of started.splice(0)) child.kill('SIGKILL')
})

function startBench(args: readonly string[]) {
  const child = spawn(process.execPath, [MAIN, 'bench', ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  started.push(child)
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  const ended = once(child, 'close').then(([code]: unknown[]) => ({ code, stdout, stderr }))
  return { pid: child.pid ?? 0, child, ended }
}

/** The process ids below `pid`, once a QEMU that no jail holds is among them: one of the floor. */
async function untilFloorRuns(pid: number): Promise<readonly number[]> {
  for (const endsAt = performance.now() + 60_000; performance.now() < endsAt; await delay(10)) {
    const found = await descendants(pid)
    if (found.some((fact) => isQemu(fact) && fact.command.startsWith('ld-linux'))) return found.map((fact) => fact.pid)
  }
  throw new Error('no floor was measured within 60 s')
}

async function untilGone(pids: readonly number[]): Promise<readonly number[]> {
  const alive = (): readonly number[] => pids.filter((pid) => existsSync(`/proc/${pid}`))
  for (const endsAt = performance.now() + 10_000; performance.now() < endsAt && alive().length > 0; ) await delay(10)
  return alive()
}

describe('sbx bench', () => {
  it('measures product and floor and writes report, table and plot', async () => {
    const json = join(directory, 'report.json')
    const svg = join(directory, 'plot.svg')
    const args = ['--scenario', 'next-run', '--language', 'bash', '--rounds', '3', '--json', json, '--svg', svg]
    const { code, stdout, stderr } = await startBench(args).ended
    expect(code, stderr).toBe(0)
    const report = reportSchema.parse(JSON.parse(await readFile(json, 'utf8')))
    expect(report.failed).toEqual([])
    expect(report.options).toMatchObject({ scenarios: ['next-run'], languages: ['bash'], rounds: { 'next-run': 3 } })
    expect(report.series.map(({ role, language, values }) => [role, language, values.length])).toEqual([
      ['product', 'bash', 3],
      ['floor', 'bash', 3],
    ])
    for (const { values } of report.series) expect(Math.min(...values)).toBeGreaterThan(0)
    expect(stdout).toContain('next-run · bash · call to result (ms)')
    expect(await readFile(svg, 'utf8')).toContain('channel round trip')
  })

  it('C14: the process that asks for runs spends little of its own on each, and the report says how much', async () => {
    const json = join(directory, 'sequential.json')
    const args = ['--scenario', 'sequential', '--language', 'bash', '--rounds', '10', '--json', json]
    const { code, stderr } = await startBench(args).ended
    expect(code, stderr).toBe(0)
    const report = reportSchema.parse(JSON.parse(await readFile(json, 'utf8')))
    const cpu = report.series.filter(({ measure }) => measure === 'CPU of the calling process per 100 runs')
    expect(cpu.map(({ role }) => role)).toEqual(['product', 'floor'])
    // The floor spawns QEMU and speaks to it, with nothing watched, checked or bounded.
    const [product = Infinity, floor = 0] = cpu.map(({ summary }) => summary.p50)
    expect(product).toBeLessThan(floor * 5)
  })

  it('ends at Ctrl-C with 130, says nothing, and leaves no process', async () => {
    const bench = startBench(['--scenario', 'restore', '--language', 'bash', '--rounds', '1000'])
    const pids = await untilFloorRuns(bench.pid)
    bench.child.kill('SIGINT')
    const { code, stdout } = await bench.ended
    expect({ code, stdout }).toEqual({ code: 130, stdout: '' })
    expect(await untilGone(pids)).toEqual([])
  })

  it('takes the bare VMs of the floor with it when it is killed', async () => {
    const bench = startBench(['--scenario', 'next-run', '--language', 'bash', '--rounds', '1000'])
    const pids = await untilFloorRuns(bench.pid)
    bench.child.kill('SIGKILL')
    expect(await untilGone(pids)).toEqual([])
  })

  it('refuses a scenario that is none', async () => {
    const { code, stderr } = await startBench(['--scenario', 'warp']).ended
    expect(code).toBe(2)
    expect(stderr).toContain('--scenario: expected some of cold-boot')
  })
})
