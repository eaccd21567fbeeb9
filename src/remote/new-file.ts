import { type FileHandle, open, rm } from 'node:fs/promises'
import { errnoOf } from '../base/index.ts'
import { StoreFailure } from './store-failure.ts'

/** A file that is written whole or not at all: unless it is kept, it is missing or empty again, as it was before. */
export class NewFile implements AsyncDisposable {
  readonly #path: string
  readonly #file: FileHandle
  readonly #made: boolean
  #kept = false

  /**
   * @param path of the file: missing, then it is made with mode 0600, or a regular file without content
   * @throws StoreFailure when something stands there; the system's error
   */
  static async open(path: string): Promise<NewFile> {
    try {
      return new NewFile(path, await open(path, 'wx', 0o600), true)
    } catch (error) {
      if (errnoOf(error) !== 'EEXIST') throw error
    }
    const file = await open(path, 'r+')
    const facts = await file.stat()
    if (facts.isFile() && facts.size === 0) return new NewFile(path, file, false)
    await file.close()
    throw new StoreFailure('local', `expected no file or an empty one, got one with content: ${path}`)
  }

  private constructor(path: string, file: FileHandle, made: boolean) {
    this.#path = path
    this.#file = file
    this.#made = made
  }

  /** Writes all of `content` at a place. */
  async write(content: Uint8Array, position: number): Promise<void> {
    for (let written = 0; written < content.byteLength; ) {
      const left = content.byteLength - written
      const { bytesWritten } = await this.#file.write(content, written, left, position + written)
      written += bytesWritten
    }
  }

  /** The file is whole: gives it its size and leaves it there. */
  async keep(bytes: number): Promise<void> {
    await this.#file.truncate(bytes)
    // Whoever renames the file publishes it: it must not be empty after a loss of power.
    await this.#file.datasync()
    this.#kept = true
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      if (!this.#kept && !this.#made) await this.#file.truncate(0)
    } finally {
      await this.#file.close()
    }
    if (!this.#kept && this.#made) await rm(this.#path, { force: true })
  }
}
