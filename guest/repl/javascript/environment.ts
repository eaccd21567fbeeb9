// Environment entries of a call and of the sandbox.

import process from 'node:process'

const { Array, Object, Proxy, Reflect } = globalThis
const { env } = process

/** What Bun is started with for the REPL's sake (guest/agent/src/repl/table.rs). No entry of a user begins like this. */
const START_OPTION = /^BUN_/

type Entry = readonly [name: string, value: string | undefined]

export function parseEntry(text: string): readonly [name: string, value: string] {
  const equals = text.indexOf('=')
  return [text.slice(0, equals), text.slice(equals + 1)]
}

/** Sets entries, undefined removes one. Gives back what restores them. */
export function setEntries(entries: readonly Entry[]): Entry[] {
  const previous: Entry[] = []
  // Without the methods of arrays, which a program may have replaced.
  for (let i = 0; i < entries.length; i++) {
    const { 0: name, 1: value } = entries[i] as Entry
    // In reverse, so that a name which came twice gets back what it had before the first.
    previous[entries.length - 1 - i] = [name, env[name]]
    if (value === undefined) delete env[name]
    else env[name] = value
  }
  return previous
}

/** Takes the options that Bun was started with out of what programs see. */
export function forgetStartOptions(): void {
  for (const name of Object.keys(env)) if (START_OPTION.test(name)) delete env[name]
}

/**
 * What `Bun.spawn` and workers get is `process.env` as it is. Bun's own default is the environment that the REPL was
 * started with: without the entries of the call and, after a resume, without those of the sandbox.
 */
export function passEnvironmentOn(): void {
  for (const name of ['spawn', 'spawnSync'] as const) {
    Reflect.set(
      Bun,
      name,
      new Proxy(Bun[name], { apply: (target, self, list) => Reflect.apply(target, self, withEnv(list)) }),
    )
  }
  const construct = (target: typeof Worker, [script, options]: unknown[], newTarget: unknown) =>
    Reflect.construct(target, [script, withEntries(options)], newTarget as typeof Worker)
  Object.defineProperty(globalThis, 'Worker', {
    value: new Proxy(Worker, { construct: construct as ProxyHandler<typeof Worker>['construct'] & object }),
    writable: true,
    configurable: true,
    enumerable: false,
  })
}

/** `spawn(argv, options)` and `spawn({ cmd: argv, ...options })`. */
function withEnv([first, second]: readonly unknown[]): unknown[] {
  return Array.isArray(first) ? [first, withEntries(second)] : [withEntries(first)]
}

function withEntries(options: unknown): unknown {
  if (options !== undefined && (typeof options !== 'object' || options === null)) return options
  return { ...options, env: (options as { env?: unknown } | undefined)?.env ?? env }
}
