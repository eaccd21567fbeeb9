// A host process of its own that uses the built library in every way, block by block, and prints after each block what it
// still holds: one line of JSON. Started with --expose-gc. Arguments: blocks, runs and sessions per block, two directories.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { Scheduler } from '../../dist/index.js'

const [blocks, runs, sessions, runtimeDir, scratch] = process.argv.slice(2)

/** Programs at the same time: as many as this kind of machine has processors. */
const WIDTH = 2

const LANGUAGES = ['bash', 'python', 'bash', 'javascript']
const HELLO = { bash: 'echo hello', python: 'print("hello")', javascript: 'console.log("hello")' }

function check(condition, what) {
  if (!condition) throw new Error(`unexpected: ${what}`)
}

async function rejects(promise, code) {
  const error = await promise.then(
    () => undefined,
    (reason) => reason,
  )
  check(error?.code === code || error?.message === code, `${error} instead of ${code}`)
}

const RUNS = [
  async (scheduler, index) => {
    const language = LANGUAGES[index % LANGUAGES.length]
    check((await scheduler.run(HELLO[language], { language })).stdout === 'hello\n', 'no hello')
  },
  async (scheduler) => check((await scheduler.run('exit 3', { language: 'bash' })).exitCode === 3, 'not 3'),
  async (scheduler, index) => {
    const place = join(scratch, `out-${index % 8}`)
    const files = { in: 'x'.repeat(1_000) }
    const result = await scheduler.run('cat in in > out', { language: 'bash', files, downloads: { out: place } })
    check(result.downloads[0].copy?.bytes === 2_000, 'no download')
  },
  async (scheduler) => {
    let length = 0
    const onStdout = async (text) => {
      length += text.length
    }
    await scheduler.run('yes 0123456 | head -c 300000', { language: 'bash', onStdout })
    check(length === 300_000, `${length} characters`)
  },
  async (scheduler) => {
    const controller = new AbortController()
    const onStdout = () => controller.abort()
    const options = { language: 'bash', onStdout, signal: controller.signal }
    await rejects(scheduler.run('echo up; sleep 60', options), 'ABORTED')
  },
  async (scheduler, index) => {
    // Somewhere in the launch.
    const signal = AbortSignal.timeout(1 + ((index * 7) % 90))
    await scheduler.run('sleep 60', { language: 'bash', signal }).catch((error) => check(error.code === 'ABORTED', error))
  },
  async (scheduler) => {
    const onStderr = () => {
      throw new Error('mine')
    }
    await rejects(scheduler.run('echo up >&2; sleep 60', { language: 'bash', onStderr }), 'mine')
  },
  async (scheduler) => await rejects(scheduler.run('true', { language: 'bash', files: { '/etc/x': '' } }), 'FILE'),
]

const SESSION_ENDS = [
  async (sandbox) => await sandbox.close(),
  async (sandbox) => {
    const call = sandbox.runCode('sleep 60')
    await Promise.all([rejects(call, 'SANDBOX_CLOSED'), sandbox.close(), sandbox.close()])
  },
  async (sandbox) => {
    const call = sandbox.commands.run('sleep 60')
    await Promise.all([rejects(call, 'SANDBOX_CLOSED'), sandbox.close()])
  },
  async (sandbox) => {
    async function* endless() {
      for (;;) yield Buffer.alloc(65_536)
    }
    const write = sandbox.files.write('big', endless())
    await Promise.all([rejects(write, 'SANDBOX_CLOSED'), delay(5).then(() => sandbox.close())])
  },
  async (sandbox) => {
    sandbox.setTimeout(1)
    check((await sandbox.closed).reason === 'idle', 'not idle')
  },
  async (sandbox) => {
    for await (const _ of await sandbox.files.read('/usr/bin/bash', { format: 'stream' })) break
    await sandbox.close()
  },
]

async function useSession(scheduler, index) {
  const sandbox = await scheduler.create({ language: 'bash' })
  await sandbox.runCode(`x=${index}`)
  check((await sandbox.runCode('echo $x')).stdout === `${index}\n`, 'no state')
  await sandbox.files.write('a/b', 'content')
  check((await sandbox.files.read('a/b')) === 'content', 'no content')
  check((await sandbox.commands.run(['cat'], { stdin: 'through' })).stdout === 'through', 'nothing through')
  const background = await sandbox.commands.start('while :; do echo tick; sleep 0.05; done')
  for await (const { data } of background.output) if (data.includes('tick')) break
  const controller = new AbortController()
  const aborted = sandbox.runCode('sleep 60', { signal: controller.signal })
  controller.abort()
  await rejects(aborted, 'ABORTED')
  await SESSION_ENDS[index % SESSION_ENDS.length](sandbox)
  await sandbox.closed
}

async function inParallel(count, work) {
  let next = 0
  const worker = async () => {
    while (next < count) await work(next++)
  }
  await Promise.all(Array.from({ length: WIDTH }, worker))
}

/** Processes below this one, whatever they have become. */
function children() {
  const tasks = readdirSync('/proc/self/task')
  return tasks.flatMap((task) => readFileSync(`/proc/self/task/${task}/children`, 'utf8').split(' ').filter(Boolean))
}

function countFiles(directory) {
  return readdirSync(directory, { recursive: true }).length
}

async function sample(block) {
  // What is freed by finalizers is free after the second time.
  for (let round = 0; round < 4; round += 1) {
    globalThis.gc()
    await delay(10)
  }
  const { rss, heapUsed, external } = process.memoryUsage()
  return {
    block,
    descriptors: readdirSync('/proc/self/fd').length,
    processes: children().length,
    runtimeFiles: countFiles(runtimeDir),
    scratchFiles: countFiles(scratch),
    resources: process.getActiveResourcesInfo().length,
    rss,
    heap: heapUsed + external,
  }
}

for (let block = 0; block < Number(blocks); block += 1) {
  const scheduler = new Scheduler({ runtimeDir })
  await inParallel(Number(runs), async (index) => await RUNS[index % RUNS.length](scheduler, index))
  await inParallel(Number(sessions), async (index) => await useSession(scheduler, index))
  await scheduler.close()
  process.stdout.write(`${JSON.stringify(await sample(block))}\n`)
}
