import { chooseEvictions } from '../host/index.ts'
import type { TemplateSummary } from './template-list.ts'

/** What a person asks to have removed. */
export type PruneRule =
  /** All of them. */
  | { readonly kind: 'all' }
  /** Those that VMs of these images cannot be resumed from; without an image, none. */
  | {
      readonly kind: 'other-images'
      readonly imageIds: readonly string[]
      /** Digests of the layers that there are: a template with another one goes, too. @default any layer may be there */
      readonly layers?: readonly string[]
    }
  /** Those not used for so long, and then those used least recently until the rest fits; either may be left out. */
  | { readonly kind: 'bounds'; readonly unusedForMs?: number; readonly limitBytes?: number }

/** The templates that a rule removes. Those that can no longer be opened go with any rule. Pure. */
export function chooseForPruning<
  T extends Pick<TemplateSummary, 'key' | 'bytes' | 'lastUsedAt' | 'useless' | 'manifest'>,
>(templates: readonly T[], rule: PruneRule, now: number): readonly T[] {
  const goes = (template: T): boolean => {
    if (template.useless || rule.kind === 'all') return true
    if (rule.kind === 'other-images') {
      const { imageId, layer } = template.manifest?.spec ?? {}
      if (layer !== undefined && rule.layers?.includes(layer) === false) return true
      return rule.imageIds.length > 0 && (imageId === undefined || !rule.imageIds.includes(imageId))
    }
    return rule.unusedForMs !== undefined && now - template.lastUsedAt >= rule.unusedForMs
  }
  const chosen = templates.filter(goes)
  if (rule.kind !== 'bounds' || rule.limitBytes === undefined) return chosen
  const rest = templates.filter((template) => !chosen.includes(template))
  return [...chosen, ...chooseEvictions(rest, { limitBytes: rule.limitBytes })]
}
