import { type Command, InvalidArgumentError, Option } from 'commander'
import { createLogger, DependencyError, logLevelFrom } from '../base/index.ts'
import { resolvePaths } from '../host/index.ts'
import { openImage } from '../image/index.ts'
import { chooseForPruning, type PruneRule, TemplateStore, type TemplateSummary } from '../snapshot/index.ts'
import type { CliContext } from './context.ts'
import { parseDuration } from './duration.ts'
import { formatBytes } from './image-progress.ts'
import { printable, writeAll } from './terminal.ts'

export interface CachePruneOptions {
  readonly olderThan?: number
  readonly limitMb?: number
  readonly all?: boolean
}

/** `sbx cache ls | prune`. */
export function registerCacheCommands(program: Command, context: CliContext): void {
  const cache = program
    .command('cache')
    .description('List and remove templates: the saved memory that VMs are resumed from')
  cache
    .command('ls')
    .description('List the templates of the cache, those of the image in use marked with a star')
    .option('--json', 'print a list for programs')
    .action(async (options: { readonly json?: boolean }) => await runCacheList(context, options))
  cache
    .command('prune')
    .description('Remove the templates that the image in use cannot use, damaged ones, and unfinished work')
    .addOption(
      new Option('--older-than <age>', 'instead, those not used for so long: 7d, 12h, 30m').argParser(parseDuration),
    )
    .addOption(
      new Option('--limit-mb <mb>', 'instead, the least recently used, until the rest takes no more').argParser(
        parseMegabytes,
      ),
    )
    .addOption(new Option('--all', 'instead, all of them').conflicts(['olderThan', 'limitMb']))
    .action(async (options: CachePruneOptions) => await runCachePrune(context, options))
}

/** Lists templates on stdout, the one used last first. */
export async function runCacheList(context: CliContext, options: { readonly json?: boolean }): Promise<void> {
  const imageId = await imageInUse(context)
  const templates = await storeOf(context).list()
  if (options.json === true) {
    const list = templates.map((template) => describeTemplate(template, imageId))
    await writeAll(context.stdout, `${JSON.stringify(list, undefined, 2)}\n`)
    return
  }
  if (templates.length === 0) {
    await writeAll(context.stderr, 'No templates. The first run of each kind makes one.\n')
    return
  }
  await writeAll(context.stdout, renderTemplates(templates, imageId, Date.now()))
}

/** Removes templates; says on stdout what went and how much that freed. */
export async function runCachePrune(context: CliContext, options: CachePruneOptions): Promise<void> {
  const rule = await ruleOf(context, options)
  const { removed, freedBytes } = await storeOf(context).prune((templates) =>
    chooseForPruning(templates, rule, Date.now()),
  )
  const lines = removed.map((template) => `removed ${nameOf(template)}  ${formatBytes(template.bytes).padStart(9)}`)
  const many = removed.length === 1 ? 'template' : 'templates'
  const total = `${removed.length} ${many} removed, ${formatBytes(freedBytes)} freed.`
  await writeAll(context.stdout, `${[...lines, total].join('\n')}\n`)
}

async function ruleOf(context: CliContext, options: CachePruneOptions): Promise<PruneRule> {
  const { olderThan, limitMb, all } = options
  if (all === true) return { kind: 'all' }
  if (olderThan === undefined && limitMb === undefined) {
    const imageId = await imageInUse(context)
    return { kind: 'other-images', imageIds: imageId === undefined ? [] : [imageId] }
  }
  return {
    kind: 'bounds',
    ...(olderThan === undefined ? {} : { unusedForMs: olderThan }),
    ...(limitMb === undefined ? {} : { limitBytes: limitMb * 2 ** 20 }),
  }
}

