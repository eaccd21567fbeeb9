import { defineConfig } from 'vitest/config'

// Kinds of tests. `unit` stands beside the source, starts no process that matters and no VM. `process` starts
// real programs on the host (the REPLs, the built command line) but no VM. `vm` uses the real QEMU and the real
// guest: two files at a time, since one keeps about one processor busy. What measures time, uses the machine up on purpose
// or keeps two VMs busy by itself is in `vm-alone`, one file after the other.

const ALONE = ['bench', 'bombs', 'cases', 'clones', 'guest-facts', 'idle', 'overload', 'pool', 'throughput'].map(
  (name) => `test/vm/${name}.test.ts`,
)

/** For `expect.poll`, whose own second is nothing under emulation on a busy machine. */
const PATIENT = { poll: { timeout: 20_000 } }

export default defineConfig({
  test: {
    retry: 0,
    passWithNoTests: false,
    projects: [
      {
        test: {
          name: 'unit',
          include: ['src/**/*.test.ts', 'test/repository/**/*.test.ts'],
          maxWorkers: '100%',
          testTimeout: 30_000,
        },
      },
      {
        test: {
          name: 'process',
          include: ['test/**/*.test.ts', 'guest/repl/**/*.test.ts'],
          exclude: ['test/repository/**', 'test/vm/**', 'test/long/**', 'test/mutations/**', '**/node_modules/**'],
          maxWorkers: '100%',
          testTimeout: 60_000,
        },
      },
      {
        test: {
          name: 'vm',
          include: ['test/vm/**/*.test.ts'],
          exclude: ALONE,
          maxWorkers: 2,
          testTimeout: 120_000,
          hookTimeout: 180_000,
          expect: PATIENT,
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          name: 'vm-alone',
          include: ALONE,
          fileParallelism: false,
          // Cases of one file that say they may run at once.
          maxConcurrency: 2,
          testTimeout: 120_000,
          hookTimeout: 180_000,
          expect: PATIENT,
          sequence: { groupOrder: 2 },
        },
      },
      // Behind a command of their own (`npm run test:long`): each takes minutes.
      {
        test: {
          name: 'long',
          include: ['test/long/**/*.test.ts'],
          fileParallelism: false,
          sequence: { groupOrder: 3 },
        },
      },
      // Takes protections away and demands that the suite notices: half an hour (`npm run test:mutations`).
      {
        test: {
          name: 'mutations',
          include: ['test/mutations/**/*.test.ts'],
          fileParallelism: false,
          sequence: { groupOrder: 4 },
        },
      },
    ],
  },
})
