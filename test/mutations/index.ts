import type { Mutation } from './mutation.ts'

/** Every protection that `npm run test:mutations` takes away, one after the other. */
export const MUTATIONS: readonly Mutation[] = [
  {
    rows: ['B01'],
    removes: 'the network namespace of the jail',
    file: 'src/qemu/jail-arguments.ts',
    from: "    '--unshare-net',\n",
    to: '',
    rebuild: 'typescript',
    test: { file: 'test/vm/jail.test.ts', name: 'leaves QEMU no privilege, no view and nothing to write' },
  },
  {
    rows: ['A01'],
    removes: 'the limit of threads of the whole guest',
    file: 'guest/agent/src/boot/sysctls.rs',
    from: '"1200"',
    to: '"1300"',
    rebuild: 'image',
    test: { file: 'test/vm/guest-hardening.test.ts', name: 'A01: every hardening sysctl' },
  },
]

export { mutate, type Mutation } from './mutation.ts'