/** The table for people. Pure. */
export function renderTemplates(
  templates: readonly TemplateSummary[],
  imageId: string | undefined,
  now: number,
): string {
  const rows = templates.map((template) => {
    const { manifest, bytes, lastUsedAt } = template
    const mark = manifest?.spec.imageId === imageId && manifest !== undefined ? '*' : ' '
    const used = formatAge(now - lastUsedAt)
    if (manifest === undefined) {
      return [mark, template.key.slice(0, SHOWN_DIGITS), 'unusable', '', '', formatBytes(bytes), '', used]
    }
    const { language, memoryMb, cpus } = manifest.spec
    const age = formatAge(now - Date.parse(manifest.createdAt))
    const key = template.key.slice(0, SHOWN_DIGITS)
    return [mark, key, language, `${memoryMb} MB`, String(cpus), formatBytes(bytes), age, used]
  })
  const table = [HEADER, ...rows]
  const widths = HEADER.map((_title, column) => Math.max(...table.map((row) => (row[column] ?? '').length)))
  const lines = table.map((row) =>
    row
      .map((cell, column) =>
        NUMBERS.has(column) ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0),
      )
      .join('  ')
      .trimEnd(),
  )
  const problems = templates.flatMap(({ key, problem }) =>
    problem === undefined ? [] : [`${key.slice(0, SHOWN_DIGITS)}: ${problem}`],
  )
  return [...lines, ...problems].map((line) => `${printable(line)}\n`).join('')
}

/** Digits of a key that are shown: enough to tell one from another. */
const SHOWN_DIGITS = 12

const HEADER = [' ', 'TEMPLATE', 'LANGUAGE', 'MEMORY', 'CPUS', 'SIZE', 'MADE', 'USED'] as const

/** Columns of the header that hold numbers. */
const NUMBERS: ReadonlySet<number> = new Set([3, 4, 5])

/** `now`, `5 min ago`, `3 h ago`, `2 d ago`. Pure. */
export function formatAge(ms: number): string {
  const minutes = Math.floor(ms / 60_000)
  if (minutes < 1) return 'now'
  if (minutes < 60) return `${minutes} min ago`
  const hours = Math.floor(minutes / 60)
  return hours < 48 ? `${hours} h ago` : `${Math.floor(hours / 24)} d ago`
}

/** What `cache ls --json` tells of a template. Fields are stable; some may be added. */
function describeTemplate(template: TemplateSummary, imageId: string | undefined): object {
  const { key, directory, bytes, lastUsedAt, manifest, problem } = template
  const spec = manifest?.spec
  return {
    key,
    directory,
    language: spec?.language,
    memoryMb: spec?.memoryMb,
    cpus: spec?.cpus,
    accelerator: spec?.accelerator,
    bytes,
    createdAt: manifest?.createdAt,
    lastUsedAt: new Date(lastUsedAt).toISOString(),
    qemuVersion: manifest?.qemuVersion,
    imageId: spec?.imageId,
    imageInUse: spec !== undefined && spec.imageId === imageId,
    problem,
  }
}

function nameOf(template: TemplateSummary): string {
  const { key, manifest } = template
  const what = manifest === undefined ? 'unusable' : `${manifest.spec.language}, ${manifest.spec.memoryMb} MB`
  return `${key.slice(0, SHOWN_DIGITS)}  ${printable(what).padEnd('javascript, 65536 MB'.length)}`
}

/** Undefined when there is no image that can be used. */
async function imageInUse(context: CliContext): Promise<string | undefined> {
  try {
    return (await openImage({ paths: resolvePaths(context.env), env: context.env })).id
  } catch (error) {
    if (error instanceof DependencyError) return undefined
    throw error
  }
}

// The limit is that of whoever builds; here nothing is built.
function storeOf(context: CliContext): TemplateStore {
  const logger = createLogger(logLevelFrom(context.env) ?? 'silent')
  return new TemplateStore({ paths: resolvePaths(context.env), limitBytes: Number.POSITIVE_INFINITY, logger })
}

function parseMegabytes(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError('Expected a whole number of megabytes.')
  return Number(text)
}
