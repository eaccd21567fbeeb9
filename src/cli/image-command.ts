import { resolve } from 'node:path'
import type { Command } from 'commander'
import { createLogger, DependencyError, logLevelFrom, SandboxError } from '../base/index.ts'
import { resolvePaths } from '../host/index.ts'
import {
  buildImage,
  describeImage,
  type ImageSummary,
  listImages,
  openImage,
  openImageDirectory,
  verifyImage,
} from '../image/index.ts'
import { LANGUAGES } from '../sandbox/index.ts'
import { Scheduler } from '../scheduler.ts'
import { chooseForPruning, TemplateStore } from '../snapshot/index.ts'
import type { CliContext } from './context.ts'
import { formatBytes, formatDuration, showBuild } from './image-progress.ts'

/** Exit code of `image verify` when a digest differs: the tool cannot work with this image. */
const DAMAGED = 125

export interface ImageBuildOptions {
  readonly refresh?: boolean
  readonly templates?: boolean
  readonly json?: boolean
}

/** `sbx image build | ls | verify | sbom`. */
export function registerImageCommands(program: Command, context: CliContext): void {
  const image = program.command('image').description('Build, list and check the image that sandboxes run from')
  image
    .command('build')
    .description('Build what is missing of kernel, QEMU, root file system and agent, and use the result')
    .option('--refresh', "fetch Debian's packages anew although the recipe has not changed")
    .option('--no-templates', 'save no templates: the first use of each language boots, and saves its own')
    .option('--json', 'print the manifest of the image on stdout')
    .action(async (options: ImageBuildOptions) => await runImageBuild(context, options))
  image
    .command('ls')
    .description('List the images of the cache')
    .option('--json', 'print the manifests on stdout')
    .action(async (options: { json?: boolean }) => await runImageList(context, options))
  image
    .command('verify')
    .description('Read all of an image and compare digests')
    .argument('[directory]', 'directory of an image; without it, the image in use')
    .option('--json', 'print the report on stdout')
    .action(
      async (directory: string | undefined, options: { json?: boolean }) =>
        await runImageVerify(context, { ...options, ...(directory === undefined ? {} : { directory }) }),
    )
  image
    .command('sbom')
    .description('List what the image in use is made of')
    .option('--json', 'print a software bill of materials: CycloneDX 1.6')
    .action(async (options: { json?: boolean }) => await runImageSbom(context, options))
}

/** Builds the image, with its progress on stderr. */
export async function runImageBuild(context: CliContext, options: ImageBuildOptions): Promise<void> {
  const display = showBuild(context)
  const startedAt = performance.now()
  try {
    const image = await buildImage({
      paths: resolvePaths(context.env),
      env: context.env,
      signal: context.signal,
      logger: createLogger(buildLogLevel(context)),
      onProgress: display.onProgress,
      refresh: options.refresh,
    })
    const { files, runtime, versions } = image.manifest
    display.end(
      [
        `Image ${image.id} is ready after ${formatDuration(performance.now() - startedAt)}.`,
        `  kernel ${versions.kernel}, ${formatBytes(files.kernel.size)}`,
        `  root file system: Debian ${versions.suite}, Python ${versions.python}, Bun ${versions.bun}, ${formatBytes(files.root.size)}`,
        `  agent and REPLs, ${formatBytes(files.initramfs.size)}`,
        `  QEMU ${versions.qemu}, ${formatBytes(runtime.size)}`,
        `  in ${image.directory}`,
      ].join('\n'),
    )
    if (options.json === true) context.stdout.write(`${JSON.stringify(image.manifest, undefined, 2)}\n`)
    await removeTemplatesOfOldImages(context)
    if (options.templates !== false) await saveTemplates(context)
  } catch (error) {
    display.fail()
    throw error
  }
}

/** A build removes images that are no longer kept; what could be resumed with them alone goes, too. */
async function removeTemplatesOfOldImages(context: CliContext): Promise<void> {
  const paths = resolvePaths(context.env)
  const imageIds = (await listImages(paths)).map(({ id }) => id)
  const store = new TemplateStore({
    paths,
    limitBytes: Number.POSITIVE_INFINITY,
    logger: createLogger(buildLogLevel(context)),
  })
  await store.prune((templates) => chooseForPruning(templates, { kind: 'other-images', imageIds }, Date.now()))
}

