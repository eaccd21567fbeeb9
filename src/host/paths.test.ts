import { describe, expect, it } from 'vitest'
import { lockFile, resolvePaths, uidLockFile, verdictFile } from './paths.ts'

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
    expect(uidLockFile({ runtimeDir }, 7)).toBe('/r/uids/7.lock')
  })

  it('names files of the parts', () => {
    const paths = resolvePaths({}, { cacheDir: '/c' })
    expect(verdictFile(paths, 'ab')).toBe('/c/verdicts/accelerator-ab.json')
    expect(lockFile(paths, 'image-build')).toBe('/c/locks/image-build.lock')
  })
})
