import { Argument, type Command } from 'commander'
import type { CliContext } from './context.ts'
import { writeAll } from './terminal.ts'

const SHELLS = ['bash', 'zsh', 'fish'] as const
type Shell = (typeof SHELLS)[number]

interface CommandWords {
  readonly name: string
  readonly summary: string
  readonly options: readonly { readonly flag: string; readonly summary: string; readonly values: readonly string[] }[]
  readonly subcommands: readonly string[]
}

/** Adds `completion` to the program; the scripts are made from the program's own commands and options. */
export function registerCompletionCommand(program: Command, context: CliContext): void {
  program
    .command('completion')
    .summary('print a completion script for your shell')
    .description('Prints a completion script. For bash: source <(sbx completion bash)')
    .addArgument(new Argument('<shell>', 'your shell').choices(SHELLS))
    .action(async (shell: Shell) => await writeAll(context.stdout, renderCompletion(shell, wordsOf(program))))
}

/** The completion script of a shell. Pure. */
export function renderCompletion(shell: Shell, commands: readonly CommandWords[]): string {
  if (shell === 'bash') return renderBash(commands)
  return shell === 'zsh' ? `autoload -U +X bashcompinit && bashcompinit\n${renderBash(commands)}` : renderFish(commands)
}

function wordsOf(program: Command): readonly CommandWords[] {
  return program.commands.map((command) => ({
    name: command.name(),
    summary: command.summary() || command.description(),
    options: optionsOf(command),
    subcommands: [
      ...command.commands.map((subcommand) => subcommand.name()),
      ...command.registeredArguments.flatMap((argument) => argument.argChoices ?? []),
    ],
  }))
}

/** Its own options and those of its subcommands, each flag once. */
function optionsOf(command: Command): CommandWords['options'] {
  const options = [command, ...command.commands].flatMap((each) => each.options)
  const words = options.flatMap((option) =>
    [option.long, option.short]
      .filter((flag) => flag !== undefined && flag !== null)
      .map((flag) => ({ flag, summary: option.description, values: option.argChoices ?? [] })),
  )
  return [...new Map(words.map((word) => [word.flag, word])).values()]
}

function renderBash(commands: readonly CommandWords[]): string {
  const cases = commands.map(({ name, options, subcommands }) => {
    const words = [...subcommands, ...options.map(({ flag }) => flag)].join(' ')
    return `    ${name}) words='${words}' ;;`
  })
  const values = new Map(
    commands.flatMap(({ options }) =>
      options.filter((option) => option.values.length > 0).map((option) => [option.flag, option.values]),
    ),
  )
  const valueCases = [...values].map(
    ([flag, choices]) => `    ${flag}) COMPREPLY=($(compgen -W '${choices.join(' ')}' -- "$current")); return ;;`,
  )
  return `_exec_sandbox() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD-1]} words
  COMPREPLY=()
  case $previous in
${valueCases.join('\n')}
  esac
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W '${commands.map(({ name }) => name).join(' ')}' -- "$current") $(compgen -f -- "$current"))
    return
  fi
  case \${COMP_WORDS[1]} in
${cases.join('\n')}
    *) words='' ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
  case $current in -*) ;; *) COMPREPLY+=($(compgen -f -- "$current")) ;; esac
}
complete -o filenames -F _exec_sandbox sbx exec-sandbox
`
}

function renderFish(commands: readonly CommandWords[]): string {
  const lines: string[] = []
  for (const tool of ['sbx', 'exec-sandbox']) {
    for (const { name, summary, options, subcommands } of commands) {
      lines.push(`complete -c ${tool} -n __fish_use_subcommand -a ${name} -d ${fishQuote(summary)}`)
      const within = `-n '__fish_seen_subcommand_from ${name}'`
      for (const subcommand of subcommands) lines.push(`complete -c ${tool} ${within} -a ${subcommand}`)
      for (const option of options) {
        const flag = option.flag.startsWith('--') ? `-l ${option.flag.slice(2)}` : `-s ${option.flag.slice(1)}`
        const values = option.values.length > 0 ? ` -x -a ${fishQuote(option.values.join(' '))}` : ''
        lines.push(`complete -c ${tool} ${within} ${flag} -d ${fishQuote(option.summary)}${values}`)
      }
    }
  }
  return `${lines.join('\n')}\n`
}

function fishQuote(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`
}
