import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'

const SOAK = fileURLToPath(new URL('../soak/run.mjs', import.meta.url))
const STEADY_CODE = ['--expose-gc', '--no-opt', '--no-sparkplug', '--no-flush-bytecode']

interface Outcome {
  readonly code: number | string | null | undefined
  readonly text: string
}

async function soak(...options: readonly string[]): Promise<Outcome> {
  const args = [...STEADY_CODE, SOAK, '--executions', '200', '--every', '50', ...options]
  return await new Promise((resolve) => {
    execFile(process.execPath, args, (error, text) => resolve({ code: error === null ? 0 : error.code, text }))
  })
}

it('G06: a mixed load with faults leaves everything that is counted where it was', async () => {
  const { code, text } = await soak()
  expect(text).toContain('nothing drifts')
  expect(code, text).toBe(0)
}, 1_200_000)

it('G06: a descriptor kept after every fifty executions ends a soak with its name', async () => {
  const { code, text } = await soak('--leak', 'descriptor')
  expect(text).toMatch(/NOT FLAT {2}(files|others): \d+ → \d+/)
  expect(code, text).toBe(1)
}, 1_200_000)

it('G06: a hundred kilobytes kept of each execution end a soak with the heap named', async () => {
  const { code, text } = await soak('--leak', 'heap')
  expect(text).toMatch(/NOT FLAT {2}heap: /)
  expect(code, text).toBe(1)
}, 1_200_000)
