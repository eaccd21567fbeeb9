import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parseDownload, parseUpload, resolveDownloads, resolveUploads } from './transfers.ts'

const refused = (message: string) =>
  expect.objectContaining({ code: 'INVALID_INPUT', message: expect.stringContaining(message) })

describe('parseUpload', () => {
  it.each([
    ['data.csv', 'data.csv', 'data.csv'],
    ['dir/data.csv', 'dir/data.csv', 'data.csv'],
    ['data.csv:/tmp/x', 'data.csv', '/tmp/x'],
    ['data.csv:~/in/', 'data.csv', '~/in/data.csv'],
    ['data:~', 'data', '~'],
    ['dir/', 'dir/', 'dir'],
    ['a:b:c', 'a:b', 'c'],
    ['a:b:', 'a:b', 'a:b'],
    ['.', '.', basename(process.cwd())],
  ])('takes %j for %j at %j', (spec, local, guest) => {
    expect(parseUpload(spec)).toEqual({ local, guest })
  })

  it.each(['', ':x', '/', '/:'])('refuses %j', (spec) => {
    expect(() => parseUpload(spec)).toThrow(refused('--upload'))
  })
})

describe('parseDownload', () => {
  it.each([
    ['out.txt', 'out.txt', 'out.txt'],
    ['/tmp/out.txt', '/tmp/out.txt', 'out.txt'],
    ['~/out/', '~/out/', 'out'],
    ['out.txt:here.txt', 'out.txt', 'here.txt'],
    ['out.txt:results/', 'out.txt', 'results/out.txt'],
    ['a:b:c', 'a:b', 'c'],
    ['a:b:', 'a:b', 'a:b'],
    ['~:home', '~', 'home'],
  ])('takes %j for %j to %j', (spec, guest, local) => {
    expect(parseDownload(spec)).toEqual({ guest, local })
  })

  it.each(['', ':x', '~', '/', '.', 'a/..'])('refuses %j', (spec) => {
    expect(() => parseDownload(spec)).toThrow(refused('--download'))
  })
})

describe('transfers are checked before anything runs:', () => {
  let directory: string
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'exec-sandbox-transfers-'))
    await writeFile(join(directory, 'file'), 'x')
    await mkdir(join(directory, 'full'))
    await writeFile(join(directory, 'full', 'file'), 'x')
    await mkdir(join(directory, 'empty'))
  })
  afterAll(async () => await rm(directory, { recursive: true }))

  it('uploads of files and directories that are there', async () => {
    const file = join(directory, 'file')
    expect(await resolveUploads([file, `${directory}/full:~/in`])).toEqual({
      file: { hostPath: file },
      '~/in': { hostPath: `${directory}/full` },
    })
  })

  it('downloads to a new name, over a file, and into an empty directory', async () => {
    const places = ['new', 'file', 'empty'].map((name) => join(directory, name))
    expect(await resolveDownloads(places.map((place, index) => `${index}:${place}`))).toEqual({
      0: places[0],
      1: places[1],
      2: places[2],
    })
  })

  it.each([
    ['missing', 'there is no such file'],
    ['file/below', 'is no directory'],
    ['/dev/zero', 'neither a file nor a directory'],
  ])('an upload of %s is refused', async (name, message) => {
    await expect(resolveUploads([resolve(directory, name)])).rejects.toThrow(refused(message))
  })

  it.each([
    ['full', 'not empty'],
    ['missing/out', 'there is no such file'],
    ['file/out', 'is no directory'],
  ])('a download to %s is refused', async (name, message) => {
    await expect(resolveDownloads([`out:${join(directory, name)}`])).rejects.toThrow(refused(message))
  })

  it('two for one place are refused', async () => {
    const file = join(directory, 'file')
    await expect(resolveUploads([`${file}:a`, `${directory}:a`])).rejects.toThrow(refused('two uploads'))
    await expect(resolveDownloads([`a:${directory}/x`, `b:${directory}/./x`])).rejects.toThrow(refused('two downloads'))
    await expect(resolveDownloads([`a:${directory}/x`, `a:${directory}/y`])).rejects.toThrow(refused('asked for twice'))
  })
})
