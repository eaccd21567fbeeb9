import { InvalidInputError } from '../base/index.ts'
import type { NetworkOptions } from '../network/index.ts'
import type { ExposedPort, PortOption } from '../sandbox/index.ts'

/** The flags that say what a VM may reach, and what of it can be reached. */
export interface NetworkFlags {
  readonly network?: boolean
  readonly allow: readonly string[]
  readonly deny: readonly string[]
  readonly expose: readonly string[]
}

/** The option `network` that the flags stand for; undefined for none. `--network` beside `--allow` is one rule more. */
export function networkOf({ network = false, allow, deny }: NetworkFlags): NetworkOptions | undefined {
  if (allow.length === 0 && deny.length === 0) return network ? true : undefined
  return {
    ...(allow.length === 0 ? {} : { allow: network ? ['*', ...allow] : allow }),
    ...(deny.length === 0 ? {} : { deny }),
  }
}

/**
 * The option `ports` that the flags stand for.
 * @throws InvalidInputError for a text that is no port
 */
export function portsOf({ expose }: Pick<NetworkFlags, 'expose'>): readonly PortOption[] {
  return expose.map((text) => {
    const match = /^(\d{1,5})(?::(\d{1,5}))?$/.exec(text)
    if (match === null) {
      const message = `--expose: expected GUEST or GUEST:HOST, two ports, got ${JSON.stringify(text.slice(0, 80))}`
      throw new InvalidInputError(message, { field: 'expose' })
    }
    const [, guest, host] = match
    return { guest: Number(guest), ...(host === undefined ? {} : { host: Number(host) }) }
  })
}

/** What the tool says of exposed ports, a line each. @param prefix which of several sources has them */
export function portLines(ports: readonly ExposedPort[], prefix = ''): string {
  return ports.map(({ guest, url }) => `${prefix}sbx: port ${guest} is ${url}\n`).join('')
}
