import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'

// Some cells of the matrix that `npm run chaos` tries whole: each with its audit of what is left, beside a host process that must not notice.

const RUN = fileURLToPath(new URL('../chaos/run.mjs', import.meta.url))

function chaos(...cells: readonly string[]): string {
  const { stdout, stderr, status } = spawnSync(process.execPath, [RUN, ...cells], {
    encoding: 'utf8',
    timeout: 110_000,
  })
  expect(status, `${stdout}${stderr}`).toBe(0)
  return stdout
}

describe('a host that fails at the worst moment', () => {
  it('B07: killed while it saves, restores or runs, it leaves nothing and harms nobody', () => {
    const out = chaos('host-sigkill:save', 'host-sigkill:restore', 'host-sigkill:run')
    expect(out.match(/ clean +SIGKILL/g)).toHaveLength(3)
  })

  it('tells the loss of its VM as what it is, and recovers where it can', () => {
    const out = chaos('qemu-sigkill:restore', 'qemu-sigkill:run', 'cache-deleted:restore', 'descriptors:run')
    expect(out).toMatch(/qemu-sigkill +restore +clean +recovered/)
    expect(out).toMatch(/qemu-sigkill +run +clean +VM_LOST/)
  })

  it('does not mind a clock that jumps', () => {
    expect(chaos('clock-jump:run')).toMatch(/clock-jump +run +clean +recovered/)
  })
})
