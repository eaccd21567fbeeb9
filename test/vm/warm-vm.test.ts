import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { LogFields } from '../../src/index.ts'
import { buildTemplate } from '../../src/snapshot/template-builder.ts'
import { warmVm } from '../../src/snapshot/warm-vm.ts'
import { launchTestVm } from './launched-vm.ts'
import { qemuProcesses } from './processes.ts'
import { silent, testHost } from './qemu-plan.ts'

function stopAll(): void {
  for (const pid of qemuProcesses()) process.kill(pid, 'SIGSTOP')
}

describe('a VM that hangs in its warm-up', () => {
  it('is ended in time, and the reason told', async () => {
    await using vm = await launchTestVm()
    stopAll()
    const outcome = await warmVm(vm, 'bash', 'echo 1', 500).catch((error: unknown) => error)
    expect(outcome).toMatchObject({ code: 'VM_LOST', message: expect.stringContaining('its warm-up did not end') })
    expect(qemuProcesses()).toEqual([])
  })

  it('is ended at once when its template is given up', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'warm-vm-'))
    const files = { ram: join(directory, 'ram'), state: join(directory, 'state') }
    const giveUp = new AbortController()
    const debug = (message: string, fields?: LogFields): void => {
      // The interpreter is there: what comes next is the warm-up.
      if (message !== '[timing]' || fields?.['phase'] !== 'spawn') return
      stopAll()
      setImmediate(() => giveUp.abort())
    }
    try {
      await writeFile(files.state, '')
      await writeFile(files.ram, '')
      await truncate(files.ram, 192 * 2 ** 20)
      const plan = (await testHost()).plan()
      const build = buildTemplate(plan, files, {
        language: 'bash',
        signal: giveUp.signal,
        logger: { ...silent, debug },
      })
      await expect(build).rejects.toMatchObject({ code: expect.stringMatching(/^(?:ABORTED|VM_LOST)$/) })
      expect(qemuProcesses()).toEqual([])
    } finally {
      await rm(directory, { recursive: true })
    }
  })
})
