import { ReadStream, WriteStream } from 'node:tty'
import type { Command } from 'commander'
import { resolvePaths } from '../../host/index.ts'
import { openImage } from '../../image/index.ts'
import { type Language, LANGUAGE_NAMES, parseLanguage, type Sandbox } from '../../sandbox/index.ts'
import type { CliContext } from '../context.ts'
import { parseDuration } from '../duration.ts'
import { portLines } from '../network-flags.ts'
import { packageVersion } from '../package-version.ts'
import { type SandboxFlags, sandboxOptionsOf, schedulerOf, withSandboxFlags } from '../sandbox-flags.ts'
import { complete } from './completion.ts'
import { History } from './history.ts'
import { LineEditor } from './line-editor.ts'
import { PipedLines } from './piped-lines.ts'
import { Repl } from './repl.ts'
import { Screen } from './screen.ts'
import { Session } from './session.ts'

interface ReplFlags extends SandboxFlags {
  readonly language: string
  readonly timeout?: number
}

/** What somebody who thinks at a prompt expects is none; this is the longest there is. */
const TIMEOUT_MS = 86_400_000

/** Adds `repl` to the program. */
export function registerReplCommand(program: Command, context: CliContext): void {
  const command = program
    .command('repl')
    .summary('interactive session in a VM')
    .description(
      'Runs what you type, statement by statement, in one VM that keeps its state. From a pipe it reads statements too, without prompts, and exits with the code of the last one.',
    )
    .option('-l, --language <name>', LANGUAGE_NAMES.join(', '), 'python')
    .option('-t, --timeout <duration>', 'time limit of each program (default: 24 hours)', parseDuration)
  withSandboxFlags(command).action(async (flags: ReplFlags) => await runRepl(flags, context))
}

async function runRepl(flags: ReplFlags, context: CliContext): Promise<void> {
  const language = parseLanguage(flags.language)
  const options = { ...(await sandboxOptionsOf(flags, context)), language, idleTimeoutMs: 0 }
  const scheduler = schedulerOf(flags)
  try {
    await using sandbox = await scheduler.create({ ...options, timeoutMs: flags.timeout ?? TIMEOUT_MS })
    context.exit(await serve(sandbox, flags.timeout ?? TIMEOUT_MS, context))
  } finally {
    await scheduler.close({ signal: context.signal })
  }
}

async function serve(sandbox: Sandbox, timeoutMs: number, context: CliContext): Promise<number> {
  const screen = new Screen(context)
  if (sandbox.ports.list().length > 0) await screen.say(portLines(sandbox.ports.list()))
  const session = new Session({ sandbox, screen, timeoutMs, signal: context.signal })
  const common = { sandbox, session, screen, context }
  const { stdin, stderr } = context
  if (!(stdin instanceof ReadStream) || !(stderr instanceof WriteStream)) {
    const lines = new PipedLines(stdin)
    return await new Repl({ ...common, lines, origin: 'pipe', onLanguage: async () => undefined }).run()
  }
  const history = new History(context.env)
  const editor: LineEditor = new LineEditor({
    input: stdin,
    output: stderr,
    term: context.env['TERM'],
    onLine: (line) => history.add(repl.language, line),
    complete: (line) =>
      complete(line, {
        session,
        language: repl.language,
        isFirst: repl.isFirst,
        exitCode: repl.exitCode,
        env: context.env,
        onOutput: (text) => editor.interject(() => void screen.output('stdout', text)),
      }),
  })
  const onLanguage = async (language: Language): Promise<void> => editor.useHistory(await history.load(language))
  const repl: Repl = new Repl({ ...common, lines: editor, origin: 'terminal', onLanguage })
  await onLanguage(repl.language)
  await screen.say(await banner(repl.language, context.env))
  try {
    return await repl.run()
  } finally {
    await history.saved()
  }
}

async function banner(language: Language, env: NodeJS.ProcessEnv): Promise<string> {
  const { versions } = (await openImage({ paths: resolvePaths(env), env })).manifest
  const runtime = {
    python: `Python ${versions.python}`,
    javascript: `Bun ${versions.bun}`,
    bash: `bash ${versions.bash}`,
  }
  return `${runtime[language]} in a VM of exec-sandbox ${packageVersion()}. .help lists commands, Ctrl-D leaves\n`
}
