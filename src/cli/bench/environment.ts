import { cpus, loadavg, release } from 'node:os'
import { findResources } from '../../host/index.ts'
import type { Image } from '../../image/index.ts'
import type { VmPlan } from '../../qemu/index.ts'
import type { BenchEnvironment } from './report.ts'

/** What the numbers were measured on; read before anything is measured, because of the load. */
export function describeEnvironment(image: Image, plan: VmPlan, product: string): BenchEnvironment {
  const resources = findResources()
  return {
    date: new Date().toISOString(),
    product,
    node: process.version,
    kernel: release(),
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: resources.cpus,
    memoryMb: Math.round(resources.memoryBytes / 2 ** 20),
    boundedBy: resources.boundedBy,
    load: loadavg().map((load) => Number(load.toFixed(2))),
    user: process.getuid?.() === 0 ? 'root' : 'user',
    accelerator: plan.accelerator,
    jail: plan.jail.kind,
    image: image.id,
    versions: image.manifest.versions,
  }
}
