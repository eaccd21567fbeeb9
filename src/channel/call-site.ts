/** Where a request was made. The text is only put together if an error needs it. */
export interface CallSite {
  readonly stack?: string
}

/** The stack of the caller. */
export function captureCallSite(): CallSite {
  const site: CallSite = {}
  Error.captureStackTrace(site, captureCallSite)
  return site
}

/**
 * Gives an error made in a socket's event the stack of the call that waited for it, which is the one that tells a
 * reader something.
 */
export function at<E extends Error>(site: CallSite, error: E): E {
  const frames = site.stack?.split('\n').slice(1).join('\n') ?? ''
  error.stack = `${error.name}: ${error.message}\n${frames}`
  return error
}
