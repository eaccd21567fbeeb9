// @ts-check
import { parentPort, workerData } from 'node:worker_threads'

/** Loads CPython compiled to WebAssembly, then runs what it is sent and answers with the output. */
const { loadPyodide } = await import(workerData.module)
let output = ''
const pyodide = await loadPyodide()
const decoder = new TextDecoder()
pyodide.setStdout({
  write: (/** @type {Uint8Array} */ bytes) => {
    output += decoder.decode(bytes, { stream: true })
    return bytes.length
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
