import type { Sandbox as SandboxSession, SandboxOptions } from './sandbox/index.ts'
import { Scheduler } from './scheduler.ts'

let shared: Scheduler | undefined

/**
 * The process-wide scheduler behind `Sandbox.create()` and the command line: made at first use, with default
 * options. It holds no process open; its VMs die with the process.
 */
export function defaultScheduler(): Scheduler {
  shared ??= new Scheduler()
  return shared
}

/** A sandbox: see `Scheduler.create`. */
export type Sandbox = SandboxSession

/** Sandboxes of the process-wide default scheduler. */
export const Sandbox: { create(options?: SandboxOptions): Promise<SandboxSession> } = {
  async create(options: SandboxOptions = {}): Promise<SandboxSession> {
    return await defaultScheduler().create(options)
  },
}
