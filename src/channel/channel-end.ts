import { ProtocolError, SandboxClosedError, VmLostError } from '../base/index.ts'

/** Why a channel ended: the first cause, whatever followed from it. */
export type ChannelEnd =
  /** `close` was called. */
  | { readonly kind: 'closed' }
  /** The other end of the socket is gone: QEMU ended. `torn`: in the middle of a frame. */
  | { readonly kind: 'peer-closed'; readonly torn: boolean; readonly error?: Error }
  /** The guest broke the wire format. */
  | { readonly kind: 'protocol-error'; readonly error: ProtocolError }
  /** An exchange was not answered within its deadline, or not ended after CANCEL. */
  | { readonly kind: 'unresponsive'; readonly label: string; readonly waitedMs: number }
  /** Our own code failed while it handled a frame. */
  | { readonly kind: 'failed'; readonly error: unknown }

/** One sentence for people about how a channel ended. */
export function describeEnd(end: ChannelEnd): string {
  switch (end.kind) {
    case 'closed':
      return 'The channel to the VM was closed'
    case 'peer-closed':
      return `The VM closed its channel${end.torn ? ' in the middle of a frame' : ''}`
    case 'protocol-error':
      return end.error.message
    case 'unresponsive':
      return `The VM did not answer "${end.label}" within ${end.waitedMs} ms`
    case 'failed':
      break
  }
  return 'Handling a frame from the VM failed'
}

/**
 * The error of a request that the channel's end cut short.
 * @param dispatched whether the request had been handed to the socket, so that the guest may have acted on it
 */
export function errorOfEnd(end: ChannelEnd, label: string, dispatched: boolean): Error {
  const message = `${label}: ${describeEnd(end)}`
  switch (end.kind) {
    case 'protocol-error':
      return new ProtocolError(message, end.error.details, end.error)
    case 'closed':
      return new SandboxClosedError(message, { reason: describeEnd(end) })
    case 'peer-closed':
    case 'failed':
      return new VmLostError(message, { dispatched }, end.error)
    case 'unresponsive':
      break
  }
  return new VmLostError(message, { dispatched })
}
