import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { RUST_VERSION } from '../../scripts/bootstrap/requirements.mjs'
import { ROOT } from './repository.ts'

interface Package {
  readonly name: string
  readonly version: string
  readonly rust_version: string | null
}

/** The packages of the agent's lock file that are built on the one platform we have. */
function lockedPackages(): readonly Package[] {
  const args = ['metadata', '--locked', '--format-version', '1', '--filter-platform', 'x86_64-unknown-linux-gnu']
  const metadata: { packages: Package[] } = JSON.parse(
    execFileSync('cargo', args, {
      cwd: join(ROOT, 'guest/agent'),
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }),
  )
  return metadata.packages
}

const isNewer = (version: string): boolean => {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  const [ourMajor = 0, ourMinor = 0] = RUST_VERSION
  return major > ourMajor || (major === ourMajor && minor > ourMinor)
}

// Whoever adds a package has a newer Rust than Debian's and would not notice.
test('every Rust package builds with the oldest Rust that the bootstrap accepts', () => {
  const packages = lockedPackages()
  const own = packages.find(({ name }) => name === 'exec-sandbox-agent')
  expect(own?.rust_version).toBe(RUST_VERSION.join('.'))
  const tooNew = packages.filter(({ rust_version }) => rust_version !== null && isNewer(rust_version))
  expect(tooNew.map(({ name, version, rust_version }) => `${name} ${version} needs Rust ${rust_version}`)).toEqual([])
})
