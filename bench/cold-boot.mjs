// Cold boot to the first result, the product and its floor in turn, so that a noisy machine hurts both alike.
// Usage: node bench/cold-boot.mjs [rounds]   (after `npm run build` and `sbx image build`)
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { cpus, totalmem } from 'node:os'
import { createLogger } from '../dist/base/index.js'
import { resolvePaths } from '../dist/host/index.js'
import { openImage } from '../dist/image/index.js'
import { Scheduler } from '../dist/index.js'
import { decideAccelerator, planVm } from '../dist/qemu/index.js'
import { renderQemuArguments } from '../dist/qemu/qemu-arguments.js'
import { bareRun } from './floor/bare-vm.mjs'

const PROGRAMS = {
  python: 'print(6*7)',
  javascript: 'console.log(6*7)',
  bash: 'echo $((6*7))',
}

const rounds = Number(process.argv[2] ?? 10)
const paths = resolvePaths(process.env)
const image = await openImage({ paths, env: process.env })
const verdict = await decideAccelerator({ requested: 'auto', image, paths, env: process.env, jail: 'required', logger: createLogger('silent'), signal: new AbortController().signal })
const plan = planVm({ image, verdict, memoryMb: 256, cpus: 1, verbose: false })
const argv = renderQemuArguments({ ...plan, jail: { kind: 'off', user: { kind: 'user' } } })
const scheduler = new Scheduler()

const series = {}
const note = (name, value) => (series[name] ??= []).push(Math.round(value * 100) / 100)

for (let round = 0; round < rounds; round += 1) {
  for (const [language, code] of Object.entries(PROGRAMS)) {
    const result = await scheduler.run(code, { language })
    if (result.stdout !== '42\n') throw new Error(`${language}: ${JSON.stringify(result)}`)
    note(`${language}: product, call to result`, result.timing.totalMs - result.timing.teardownMs)
    for (const [phase, ms] of Object.entries(result.timing)) note(`${language}: ${phase}`, ms)
    const floor = await bareRun(image.runtime, plan.program.binary, argv, { language, code })
    if (floor.stdout !== '42\n') throw new Error(`floor ${language}: ${JSON.stringify(floor)}`)
    note(`${language}: floor, bare QEMU`, floor.ms)
  }
}

for (const [language, code] of Object.entries(PROGRAMS)) {
  const sandbox = await scheduler.create({ language })
  await sandbox.runCode(code)
  for (let round = 0; round < rounds * 3; round += 1) {
    note(`${language}: next result in a session`, (await sandbox.runCode(code)).timing.totalMs)
  }
  const memory = await sandbox.runCode('cat /proc/meminfo', { language: 'bash', context: 'meter' })
  note(`${language}: guest MemAvailable KiB of 256 MiB`, Number(/MemAvailable:\s+(\d+)/.exec(memory.stdout)[1]))
  for (const pid of qemuPids()) {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8')
    note(`${language}: QEMU VmRSS KiB`, Number(/VmRSS:\s+(\d+)/.exec(status)[1]))
  }
  await sandbox.close()
}
await scheduler.close()

const table = Object.entries(series).map(([name, values]) => ({ name, n: values.length, p50: percentile(values, 50), p90: percentile(values, 90), min: Math.min(...values) }))
console.table(table)
const environment = { date: new Date().toISOString(), node: process.version, cpu: cpus()[0].model, cores: cpus().length, memoryMb: Math.round(totalmem() / 2 ** 20), accelerator: verdict.accelerator, image: image.manifest.versions }
writeFileSync(new URL('./results/cold-boot.json', import.meta.url), `${JSON.stringify({ environment, series }, null, 1)}\n`)

/** Nearest-rank percentile. */
function percentile(values, p) {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil((p / 100) * sorted.length) - 1)]
}

function qemuPids() {
  return readdirSync('/proc').filter((entry) => {
    if (!/^\d+$/.test(entry)) return false
    try {
      if (!readFileSync(`/proc/${entry}/comm`, 'utf8').startsWith('qemu-system')) return false
      return isOurs(Number(entry))
    } catch {
      return false
    }
  })
}

function isOurs(pid) {
  for (let current = pid; current > 1; ) {
    const stat = readFileSync(`/proc/${current}/stat`, 'utf8')
    current = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1])
    if (current === process.pid) return true
  }
  return false
}
