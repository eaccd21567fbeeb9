/** What comes from whoever uses the REPL. */
export type Input =
  /** `more`: further lines of the same paste follow. */
  | { readonly kind: 'line'; readonly text: string; readonly more: boolean }
  /** Ctrl-C at the prompt. */
  | { readonly kind: 'interrupt' }
  /** Ctrl-D, or there is no more input. */
  | { readonly kind: 'end' }

export interface Prompts {
  /** Of the line that is to be read. */
  readonly first: string
  /** Of further lines that come with it. */
  readonly further: string
}

/** Lines to read, from a terminal or a pipe. */
export interface LineSource {
  read(prompts: Prompts): Promise<Input>
  /** Lets go of the terminal until the next read: Ctrl-C is a signal again, and what is typed stays in the terminal. */
  suspend(): void
  /** Clears the line that is being entered, for a Ctrl-C that came as a signal. */
  interrupt(): void
  /** Ends it for good; a read that waits gets the end. */
  close(): void
}
