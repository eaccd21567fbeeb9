import { describe, expect, it } from 'vitest'
import { tscKhzFrom } from './tsc.ts'

const cpu = (bogomips: string, flags = 'fpu tsc constant_tsc nonstop_tsc'): string =>
  `processor\t: 0\ncpu MHz\t\t: 3100.000\nflags\t\t: ${flags}\nbogomips\t: ${bogomips}\n\n`

describe('tscKhzFrom', () => {
  it('is half of BogoMIPS where the counter is constant', () => {
    expect(tscKhzFrom(cpu('5192.27') + cpu('5192.27'))).toBe(2_596_135)
  })

  it.each([
    ['the counter follows the clock rate', cpu('5192.27', 'fpu tsc')],
    ['processors were measured one by one', cpu('5192.27') + cpu('5188.01')],
    ['the figure is no frequency', cpu('48.00')],
    ['nothing is told', ''],
  ])('is unknown when %s', (_, text) => {
    expect(tscKhzFrom(text)).toBeUndefined()
  })
})
