import { readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import {
  type ConfigurationFile,
  type NpmRegistry,
  npmRegistryFrom,
  type PythonIndex,
  pythonIndexFrom,
} from './index-settings.ts'

type Environment = Readonly<Record<string, string | undefined>>

/** The index that the user's own pip and uv would ask. Files that are not there, or cannot be read, say nothing. */
export async function readPythonIndex(env: Environment): Promise<PythonIndex> {
  return pythonIndexFrom(env, await readAll(pipFiles(env)))
}

/** The registry that the user's own npm would ask, outside of any project. */
export async function readNpmRegistry(env: Environment): Promise<NpmRegistry> {
  return npmRegistryFrom(env, await readAll(npmFiles(env)))
}

/** pip's files in its order (pip's documentation, "Configuration"): global, user, environment, the one that is named. */
function pipFiles(env: Environment): readonly string[] {
  const home = homeOf(env)
  const named = env['PIP_CONFIG_FILE']
  if (named === '/dev/null') return []
  const global = [...(env['XDG_CONFIG_DIRS'] ?? '/etc/xdg').split(':').filter(Boolean).toReversed()]
  const user = [join(home, '.pip'), join(env['XDG_CONFIG_HOME'] || join(home, '.config'), 'pip')]
  const environment = env['VIRTUAL_ENV']
  return [
    ...global.map((directory) => join(directory, 'pip', 'pip.conf')),
    '/etc/pip.conf',
    ...(named === undefined || named === '' ? user.map((directory) => join(directory, 'pip.conf')) : []),
    ...(environment === undefined || environment === '' ? [] : [join(environment, 'pip.conf')]),
    ...(named === undefined || named === '' ? [] : [named]),
  ]
}

/** npm's files in its order (npm's documentation, "npmrc"), without that of a project: whose it is, nobody has said. */
function npmFiles(env: Environment): readonly string[] {
  const global = env['NPM_CONFIG_GLOBALCONFIG'] || env['npm_config_globalconfig']
  const user = env['NPM_CONFIG_USERCONFIG'] || env['npm_config_userconfig']
  return [global || join(dirname(dirname(process.execPath)), 'etc', 'npmrc'), user || join(homeOf(env), '.npmrc')]
}

async function readAll(paths: readonly string[]): Promise<readonly ConfigurationFile[]> {
  const files: ConfigurationFile[] = []
  for (const path of paths) {
    const text = await readFile(path, 'utf8').catch(() => undefined)
    if (text !== undefined) files.push({ path, text })
  }
  return files
}

function homeOf(env: Environment): string {
  return env['HOME'] || homedir()
}
