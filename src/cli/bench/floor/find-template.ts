import { createLogger } from '../../../base/index.ts'
import type { HostPaths } from '../../../host/index.ts'
import { templateArguments, type VmPlan } from '../../../qemu/index.ts'
import type { Language } from '../../../sandbox/index.ts'
import { TemplateStore } from '../../../snapshot/index.ts'
import type { TemplateFilePair } from './bare-machine.ts'

/**
 * The template that the product restores VMs of this plan from; it has done so a moment ago, so it is the one used last.
 * @throws when there is none
 */
export async function findTemplate(paths: HostPaths, plan: VmPlan, language: Language): Promise<TemplateFilePair> {
  // Nothing is built, so nothing is evicted.
  const store = new TemplateStore({ paths, limitBytes: Infinity, logger: createLogger('silent') })
  const wanted = JSON.stringify(templateArguments(plan))
  for (const { key, manifest } of await store.list()) {
    if (manifest?.spec.language !== language || JSON.stringify(manifest.spec.argv) !== wanted) continue
    const template = await store.open(key)
    if (template !== undefined) return template
  }
  throw new Error(`there is no template of ${language}`)
}
