/** One line of the configuration fragment that means something. */
export interface FragmentLine {
  readonly symbol: string
  /** `y`, a number or a quoted string; `n` for "must not be set". */
  readonly value: string
  /** Line number in the fragment, from 1. */
  readonly line: number
}

/** A fragment line that the final configuration does not fulfil. */
export interface ConfigMiss extends FragmentLine {
  /** What the final configuration says instead: `n` when the option is not set or does not exist. */
  readonly found: string
}

/** Reads `CONFIG_X=value` and `# CONFIG_X is not set` lines; other comments and blank lines mean nothing. */
export function parseFragment(text: string): FragmentLine[] {
  return text.split('\n').flatMap((raw, index) => {
    const setting = parseLine(raw)
    if (setting === undefined) {
      // A typing error in the fragment must not pass as a comment.
      if (/^\s*(?:#.*)?$/.test(raw)) return []
      throw new Error(
        `line ${index + 1} of the kernel's configuration fragment is neither an option nor a comment: ${raw}`,
      )
    }
    return [{ ...setting, line: index + 1 }]
  })
}

/**
 * Compares the fragment with the kernel's final `.config`. The kernel's dependency rules silently drop or turn around
 * options; each such line is returned.
 */
export function findConfigMisses(fragment: readonly FragmentLine[], config: string): ConfigMiss[] {
  const final = new Map<string, string>()
  for (const line of config.split('\n')) {
    const setting = parseLine(line)
    if (setting !== undefined) final.set(setting.symbol, setting.value)
  }
  return fragment.flatMap((line) => {
    const found = final.get(line.symbol) ?? 'n'
    return found === line.value ? [] : [{ ...line, found }]
  })
}

function parseLine(line: string): { symbol: string; value: string } | undefined {
  const set = /^(CONFIG_\w+)=(.+)$/.exec(line.trim())
  if (set !== null) return { symbol: set[1] ?? '', value: set[2] ?? '' }
  const unset = /^# (CONFIG_\w+) is not set$/.exec(line.trim())
  return unset === null ? undefined : { symbol: unset[1] ?? '', value: 'n' }
}
