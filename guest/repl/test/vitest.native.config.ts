import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

// The case table without a VM, for work on the REPLs: see guest/repl/README.md. The suite runs the table in a VM.
export default defineConfig({
  root: dirname(fileURLToPath(import.meta.url)),
  test: { include: ['*.native.ts'], testTimeout: 60_000, retry: 0 },
})
