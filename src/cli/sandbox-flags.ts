import { type Command, InvalidArgumentError, Option } from 'commander'
import { createLogger } from '../base/index.ts'
import type { SandboxOptions } from '../sandbox/index.ts'
import { Scheduler } from '../scheduler.ts'
import { ACCELERATORS, type Accelerator } from '../scheduler-options.ts'
import type { CliContext } from './context.ts'
import { type NetworkFlags, networkOf, portsOf } from './network-flags.ts'
import { environmentOf } from './run-environment.ts'
import { printable } from './terminal.ts'
import { resolveUploads } from './transfers.ts'

/** What the commands that make a VM have in common. */
export interface SandboxFlags extends NetworkFlags {
  readonly memory?: number
  readonly cpus?: number
  readonly env: readonly string[]
  readonly package: readonly string[]
  readonly upload: readonly string[]
  readonly debug?: boolean
  readonly quiet?: boolean
  readonly accelerator?: Accelerator
}

/** Adds the options of the VM to a command. */
export function withSandboxFlags(command: Command): Command {
  return command
    .option(
      '-p, --package <spec>',
      'package of the language to have installed, e.g. pandas==2.2.3 or zod@^4 (repeatable)',
      collect,
      [],
    )
    .option('-m, --memory <mib>', 'memory of the VM in MiB (default: 256)', parseInteger)
    .option('--cpus <count>', 'virtual CPUs (default: 1)', parseInteger)
    .option('-e, --env <K=V>', 'environment variable; K alone takes its value from here (repeatable)', collect, [])
    .option(
      '--upload <local[:guest]>',
      'copy a file or directory into the VM first, by default into the home directory (repeatable)',
      collect,
      [],
    )
    .option('--network', 'let programs reach everything public (default: nothing)')
    .option(
      '--allow <host>',
      'let programs reach this: a name, *.name, address or CIDR, each with an optional :port (repeatable)',
      collect,
      [],
    )
    .option('--deny <host>', 'but not this; everything else public without --allow (repeatable)', collect, [])
    .option(
      '--expose <guest[:host]>',
      'make a port of the VM reachable on 127.0.0.1, by default on a free port (repeatable)',
      collect,
      [],
    )
    .option('--debug', 'boot log and debug log on stderr')
    .addOption(new Option('--accelerator <name>', 'what the VM runs on').choices(ACCELERATORS))
}

/** The scheduler of a command; the caller closes it. */
export function schedulerOf(flags: SandboxFlags): Scheduler {
  return new Scheduler({
    ...(flags.accelerator === undefined ? {} : { accelerator: flags.accelerator }),
    ...(flags.debug === true ? { logger: createLogger('debug') } : {}),
  })
}

/**
 * What the flags say of a sandbox.
 * @throws InvalidInputError before any VM work, also for a local file that is not there
 */
export async function sandboxOptionsOf(flags: SandboxFlags, context: CliContext): Promise<SandboxOptions> {
  const network = networkOf(flags)
  return {
    ...(network === undefined ? {} : { network }),
    ports: portsOf(flags),
    env: environmentOf(flags.env, context.env),
    files: await resolveUploads(flags.upload),
    packages: flags.package,
    ...installLogOf(flags, context),
    signal: context.signal,
    ...(flags.memory === undefined ? {} : { memoryMb: flags.memory }),
    ...(flags.cpus === undefined ? {} : { cpus: flags.cpus }),
    ...(flags.debug === true ? { onBootLog: (line: string) => void context.stderr.write(`${printable(line)}\n`) } : {}),
  }
}

/** What the installer says is progress: for people at a terminal, or who look closely. */
function installLogOf(flags: SandboxFlags, context: CliContext): Pick<SandboxOptions, 'onInstallLog'> {
  if (flags.quiet === true || !(context.stderr.isTTY === true || flags.debug === true)) return {}
  return { onInstallLog: (line) => void context.stderr.write(`${printable(line)}\n`) }
}

/** For options that may be repeated. */
export function collect(value: string, previous: readonly string[]): readonly string[] {
  return [...previous, value]
}

function parseInteger(text: string): number {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError('Expected a whole number.')
  return Number(text)
}
