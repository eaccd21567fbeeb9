import { z } from 'zod'

/** What QEMU may say over QMP (docs/interop/qmp-spec.rst of QEMU). Anything else ends the connection. */

const version = z.object({
  major: z.number().int().min(0).max(999),
  minor: z.number().int().min(0).max(999),
  micro: z.number().int().min(0).max(999),
})
export type QemuVersion = z.infer<typeof version>

const greeting = z.object({ QMP: z.object({ version: z.object({ qemu: version, package: z.string().max(256) }) }) })
const success = z.object({ return: z.unknown(), id: z.number().int() })
const failure = z.object({
  error: z.object({ class: z.string().max(256), desc: z.string().max(65_536) }),
  id: z.number().int().optional(),
})
const event = z.object({ event: z.string().max(128), data: z.unknown().optional() })

/** Why QEMU stopped running its guest: `ShutdownCause` of QEMU's run-state.json. */
const shutdown = z.object({ guest: z.boolean(), reason: z.string().max(64) })

/** How far a migration is: `MigrationStatus` of QEMU's migration.json. */
const migration = z.object({ status: z.string().max(64) })

/** The events the product acts on. */
export type QmpEvent =
  | { readonly name: 'SHUTDOWN'; readonly guest: boolean; readonly reason: string }
  | { readonly name: 'MIGRATION'; readonly status: string }
  | { readonly name: 'STOP' | 'RESUME' | 'RESET' | 'GUEST_PANICKED' | 'other' }

export type QmpMessage =
  | { readonly kind: 'greeting'; readonly version: QemuVersion }
  | { readonly kind: 'success'; readonly id: number; readonly value: unknown }
  | { readonly kind: 'failure'; readonly id: number | undefined; readonly class: string; readonly description: string }
  | { readonly kind: 'event'; readonly event: QmpEvent }

/**
 * One line of QMP as a typed message.
 * @throws an error that says what is wrong with the line
 */
export function parseQmpMessage(line: string): QmpMessage {
  const json: unknown = JSON.parse(line)
  if (typeof json !== 'object' || json === null || Array.isArray(json)) throw new Error('not a JSON object')
  if (Object.hasOwn(json, 'event')) return { kind: 'event', event: toEvent(event.parse(json)) }
  if (Object.hasOwn(json, 'return')) {
    const { id, return: value } = success.parse(json)
    return { kind: 'success', id, value }
  }
  if (Object.hasOwn(json, 'error')) {
    const { error, id } = failure.parse(json)
    return { kind: 'failure', id, class: error.class, description: error.desc }
  }
  return { kind: 'greeting', version: greeting.parse(json).QMP.version.qemu }
}

function toEvent(message: z.infer<typeof event>): QmpEvent {
  switch (message.event) {
    case 'SHUTDOWN':
      return { name: 'SHUTDOWN', ...shutdown.parse(message.data) }
    case 'STOP':
    case 'RESUME':
    case 'RESET':
    case 'GUEST_PANICKED':
      return { name: message.event }
    case 'MIGRATION':
      return { name: 'MIGRATION', ...migration.parse(message.data) }
    default:
      return { name: 'other' }
  }
}
