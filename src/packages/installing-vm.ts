import type { CommandResult, RunCommandOptions, Sandbox } from '../sandbox/index.ts'

/** What an installation needs of its VM, which is a sandbox like any other. */
export interface InstallingVm extends AsyncDisposable {
  readonly commands: { run(command: readonly string[], options?: RunCommandOptions): Promise<CommandResult> }
  readonly files: Pick<Sandbox['files'], 'read' | 'stat'>
  /** Lets it reach these hosts and ports, and no others; none: its network is off. */
  allow(rules: readonly string[]): Promise<void>
}

/** How the VM is to be. */
export interface InstallingVmOptions {
  readonly memoryMb: number
  readonly timeoutMs: number
  readonly signal: AbortSignal
}

export type StartInstallingVm = (options: InstallingVmOptions) => Promise<InstallingVm>
