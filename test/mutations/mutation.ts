/** A protection taken away on purpose, and the test that must notice. */
export interface Mutation {
  /** Rows of the requirements whose protection this removes, e.g. `B01`. */
  readonly rows: readonly string[]
  /** What is taken away, in words that fit a table. */
  readonly removes: string
  /** The file that is changed, from the repository's root. */
  readonly file: string
  /** The text that is replaced. It occurs exactly once in the file, so that a mutation cannot miss or hit elsewhere. */
  readonly from: string
  readonly to: string
  /** What must be built again before the test means anything: `image` for whatever stands below `guest/`. */
  readonly rebuild: 'none' | 'typescript' | 'image'
  /** The test that must fail: its file, and words of its name. A file that ends in `.rs` is cargo's, and the name a function. */
  readonly test: { readonly file: string; readonly name: string }
}

/** The text of a file with the protection removed; an error when the file does not hold it exactly once. */
export function mutate(text: string, mutation: Mutation): string {
  const parts = text.split(mutation.from)
  if (parts.length !== 2) {
    throw new Error(`${mutation.file}: expected the text once, got it ${parts.length - 1} times: ${mutation.from}`)
  }
  return parts.join(mutation.to)
}
