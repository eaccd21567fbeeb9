// The end of a session whose program broke the interpreter that it shares with the REPL.

import { writeSync } from 'node:fs'
import process from 'node:process'

const NOTE = new TextEncoder().encode(
  'The program replaced built-in functions that its own interpreter needs: what it kept is lost.\n',
)

const reallyExit = process.reallyExit.bind(process)

/**
 * Runs a step of the REPL's own. One that fails leaves nothing to build on, and a run that nobody ends would last until
 * its time limit: the process ends, and the next run starts a new one.
 */
export function orSurrender<T>(step: () => T): T {
  try {
    return step()
  } catch {
    return surrender()
  }
}

export function surrender(): never {
  try {
    writeSync(2, NOTE)
  } catch {
    // The program closed its stderr.
  }
  return reallyExit(1)
}
