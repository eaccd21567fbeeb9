import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Spec, Validation } from '@cyclonedx/cyclonedx-library'
import { expect, it } from 'vitest'
import { resolvePaths } from '../../src/host/index.ts'
import { describeImage, openImage } from '../../src/image/index.ts'
import { ROOT } from '../repository/repository.ts'

it('an image tells what it is made of', async () => {
  const image = await openImage({ paths: resolvePaths(process.env), env: process.env })
  const sbom = await describeImage(image)
  expect(sbom).toMatchObject({ bomFormat: 'CycloneDX', specVersion: '1.6', version: 1 })
  // By the schema of CycloneDX itself, with nothing more than it knows.
  const schema = new Validation.JsonStrictValidator(Spec.Version.v1dot6)
  expect(await schema.validate(JSON.stringify(sbom))).toBeNull()
  expect(await schema.validate(JSON.stringify({ ...sbom, serialNumber: 'urn:uuid:1' }))).not.toBeNull()
  // The shape that the package-url specification demands.
  const references = sbom.components.map((component) => component['bom-ref'])
  expect(new Set(references).size).toBe(references.length)
  for (const { purl, name, version } of sbom.components) {
    expect(name).not.toBe('')
    expect(version).not.toBe('')
    if (purl !== undefined)
      expect(purl).toMatch(/^pkg:(?:deb\/debian|cargo|npm|pypi|generic)\/[\w.+%-]+@[\w.+:%~-]+(?:\?[\w=&-]+)?$/)
  }
  const names = sbom.components.map(({ name }) => name)
  expect(names).toEqual(
    expect.arrayContaining(['linux', 'qemu', 'bun', 'uv', 'libc6', 'python3.13', 'bash', 'serde', 'rustix']),
  )
  expect(await describeImage(image)).toEqual(sbom)
})

it('and so does the command', async () => {
  const sbx = join(ROOT, 'dist', 'cli', 'main.js')
  const { stdout } = await promisify(execFile)(process.execPath, [sbx, 'image', 'sbom', '--json'], {
    maxBuffer: 2 ** 24,
  })
  expect(JSON.parse(stdout)).toMatchObject({ bomFormat: 'CycloneDX' })
  const { stdout: table } = await promisify(execFile)(process.execPath, [sbx, 'image', 'sbom'], { maxBuffer: 2 ** 24 })
  expect(table).toMatch(/^libc6 +2\.\d+/m)
})
