export type { ExchangedLayer, LayerExchange, LayerFetch } from './layer-exchange.ts'
export { layerKey, type LayerSpec } from './layer-key.ts'
export type { LayerSummary } from './layer-list.ts'
export {
  type InstalledPackage,
  installedPackagesSchema,
  type LayerManifest,
  moduleNamesSchema,
} from './layer-manifest.ts'
export { type Layer, type LayerFacts, LayerStore, type LayerStoreOptions, type LayerWork } from './layer-store.ts'
export { chooseLayersForPruning, type LayerPruneRule } from './pruning.ts'
export { PACKAGE_LANGUAGES, type PackageLanguage, packageLanguage, parsePackageSpecs } from './package-spec.ts'
