import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { memoryPressure, parsePressure } from './memory-pressure.ts'

const text = (some: string): string =>
  `some avg10=${some} avg60=50.00 avg300=60.00 total=123\nfull avg10=99.00 avg60=0.00 avg300=0.00 total=9\n`

describe('parsePressure', () => {
  it('takes the ten seconds of the line "some"', () => {
    expect(parsePressure(text('12.34'))).toBe(12.34)
    expect(parsePressure(text('0.00'))).toBe(0)
    expect(parsePressure(text('100.00'))).toBe(100)
  })

  it('knows nothing where nothing is said', () => {
    for (const other of [
      '',
      'full avg10=1.00\n',
      'some avg10=\n',
      'some avg10=high avg60=0.00\n',
      'xsome avg10=1.00',
    ]) {
      expect(parsePressure(other)).toBeUndefined()
    }
  })
})

describe('memoryPressure', () => {
  let root: string
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'pressure-'))
  })
  afterEach(async () => {
    await rm(root, { recursive: true })
  })

  it('is the higher one of the host and the own control group', async () => {
    await mkdir(join(root, 'jobs/one'), { recursive: true })
    await writeFile(join(root, 'jobs/one/memory.pressure'), text('7.00'))
    await writeFile(join(root, 'memory.pressure'), text('90.00'))
    await writeFile(join(root, 'host'), text('3.00'))
    const files = { host: join(root, 'host'), cgroupRoot: root }
    expect(memoryPressure({ ...files, membership: '0::/jobs/one\n' })).toBe(7)
    expect(memoryPressure({ ...files, membership: '4:memory:/jobs/one\n' })).toBe(3)
  })

  it('finds the unified hierarchy beside one of the first version', async () => {
    await mkdir(join(root, 'unified/a'), { recursive: true })
    await writeFile(join(root, 'unified/a/memory.pressure'), text('5.50'))
    expect(memoryPressure({ host: join(root, 'none'), cgroupRoot: root, membership: '0::/a\n' })).toBe(5.5)
  })

  it('is unknown where the kernel does not tell', () => {
    expect(memoryPressure({ host: join(root, 'none'), cgroupRoot: root, membership: '0::/\n' })).toBeUndefined()
  })
})
