import { access, constants } from 'node:fs/promises'
import { homedir } from 'node:os'
import { delimiter, join } from 'node:path'
import { DependencyError } from '../base/index.ts'

/** Programs that a build runs, and the Debian or Ubuntu package that brings each. */
const PACKAGE_OF_TOOL: Readonly<Record<string, string>> = {
  'apt-get': 'apt',
  'apt-cache': 'apt',
  'apt-config': 'apt',
  'dpkg-deb': 'dpkg',
  'dpkg-query': 'dpkg',
  bc: 'bc',
  bison: 'bison',
  cargo: 'cargo',
  cc: 'gcc',
  flex: 'flex',
  flock: 'util-linux',
  gcc: 'gcc',
  ld: 'binutils',
  make: 'make',
  'mkfs.erofs': 'erofs-utils',
  mmdebstrap: 'mmdebstrap',
  newuidmap: 'uidmap',
  npm: 'npm',
  objdump: 'binutils',
  perl: 'perl',
  python3: 'python3',
  pip: 'python3-pip',
  setpriv: 'util-linux',
  strip: 'binutils',
  tar: 'tar',
  xz: 'xz-utils',
}

/** The command that installs the packages of these tools. */
export function installHint(tools: readonly string[]): string {
  const packages = tools.map((tool) => PACKAGE_OF_TOOL[tool] ?? tool)
  return `sudo apt-get install -y ${[...new Set(packages)].toSorted().join(' ')}`
}

/** Where a program is, or undefined. Cargo is also looked for where rustup puts it, and mkfs.erofs in the sbin directories. */
export async function findTool(tool: string, env: NodeJS.ProcessEnv = process.env): Promise<string | undefined> {
  const directories = (env['PATH'] ?? '').split(delimiter).filter((directory) => directory !== '')
  directories.push('/usr/sbin', '/sbin')
  if (tool === 'cargo') directories.push(join(env['CARGO_HOME'] ?? join(homedir(), '.cargo'), 'bin'))
  for (const directory of directories) {
    const path = join(directory, tool)
    if (await isExecutable(path)) return path
  }
  return undefined
}

/** Finds all these programs or throws one error that names every missing one and the command that installs them. */
export async function requireTools(
  tools: readonly string[],
  env: NodeJS.ProcessEnv = process.env,
): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>()
  const missing: string[] = []
  for (const tool of tools) {
    const path = await findTool(tool, env)
    if (path === undefined) missing.push(tool)
    else found.set(tool, path)
  }
  if (missing.length > 0) {
    const fix = installHint(missing)
    const are = missing.length === 1 ? 'is needed to build the image and is' : 'are needed to build the image and are'
    throw new DependencyError(`${missing.join(', ')} ${are} not installed. Run: ${fix}`, {
      dependency: missing.join(', '),
      fix,
    })
  }
  return found
}

async function isExecutable(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
