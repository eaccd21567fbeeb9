// @ts-check
// The matrix: each fault in each phase, and what may come of it.

/** In the order in which a VM goes through them. */
export const PHASES = /** @type {const} */ (['boot', 'save', 'restore', 'refill', 'run', 'transfer', 'close'])
/** @typedef {(typeof PHASES)[number]} Phase */

export const FAULTS = /** @type {const} */ ([
  'host-sigkill',
  'host-sigterm',
  'host-sigint-twice',
  'qemu-sigkill',
  'qemu-sigstop',
  'agent-dies',
  'agent-hangs',
  'repl-dies',
  'disk-full',
  'memory-pressure',
  'descriptors',
  'clock-jump',
  'cache-deleted',
])
/** @typedef {(typeof FAULTS)[number]} Fault */

/**
 * `dies`: the host process ends by the signal. `typed`: its call rejects with an error of ours, or recovers. `fine`: the call gives
 * what it would have given.
 * @typedef {'dies' | 'typed' | 'fine'} Expected
 * @typedef {{ readonly expected: Expected } | { readonly reason: string }} Cell
 */

const HOST_FAULTS = ['host-sigkill', 'host-sigterm', 'host-sigint-twice']

/** Cells that are not tried here, with the reason. @type {Readonly<Record<string, Readonly<Partial<Record<Phase, string>>>>>} */
const ELSEWHERE = {
  'repl-dies': {
    boot: 'there is no interpreter yet',
    save: 'a template whose interpreter has died is not saved: test/vm/layers.test.ts',
    restore: 'the interpreter is part of the template',
    refill: 'a spare has run nothing of a user',
    transfer: 'files do not pass through the interpreter',
    close: 'the VM ends whatever is in it',
  },
  'disk-full': {
    restore: 'nothing is written',
    refill: 'nothing is written',
    run: 'nothing is written',
    close: 'nothing is written',
    transfer: 'the guest’s disk is its memory: A04; the host’s, for downloads: test/vm/files.test.ts',
  },
  'memory-pressure': {
    save: 'a template is saved of a VM that has been admitted',
    restore: 'as for boot: admission comes before either',
    run: 'a VM that runs is not taken back',
    transfer: 'a VM that runs is not taken back',
    close: 'gives back, takes nothing',
    refill: 'a pool gives way: test/vm/pool.test.ts',
  },
}

/** @param {Fault} fault @param {Phase} phase @returns {Cell} */
export function cellOf(fault, phase) {
  const reason = ELSEWHERE[fault]?.[phase]
  if (reason !== undefined) return { reason }
  if (HOST_FAULTS.includes(fault)) return { expected: 'dies' }
  if (fault === 'clock-jump' || fault === 'repl-dies') return { expected: 'fine' }
  return { expected: 'typed' }
}

/** All cells, or those that a word of `chosen` names: a fault, a phase, or `fault:phase`. @param {readonly string[]} chosen */
export function chooseCells(chosen) {
  const all = FAULTS.flatMap((fault) => PHASES.map((phase) => ({ fault, phase, cell: cellOf(fault, phase) })))
  const unknown = chosen.filter((word) => !all.some((one) => named(one, word)))
  if (unknown.length > 0) throw new RangeError(`no fault or phase of the matrix: ${unknown.join(' ')}`)
  return chosen.length === 0 ? all : all.filter((one) => chosen.some((word) => named(one, word)))
}

/** @param {{ fault: string, phase: string }} cell @param {string} word */
function named({ fault, phase }, word) {
  return word === fault || word === phase || word === `${fault}:${phase}`
}
