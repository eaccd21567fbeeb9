import { createReadStream } from 'node:fs'
import { errnoOf, InvalidInputError } from '../base/index.ts'
import { detectLanguage, INPUT_LIMITS, type Language, parseLanguage } from '../sandbox/index.ts'

/** One program of a `run` command. */
export interface RunSource {
  /** The file's name, `-c` or `-`, for messages. */
  readonly name: string
  readonly code: string
  readonly language: Language
}

/**
 * Reads the programs of a command line: those of `-c` first, then the files in their order; `-` is stdin.
 * @param language from `--language`; else by extension, else by shebang, else python
 * @throws InvalidInputError for nothing to run and for a file that cannot be read as a program
 */
export async function readSources(
  options: {
    readonly codes: readonly string[]
    readonly files: readonly string[]
    readonly language?: string | undefined
  },
  stdin: AsyncIterable<unknown>,
): Promise<readonly RunSource[]> {
  const { codes, files } = options
  const given = options.language === undefined ? undefined : parseLanguage(options.language)
  if (codes.length + files.length === 0) {
    throw new InvalidInputError(
      "Nothing to run: expected -c CODE, a file, or - for stdin, e.g. sbx run -c 'print(6*7)'",
      {
        field: 'files',
      },
    )
  }
  if (files.filter((file) => file === '-').length > 1) {
    throw new InvalidInputError('- (stdin) can be read only once', { field: 'files' })
  }
  const sources: RunSource[] = codes.map((code) => ({
    name: '-c',
    code,
    language: given ?? detectLanguage('', code) ?? 'python',
  }))
  for (const file of files) {
    const code = file === '-' ? await readStream(stdin, 'stdin') : await readProgram(file)
    sources.push({ name: file, code, language: given ?? detectLanguage(file, code) ?? 'python' })
  }
  return sources
}

/** @throws InvalidInputError for a file that cannot be read as a program */
export async function readProgram(file: string): Promise<string> {
  try {
    // Not readFile: what is named may have no end.
    return await readStream(createReadStream(file), file)
  } catch (error) {
    if (error instanceof InvalidInputError) throw error
    const code = errnoOf(error)
    const why =
      code === 'ENOENT' ? 'there is no such file' : code === 'EISDIR' ? 'it is a directory' : (code ?? String(error))
    throw new InvalidInputError(`Cannot read ${file}: ${why}`, { field: 'files' }, error)
  }
}

async function readStream(stream: AsyncIterable<unknown>, name: string): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of stream) {
    const bytes = Buffer.isBuffer(chunk) ? chunk : Buffer.from(String(chunk))
    size += bytes.byteLength
    if (size > INPUT_LIMITS.codeBytes + 3) {
      throw new InvalidInputError(`${name} is not a program: expected at most ${INPUT_LIMITS.codeBytes} bytes`, {
        field: 'files',
      })
    }
    chunks.push(bytes)
  }
  return decode(Buffer.concat(chunks), name)
}

function decode(bytes: Uint8Array, name: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (error) {
    throw new InvalidInputError(`${name} is not a program: expected UTF-8 text`, { field: 'files' }, error)
  }
}
