import { createLogger } from '../../src/base/index.ts'
import { resolvePaths } from '../../src/host/index.ts'
import { openImage } from '../../src/image/index.ts'
import { decideAccelerator, planVm } from '../../src/qemu/index.ts'
import { launchVm, type Vm } from '../../src/vm/index.ts'
import { wantedAccelerator } from './wanted-accelerator.ts'

/** A VM below the public API, for tests of the channel and of programs started with `exec`. */
export async function launchTestVm(language = 'bash'): Promise<Vm> {
  const paths = resolvePaths(process.env)
  const image = await openImage({ paths, env: process.env })
  const logger = createLogger('silent')
  const verdict = await decideAccelerator({
    requested: wantedAccelerator(),
    image,
    paths,
    env: process.env,
    jail: 'required',
    logger,
    signal: new AbortController().signal,
  })
  const plan = planVm({ image, verdict, memoryMb: 256, cpus: 1, verbose: false })
  return await launchVm(plan, {
    language,
    identity: { hostname: 'sandbox-test', env: {} },
    onBootLog: undefined,
    signal: new AbortController().signal,
    logger,
    onRetry: () => undefined,
  })
}
