import { TextRing } from '../base/index.ts'

/** Bytes of the installer's output that an error carries. */
const TAIL_BYTES = 32_768

/** A line that is longer is given in pieces. */
const MOST_LINE = 4_096

/** What the installer writes: lines for those who watch, and the end of it for an error. Secrets are taken out of both. */
export class InstallLog {
  readonly #tail = new TextRing(TAIL_BYTES)
  readonly #redact: (text: string) => string
  readonly #onLine: (line: string) => void
  #rest = ''

  constructor(redact: (text: string) => string, onLine: (line: string) => void) {
    this.#redact = redact
    this.#onLine = onLine
  }

  /** Takes text as it comes; a carriage return ends a line, too, as progress is drawn with it. */
  write(text: string): void {
    this.#rest += text
    const lines = this.#rest.split(/\r?\n|\r/)
    this.#rest = lines.pop() ?? ''
    for (const line of lines) this.#tell(line)
    while (this.#rest.length > MOST_LINE) {
      this.#tell(this.#rest.slice(0, MOST_LINE))
      this.#rest = this.#rest.slice(MOST_LINE)
    }
  }

  /** Gives what is left without an end of line. */
  end(): void {
    if (this.#rest !== '') this.#tell(this.#rest)
    this.#rest = ''
  }

  /** The end of all that was written. */
  tail(): string {
    return this.#tail.text()
  }

  #tell(line: string): void {
    const shown = this.#redact(line)
    this.#tail.push(Buffer.from(`${shown}\n`))
    if (shown.trim() !== '') this.#onLine(shown)
  }
}
