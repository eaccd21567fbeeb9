import { type Command, InvalidArgumentError, Option } from 'commander'
import { createLogger, DependencyError, logLevelFrom } from '../base/index.ts'
import { resolvePaths } from '../host/index.ts'
import { openImage } from '../image/index.ts'
import { chooseLayersForPruning, type LayerPruneRule, LayerStore } from '../layer/index.ts'
import { chooseForPruning, type PruneRule, TemplateStore } from '../snapshot/index.ts'
import { describeLayer, describeTemplate, type InUse, nameOf, renderLayers, renderTemplates } from './cache-table.ts'
import type { CliContext } from './context.ts'
import { parseDuration } from './duration.ts'
import { formatBytes } from './image-progress.ts'
import { writeAll } from './terminal.ts'

export interface CachePruneOptions {
  readonly olderThan?: number
  readonly limitMb?: number
  readonly all?: boolean
}

/** `sbx cache ls | prune`. */
export function registerCacheCommands(program: Command, context: CliContext): void {
  const cache = program
    .command('cache')
    .description(
      'List and remove templates, the saved memory that VMs are resumed from, and layers, the installed packages',
    )
  cache
    .command('ls')
    .description('List the templates and layers of the cache, those of the image in use marked with a star')
    .option('--json', 'print a list for programs')
    .action(async (options: { readonly json?: boolean }) => await runCacheList(context, options))
  cache
    .command('prune')
    .description('Remove the templates and layers that the image in use cannot use, damaged ones, and unfinished work')
    .addOption(
      new Option('--older-than <age>', 'instead, those not used for so long: 7d, 12h, 30m').argParser(parseDuration),
    )
    .addOption(
      new Option(
        '--limit-mb <mb>',
        'instead, the least recently used, until the rest of either kind takes no more',
      ).argParser(parseMegabytes),
    )
    .addOption(new Option('--all', 'instead, all of them').conflicts(['olderThan', 'limitMb']))
    .action(async (options: CachePruneOptions) => await runCachePrune(context, options))
}

/** Lists templates and layers on stdout, those used last first. */
export async function runCacheList(context: CliContext, options: { readonly json?: boolean }): Promise<void> {
  const { templates: templateStore, layers: layerStore } = storesOf(context)
  const [inUse, templates, layers] = await Promise.all([findInUse(context), templateStore.list(), layerStore.list()])
  if (options.json === true) {
    const list = [
      ...templates.map((template) => describeTemplate(template, inUse)),
      ...layers.map((layer) => describeLayer(layer, inUse)),
    ]
    await writeAll(context.stdout, `${JSON.stringify(list, undefined, 2)}\n`)
    return
  }
  if (templates.length + layers.length === 0) {
    await writeAll(context.stderr, 'No templates. The first run of each kind makes one.\n')
    return
  }
  const now = Date.now()
  const tables = [
    ...(templates.length === 0 ? [] : [renderTemplates(templates, inUse, now)]),
    ...(layers.length === 0 ? [] : [renderLayers(layers, inUse, now)]),
  ]
  await writeAll(context.stdout, tables.join('\n'))
}

/** Removes templates and layers; says on stdout what went and how much that freed. */
export async function runCachePrune(context: CliContext, options: CachePruneOptions): Promise<void> {
  const inUse = await findInUse(context)
  const now = Date.now()
  const stores = storesOf(context)
  const layers = await stores.layers.prune((all) => chooseLayersForPruning(all, layerRuleOf(inUse, options), now))
  const left = (await stores.layers.list()).flatMap(({ manifest }) => manifest?.disk.sha256 ?? [])
  const rule = templateRuleOf(inUse, options, left)
  const templates = await stores.templates.prune((all) => chooseForPruning(all, rule, now))
  const removed = [...templates.removed, ...layers.removed]
  const lines = removed.map((entry) => `removed ${nameOf(entry)}  ${formatBytes(entry.bytes).padStart(9)}`)
  const counts = [
    `${templates.removed.length} ${templates.removed.length === 1 ? 'template' : 'templates'}`,
    ...(layers.removed.length === 0
      ? []
      : [`${layers.removed.length} ${layers.removed.length === 1 ? 'layer' : 'layers'}`]),
  ]
  const total = `${counts.join(' and ')} removed, ${formatBytes(templates.freedBytes + layers.freedBytes)} freed.`
  await writeAll(context.stdout, `${[...lines, total].join('\n')}\n`)
}

function templateRuleOf({ imageId }: InUse, options: CachePruneOptions, layers: readonly string[]): PruneRule {
  return explicitRuleOf(options) ?? { kind: 'other-images', imageIds: imageId === undefined ? [] : [imageId], layers }
}

function layerRuleOf({ root }: InUse, options: CachePruneOptions): LayerPruneRule {
  return explicitRuleOf(options) ?? { kind: 'other-roots', roots: root === undefined ? [] : [root] }
}

/** What the options name; undefined when they leave it to what is in use. */
function explicitRuleOf(options: CachePruneOptions): (PruneRule & LayerPruneRule) | undefined {
  const { olderThan, limitMb, all } = options
  if (all === true) return { kind: 'all' }
  if (olderThan === undefined && limitMb === undefined) return undefined
  return {
    kind: 'bounds',
    ...(olderThan === undefined ? {} : { unusedForMs: olderThan }),
    ...(limitMb === undefined ? {} : { limitBytes: limitMb * 2 ** 20 }),
  }
}

async function findInUse(context: CliContext): Promise<InUse> {
  try {
    const { id, manifest } = await openImage({ paths: resolvePaths(context.env), env: context.env })
    return { imageId: id, root: manifest.files.root.sha256 }
  } catch (error) {
    if (error instanceof DependencyError) return { imageId: undefined, root: undefined }
    throw error
  }
}

// The limit is that of whoever builds; here nothing is built.
function storesOf(context: CliContext): { readonly templates: TemplateStore; readonly layers: LayerStore } {
  const logger = createLogger(logLevelFrom(context.env) ?? 'silent')
  const options = { paths: resolvePaths(context.env), limitBytes: Number.POSITIVE_INFINITY, logger }
  return { templates: new TemplateStore(options), layers: new LayerStore(options) }
}

function parseMegabytes(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError('Expected a whole number of megabytes.')
  return Number(text)
}
