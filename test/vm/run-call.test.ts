import { expect, it } from 'vitest'
import { startRun } from '../../src/sandbox/run-call.ts'
import { launchTestVm } from './launched-vm.ts'

it('a run on a VM that is dying already is told that it did not run, so that it can be tried again', async () => {
  await using vm = await launchTestVm()
  const request = { language: 'bash', context: 'default', code: 'echo 1', env: {}, timeoutMs: 10_000 }
  const limits = { stdoutLimit: 1_000, stderrLimit: 1_000 }
  vm.end('the test ends it')
  await vm.channel.closed
  const run = startRun(vm, { ...request, ...limits }, {})
  await expect(run.outcome).rejects.toMatchObject({
    code: 'VM_LOST',
    message: expect.stringContaining('the test ends it'),
    details: { dispatched: false },
    retryable: true,
  })
  await run.finished
})
