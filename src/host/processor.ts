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
  const [first = ''] = (await readFile('/proc/cpuinfo', 'utf8')).split('\n\n')
  const traits = first.split('\n').filter((line) => TRAITS.test(line))
  return createHash('sha256')
    .update(JSON.stringify([release(), traits]))
    .digest('hex')
}
