import type { Mutation } from './mutation.ts'

/** What a sandbox may reach, and the processor that it is shown. */
export const networkMutations: readonly Mutation[] = [
  {
    rows: ['E02'],
    removes: 'the rule that a TLS server name must be allowed',
    file: 'src/network/policy/judge-tls.ts',
    from: 'if (allowing === undefined) return refused(',
    to: 'if (allowing === undefined) return decision.allowed ? decision : refused(',
    rebuild: 'typescript',
    test: { file: 'test/vm/network.test.ts', name: 'E02: on TLS ports lets through the server name' },
  },
  {
    rows: ['E02'],
    removes: 'that what some servers take for TLS is TLS',
    file: 'src/network/tls/client-hello.ts',
    from: "malformed('it begins with a TLS record that is no ClientHello')",
    to: 'NOT_TLS',
    rebuild: 'none',
    test: { file: 'src/network/tls-check.test.ts', name: 'a hello behind' },
  },
  {
    rows: ['E02'],
    removes: 'the rule that an address needs a rule',
    file: 'src/network/policy/judge-target.ts',
    from: 'if (permitted === undefined) return notPermitted(farEnd, where)',
    to: "if (permitted === undefined) return { allowed: true, ground: 'any', rule: '', reason: '' }",
    rebuild: 'typescript',
    test: {
      file: 'test/vm/network.test.ts',
      name: 'E02: lets through what its names, wildcards, blocks and ports say',
    },
  },
  {
    rows: ['E03'],
    removes: 'that `*` is public addresses only',
    file: 'src/network/policy/applicable-rules.ts',
    from: 'names.length > 0 && !names.some(isProxyOwnName) : specialRange(address) === undefined',
    to: 'names.length > 0 && !names.some(isProxyOwnName) : specialRange(address) !== null',
    rebuild: 'typescript',
    test: { file: 'test/vm/network.test.ts', name: 'E03: are unreachable with everything public allowed' },
  },
  {
    rows: ['B10'],
    removes: 'the processor that the emulator is asked for',
    file: 'src/qemu/qemu-features.ts',
    from: "  'SapphireRapids-v2',\n  'SapphireRapids-v1',\n  'Icelake-Server-v4',\n  'Skylake-Server-v4',\n",
    to: "  'Nehalem-v2',\n",
    rebuild: 'typescript',
    test: { file: 'test/vm/guest-facts.test.ts', name: 'B10: the processor is a modern one' },
  },
]
