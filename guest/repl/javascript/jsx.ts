// JSX needs a function that makes elements: React's where it is installed, else one that makes plain objects.

import { createRequire } from 'node:module'

/** Names under which Bun's transpiler calls the JSX runtime, e.g. `jsxDEV_7x81h0kn`. */
const RUNTIME_NAME = /\b(jsxDEV|jsxs?|Fragment)_[0-9a-z]{8}\b/g

type Runtime = Record<string, unknown>

/** Gives a script that contains JSX what it calls. REPL mode leaves the import out. */
export function provideJsx(script: string, directory: string): void {
  for (const [name, kind] of script.matchAll(RUNTIME_NAME)) {
    if (Object.hasOwn(globalThis, name)) continue
    Object.defineProperty(globalThis, name, { value: loadRuntime(directory)[kind as string], configurable: true })
  }
}

function loadRuntime(directory: string): Runtime {
  const require = createRequire(`${directory}/`)
  try {
    return { ...(require('react/jsx-runtime') as Runtime), ...(require('react/jsx-dev-runtime') as Runtime) }
  } catch {
    return { jsxDEV: makeElement, jsx: makeElement, jsxs: makeElement, Fragment: Symbol.for('react.fragment') }
  }
}

function makeElement(type: unknown, props: unknown, key: unknown = null): object {
  return { $$typeof: Symbol.for('react.transitional.element'), type, key, props }
}
