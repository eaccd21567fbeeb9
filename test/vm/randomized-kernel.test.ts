import { expect, it } from 'vitest'
import { QemuProcess } from '../../src/qemu/index.ts'
import { silent, testHost } from './qemu-plan.ts'

const BOOTS = 4
/** Where the kernel is linked to stand, its steps, and the size of the window that its image may use (arch/x86/include/asm/page_64_types.h). */
const LINKED = 0xffff_ffff_8100_0000n
const STEP = 0x20_0000n
const WINDOW = 0x4000_0000n

/** Boots without an init and takes from the panic how far the kernel had moved itself. */
async function kernelOffset(): Promise<bigint> {
  const host = await testHost()
  const plan = host.plan()
  await using qemu = await QemuProcess.start(
    { ...plan, kernelCommandLine: [...plan.kernelCommandLine, 'rdinit=/nothing', 'init=/nothing'] },
    { logger: silent, signal: AbortSignal.timeout(60_000), onBootLog: () => undefined },
  )
  await qemu.exited
  const told = /Kernel Offset: (0x[0-9a-f]+) from (0x[0-9a-f]+)/.exec(qemu.bootLog.text())
  expect(qemu.bootLog.text()).toContain('Kernel panic')
  expect(BigInt(told?.[2] ?? 0)).toBe(LINKED)
  return BigInt(told?.[1] ?? -1)
}

it('A02: the kernel stands at another address after each boot', async () => {
  const offsets: bigint[] = []
  for (let boot = 0; boot < BOOTS; boot += 1) offsets.push(await kernelOffset())
  for (const offset of offsets) {
    expect(offset % STEP).toBe(0n)
    expect(offset).toBeGreaterThanOrEqual(0n)
    expect(offset).toBeLessThan(WINDOW)
  }
  // Four times the same of some 490 places: once in a hundred million runs.
  expect(new Set(offsets).size, offsets.join(' ')).toBeGreaterThan(1)
})
