import type { LayerSummary } from '../layer/index.ts'
import type { TemplateSummary } from '../snapshot/index.ts'
import { formatBytes } from './image-progress.ts'
import { printable } from './terminal.ts'

/** What is in use now: its templates and layers are marked. Undefined when there is no image that can be used. */
export interface InUse {
  readonly imageId: string | undefined
  /** Digest of the image's root file system. */
  readonly root: string | undefined
}

/** Digits of a key that are shown: enough to tell one from another. */
const SHOWN_DIGITS = 12

const TEMPLATE_HEADER = [' ', 'TEMPLATE', 'LANGUAGE', 'MEMORY', 'CPUS', 'SIZE', 'MADE', 'USED'] as const
const LAYER_HEADER = [' ', 'LAYER', 'LANGUAGE', 'PACKAGES', 'SIZE', 'MADE', 'USED'] as const

/** Columns of the headers that hold numbers. */
const TEMPLATE_NUMBERS: ReadonlySet<number> = new Set([3, 4, 5])
const LAYER_NUMBERS: ReadonlySet<number> = new Set([4])

/** Characters of a layer's packages in the table; `--json` has them all. */
const MOST_PACKAGES = 60

/** The table for people. Pure. */
export function renderTemplates(templates: readonly TemplateSummary[], { imageId }: InUse, now: number): string {
  const rows = templates.map((template) => {
    const { manifest, bytes, lastUsedAt } = template
    const used = formatAge(now - lastUsedAt)
    const key = shortKey(template)
    if (manifest === undefined) return [' ', key, 'unusable', '', '', formatBytes(bytes), '', used]
    const { language, memoryMb, cpus, layer } = manifest.spec
    const mark = manifest.spec.imageId === imageId ? '*' : ' '
    const age = formatAge(now - Date.parse(manifest.createdAt))
    const what = layer === undefined ? language : `${language} +packages`
    return [mark, key, what, `${memoryMb} MB`, String(cpus), formatBytes(bytes), age, used]
  })
  return render([TEMPLATE_HEADER, ...rows], TEMPLATE_NUMBERS, templates)
}

/** The table of layers for people. Pure. */
export function renderLayers(layers: readonly LayerSummary[], { root }: InUse, now: number): string {
  const rows = layers.map((layer) => {
    const { manifest, bytes, lastUsedAt } = layer
    const used = formatAge(now - lastUsedAt)
    const key = shortKey(layer)
    if (manifest === undefined) return [' ', key, 'unusable', '', formatBytes(bytes), '', used]
    const mark = manifest.spec.root === root ? '*' : ' '
    const age = formatAge(now - Date.parse(manifest.createdAt))
    return [mark, key, manifest.spec.language, packagesOf(manifest), formatBytes(bytes), age, used]
  })
  return render([LAYER_HEADER, ...rows], LAYER_NUMBERS, layers)
}

/** What was asked for, with the versions it was resolved to, and how much came along. */
function packagesOf({ spec, packages }: NonNullable<LayerSummary['manifest']>): string {
  const versions = new Map(packages.map(({ name, version }) => [comparable(name), version]))
  const asked = spec.packages.map((text) => {
    const name = /^@?[^@[<>=!~]+/.exec(text)?.[0] ?? text
    const version = versions.get(comparable(name))
    return version === undefined ? text : `${name} ${version}`
  })
  const more = packages.length - asked.length
  const text = printable(`${asked.join(', ')}${more > 0 ? ` +${more}` : ''}`)
  return text.length > MOST_PACKAGES ? `${text.slice(0, MOST_PACKAGES - 1)}…` : text
}

function comparable(name: string): string {
  return name.toLowerCase().replaceAll(/[-_.]+/g, '-')
}

/** What `cache ls --json` tells of a template. Fields are stable; some may be added. */
export function describeTemplate(template: TemplateSummary, { imageId }: InUse): object {
  const { key, directory, bytes, lastUsedAt, manifest, problem } = template
  const spec = manifest?.spec
  return {
    kind: 'template',
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
    layer: spec?.layer,
    problem,
  }
}

/** What `cache ls --json` tells of a layer: `layer` is the digest that templates name it by. */
export function describeLayer(summary: LayerSummary, { root }: InUse): object {
  const { key, directory, bytes, lastUsedAt, manifest, problem } = summary
  const spec = manifest?.spec
  return {
    kind: 'layer',
    key,
    directory,
    language: spec?.language,
    specs: spec?.packages,
    packages: manifest?.packages,
    bytes,
    createdAt: manifest?.createdAt,
    lastUsedAt: new Date(lastUsedAt).toISOString(),
    installMs: manifest?.installMs,
    imageInUse: spec !== undefined && spec.root === root,
    layer: manifest?.disk.sha256,
    problem,
  }
}

/** A line's beginning that names a template or a layer. */
export function nameOf(entry: TemplateSummary | LayerSummary): string {
  return `${shortKey(entry)}  ${printable(kindOf(entry)).padEnd('javascript, 65536 MB'.length)}`
}

function kindOf({ manifest }: TemplateSummary | LayerSummary): string {
  if (manifest === undefined) return 'unusable'
  return 'ram' in manifest ? `${manifest.spec.language}, ${manifest.spec.memoryMb} MB` : packagesOf(manifest)
}

/** `now`, `5 min ago`, `3 h ago`, `2 d ago`. Pure. */
export function formatAge(ms: number): string {
  const minutes = Math.floor(ms / 60_000)
  if (minutes < 1) return 'now'
  if (minutes < 60) return `${minutes} min ago`
  const hours = Math.floor(minutes / 60)
  return hours < 48 ? `${hours} h ago` : `${Math.floor(hours / 24)} d ago`
}

function shortKey({ key }: { readonly key: string }): string {
  return key.slice(0, SHOWN_DIGITS)
}

/** Rows as lines, their cells under each other, and below them what is wrong with some of the entries. */
function render(
  rows: readonly (readonly string[])[],
  numbers: ReadonlySet<number>,
  entries: readonly { readonly key: string; readonly problem: string | undefined }[],
): string {
  const widths = (rows[0] ?? []).map((_title, column) => Math.max(...rows.map((row) => (row[column] ?? '').length)))
  const aligned = (cell: string, column: number): string =>
    numbers.has(column) ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0)
  const lines = rows.map((row) => row.map(aligned).join('  ').trimEnd())
  const problems = entries.flatMap(({ key, problem }) =>
    problem === undefined ? [] : [`${shortKey({ key })}: ${problem}`],
  )
  return [...lines, ...problems].map((line) => `${printable(line)}\n`).join('')
}
