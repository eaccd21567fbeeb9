import { expect, test } from 'vitest'
import { compiledPercent } from './qemu.ts'

test('how far the compiler is, from what ninja prints', () => {
  expect(compiledPercent('[1/1287] Generating trace/trace-events-all')).toBe(0)
  expect(compiledPercent('[1287/1287] Linking target qemu-system-x86_64')).toBe(100)
  expect(compiledPercent('[3/0] nonsense')).toBeUndefined()
  expect(compiledPercent('warning: [1/2] in the middle')).toBeUndefined()
})
