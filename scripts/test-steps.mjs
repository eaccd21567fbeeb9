import { mkdtempSync, readdirSync, readFileSync, rmSync, existsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { run } from './bootstrap/child.mjs'

/**
 * A step of the test suite: it shows what it does and tells how many tests passed and failed. A step that could not
 * run at all has failed once, so that a broken runner never looks like an empty suite.
 *
 * @typedef {{ name: string, run: (root: string) => Promise<{ passed: number, failed: number }> }} Step
 */

/**
 * A check that has one answer.
 *
 * @returns {Step}
 */
export function checkStep(name, tool, args) {
  return {
    name,
    run: async (root) => {
      const { code } = await run(join(root, 'node_modules', '.bin', tool), args, { cwd: root })
      return code === 0 ? { passed: 1, failed: 0 } : { passed: 0, failed: 1 }
    },
  }
}

/**
 * Tests run by vitest, counted from its JSON report. A skipped test proves nothing and counts as failed.
 *
 * @returns {Step}
 */
export function vitestStep(name, args) {
  return {
    name,
    run: async (root) => {
      const directory = mkdtempSync(join(tmpdir(), 'exec-sandbox-report-'))
      const report = join(directory, 'vitest.json')
      try {
        const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`]
        const { code } = await run(join(root, 'node_modules', '.bin', 'vitest'), ['run', ...args, ...reporters], {
          cwd: root,
        })
        return vitestCounts(code, report)
      } finally {
        rmSync(directory, { recursive: true, force: true })
      }
    },
  }
}

/** Counts from vitest's exit code and its JSON report. */
export function vitestCounts(code, report) {
  if (!existsSync(report)) return { passed: 0, failed: 1 }
  const { numPassedTests, numFailedTests, numPendingTests, numTodoTests } = JSON.parse(readFileSync(report, 'utf8'))
  return atLeastOneFailure(code, numPassedTests, numFailedTests + numPendingTests + numTodoTests)
}

/** A file that does not even load, or a cleanup that fails, has no failing test: the exit code still says so. */
function atLeastOneFailure(code, passed, failed) {
  return { passed, failed: code !== 0 && failed === 0 ? 1 : failed }
}

/**
 * A cargo command in every crate of the guest. `cargo test` is counted from its `test result:` lines, everything
 * else as one check per crate.
 *
 * @returns {Step}
 */
export function cargoStep(name, args) {
  return {
    name,
    run: async (root) => {
      let [passed, failed] = [0, 0]
      for (const crate of crates(root)) {
        const { code, stdout } = await run('cargo', args, { cwd: crate, stdout: 'tee' })
        const counts =
          args[0] === 'test' ? cargoCounts(code, stdout) : { passed: Number(code === 0), failed: Number(code !== 0) }
        passed += counts.passed
        failed += counts.failed
      }
      return passed + failed === 0 ? { passed: 0, failed: 1 } : { passed, failed }
    },
  }
}

/** Folders of guest/ that hold a crate; a fuzz crate stands below the one it fuzzes and is not part of the suite. */
function crates(root) {
  const guest = join(root, 'guest')
  return readdirSync(guest)
    .map((name) => join(guest, name))
    .filter((directory) => existsSync(join(directory, 'Cargo.toml')))
}

/** Counts from the exit code and the output of `cargo test`. */
export function cargoCounts(code, stdout) {
  let [passed, failed] = [0, 0]
  for (const match of stdout.matchAll(/^test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored/gm)) {
    passed += Number(match[1])
    failed += Number(match[2]) + Number(match[3])
  }
  return atLeastOneFailure(code, passed, failed)
}
