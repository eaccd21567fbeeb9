/**
 * The errors of exec-sandbox. A program that fails is a result; a machine that fails is one of these.
 *
 * Every error says what happened, what was expected and what to do. Code that handles an error switches on
 * `code`, never on the message. Each table below is exhaustive: a new code does not compile before its exit
 * code and its retry rule are decided.
 */

/** What each error code carries in `details`. */
export interface ErrorDetails {
  /** An option or argument was refused before any VM work. `field` is its path, e.g. `env.PATH`. */
  INVALID_INPUT: { readonly field: string }
  /** A package spec was refused or its installation failed. */
  PACKAGE: { readonly spec?: string; readonly output?: string }
  /** The host had no room for another VM within `waitedMs`. */
  CAPACITY: { readonly waitedMs: number }
  /** The VM did not become ready. */
  BOOT: {
    /** The phase that did not end: which wait ran into its deadline or was cut short. */
    readonly phase: string
    /** The last lines of the boot log (kernel and agent). */
    readonly bootLog: string
    /** The last lines QEMU and the jail wrote to stderr. */
    readonly stderr: string
  }
  /** The VM ended while it was in use. `dispatched`: the code may have run. */
  VM_LOST: { readonly dispatched: boolean; readonly stderr?: string; readonly bootLog?: string }
  /** The sandbox was used after it ended. */
  SANDBOX_CLOSED: { readonly reason: string }
  /** The caller's signal was aborted; `cause` is the signal's reason. */
  ABORTED: { readonly reason?: unknown }
  /** A file operation failed. `errno` is the POSIX name, e.g. `ENOENT`. */
  FILE: { readonly path: string; readonly errno: string }
  /** Something the product depends on is missing or unusable. `fix` is the command or step that mends it. */
  DEPENDENCY: { readonly dependency: string; readonly fix: string }
  /** The guest broke the wire format; its VM is killed. */
  PROTOCOL: { readonly rule: string }
}

export type ErrorCode = keyof ErrorDetails

/** Whether trying the same call again can help. `VM_LOST` decides by its details. */
const RETRYABLE: Record<ErrorCode, boolean> = {
  INVALID_INPUT: false,
  PACKAGE: false,
  CAPACITY: true,
  BOOT: true,
  VM_LOST: false,
  SANDBOX_CLOSED: false,
  ABORTED: false,
  FILE: false,
  DEPENDENCY: false,
  PROTOCOL: false,
}

/** The command line's exit code for each error (docs: README, "Exit codes"). */
export const EXIT_CODES: Record<ErrorCode, number> = {
  INVALID_INPUT: 2,
  PACKAGE: 125,
  CAPACITY: 125,
  BOOT: 125,
  VM_LOST: 125,
  SANDBOX_CLOSED: 125,
  ABORTED: 130,
  FILE: 125,
  DEPENDENCY: 125,
  PROTOCOL: 125,
}

export interface SandboxErrorOptions<C extends ErrorCode> {
  readonly details: ErrorDetails[C]
  readonly cause?: unknown
  /** Overrides the code's own retry rule. */
  readonly retryable?: boolean
}

/** Base class of everything exec-sandbox throws. */
export class SandboxError<C extends ErrorCode = ErrorCode> extends Error {
  readonly code: C
  readonly details: ErrorDetails[C]
  readonly retryable: boolean

  constructor(code: C, message: string, options: SandboxErrorOptions<C>) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = new.target.name
    this.code = code
    this.details = options.details
    this.retryable = options.retryable ?? RETRYABLE[code]
  }
}

/** Bad option, code with NUL, bad environment name, unknown language…: found before any VM work. */
export class InvalidInputError extends SandboxError<'INVALID_INPUT'> {
  constructor(message: string, details: ErrorDetails['INVALID_INPUT'], cause?: unknown) {
    super('INVALID_INPUT', message, { details, cause })
  }
}

/** A package spec was refused or its installation failed; the installer's output is in `details`. */
export class PackageError extends SandboxError<'PACKAGE'> {
  constructor(message: string, details: ErrorDetails['PACKAGE'], options: { retryable: boolean; cause?: unknown }) {
    super('PACKAGE', message, { details, ...options })
  }
}

/** No admission within the time allowed, or ever: then it is not retryable. */
export class CapacityError extends SandboxError<'CAPACITY'> {
  constructor(
    message: string,
    details: ErrorDetails['CAPACITY'],
    options: { retryable?: boolean; cause?: unknown } = {},
  ) {
    super('CAPACITY', message, { details, ...options })
  }
}

/** The VM did not become ready; the last boot-log lines and QEMU's stderr are in `details`. */
export class BootError extends SandboxError<'BOOT'> {
  constructor(message: string, details: ErrorDetails['BOOT'], options: { retryable?: boolean; cause?: unknown } = {}) {
    super('BOOT', message, { details, ...options })
  }
}

/** The VM died while in use. Retrying is safe only when the code was not dispatched. */
export class VmLostError extends SandboxError<'VM_LOST'> {
  constructor(message: string, details: ErrorDetails['VM_LOST'], cause?: unknown) {
    super('VM_LOST', message, { details, cause, retryable: !details.dispatched })
  }
}

/** The sandbox was used after it ended; `details.reason` says why it ended. */
export class SandboxClosedError extends SandboxError<'SANDBOX_CLOSED'> {
  constructor(message: string, details: ErrorDetails['SANDBOX_CLOSED'], cause?: unknown) {
    super('SANDBOX_CLOSED', message, { details, cause })
  }
}

/** The caller's signal was aborted; its reason is the `cause`. */
export class AbortedError extends SandboxError<'ABORTED'> {
  constructor(message: string, cause: unknown) {
    super('ABORTED', message, { details: {}, cause })
  }
}

/** A file operation in the guest failed. */
export class FileError extends SandboxError<'FILE'> {
  constructor(message: string, details: ErrorDetails['FILE'], cause?: unknown) {
    super('FILE', message, { details, cause })
  }
}

/** QEMU, image, jail or accelerator missing or unusable; `details.fix` says what mends it. */
export class DependencyError extends SandboxError<'DEPENDENCY'> {
  constructor(message: string, details: ErrorDetails['DEPENDENCY'], cause?: unknown) {
    super('DEPENDENCY', message, { details, cause })
  }
}

/** The guest broke the wire format. Its VM is killed: nothing more it says can be believed. */
export class ProtocolError extends SandboxError<'PROTOCOL'> {
  constructor(message: string, details: ErrorDetails['PROTOCOL'], cause?: unknown) {
    super('PROTOCOL', message, { details, cause })
  }
}
