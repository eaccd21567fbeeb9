import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { History, HISTORY_LINES } from './history.ts'

describe('History', () => {
  let state: string
  beforeEach(async () => {
    state = await mkdtemp(join(tmpdir(), 'exec-sandbox-history-'))
  })
  afterEach(async () => await rm(state, { recursive: true }))
  const file = (): string => join(state, 'exec-sandbox', 'history-python')

  it('gives the lines of earlier sessions, newest first, each language its own', async () => {
    const history = new History({ XDG_STATE_HOME: state })
    expect(await history.load('python')).toEqual([])
    for (const line of ['first', '  ', 'second', 'x'.repeat(20_000)]) history.add('python', line)
    history.add('bash', 'third')
    await history.saved()
    expect(await new History({ XDG_STATE_HOME: state }).load('python')).toEqual(['second', 'first'])
    expect(((await stat(file())).mode & 0o777).toString(8)).toBe('600')
    expect(((await stat(join(state, 'exec-sandbox'))).mode & 0o777).toString(8)).toBe('700')
  })

  it('is bounded, and its file too', async () => {
    await mkdir(join(state, 'exec-sandbox'))
    const lines = Array.from({ length: 3 * HISTORY_LINES }, (_, index) => `line ${index}`)
    await writeFile(file(), `${lines.join('\n')}\n`)
    const loaded = await new History({ XDG_STATE_HOME: state }).load('python')
    expect(loaded).toHaveLength(HISTORY_LINES)
    expect(loaded[0]).toBe(lines.at(-1))
    expect((await readFile(file(), 'utf8')).split('\n')).toHaveLength(HISTORY_LINES + 1)
    expect(await readdir(join(state, 'exec-sandbox'))).toEqual(['history-python'])
    expect(((await stat(file())).mode & 0o777).toString(8)).toBe('600')
  })

  it('stands in .local/state without XDG_STATE_HOME, or with a relative one', async () => {
    const history = new History({ HOME: state, XDG_STATE_HOME: 'relative' })
    history.add('python', 'line')
    await history.saved()
    expect(await readFile(join(state, '.local', 'state', 'exec-sandbox', 'history-python'), 'utf8')).toBe('line\n')
  })

  it('that cannot be read or written is none', async () => {
    await writeFile(join(state, 'exec-sandbox'), '')
    const history = new History({ XDG_STATE_HOME: state })
    history.add('python', 'line')
    await history.saved()
    expect(await history.load('python')).toEqual([])
  })
})
