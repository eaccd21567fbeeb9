import { describe, expect, it } from 'vitest'
import {
  layerLockFile,
  layerPaths,
  lockFile,
  parseEntryName,
  resolvePaths,
  templateLockFile,
  templatePaths,
  uidLockFile,
  verdictFile,
  workEntryName,
} from './paths.ts'

describe('resolvePaths', () => {
  it('takes the option before the environment, and the environment before the defaults', () => {
    const env = { EXEC_SANDBOX_CACHE_DIR: '/from/env', XDG_CACHE_HOME: '/xdg', HOME: '/home/me' }
    expect(resolvePaths(env, { cacheDir: '/from/option' }).cacheDir).toBe('/from/option')
    expect(resolvePaths(env).cacheDir).toBe('/from/env')
    expect(resolvePaths({ ...env, EXEC_SANDBOX_CACHE_DIR: '' }).cacheDir).toBe('/xdg/exec-sandbox')
    expect(resolvePaths({ HOME: '/home/me' }).cacheDir).toBe('/home/me/.cache/exec-sandbox')
  })

  it('ignores a relative XDG directory, as the specification demands', () => {
    expect(resolvePaths({ XDG_CACHE_HOME: 'cache', HOME: '/home/me' }).cacheDir).toBe('/home/me/.cache/exec-sandbox')
  })

  it('keeps everything persistent below the cache directory', () => {
    const { cacheDir, runtimeDir, ...rest } = resolvePaths({}, { cacheDir: '/c', runtimeDir: '/r' })
    expect(cacheDir).toBe('/c')
    for (const path of Object.values(rest)) expect(path.startsWith('/c/')).toBe(true)
    expect(uidLockFile({ runtimeDir })).toBe('/r/uids.lock')
  })

  it('names files of the parts', () => {
    const paths = resolvePaths({}, { cacheDir: '/c' })
    expect(verdictFile(paths, 'ab')).toBe('/c/verdicts/accelerator-ab.json')
    expect(lockFile(paths, 'image-build')).toBe('/c/locks/image-build.lock')
  })

  it('names what belongs to a template or a layer, and knows its own names again', () => {
    const paths = resolvePaths({}, { cacheDir: '/c' })
    const key = '0123456789abcdef0123'
    expect(templatePaths(paths, key).ram).toBe(`/c/templates/${key}/ram`)
    expect(layerPaths(paths, key).disk).toBe(`/c/layers/${key}/layer.erofs`)
    expect(workEntryName(key, 'f00d')).toBe(`tmp-${key}-f00d`)
    expect(parseEntryName(key)).toEqual({ kind: 'published', key })
    expect(parseEntryName(`tmp-${key}-f00d`)).toEqual({ kind: 'work', key })
    for (const foreign of ['', 'x', `${key}0`, `${key}-f00d`, `tmp-${key}`, `tmp-${key}-`, `../${key}`]) {
      expect(parseEntryName(foreign)).toBeUndefined()
    }
    expect(templateLockFile(paths, key)).toBe('/c/locks/template-01.lock')
    expect(layerLockFile(paths, key)).toBe('/c/locks/layer-01.lock')
  })
})
