import type { Logger } from '../base/index.ts'
import type { HostPaths } from '../host/index.ts'
import type { AptRoot } from './apt.ts'
import type { Component } from './store.ts'

/** Steps of a build, in the order in which they are shown. */
export const BUILD_STEPS = ['prepare', 'kernel', 'qemu', 'runtime', 'rootfs', 'initramfs', 'publish'] as const
export type BuildStep = (typeof BUILD_STEPS)[number]

/** Something that happened during a build, for whoever shows it. */
export interface BuildEvent {
  readonly step: BuildStep
  /** `waiting`: another process is building. `cached`: nothing had to be done. */
  readonly state: 'waiting' | 'started' | 'progress' | 'cached' | 'done' | 'failed'
  readonly percent?: number | undefined
  /** Size of what the step made. */
  readonly bytes?: number | undefined
  readonly durationMs?: number | undefined
  readonly detail?: string | undefined
}

/** What every step of a build is given. */
export interface BuildContext {
  readonly paths: HostPaths
  readonly env: NodeJS.ProcessEnv
  readonly signal: AbortSignal
  readonly logger: Logger
  readonly onProgress: (event: BuildEvent) => void
  /** Package sources for the suite of the image, opened at the first call: a build that finds all in the store needs no network. */
  readonly aptRoot: () => Promise<AptRoot>
  /** Part of the keys of what is made from Debian packages: another text makes them anew with today's versions. */
  readonly refresh: string
}

export type ProgressReport = (report: { percent?: number; detail?: string }) => void

/** Runs a step and reports its beginning and end. */
export async function withStep(
  context: BuildContext,
  step: BuildStep,
  run: (progress: ProgressReport) => Promise<Component>,
): Promise<Component> {
  const startedAt = performance.now()
  context.onProgress({ step, state: 'started' })
  try {
    const component = await run((report) => context.onProgress({ step, state: 'progress', ...report }))
    const bytes = Object.values(component.artifacts).reduce((sum, artifact) => sum + artifact.size, 0)
    const durationMs = Math.round(performance.now() - startedAt)
    context.onProgress({ step, state: component.cached ? 'cached' : 'done', bytes, durationMs })
    return component
  } catch (error) {
    context.onProgress({ step, state: 'failed', durationMs: Math.round(performance.now() - startedAt) })
    throw error
  }
}
