import { lookup } from 'node:dns/promises'
import type { Sandbox } from '../../src/index.ts'
import type { PackageLanguage } from '../../src/layer/index.ts'
import { npmAccess, pythonAccess } from '../../src/packages/index-access.ts'
import { defaultIndex, fileHosts } from '../../src/packages/index-hosts.ts'
import { readNpmRegistry, readPythonIndex } from '../../src/packages/read-index-settings.ts'

/**
 * Lets a session reach everything public, and the index of this host's configuration with its files, wherever they stand: a
 * mirror in a private network is not what `network: true` means.
 * @returns environment that names the index to pip, uv and Bun
 */
export async function reachRegistry(
  sandbox: Sandbox,
  language: PackageLanguage,
  spec: string,
): Promise<Readonly<Record<string, string>>> {
  const { signal } = new AbortController()
  const { commands, files } = sandbox
  const vm = {
    commands,
    files,
    allow: async () => await Promise.resolve(),
    [Symbol.asyncDispose]: async () => await Promise.resolve(),
  }
  const python = language === 'python'
  const access = python
    ? pythonAccess({}, await readPythonIndex(process.env))
    : npmAccess({}, await readNpmRegistry(process.env))
  const main = access.main ?? (await defaultIndex(vm, language, signal))
  const allow = ['*', ...(await addressRules([main]))]
  await sandbox.setNetwork({ allow })
  const hosts = await fileHosts(vm, { language, specs: [spec], access, main, signal })
  await sandbox.setNetwork({ allow: [...allow, ...(await addressRules(hosts))] })
  return python ? { PIP_INDEX_URL: main.href, UV_DEFAULT_INDEX: main.href } : { npm_config_registry: main.href }
}

async function addressRules(hosts: readonly { readonly host: string; readonly port: number }[]): Promise<string[]> {
  const rules = await Promise.all(
    hosts.map(async ({ host, port }) => {
      const answers = await lookup(host, { all: true, family: 4 }).catch(() => [])
      return answers.map(({ address }) => `${address}:${port}`)
    }),
  )
  return rules.flat()
}
