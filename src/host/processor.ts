import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { release } from 'node:os'

/** What a guest sees of the host's processor under `-cpu host`, as the kernel names it. */
const TRAITS = /^(?:vendor_id|cpu family|model|model name|stepping|microcode|flags|bugs)\s*:/

/**
 * Stands for the processor and the kernel of this host: a hex digest. A VM that ran with one of them cannot be resumed on
 * another under KVM.
 */
export async function processorKey(): Promise<string> {
  const info = await readProcessors()
  const [first = ''] = info.split('\n\n')
  const traits = first.split('\n').filter((line) => TRAITS.test(line))
  return digest([release(), traits, clockRate(info)])
}

/**
 * Stands for the rate of this host's time stamp counter: a hex digest. It is all that an emulated guest sees of the host's
 * processor: QEMU hands it the counter as it is, and a kernel that measured it on one host would run its clock too fast or
 * too slow on another.
 */
export async function clockKey(): Promise<string> {
  return digest(['tsc', clockRate(await readProcessors())])
}

/** Steps of `clockRate`: wide enough for what two measurements by one kernel differ, 0.1 % of a common rate. */
const RATE_STEP = 10

/** Rounded "bogomips", which x86 kernels make of the counter's rate: twice its megahertz. Undefined without them. Pure. */
export function clockRate(processors: string): number | undefined {
  const bogomips = /^bogomips\s*:\s*(\d+(?:\.\d+)?)/m.exec(processors)?.[1]
  return bogomips === undefined ? undefined : Math.round(Number(bogomips) / RATE_STEP) * RATE_STEP
}

async function readProcessors(): Promise<string> {
  return await readFile('/proc/cpuinfo', 'utf8')
}

function digest(parts: readonly unknown[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex')
}
