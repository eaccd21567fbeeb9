import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { BareMachine } from '../../src/cli/bench/floor/bare-machine.ts'
import type { BareVm } from '../../src/cli/bench/floor/bare-vm.ts'
import { findTemplate } from '../../src/cli/bench/floor/find-template.ts'
import { OrphanGuard } from '../../src/cli/bench/floor/orphan-guard.ts'
import { percentile } from '../../src/cli/bench/statistics.ts'
import { timed } from '../../src/cli/bench/turns.ts'
import { type Sandbox, Scheduler } from '../../src/index.ts'
import { testHost } from './qemu-plan.ts'

const MEMORY_MB = 256
const content = randomBytes(10_000_000)

const guard = new OrphanGuard()
const scheduler = new Scheduler({ memoryMb: MEMORY_MB })
let sandbox: Sandbox
let vm: BareVm
beforeAll(async () => {
  sandbox = await scheduler.create({ language: 'bash' })
  const { paths, plan } = await testHost()
  const { signal } = new AbortController()
  const template: ConstructorParameters<typeof BareMachine>[0]['template'] = async (its, language) =>
    await findTemplate(paths, its, language)
  const bare = new BareMachine({ plan: plan({ memoryMb: MEMORY_MB }), guard, signal, template })
  await bare.prepare('bash')
  vm = await bare.restore('bash')
  await vm.resume()
})
afterAll(async () => {
  await vm?.[Symbol.asyncDispose]()
  await guard[Symbol.asyncDispose]()
  await scheduler.close()
})

/** Turns of product and floor, one after the other, that are taken in any case. */
const LEAST_TURNS = 9

/** A machine that others use makes single turns worth nothing. With so many, the median is that of the product. */
const MOST_TURNS = 31

/**
 * C06 wants four fifths, which 31 turns on a shared machine give or miss by a little (0.78 to 1, docs/decisions/0013-file-throughput.md): it
 * is not kept yet. Less than this is no noise.
 */
const LEAST_SHARE = 0.6

/** How fast the product is, as a part of the floor: the median of turns taken side by side. */
async function shareOfFloor(product: () => Promise<unknown>, floor: () => Promise<unknown>): Promise<number> {
  // The first of each translates the code of the path.
  await product()
  await floor()
  const shares: number[] = []
  for (let turn = 0; turn < MOST_TURNS; turn += 1) {
    const first = await timed(turn % 2 === 0 ? product : floor)
    const second = await timed(turn % 2 === 0 ? floor : product)
    shares.push(turn % 2 === 0 ? second / first : first / second)
    if (shares.length >= LEAST_TURNS && percentile(shares, 50) >= LEAST_SHARE) break
  }
  return percentile(shares, 50)
}

describe('C06: files are about as fast as what only takes or makes bytes behind the same port', () => {
  it('C06: on the way up', async () => {
    const product = async () => await sandbox.files.write('content', content)
    const floor = async () => await vm.exec(['dd', 'of=/dev/null', 'bs=256k', 'status=none'], content)
    expect(await shareOfFloor(product, floor)).toBeGreaterThanOrEqual(LEAST_SHARE)
  })

  it('C06: on the way down', async () => {
    await sandbox.files.write('content', content)
    const product = async () => {
      expect((await sandbox.files.read('content', { format: 'bytes' })).byteLength).toBe(content.byteLength)
    }
    const floor = async () => {
      const argv = ['dd', 'if=/dev/zero', 'bs=1000000', 'count=10', 'status=none']
      expect((await vm.exec(argv)).bytes).toBe(content.byteLength)
    }
    expect(await shareOfFloor(product, floor)).toBeGreaterThanOrEqual(LEAST_SHARE)
  })
})
