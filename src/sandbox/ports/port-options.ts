import { z } from 'zod'
import { InvalidInputError } from '../../base/index.ts'
import { parseOptions } from '../parse-options.ts'

/** A port of the guest to make reachable: its number, or with the port of the host that leads to it. */
export type PortOption =
  | number
  | {
      /** Where a server in the guest listens, 1–65535. */
      readonly guest: number
      /** Port of 127.0.0.1 on the host, 1–65535. @default a free one that the kernel chooses */
      readonly host?: number
    }

/** A port after checks; `host` 0 is one that the kernel chooses. */
export interface PortRequest {
  readonly guest: number
  readonly host: number
}

/** A port of the guest that can be reached from this host. */
export interface ExposedPort {
  readonly guest: number
  /** Port of 127.0.0.1. */
  readonly host: number
  /** `http://127.0.0.1:<host>`, whatever the server speaks. */
  readonly url: string
}

/** Ports that a sandbox may have exposed at a time. */
export const MAX_PORTS = 50

const RANGE = 'expected a port from 1 to 65535'
const number = z.int(RANGE).min(1, RANGE).max(65_535, RANGE)
const schema = z.union([number, z.strictObject({ guest: number, host: number.optional() })], {
  error: `${RANGE}, or { guest, host? } of such`,
})
const one = z.object({ port: schema })
const list = z.object({ ports: z.array(schema).max(MAX_PORTS, `expected at most ${MAX_PORTS} ports`).optional() })

/**
 * Checks the option `ports`.
 * @throws InvalidInputError before any VM work
 */
export function checkPorts(ports: readonly PortOption[] | undefined): readonly PortRequest[] {
  parseOptions(list, { ports })
  const requests = (ports ?? []).map(requestOf)
  requests.forEach(({ guest, host }, index) => {
    const earlier = requests.slice(0, index)
    if (earlier.some((each) => each.guest === guest)) throw twice(index, `guest port ${guest}`)
    if (host !== 0 && earlier.some((each) => each.host === host)) throw twice(index, `host port ${host}`)
  })
  return requests
}

/**
 * Checks one port.
 * @throws InvalidInputError
 */
export function checkPort(port: PortOption): PortRequest {
  parseOptions(one, { port })
  return requestOf(port)
}

function requestOf(port: PortOption): PortRequest {
  return typeof port === 'number' ? { guest: port, host: 0 } : { guest: port.guest, host: port.host ?? 0 }
}

function twice(index: number, what: string): InvalidInputError {
  const field = `ports[${index}]`
  return new InvalidInputError(`${field}: expected each port once, got ${what} again`, { field })
}
