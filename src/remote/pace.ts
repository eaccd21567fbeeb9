/** How slow a store may be. */
export interface PaceLimits {
  /** Milliseconds that may pass without a byte; also how long a response may take to begin. */
  readonly silenceMs: number
  /** In every window of so many milliseconds … */
  readonly windowMs: number
  /** … at least so many bytes are moved, while there is something to move. */
  readonly windowBytes: number
  /** Milliseconds that the whole may take. */
  readonly overallMs: number
}

/** A transfer as its clock sees it. */
export interface Pace {
  readonly startedAtMs: number
  readonly lastByteAtMs: number
  /** The window that is being measured; undefined before the first byte and after the last one. */
  readonly window: { readonly startedAtMs: number; readonly bytes: number } | undefined
}

export function startPace(nowMs: number): Pace {
  return { startedAtMs: nowMs, lastByteAtMs: nowMs, window: undefined }
}

/** So many bytes have been moved. */
export function bookBytes(pace: Pace, bytes: number, nowMs: number): Pace {
  const window = pace.window ?? { startedAtMs: nowMs, bytes: 0 }
  return { ...pace, lastByteAtMs: nowMs, window: { ...window, bytes: window.bytes + bytes } }
}

/** All has been moved in this direction: what comes now is the answer, which may take its time. */
export function bookEnd(pace: Pace, nowMs: number): Pace {
  return { ...pace, lastByteAtMs: nowMs, window: undefined }
}

/** Nothing is asked of the store until the next byte or end: only the whole is measured. */
export function bookPause(pace: Pace): Pace {
  return { ...pace, lastByteAtMs: Infinity, window: undefined }
}

/** Looks at the clock: why the transfer is too slow, or undefined; and the pace to go on with. */
export function judgePace(
  pace: Pace,
  limits: PaceLimits,
  nowMs: number,
): { readonly pace: Pace; readonly tooSlow: string | undefined } {
  if (nowMs - pace.startedAtMs >= limits.overallMs) {
    return { pace, tooSlow: `not done after ${limits.overallMs / 1000} s` }
  }
  if (nowMs - pace.lastByteAtMs >= limits.silenceMs) {
    return { pace, tooSlow: `silent for ${limits.silenceMs / 1000} s` }
  }
  const { window } = pace
  if (window === undefined || nowMs - window.startedAtMs < limits.windowMs) return { pace, tooSlow: undefined }
  // A tick may come late: the window is then as much longer, and more is expected of it.
  const expected = (limits.windowBytes * (nowMs - window.startedAtMs)) / limits.windowMs
  if (window.bytes < expected) {
    return { pace, tooSlow: `${window.bytes} bytes in ${Math.round((nowMs - window.startedAtMs) / 100) / 10} s` }
  }
  return { pace: { ...pace, window: { startedAtMs: nowMs, bytes: 0 } }, tooSlow: undefined }
}
