import { describe, expect, it } from 'vitest'
import { parseFileInfo, parseListing } from './file-info.ts'
import { toolError } from './file-error.ts'

const base64 = (text: string): string => Buffer.from(text).toString('base64')
const facts = { type: 'file', size: 1, allocatedBytes: 0, mode: 0o644, uid: 1, gid: 1, mtimeMs: 0 }
const line = (changes: Readonly<Record<string, unknown>>): string =>
  JSON.stringify({ path: base64('name'), ...facts, ...changes })

describe('what a guest says of a file', () => {
  it('B06: is taken when it can be true', () => {
    expect(parseFileInfo(line({}), '/home/user')).toMatchObject({ path: '/home/user/name', name: 'name', size: 1 })
  })

  it.each([
    ['a name that climbs', { path: base64('../../etc/passwd') }],
    ['a name with a NUL', { path: base64('a\0b') }],
    ['a link with a NUL', { target: base64('a\0b') }],
    ['a name without end', { path: base64('a'.repeat(10_000)) }],
    ['a size below nothing', { size: -1 }],
    ['a size that is no number', { size: '1' }],
    ['a size that cannot be counted', { size: 1e300 }],
    ['bits that are no permissions', { mode: 0o777777 }],
    ['a time that no clock shows', { mtimeMs: 1e300 }],
    ['a kind of its own', { type: 'portal' }],
  ])('B06: %s is refused', (_what, changes) => {
    expect(() => parseFileInfo(line(changes), '/home/user')).toThrow(
      expect.objectContaining({ code: 'FILE', details: { path: '/home/user', errno: 'EPROTO' } }),
    )
  })

  it('B06: in more lines than a listing may have, or in a line without end, is refused', async () => {
    const short = `${line({ path: '' })}\n`
    await expect(parseListing(short.repeat(200_001), '/d')).rejects.toMatchObject({ details: { errno: 'EOVERFLOW' } })
    const long = `${' '.repeat(20_001)}\n`
    await expect(parseListing(long, '/d')).rejects.toMatchObject({ details: { errno: 'EPROTO' } })
  })

  it('B06: of its failure is a name of an error, or is not repeated', () => {
    const said = (stderr: string): Error => toolError('read /a', '/a', { exitCode: 1, reason: 'exit', stderr })
    expect(said('{"errno":"ENOENT"}').message).toContain('ENOENT')
    for (const errno of ['\u001b[2J', 'E'.repeat(1_000), '', 'eperm']) {
      expect(said(JSON.stringify({ errno })).message).toBe("Cannot read /a: the guest's file tool ended with 1 (EIO)")
    }
  })
})
