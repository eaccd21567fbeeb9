import { defineConfig } from 'vitest/config'

// Unit tests stand beside the source and never start a VM; tests under test/ use the real QEMU and the
// real guest. VM files run one after the other: two machines' worth of emulation on two cores only
// makes each slower, and one suite per file shares its templates.
export default defineConfig({
  test: {
    retry: 0,
    projects: [
      { test: { name: 'unit', include: ['src/**/*.test.ts', 'test/repository/**/*.test.ts'], testTimeout: 30_000 } },
      {
        test: {
          name: 'vm',
          include: ['test/vm/**/*.test.ts'],
          fileParallelism: false,
          testTimeout: 120_000,
          hookTimeout: 180_000,
        },
      },
    ],
  },
})
