import type { Logger } from '../base/index.ts'
import type { NetworkMetrics, NetworkRefusal } from './metrics.ts'

/** Refusals kept: enough to see what a program tried, little enough to keep for every sandbox. */
const KEPT = 256

/** Characters of a reason or name that are kept. Names come from the guest. */
const MAX_TEXT = 300

interface Counters {
  open: number
  opened: number
  refused: number
  failed: number
  sent: number
  received: number
  asked: number
  dnsRefused: number
  dnsFailed: number
}

/** Counts what a sandbox does on the network, and remembers what was refused and why. */
export class DecisionLog {
  readonly #logger: Logger
  readonly #refusals: NetworkRefusal[] = []
  readonly #count: Counters = {
    open: 0,
    opened: 0,
    refused: 0,
    failed: 0,
    sent: 0,
    received: 0,
    asked: 0,
    dnsRefused: 0,
    dnsFailed: 0,
  }

  constructor(logger: Logger) {
    this.#logger = logger
  }

  /** Something was not let through: it is counted, kept and written to the debug log. */
  refused(refusal: Omit<NetworkRefusal, 'at'>): void {
    if (refusal.kind === 'dns') this.#count.dnsRefused += 1
    else this.#count.refused += 1
    const { name, ...rest } = refusal
    const kept = { at: new Date(), ...rest, reason: refusal.reason.slice(0, MAX_TEXT) }
    this.#refusals.push(name === undefined ? kept : { ...kept, name: name.slice(0, MAX_TEXT) })
    if (this.#refusals.length > KEPT) this.#refusals.shift()
    this.#logger.debug('network: refused', { ...refusal, name: name?.slice(0, MAX_TEXT) })
  }

  connectionOpened(): void {
    this.#count.open += 1
    this.#count.opened += 1
  }

  connectionEnded(): void {
    this.#count.open -= 1
  }

  connectionFailed(address: string, port: number, reason: string): void {
    this.#count.failed += 1
    this.#logger.debug('network: connection failed', { address, port, reason: reason.slice(0, MAX_TEXT) })
  }

  sent(bytes: number): void {
    this.#count.sent += bytes
  }

  received(bytes: number): void {
    this.#count.received += bytes
  }

  asked(): void {
    this.#count.asked += 1
  }

  questionFailed(name: string, reason: string): void {
    this.#count.dnsFailed += 1
    this.#logger.debug('network: name not resolved', { name, reason: reason.slice(0, MAX_TEXT) })
  }

  metrics(): NetworkMetrics {
    const count = this.#count
    return {
      connections: { open: count.open, opened: count.opened, refused: count.refused, failed: count.failed },
      bytesSent: count.sent,
      bytesReceived: count.received,
      dns: { asked: count.asked, refused: count.dnsRefused, failed: count.dnsFailed },
      refused: [...this.#refusals],
    }
  }
}
