/** Owns what a scenario opens, and closes it in reverse order, all of it even if one close fails. */
export class Owner implements AsyncDisposable {
  readonly #owned: AsyncDisposable[] = []

  own<T extends AsyncDisposable>(disposable: T): T {
    this.#owned.push(disposable)
    return disposable
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const failures: unknown[] = []
    for (const disposable of this.#owned.splice(0).toReversed()) {
      try {
        await disposable[Symbol.asyncDispose]()
      } catch (error) {
        failures.push(error)
      }
    }
    if (failures.length > 0) throw failures[0]
  }
}
