/** Milliseconds in which a transfer moves at least something; a guest that is starved under emulation moves slowly. */
export const STALL_TIMEOUT_MS = 60_000

/** What a transfer may take in all, however little it moves. */
const PATIENCE_MS = 600_000
/** Bytes a second that earn it more: a busy guest under emulation moves many times as much. */
const LEAST_BYTES_PER_SECOND = 16_384

/**
 * How long a transfer still waits for the guest. A guest that moves a byte now and then never stalls; without a limit on the
 * whole it would hold its caller for as long as it likes. Time in which the host's own side takes is not the guest's.
 */
export class GuestPace {
  #waitedMs = 0
  #bytes = 0

  /** Milliseconds that the guest has for its next move. */
  get leftMs(): number {
    const earnedMs = PATIENCE_MS + (this.#bytes / LEAST_BYTES_PER_SECOND) * 1_000
    return Math.max(0, Math.min(STALL_TIMEOUT_MS, earnedMs - this.#waitedMs))
  }

  /** The guest was waited for. */
  waited(ms: number): void {
    this.#waitedMs += ms
  }

  /** Content has been moved. */
  moved(bytes: number): void {
    this.#bytes += bytes
  }
}
