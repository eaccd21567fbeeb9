import { describe, expect, it } from 'vitest'
import { chooseForPruning, type PruneRule } from './pruning.ts'
import type { TemplateManifest } from './template-manifest.ts'

const NOW = 1_000_000

function template(key: string, unusedForMs: number, imageId: string | undefined) {
  return {
    key,
    bytes: 100,
    lastUsedAt: NOW - unusedForMs,
    useless: imageId === undefined,
    manifest: imageId === undefined ? undefined : ({ spec: { imageId } } as TemplateManifest),
  }
}

const TEMPLATES = [
  template('fresh', 10, 'current'),
  template('old', 500, 'current'),
  template('foreign', 20, 'previous'),
  template('damaged', 5, undefined),
]

const chosen = (rule: PruneRule): readonly string[] => chooseForPruning(TEMPLATES, rule, NOW).map(({ key }) => key)

describe('chooseForPruning', () => {
  it('takes all when asked for all', () => {
    expect(chosen({ kind: 'all' })).toEqual(['fresh', 'old', 'foreign', 'damaged'])
  })

  it('takes those of other images, and without an image those alone that nobody can use', () => {
    expect(chosen({ kind: 'other-images', imageIds: ['current'] })).toEqual(['foreign', 'damaged'])
    expect(chosen({ kind: 'other-images', imageIds: [] })).toEqual(['damaged'])
  })

  it('takes those that were not used for so long', () => {
    expect(chosen({ kind: 'bounds', unusedForMs: 500 })).toEqual(['old', 'damaged'])
    expect(chosen({ kind: 'bounds', unusedForMs: 501 })).toEqual(['damaged'])
    expect(chosen({ kind: 'bounds', unusedForMs: 0 })).toHaveLength(4)
  })

  it('takes those used least recently until the rest fits', () => {
    expect(chosen({ kind: 'bounds', limitBytes: 200 })).toEqual(['damaged', 'old'])
    expect(chosen({ kind: 'bounds', limitBytes: 0 })).toEqual(['damaged', 'old', 'foreign', 'fresh'])
    expect(chosen({ kind: 'bounds', limitBytes: 1_000 })).toEqual(['damaged'])
    expect(chosen({ kind: 'bounds', unusedForMs: 15, limitBytes: 100 })).toEqual(['old', 'foreign', 'damaged'])
  })
})
