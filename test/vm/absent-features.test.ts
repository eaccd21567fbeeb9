import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { Scheduler } from '../../src/index.ts'
import { ABSENT_FEATURES } from './absent-features.ts'

const scheduler = new Scheduler()
afterAll(async () => {
  await scheduler.close()
})

interface Report {
  readonly paths: string[]
  readonly filesystems: string[]
  readonly families: Record<string, string>
}

/** What every kernel of ours has, in the places where the others would stand: a program that looks wrongly finds these missing, too. */
const PRESENT = [
  '/proc/self/status',
  '/proc/sys/kernel/hostname',
  '/sys/kernel/mm',
  '/sys/class/misc',
  '/sys/bus/virtio',
]
const UNIX = 1

test('A11, A12: the kernel itself shows nothing of the features that it is built without', async () => {
  const shown = Object.entries(ABSENT_FEATURES).flatMap(([option, { shows }]) =>
    shows === undefined ? [] : [{ option, shows }],
  )
  const paths = shown.flatMap(({ shows }) => ('path' in shows ? [shows.path] : []))
  const families = shown.flatMap(({ shows }) => ('family' in shows ? [shows.family] : []))
  const source = readFileSync(join(import.meta.dirname, 'programs', 'absent-features.py'), 'utf8')
  const asked = JSON.stringify({ paths: [...paths, ...PRESENT], families: [...families, UNIX] })
  const { stdout, stderr, exitCode } = await scheduler.run(source, { env: { ASKED: asked } })
  expect({ stderr, exitCode }).toEqual({ stderr: '', exitCode: 0 })
  const report: Report = JSON.parse(stdout)
  const there = shown.filter(({ shows }) => {
    if ('path' in shows) return report.paths.includes(shows.path)
    if ('filesystem' in shows) return report.filesystems.includes(shows.filesystem)
    return report.families[shows.family] !== 'EAFNOSUPPORT'
  })
  expect(there.map(({ option }) => option)).toEqual([])
  expect(report.paths).toEqual(PRESENT)
  expect(report.filesystems).toEqual(expect.arrayContaining(['proc', 'tmpfs', 'erofs']))
  expect(report.families[UNIX]).toBe('ok')
})
