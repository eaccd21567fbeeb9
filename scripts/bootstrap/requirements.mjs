/**
 * What the host needs beyond Node: one entry per distribution package, each with its reason. An entry is satisfied
 * when any of its commands is on the path or any of its files exists, however it came there.
 *
 * @typedef {{ package: string, reason: string, commands?: string[], files?: string[], userOnly?: true }} Requirement
 */

/** @type {readonly Requirement[]} */
export const REQUIREMENTS = [
  {
    package: 'gcc',
    reason: 'compiles the guest kernel and the bash REPL, and links the agent',
    commands: ['gcc'],
  },
  {
    package: 'libc6-dev',
    reason: 'C headers for the kernel build’s own tools, and the static C library the agent is linked with',
    files: ['/usr/lib/x86_64-linux-gnu/libc.a', '/usr/lib64/libc.a', '/usr/lib/libc.a'],
  },
  { package: 'make', reason: 'builds the guest kernel', commands: ['make'] },
  { package: 'flex', reason: 'kernel configuration', commands: ['flex'] },
  { package: 'bison', reason: 'kernel configuration', commands: ['bison'] },
  { package: 'bc', reason: 'kernel time constants', commands: ['bc'] },
  { package: 'libelf-dev', reason: 'objtool, which checks the kernel’s mitigations', files: ['/usr/include/gelf.h'] },
  { package: 'xz-utils', reason: 'unpacks the kernel source', commands: ['xz'] },
  {
    package: 'mmdebstrap',
    reason: 'makes the guest’s root file system and the QEMU runtime tree',
    commands: ['mmdebstrap'],
  },
  { package: 'erofs-utils', reason: 'packs the root file system', commands: ['mkfs.erofs'] },
  { package: 'bubblewrap', reason: 'the jail around QEMU', commands: ['bwrap'] },
  { package: 'python3', reason: 'runs pip', commands: ['python3'] },
  { package: 'python3-pip', reason: 'fetches uv for the guest', commands: ['pip3', 'pip'] },
  { package: 'ca-certificates', reason: 'TLS to package sources', files: ['/etc/ssl/certs/ca-certificates.crt'] },
  {
    package: 'debian-archive-keyring',
    reason: 'signatures of the guest’s packages',
    files: ['/usr/share/keyrings/debian-archive-keyring.gpg', '/usr/share/keyrings/debian-archive-keyring.pgp'],
  },
  { package: 'gpgv', reason: 'checks those signatures', commands: ['gpgv', 'sqv'] },
  {
    package: 'uidmap',
    reason: 'lets mmdebstrap work without root',
    commands: ['newuidmap'],
    userOnly: true,
  },
]

/** The oldest Rust that builds the agent (`rust-version` in its Cargo.toml). */
export const RUST_VERSION = [1, 85]

/**
 * Where the distributions keep a Rust new enough, in the order of preference. Debian 12 carries a current one beside
 * its own under other names; the first set whose compiler is new enough is installed.
 */
export const RUST_PACKAGES = [
  { compiler: 'rustc', build: ['cargo', 'rustc'], lint: ['rust-clippy', 'rustfmt'] },
  { compiler: 'rustc-web', build: ['cargo-web', 'rustc-web'], lint: ['rust-web-clippy', 'rustfmt-web'] },
]

/** The oldest Node that runs the product (`engines` in package.json). */
export const NODE_VERSION = [20, 19]

/** Whether a version, given as numbers, is at least another. */
export function atLeast(version, wanted) {
  for (let index = 0; index < wanted.length; index += 1) {
    const difference = (version[index] ?? 0) - wanted[index]
    if (difference !== 0) return difference > 0
  }
  return true
}
