import type { Language } from '../../sandbox/index.ts'

/** Something a user might pick instead of this product, as far as it can do the same. */
export interface Alternative {
  readonly name: string
  readonly language: Language
  /** Runs one program from nothing, and gives its output. */
  readonly runOnce: (code: string, signal: AbortSignal) => Promise<string>
  /** An interpreter that stays for program after program; absent where there is no such thing. */
  readonly openSession?: (signal: AbortSignal) => Promise<AlternativeSession>
  /** How many may run at once; those whose start takes seconds are not asked for a hundred. @default 100 */
  readonly most?: number
}

export interface AlternativeSession extends AsyncDisposable {
  /** Runs one program, and gives its output. */
  readonly run: (code: string) => Promise<string>
  /** Bytes of memory that are this session's own. */
  readonly privateBytes: () => Promise<number>
}

/** An alternative that can be tried here, or why it cannot. */
export type Offer = { readonly alternative: Alternative } | { readonly name: string; readonly unavailable: string }
