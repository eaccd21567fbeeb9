import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'

it('the whole matrix of faults and phases is clean', { timeout: 3_600_000 }, () => {
  const run = fileURLToPath(new URL('../chaos/run.mjs', import.meta.url))
  const { stdout, stderr, status } = spawnSync(process.execPath, [run], { encoding: 'utf8', timeout: 3_590_000 })
  expect(status, `${stdout}${stderr}`).toBe(0)
})
