#!/usr/bin/env node
// @ts-check
// `npm run bench`: what `sbx bench` measures, and beside it what a user might pick instead.
import { setMaxListeners } from 'node:events'
import { fileURLToPath } from 'node:url'
import { Command } from 'commander'
import { addBenchOptions, benchCommand } from '../dist/cli/bench-command.js'
import { exitCodeOf, explainError } from '../dist/cli/terminal.js'
import { findAlternatives } from './alternatives/index.mjs'

/** Where a full run leaves its results. */
const RESULTS = new URL('./results/', import.meta.url)

const interrupt = new AbortController()
// Every run under way listens; a burst has a hundred of them.
setMaxListeners(0, interrupt.signal)
for (const [signal, code] of /** @type {const} */ ([
  ['SIGINT', 130],
  ['SIGTERM', 143],
])) {
  process.on(signal, () => {
    process.exitCode = code
    if (interrupt.signal.aborted) process.exit(code)
    interrupt.abort(new Error(`interrupted by ${signal}`))
  })
}

const command = addBenchOptions(new Command('npm run bench --'))
  .description('Measures the product beside its floor and beside alternatives. A full run renews bench/results/.')
  .option('--no-alternatives', 'measure the product and its floor alone')
  .action(async (flags) => {
    const { signal } = interrupt
    const isFull = ['scenario', 'language', 'rounds', 'quick'].every((name) => flags[name] === undefined)
    const files = {
      json: fileURLToPath(new URL('bench.json', RESULTS)),
      svg: fileURLToPath(new URL('bench.svg', RESULTS)),
    }
    const offers = flags.alternatives ? await findAlternatives(process.env, signal) : []
    await benchCommand({ ...(isFull && flags.alternatives ? files : {}), ...flags }, offers, {
      env: process.env,
      stdout: process.stdout,
      stderr: process.stderr,
      signal,
      exit: (code) => {
        process.exitCode ??= code
      },
    })
  })

try {
  await command.parseAsync()
} catch (error) {
  if (!interrupt.signal.aborted) process.stderr.write(explainError(error))
  process.exitCode ??= exitCodeOf(error)
}
