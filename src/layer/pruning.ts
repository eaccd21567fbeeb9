import { chooseEvictions } from '../host/index.ts'
import type { LayerSummary } from './layer-list.ts'

/** What a person asks to have removed. */
export type LayerPruneRule =
  /** All of them. */
  | { readonly kind: 'all' }
  /** Those made for other root file systems; without one, none. */
  | { readonly kind: 'other-roots'; readonly roots: readonly string[] }
  /** Those not used for so long, and then those used least recently until the rest fits; either may be left out. */
  | { readonly kind: 'bounds'; readonly unusedForMs?: number; readonly limitBytes?: number }

/** The layers that a rule removes. Those that can no longer be opened go with any rule. Pure. */
export function chooseLayersForPruning<
  T extends Pick<LayerSummary, 'key' | 'bytes' | 'lastUsedAt' | 'useless' | 'manifest'>,
>(layers: readonly T[], rule: LayerPruneRule, now: number): readonly T[] {
  const goes = (layer: T): boolean => {
    if (layer.useless || rule.kind === 'all') return true
    if (rule.kind === 'other-roots') {
      const root = layer.manifest?.spec.root
      return rule.roots.length > 0 && (root === undefined || !rule.roots.includes(root))
    }
    return rule.unusedForMs !== undefined && now - layer.lastUsedAt >= rule.unusedForMs
  }
  const chosen = layers.filter(goes)
  if (rule.kind !== 'bounds' || rule.limitBytes === undefined) return chosen
  const rest = layers.filter((layer) => !chosen.includes(layer))
  return [...chosen, ...chooseEvictions(rest, { limitBytes: rule.limitBytes })]
}
