import { createLogger } from '../../src/base/index.ts'
import { type HostPaths, resolvePaths } from '../../src/host/index.ts'
import { type Image, openImage } from '../../src/image/index.ts'
import { type AcceleratorVerdict, decideAccelerator, type JailMode, planVm, type VmPlan } from '../../src/qemu/index.ts'
import { wantedAccelerator } from './wanted-accelerator.ts'

export const silent = createLogger('silent')

export interface TestHost {
  readonly paths: HostPaths
  readonly image: Image
  readonly verdict: AcceleratorVerdict
  /** A plan of a small VM with the default image; the fields given replace its own. */
  readonly plan: (changes?: Partial<VmPlan>) => VmPlan
}

/** What tests of QEMU alone need: the installed image and this host's verdict. */
export async function testHost(jail: JailMode = 'required'): Promise<TestHost> {
  const paths = resolvePaths(process.env)
  const image = await openImage({ paths, env: process.env })
  const verdict = await decideAccelerator({
    requested: wantedAccelerator(),
    image,
    paths,
    env: process.env,
    jail,
    logger: silent,
  })
  const plan = planVm({ image, verdict, memoryMb: 192, cpus: 1, verbose: false })
  return { paths, image, verdict, plan: (changes = {}) => ({ ...plan, ...changes }) }
}

/** Resolves with the first bytes the guest sends on its channel: the agent is up. */
export async function agentSpeaks(socket: NodeJS.ReadableStream): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    socket.once('data', () => resolve())
    socket.once('close', () => reject(new Error('the channel closed before the agent spoke')))
  })
}
