// A host process of its own: starts a VM with the built library, prints the pid of QEMU's outermost process, and stays.
import { createLogger } from '../../dist/base/index.js'
import { resolvePaths } from '../../dist/host/index.js'
import { openImage } from '../../dist/image/index.js'
import { decideAccelerator, planVm, QemuProcess } from '../../dist/qemu/index.js'

const logger = createLogger('silent')
const paths = resolvePaths(process.env)
const image = await openImage({ paths, env: process.env })
const requested = process.env.EXEC_SANDBOX_ACCELERATOR ?? 'auto'
const verdict = await decideAccelerator({ requested, image, paths, env: process.env, jail: 'required', logger })
const plan = planVm({ image, verdict, memoryMb: 192, cpus: 1, verbose: false })
// A group to make the VM's own in, where the test gives one.
const groups = process.env.TEST_GROUP && { directory: process.env.TEST_GROUP, controllers: [] }
const qemu = await QemuProcess.start(groups ? { ...plan, groups } : plan, { logger })
process.stdout.write(`${qemu.pid}\n`)
await qemu.exited
