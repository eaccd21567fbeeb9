import { InvalidInputError } from '../base/index.ts'

/**
 * The environment that `-e` options ask for: `NAME=VALUE`, or `NAME` to take the value from `environment`.
 * @throws InvalidInputError for a name without a value that is not set
 */
export function environmentOf(entries: readonly string[], environment: NodeJS.ProcessEnv): Record<string, string> {
  // Without prototypes, on both sides: `-e __proto__=x` and `-e toString` are names like any other.
  const env: Record<string, string> = Object.create(null)
  for (const entry of entries) {
    const equals = entry.indexOf('=')
    const name = equals === -1 ? entry : entry.slice(0, equals)
    const here = Object.hasOwn(environment, name) ? environment[name] : undefined
    const value = equals === -1 ? here : entry.slice(equals + 1)
    if (value === undefined) {
      throw new InvalidInputError(`-e ${name}: expected NAME=VALUE, or the name of a variable that is set here`, {
        field: `env.${name}`,
      })
    }
    env[name] = value
  }
  return env
}
