#!/usr/bin/env node
import { setMaxListeners } from 'node:events'
import { isatty } from 'node:tty'
import { Command, CommanderError } from 'commander'
import { registerBenchCommand } from './bench-command.ts'
import { registerCacheCommands } from './cache-command.ts'
import { registerCompletionCommand } from './completion-command.ts'
import type { CliContext } from './context.ts'
import { registerDoctorCommand } from './doctor-command.ts'
import { registerImageCommands } from './image-command.ts'
import { withRunImplied } from './implied-run.ts'
import { packageVersion } from './package-version.ts'
import { registerReplCommand } from './repl/repl-command.ts'
import { registerRunCommand } from './run-command.ts'
import { exitCodeOf, explainError, FAILURE, outputExitCode } from './terminal.ts'

/** Exit code of a command line that makes no sense. */
const USAGE = 2

function buildProgram(context: CliContext): Command {
  const program = new Command('sbx')
    .description('Run untrusted Python, JavaScript/TypeScript and bash, each in a microVM of its own.')
    .version(packageVersion(), '-V, --version')
    .showHelpAfterError('(sbx --help tells more)')
    .exitOverride()
  registerRunCommand(program, context)
  registerReplCommand(program, context)
  registerDoctorCommand(program, context)
  registerImageCommands(program, context)
  registerCacheCommands(program, context)
  registerBenchCommand(program, context)
  registerCompletionCommand(program, context)
  return program
}

/**
 * Whoever's terminal hangs up ends as by SIGHUP, at its end. Node would abort: on its way out it restores the terminals
 * it began with and takes for granted that it can.
 */
function endByHangUp(): void {
  const terminals = [0, 1, 2].filter((descriptor) => isatty(descriptor))
  process.once('exit', () => {
    if (terminals.every((descriptor) => isatty(descriptor))) return
    process.removeAllListeners('SIGHUP')
    process.kill(process.pid, 'SIGHUP')
  })
}

async function main(): Promise<void> {
  endByHangUp()
  const interrupt = new AbortController()
  // Every run under way listens; how many there are is the command line's business.
  setMaxListeners(0, interrupt.signal)
  let worst = 0
  let interrupted: number | undefined
  // Set at once: a stream may break after the command is done.
  const exit = (code: number): void => {
    worst = Math.max(worst, code)
    process.exitCode = interrupted ?? worst
  }
  const stop = (code: number, reason: Error): void => {
    interrupted ??= code
    exit(code)
    interrupt.abort(reason)
  }
  let onInterrupt: (() => void) | undefined
  let isSignalled = false
  for (const [signal, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ] as const) {
    process.on(signal, () => {
      if (signal === 'SIGINT' && onInterrupt !== undefined) return onInterrupt()
      // The second one does not wait for anything: the VMs die with this process.
      if (isSignalled) process.exit(code)
      isSignalled = true
      stop(code, new Error(`interrupted by ${signal}`))
    })
  }
  process.stdout.on('error', (error) => {
    if (outputExitCode(error) === FAILURE) process.stderr.write(`sbx: stdout cannot be written: ${error.message}\n`)
    stop(outputExitCode(error), error)
  })
  // Nobody is left to be told.
  process.stderr.on('error', (error) => stop(outputExitCode(error), error))
  const context: CliContext = {
    env: process.env,
    stdin: process.stdin,
    stdout: process.stdout,
    stderr: process.stderr,
    signal: interrupt.signal,
    onInterrupt: (handler) => {
      onInterrupt = handler
      return () => {
        onInterrupt = undefined
      }
    },
    exit,
  }
  const program = buildProgram(context)
  try {
    const args = withRunImplied(
      process.argv.slice(2),
      program.commands.map((command) => command.name()),
    )
    await program.parseAsync(args, { from: 'user' })
  } catch (error) {
    if (error instanceof CommanderError) exit(error.exitCode === 0 ? 0 : USAGE)
    else {
      if (!interrupt.signal.aborted) process.stderr.write(explainError(error))
      exit(exitCodeOf(error))
    }
  }
}

await main()
