import type { Refusal, RefusalCode } from './guest-json.ts'

/** The guest answered a request with an error. Who made the request decides what that means for the user. */
export class RequestRefusedError extends Error {
  readonly refusal: RefusalCode

  constructor(label: string, refusal: Refusal) {
    super(`${label}: the guest refused it (${refusal.code}): ${refusal.message}`)
    this.name = 'RequestRefusedError'
    this.refusal = refusal.code
  }
}
