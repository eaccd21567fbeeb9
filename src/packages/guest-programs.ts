import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'

/** Our own programs for the installing VM: `guest/install` of this package. */
export type GuestProgram =
  | 'python.sh'
  | 'javascript.sh'
  | 'seal.sh'
  | 'list-packages.py'
  | 'default-python-index.py'
  | 'default-npm-registry.py'
  | 'file-hosts.py'

const DIRECTORY = new URL('../../guest/install/', import.meta.url)

/** The command that runs one of them with these arguments. Its text travels in the command line, so it needs no file. */
export async function programCommand(name: GuestProgram, args: readonly string[]): Promise<readonly string[]> {
  const text = await readFile(fileURLToPath(new URL(name, DIRECTORY)), 'utf8')
  // -I: neither the directory nor the user's own packages are on the path.
  return name.endsWith('.py') ? ['python3', '-I', '-c', text, ...args] : ['bash', '-c', text, name, ...args]
}
