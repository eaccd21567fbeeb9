// The shape of the case table: what code does in a session, call by call. The table runs through the public API in a
// VM, and natively against the REPL programs alone (guest/repl/test).

export type CaseLanguage = 'python' | 'javascript' | 'bash'

/** What the text must be: exactly this, or matching. */
export type ExpectedText = string | RegExp

export interface CaseExpectation {
  readonly exitCode: number
  /** @default 'exit' */
  readonly reason?: 'exit' | 'signal' | 'timeout' | 'memory'
  /** Not looked at when absent. */
  readonly stdout?: ExpectedText
  /** Not looked at when absent. */
  readonly stderr?: ExpectedText
  /** Characters of stdout, where the text itself would be unreadable here. */
  readonly stdoutLength?: number
  /** `text/plain` of each displayed value; not looked at when absent. */
  readonly results?: readonly ExpectedText[]
  /** MIME types of each displayed value, in any order; not looked at when absent. */
  readonly resultTypes?: readonly (readonly string[])[]
  /** Forms that the displayed values have, one object for each; other forms are not looked at. */
  readonly resultData?: readonly Readonly<Record<string, unknown>>[]
  /** Name of the error that ended the program; `null`: none was reported. Not looked at when absent. */
  readonly errorName?: string | null
}

export interface CaseCall {
  readonly code: string
  readonly env?: Readonly<Record<string, string>>
  readonly timeoutMs?: number
  readonly expect: CaseExpectation
}

export interface Case {
  /** Behaviour in words, unique per language. */
  readonly name: string
  readonly language: CaseLanguage
  /** One after the other in one session. */
  readonly calls: readonly CaseCall[]
  /** Needs the agent's part or would harm a machine: not run natively. */
  readonly vmOnly?: boolean
}

/** Without the final line break, and with the indentation of its first line taken off every line. */
export function lines(strings: TemplateStringsArray, ...values: readonly unknown[]): string {
  const text = String.raw({ raw: strings.raw }, ...values)
    .replace(/^\n/, '')
    .replace(/\n *$/, '')
  const indentation = /^ */.exec(text)?.[0].length ?? 0
  return text.replaceAll(new RegExp(`^ {0,${indentation}}`, 'gm'), '')
}
