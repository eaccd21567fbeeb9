// A process of its own with a store from the built library. Each step of its one argument is done in turn, and a line of JSON
// says what came of it; the line `making` says that it is within `make`.
import { open, statfs, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { createLogger } from '../../dist/base/index.js'
import { resolvePaths } from '../../dist/host/index.js'
import { LayerStore } from '../../dist/layer/index.js'
import { TemplateStore } from '../../dist/snapshot/index.js'

const { directory, limitBytes = 2 ** 40, steps } = JSON.parse(process.argv[2])
const paths = resolvePaths({}, { cacheDir: join(directory, 'cache'), runtimeDir: join(directory, 'run') })
const lines = []
const logger = createLogger('debug', (line) => lines.push(line))
const store = new TemplateStore({ paths, limitBytes, logger })
const layers = new LayerStore({ paths, limitBytes, logger })
const orders = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
const signal = new AbortController().signal
const MIB = 2 ** 20

function gate() {
  let goThrough
  const opened = new Promise((resolve) => {
    goThrough = resolve
  })
  return { goThrough, opened }
}

/** Fills the files; `stateMib` says how much is written as the state, one number for each time it is called. */
function maker(step, made) {
  return async ({ ram, state }) => {
    made.count += 1
    if (step.wait) {
      process.stdout.write('making\n')
      await orders.next()
    }
    const file = await open(ram, 'r+')
    await file.write(Buffer.alloc(4096, 'page'), 0, 4096, 4096)
    await file.close()
    const mib = step.stateMib?.[made.count - 1] ?? 0
    const out = await open(state, 'w')
    try {
      await out.write('state')
      for (let at = 0; at < mib; at += 1) await out.write(Buffer.alloc(MIB, 1))
    } finally {
      await out.close()
    }
    return { bootLog: '', qemuVersion: '10', savedMs: 1 }
  }
}

async function build(step) {
  const made = { count: 0 }
  const template = await store.build(step.spec, maker(step, made), { signal })
  return { key: template?.key, made: made.count }
}

/** Makes a layer of `mib` MiB. */
async function buildLayer(step) {
  let made = 0
  const make = async ({ disk, room }) => {
    made += 1
    if (step.wait) {
      process.stdout.write('making\n')
      await orders.next()
    }
    await room(step.mib * MIB)
    await writeFile(disk, Buffer.alloc(step.mib * MIB, 1))
    return { packages: [], modules: [] }
  }
  try {
    const { key } = await layers.build(step.spec, make, { signal, lockTimeoutMs: 60_000 })
    return { key, made }
  } catch (error) {
    return { made, error: `${error.code}: ${error.message}` }
  }
}

/** Builds one template from the beginning to the end while another one is being made. */
async function buildBeside(step) {
  const [begun, waiting] = [gate(), gate()]
  const make = maker({}, { count: 0 })
  const other = store.build(
    step.other,
    async (files) => {
      begun.goThrough()
      await waiting.opened
      return await make(files)
    },
    { signal },
  )
  await begun.opened
  const built = await build(step)
  waiting.goThrough()
  return { ...built, other: (await other)?.key }
}

const actions = {
  build,
  buildBeside,
  buildLayer,
  open: async (step) => ({ key: (await store.open(step.key))?.key }),
  /** Leaves so many MiB free on the file system. */
  fillDisk: async (step) => {
    const { bavail, bsize } = await statfs(directory)
    const ballast = Math.max(0, bavail * bsize - step.freeMib * MIB)
    await writeFile(join(directory, 'ballast'), Buffer.alloc(ballast))
    return {}
  },
}

for (const step of steps) {
  lines.length = 0
  const result = await actions[step.do](step)
  const kept = [...(await store.list()), ...(await layers.list())]
  const keys = kept.map(({ key }) => key).sort((a, b) => (a < b ? -1 : 1))
  process.stdout.write(`${JSON.stringify({ ...result, keys, lines: lines.filter((line) => !/DEBUG the template takes/.test(line)) })}\n`)
}
process.stdin.destroy()
