import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Image } from './image.ts'
import { guestDirectory } from './recipe.ts'

/** A component of a CycloneDX document; only the fields that are used here. */
export interface SbomComponent {
  readonly type: 'application' | 'library' | 'operating-system'
  readonly 'bom-ref': string
  readonly name: string
  readonly version: string
  readonly purl?: string
}

/** A software bill of materials: CycloneDX 1.6, JSON. */
export interface Sbom {
  readonly bomFormat: 'CycloneDX'
  readonly specVersion: '1.6'
  readonly serialNumber: string
  readonly version: 1
  readonly metadata: { readonly timestamp: string; readonly component: SbomComponent }
  readonly components: readonly SbomComponent[]
}

/**
 * Everything with a name and a version that an image holds: kernel, QEMU, each Debian package of the root file system, Bun, uv, the agent
 * and the crates that it is made of. Not listed one by one: the few libraries beside QEMU in its tree. The same image gives the same document.
 */
export async function describeImage(image: Image): Promise<Sbom> {
  const { id, createdAt, versions, packages } = image.manifest
  const crates = parseLockedCrates(await readFile(join(guestDirectory, 'agent', 'Cargo.lock'), 'utf8'))
  const distribution = `distro=debian-${versions.suite}`
  return {
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    serialNumber: `urn:uuid:${uuidOf(id)}`,
    version: 1,
    metadata: { timestamp: createdAt, component: component('operating-system', 'exec-sandbox-image', id) },
    components: [
      component('operating-system', 'linux', versions.kernel, `pkg:generic/linux@${encode(versions.kernel)}`),
      component(
        'application',
        'qemu',
        versions.qemuPackage,
        `pkg:deb/debian/qemu@${encode(versions.qemuPackage)}?arch=source&${distribution}`,
      ),
      component('application', 'bun', versions.bun, `pkg:npm/bun@${encode(versions.bun)}`),
      component('application', 'uv', versions.uv, `pkg:pypi/uv@${encode(versions.uv)}`),
      component('application', 'exec-sandbox-agent', versions.agent),
      ...packages.map(({ name, version }) =>
        component(
          'library',
          name,
          version,
          `pkg:deb/debian/${encode(name)}@${encode(version)}?arch=amd64&${distribution}`,
        ),
      ),
      ...crates.map(({ name, version }) =>
        component('library', name, version, `pkg:cargo/${encode(name)}@${encode(version)}`),
      ),
    ],
  }
}

/** Packages of a Cargo.lock that come from a registry; those without a source are our own. Pure. */
export function parseLockedCrates(lock: string): readonly { readonly name: string; readonly version: string }[] {
  return lock.split('[[package]]').flatMap((part) => {
    const [, name] = /^name = "([^"]+)"$/m.exec(part) ?? []
    const [, version] = /^version = "([^"]+)"$/m.exec(part) ?? []
    return name === undefined || version === undefined || !/^source = /m.test(part) ? [] : [{ name, version }]
  })
}

function component(type: SbomComponent['type'], name: string, version: string, purl?: string): SbomComponent {
  const reference = purl ?? `${name}@${version}`
  return { type, 'bom-ref': reference, name, version, ...(purl === undefined ? {} : { purl }) }
}

/** Percent-encoding as package URLs have it: a colon stays. */
function encode(text: string): string {
  return encodeURIComponent(text).replaceAll('%3A', ':')
}

/** A UUID (version 8, RFC 9562) that stands for the image. */
function uuidOf(id: string): string {
  const digits = createHash('sha256').update(`exec-sandbox image ${id}`).digest('hex')
  return `${digits.slice(0, 8)}-${digits.slice(8, 12)}-8${digits.slice(13, 16)}-a${digits.slice(17, 20)}-${digits.slice(20, 32)}`
}
