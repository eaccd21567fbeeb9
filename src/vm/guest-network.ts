import { z } from 'zod'
import type { Channel, Exchange } from '../channel/index.ts'

/** The agent's methods for network and ports (docs/protocol.md, "Methods that the host calls"). */

/** The agent makes or removes one device; flows of a network that goes away are only told. */
const NETWORK_TIMEOUT_MS = 20_000

const networkResult = z.object({ guestMs: z.number().min(0).max(1e12) })
const dialResult = z.object({})

/** Stream numbers of `dial`. */
export const DIAL_STREAMS = { toGuest: 0, fromGuest: 1 } as const

/** What the guest's network is to be. */
export interface GuestNetwork {
  readonly enabled: boolean
  /** Certificates in PEM that programs are to trust beside the image's own. */
  readonly authorities?: string | undefined
}

/** Switches the guest's network on or off. What is asked next, without waiting for this, finds it so. */
export async function setGuestNetwork(
  channel: Channel,
  { enabled, authorities }: GuestNetwork,
  signal?: AbortSignal,
): Promise<void> {
  const params = { enabled, ...(authorities === undefined || authorities === '' ? {} : { authorities }) }
  await channel.request('network', params, {
    label: `network ${enabled ? 'on' : 'off'}`,
    timeoutMs: NETWORK_TIMEOUT_MS,
    result: networkResult,
    signal,
  })
}

/**
 * Connects to a server in the guest. The caller writes and reads its two streams (`DIAL_STREAMS`), but writes only once
 * `onConnected` has been called.
 * @param signal resets the connection
 */
export function dialGuest(
  channel: Channel,
  port: number,
  { onConnected, signal }: { readonly onConnected: () => void; readonly signal: AbortSignal },
): Exchange<object> {
  return channel.exchange(
    'dial',
    { port },
    {
      label: `dial ${port}`,
      receive: [DIAL_STREAMS.fromGuest],
      send: [DIAL_STREAMS.toGuest],
      event: z.object({ event: z.literal('connected') }),
      onEvent: onConnected,
      maxEvents: 1,
      result: dialResult,
      signal,
    },
  )
}
