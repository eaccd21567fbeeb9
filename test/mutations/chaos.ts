import type { Mutation } from './mutation.ts'

const KILLED = { file: 'test/vm/chaos.test.ts', name: 'B07: killed while it saves, restores or runs' }

/** What keeps a host process that fails from leaving something behind. */
export const chaosMutations: readonly Mutation[] = [
  {
    rows: ['B07'],
    removes: 'that QEMU dies with its host process',
    file: 'src/qemu/jail-arguments.ts',
    from: "    '--die-with-parent',\n",
    to: '',
    rebuild: 'typescript',
    test: KILLED,
  },
  {
    rows: ['B07'],
    removes: 'that the next start removes jails that were half made',
    file: 'src/qemu/orphans.ts',
    from: '  return first && !(await isOurJail(parent))\n',
    to: '  return first && (await isOurJail(parent)) && false\n',
    rebuild: 'none',
    test: { file: 'test/vm/jail.test.ts', name: 'that a host process left half made is removed by the next start' },
  },
]

/** What is said to a guest about its host, and where the proofs are run. */
export const hostMutations: readonly Mutation[] = [
  {
    rows: ['B08'],
    removes: 'that a guest gets no environment but its own: a variable of the host process comes along',
    file: 'src/vm-supply.ts',
    from: "return { hostname: `sandbox-${randomBytes(4).toString('hex')}`, env }",
    to: "return { hostname: `sandbox-${randomBytes(4).toString('hex')}`, env: { ...env, HOST_DIRECTORY: process.cwd() } }",
    rebuild: 'none',
    test: { file: 'test/vm/guest-facts.test.ts', name: 'B08: nothing of the host shows' },
  },
  {
    rows: ['B09'],
    removes: 'that tests of isolation are run on each accelerator that works',
    file: 'scripts/security/plan.mjs',
    from: "const places = VMS.test(path) ? accelerators : ['host']",
    to: "const places = VMS.test(path) ? accelerators.slice(0, 1) : ['host']",
    rebuild: 'none',
    test: { file: 'test/scripts/security.test.ts', name: 'B09: has every row of A and B' },
  },
]
