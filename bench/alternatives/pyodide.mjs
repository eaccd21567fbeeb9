// @ts-check
import { existsSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { Worker } from 'node:worker_threads'
import { readMemory } from '../../dist/cli/bench/process-facts.js'
import { outputOf } from './child.mjs'

const NAME = 'Pyodide in a worker thread'

/** Each takes seconds to start and over 100 MB: enough to say so, few enough to wait for. */
const MOST = 10

/** Milliseconds for npm. */
const INSTALL_LIMIT_MS = 300_000

/**
 * CPython in WebAssembly, in a thread of this process. Installed on first use, with the user's own npm configuration.
 * @param {string} directory where it is kept
 * @param {AbortSignal} signal
 * @returns {Promise<import('../../dist/cli/bench/alternative.js').Offer>}
 */
export async function pyodideWorker(directory, signal) {
  const module = join(directory, 'node_modules/pyodide/pyodide.mjs')
  if (!existsSync(module)) {
    try {
      await mkdir(directory, { recursive: true })
      const limit = AbortSignal.any([signal, AbortSignal.timeout(INSTALL_LIMIT_MS)])
      await outputOf(['npm', 'install', '--silent', '--no-audit', '--no-fund', '--prefix', directory, 'pyodide'], limit)
    } catch (error) {
      if (signal.aborted) throw error
      return { name: NAME, unavailable: `npm could not install it: ${firstLine(error)}` }
    }
  }
  const url = pathToFileURL(module).href
  return {
    alternative: {
      name: NAME,
      language: 'python',
      most: MOST,
      runOnce: async (code, abort) => {
        // Plain JavaScript of Node 20 has no `await using` yet.
        const session = await openSession(url, abort)
        try {
          return await session.run(code)
        } finally {
          await session[Symbol.asyncDispose]()
        }
      },
      openSession: async (abort) => await openSession(url, abort),
    },
  }
}

/** Workers are threads of one process: what each has is what the process has grown by, shared among those that live. */
let open = 0
let before = 0

/**
 * @param {string} module
 * @param {AbortSignal} signal
 * @returns {Promise<import('../../dist/cli/bench/alternative.js').AlternativeSession>}
 */
async function openSession(module, signal) {
  if (open === 0) before = (await readMemory(process.pid)).anonymous
  open += 1
  const worker = new Worker(new URL('./pyodide-worker.mjs', import.meta.url), { workerData: { module } })
  const stop = () => void worker.terminate()
  signal.addEventListener('abort', stop, { once: true })
  /** @type {() => Promise<{ output: string }>} */
  const answer = async () =>
    await new Promise((resolve, reject) => {
      const settle = () => {
        worker.removeAllListeners('message')
        worker.removeAllListeners('error')
        worker.removeAllListeners('exit')
      }
      worker.once('message', (message) => {
        settle()
        resolve(message)
      })
      worker.once('error', (error) => {
        settle()
        reject(error)
      })
      worker.once('exit', () => {
        settle()
        reject(new Error('the worker ended'))
      })
    })
  const close = async () => {
    signal.removeEventListener('abort', stop)
    await worker.terminate()
    open -= 1
  }
  try {
    await answer()
  } catch (error) {
    await close()
    throw error
  }
  return {
    run: async (code) => {
      const answered = answer()
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has no origin
      worker.postMessage(code)
      return (await answered).output
    },
    privateBytes: async () => Math.max(0, (await readMemory(process.pid)).anonymous - before) / open,
    [Symbol.asyncDispose]: close,
  }
}

/** @param {unknown} error */
function firstLine(error) {
  return (error instanceof Error ? error.message : String(error)).split('\n')[0]?.slice(0, 200) ?? ''
}
