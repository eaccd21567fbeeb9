// @ts-check
import { parentPort, workerData } from 'node:worker_threads'

/** Loads CPython compiled to WebAssembly, then runs what it is sent and answers with the output. */
const { loadPyodide } = await import(workerData.module)
let output = ''
const pyodide = await loadPyodide({
  stdout: (/** @type {string} */ line) => {
    output += `${line}\n`
  },
})
parentPort?.on('message', (code) => {
  output = ''
  pyodide.runPython(code)
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has no origin
  parentPort?.postMessage({ output })
})
// oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has no origin
parentPort?.postMessage({ ready: true })
