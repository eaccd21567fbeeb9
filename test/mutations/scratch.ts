import { execFileSync, spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { resolvePaths } from '../../src/host/index.ts'
import { repositoryFiles, ROOT } from '../repository/repository.ts'
import { type Mutation, mutate } from './mutation.ts'

/** What became of a test: how many of that name there were, how many failed, and what was printed. */
export interface Verdict {
  readonly ran: number
  readonly failed: number
  readonly output: string
}

/**
 * A copy of the repository that may be broken, with a cache of its own whose files are links to those of the user's, so that
 * a broken image is never anybody's.
 */
export class Scratch implements Disposable {
  private readonly directory: string
  private readonly root: string
  private readonly cache: string
  private readonly env: NodeJS.ProcessEnv

  constructor() {
    const cache = resolvePaths(process.env).cacheDir
    mkdirSync(cache, { recursive: true })
    // Beside the cache: links do not cross file systems.
    this.directory = mkdtempSync(`${cache}-mutations-`)
    this.root = join(this.directory, 'repository')
    this.cache = join(this.directory, 'cache')
    for (const path of repositoryFiles()) {
      mkdirSync(dirname(join(this.root, path)), { recursive: true })
      cpSync(join(ROOT, path), join(this.root, path), { verbatimSymlinks: true })
    }
    symlinkSync(join(ROOT, 'node_modules'), join(this.root, 'node_modules'))
    execFileSync('cp', ['-al', cache, this.cache])
    // cargo writes into files of its own in place, which would reach through a link.
    const target = join('build', 'agent-target')
    rmSync(join(this.cache, target), { recursive: true, force: true })
    if (existsSync(join(cache, target))) execFileSync('cp', ['-a', join(cache, target), join(this.cache, target)])
    // The variables by which a test runner knows its workers are not for the runner that is started here.
    const outer = Object.entries(process.env).filter(([name]) => !name.startsWith('VITEST'))
    this.env = { ...Object.fromEntries(outer), EXEC_SANDBOX_CACHE_DIR: this.cache }
    this.build('image')
  }

  /** Takes a protection away until what is returned is disposed of. Throws when the rest cannot be built without it. */
  remove(mutation: Mutation): Disposable {
    const path = join(this.root, mutation.file)
    const whole = readFileSync(path, 'utf8')
    const restore = (): void => {
      writeFileSync(path, whole)
      this.build(mutation.rebuild)
    }
    writeFileSync(path, mutate(whole, mutation))
    try {
      this.build(mutation.rebuild)
    } catch (error) {
      restore()
      throw error
    }
    return { [Symbol.dispose]: restore }
  }

  /** Runs the tests of that name, as the suite runs them. */
  run({ file, name }: Mutation['test']): Verdict {
    return file.endsWith('.rs') ? this.runRust(name) : this.runVitest(file, name)
  }

  [Symbol.dispose](): void {
    rmSync(this.directory, { recursive: true, force: true })
  }

  private runVitest(file: string, name: string): Verdict {
    const report = join(this.directory, 'report.json')
    rmSync(report, { force: true })
    const pattern = name.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
    const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`]
    const output = this.command('node_modules/.bin/vitest', ['run', file, '-t', pattern, ...reporters])
    if (!existsSync(report)) return { ran: 0, failed: 0, output }
    const { numPassedTests, numFailedTests } = JSON.parse(readFileSync(report, 'utf8')) as Record<string, number>
    const failed = numFailedTests ?? 0
    return { ran: (numPassedTests ?? 0) + failed, failed, output }
  }

  private runRust(name: string): Verdict {
    const output = this.command('cargo', ['test', '--locked', name], join(this.root, 'guest', 'agent'))
    const counts = [...output.matchAll(/^test result: \w+\. (\d+) passed; (\d+) failed/gm)]
    const failed = counts.reduce((sum, match) => sum + Number(match[2]), 0)
    return { ran: counts.reduce((sum, match) => sum + Number(match[1]), failed), failed, output }
  }

  private build(what: Mutation['rebuild']): void {
    if (what === 'none') return
    // What was found about this host is asked anew: the code that asks may be what has changed.
    rmSync(join(this.cache, 'verdicts'), { recursive: true, force: true })
    const built = [this.attempt('node_modules/.bin/tsc', ['-b'])]
    if (what === 'image') built.push(this.attempt(process.execPath, ['dist/cli/main.js', 'image', 'build']))
    for (const { status, output } of built) if (status !== 0) throw new Error(`cannot be built:\n${output}`)
  }

  private command(program: string, args: readonly string[], cwd = this.root): string {
    return this.attempt(program, args, cwd).output
  }

  private attempt(
    program: string,
    args: readonly string[],
    cwd = this.root,
  ): { status: number | null; output: string } {
    const { status, stdout, stderr, error } = spawnSync(program, args, {
      cwd,
      env: this.env,
      encoding: 'utf8',
      maxBuffer: 2 ** 28,
      timeout: 1_200_000,
      killSignal: 'SIGKILL',
    })
    return { status, output: `${error?.message ?? ''}${stdout}${stderr}` }
  }
}