/** Saves the templates of all languages, so that not even the first use boots. An image without them works, too. */
async function saveTemplates(context: CliContext): Promise<void> {
  const scheduler = new Scheduler({ logger: createLogger(buildLogLevel(context)) })
  const startedAt = performance.now()
  try {
    const saved = await Promise.all(
      LANGUAGES.map(async (language) => await scheduler.prepare({ language, signal: context.signal })),
    )
    if (saved.every(Boolean)) {
      context.stderr.write(`Templates of ${LANGUAGES.join(', ')}: ${formatDuration(performance.now() - startedAt)}.\n`)
    }
  } catch (error) {
    if (context.signal.aborted || !(error instanceof SandboxError)) throw error
    context.stderr.write(`No templates were saved: ${error.message}\n`)
  } finally {
    await scheduler.close({ signal: context.signal })
  }
}

/** Lists images on stdout, the current one first, marked with a star. */
export async function runImageList(context: CliContext, options: { readonly json?: boolean }): Promise<void> {
  const images = await listImages(resolvePaths(context.env))
  if (options.json === true) {
    context.stdout.write(`${JSON.stringify(images, undefined, 2)}\n`)
    return
  }
  if (images.length === 0) {
    context.stderr.write('No images. Build one with: sbx image build\n')
    return
  }
  for (const image of images) context.stdout.write(`${imageLine(image)}\n`)
}

/** Checks every digest of an image; the exit code says the result. */
export async function runImageVerify(
  context: CliContext,
  options: { readonly directory?: string; readonly json?: boolean },
): Promise<void> {
  const image =
    options.directory === undefined
      ? await openImage({ paths: resolvePaths(context.env), env: context.env })
      : await openImageDirectory(resolve(options.directory))
  const report = await verifyImage(image, context.signal)
  if (options.json === true) context.stdout.write(`${JSON.stringify(report, undefined, 2)}\n`)
  else {
    for (const part of report.parts) {
      const verdict = part.problem === undefined ? 'ok    ' : 'DAMAGED'
      context.stdout.write(
        `${verdict} ${part.name.padEnd(10)} ${formatBytes(part.size).padStart(9)}  ${part.problem ?? ''}\n`,
      )
    }
  }
  if (report.ok) return
  const fix = 'sbx image build'
  context.stderr.write(`${image.directory} is damaged. Mend it with: ${fix}\n`)
  context.exit(DAMAGED)
}

/** Prints every named part of the image in use. */
export async function runImageSbom(context: CliContext, options: { readonly json?: boolean }): Promise<void> {
  const sbom = await describeImage(await openImage({ paths: resolvePaths(context.env), env: context.env }))
  if (options.json === true) {
    context.stdout.write(`${JSON.stringify(sbom, undefined, 2)}\n`)
    return
  }
  for (const { name, version } of sbom.components) context.stdout.write(`${name.padEnd(32)} ${version}\n`)
}

function imageLine(image: ImageSummary): string {
  const mark = image.current ? '*' : ' '
  const { manifest } = image
  if (manifest === undefined) return `${mark} ${image.id}  ${image.problem ?? 'damaged'}`
  const size = Object.values(manifest.files).reduce((sum, file) => sum + file.size, manifest.runtime.size)
  const { versions } = manifest
  const what = `Linux ${versions.kernel}, Python ${versions.python}, Bun ${versions.bun}, QEMU ${versions.qemu}`
  return `${mark} ${image.id}  ${manifest.createdAt.slice(0, 16).replace('T', ' ')}  ${formatBytes(size).padStart(9)}  ${what}`
}

// Warnings of a build (a mirror without a security suite) are for the person who builds, unless they chose a level.
function buildLogLevel(context: CliContext): 'debug' | 'info' | 'warn' | 'error' | 'silent' {
  const value = context.env['EXEC_SANDBOX_LOG_LEVEL']
  if (value === undefined || value === '') return 'warn'
  const level = logLevelFrom(context.env)
  if (level !== undefined) return level
  const fix = 'set EXEC_SANDBOX_LOG_LEVEL to debug, info, warn, error or silent'
  throw new DependencyError(`EXEC_SANDBOX_LOG_LEVEL is ${value}: ${fix}`, { dependency: 'EXEC_SANDBOX_LOG_LEVEL', fix })
}
