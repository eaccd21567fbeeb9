import { afterAll, expect, test } from 'vitest'
import { Scheduler } from '../../src/index.ts'
import { testHost } from './qemu-plan.ts'
import { wantedAccelerator } from './wanted-accelerator.ts'

const scheduler = new Scheduler()
afterAll(async () => {
  await scheduler.close()
})

test('B09: VMs run on what the environment says, through the public API and below it', async () => {
  const { verdict } = await testHost()
  const result = await scheduler.run('print(6 * 7)')
  expect(result.stdout).toBe('42\n')
  expect(scheduler.stats().accelerator).toBe(verdict.accelerator)
  const wanted = wantedAccelerator()
  if (wanted !== 'auto') expect(verdict.accelerator).toBe(wanted)
})
