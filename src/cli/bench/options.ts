import { InvalidInputError } from '../../base/index.ts'
import { type Language, parseLanguage } from '../../sandbox/index.ts'
import type { Scenario } from './scenario.ts'

/** Options as they come from the command line. */
export interface BenchFlags {
  /** Names, separated by commas. */
  readonly scenario?: string
  /** Languages, separated by commas. */
  readonly language?: string
  readonly rounds?: string
  readonly quick?: boolean
}

/** What is to be measured. */
export interface BenchSelection {
  readonly scenarios: readonly Scenario[]
  readonly languages: readonly Language[]
  readonly roundsOf: (scenario: Scenario) => number
  readonly quick: boolean
}

/** The languages measured unless the user names others: all of them, and the first of them alone when it has to be quick. */
const LANGUAGES: readonly Language[] = ['python', 'javascript', 'bash']

/** More rounds than anyone has patience for: with a cold boot of two seconds, an hour. */
const MOST_ROUNDS = 1_000

/**
 * Checks the options. Pure.
 * @throws InvalidInputError naming the option, what was expected and what was given
 */
export function selectBench(flags: BenchFlags, all: readonly Scenario[]): BenchSelection {
  const quick = flags.quick === true
  const usual = (scenario: Scenario): number => scenario.rounds[quick ? 'quick' : 'full']
  const rounds = parseRounds(flags.rounds)
  const names = words(flags.scenario)
  for (const name of names) {
    if (all.some((scenario) => scenario.name === name)) continue
    const known = all.map((scenario) => scenario.name).join(', ')
    throw new InvalidInputError(`--scenario: expected some of ${known}, got ${JSON.stringify(name)}`, {
      field: 'scenario',
    })
  }
  const languages = [...new Set(words(flags.language).map(parseLanguage))]
  return {
    scenarios: all.filter((scenario) => (names.length === 0 ? usual(scenario) > 0 : names.includes(scenario.name))),
    languages: languages.length > 0 ? languages : LANGUAGES.slice(0, quick ? 1 : undefined),
    roundsOf: (scenario) => rounds ?? Math.max(1, usual(scenario)),
    quick,
  }
}

function words(text: string | undefined): readonly string[] {
  if (text === undefined) return []
  return text
    .split(',')
    .map((word) => word.trim())
    .filter((word) => word !== '')
}

function parseRounds(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const rounds = Number(text)
  if (/^\d+$/.test(text) && rounds >= 1 && rounds <= MOST_ROUNDS) return rounds
  throw new InvalidInputError(`--rounds: expected a whole number in 1–${MOST_ROUNDS}, got ${JSON.stringify(text)}`, {
    field: 'rounds',
  })
}
