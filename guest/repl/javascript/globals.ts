// What a program finds without importing it, as in a script of its own.

import { createRequire } from 'node:module'
import process from 'node:process'

const { Object, Reflect } = globalThis
const { pathToFileURL } = Bun

export const HOME = '/home/user'

/** Under this name, which is not enumerable, programs get `import.meta`: a script has none. */
export const IMPORT_META = '__importMeta'

const FILE = `${HOME}/input.tsx`

/** Displays values: several at once, or one MIME bundle as it is with `{ raw: true }` behind it, as in Deno. */
export type Display = (...values: unknown[]) => Promise<void> | undefined

export function prepareGlobals(display: Display): void {
  process.argv.splice(0, process.argv.length, process.execPath, FILE)
  const require = createRequire(FILE)
  const module = { exports: {}, id: '.', filename: FILE, loaded: false, children: [], paths: [], require }
  Object.defineProperty(require, 'main', { value: module, configurable: true })
  defineGlobals({
    require,
    module,
    exports: module.exports,
    __filename: FILE,
    __dirname: HOME,
    display,
    [IMPORT_META]: importMeta(require),
  })
}

function importMeta(require: NodeJS.Require): object {
  return {
    url: pathToFileURL(FILE).href,
    main: true,
    dir: HOME,
    dirname: HOME,
    file: 'input.tsx',
    path: FILE,
    filename: FILE,
    require,
    get env() {
      return process.env
    },
    resolve: (specifier: string) => {
      const resolved = require.resolve(specifier)
      return resolved.startsWith('/') ? pathToFileURL(resolved).href : resolved
    },
    resolveSync: (specifier: string) => require.resolve(specifier),
  }
}

/** Without showing up among the names of the session. */
function defineGlobals(values: Record<string, unknown>): void {
  for (const name of Reflect.ownKeys(values) as string[]) {
    Object.defineProperty(globalThis, name, {
      value: values[name],
      writable: true,
      configurable: true,
      enumerable: false,
    })
  }
}
