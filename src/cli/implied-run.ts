import { statSync } from 'node:fs'

const NOT_A_SOURCE = ['-h', '--help', '-V', '--version', 'help']

/**
 * The word `run` may be left out before code given with an option and before an existing file: `sbx -c CODE`,
 * `sbx script.py`, `sbx -l bash -`.
 */
export function withRunImplied(args: readonly string[], commands: readonly string[]): readonly string[] {
  const [first] = args
  if (first === undefined || commands.includes(first) || NOT_A_SOURCE.includes(first)) return args
  return first.startsWith('-') || isFile(first) ? ['run', ...args] : args
}

function isFile(path: string): boolean {
  try {
    return statSync(path).isFile()
  } catch {
    // Whatever cannot be looked at, such as code where a name should be, is for the command line's own check to refuse.
    return false
  }
}
