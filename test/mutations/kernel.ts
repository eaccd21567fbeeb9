import type { Mutation } from './mutation.ts'

/** The guest's kernel. Each but the last is a build of it: some minutes. */
export const kernelMutations: readonly Mutation[] = [
  {
    rows: ['A02'],
    removes: 'the random address of the kernel',
    file: 'guest/image/pvh-kaslr.c',
    from: 'random_long() % slots * CONFIG_PHYSICAL_ALIGN',
    to: 'slots / 2 * CONFIG_PHYSICAL_ALIGN',
    rebuild: 'image',
    test: { file: 'test/vm/randomized-kernel.test.ts', name: 'A02: the kernel stands at another address' },
  },
  {
    rows: ['A02'],
    removes: 'that mitigations are at the kernel’s default',
    file: 'src/qemu/kernel-command-line.ts',
    from: "    'tsc=reliable',\n",
    to: "    'tsc=reliable',\n    'mitigations=off',\n",
    rebuild: 'typescript',
    test: { file: 'test/vm/guest-facts.test.ts', name: 'A02: mitigations are at the kernel’s default' },
  },
]
