import { DependencyError } from '../base/index.ts'
import type { CommandError } from './run-command.ts'

interface Cause {
  readonly pattern: RegExp
  readonly what: string
  readonly fix: string
}

/**
 * apt has no exit codes for its failures, so what it wrote (in the C locale) decides what we advise. It decides nothing else:
 * a text we do not know gives the same error with general advice. Order matters: a missing suite is
 * reported by apt beside network noise.
 */
const CAUSES: readonly Cause[] = [
  {
    pattern: /No space left on device|enough free space/i,
    what: 'the disk is full',
    fix: 'free some space in the cache directory, or name another one with EXEC_SANDBOX_CACHE_DIR',
  },
  {
    pattern:
      /NO_PUBKEY|signatures couldn't be verified|Missing key|No keyring installed|unsupported filetype|not signed/i,
    what: "the keys that sign it are not in this machine's keyrings",
    fix: 'sudo apt-get update && sudo apt-get install -y debian-archive-keyring',
  },
  {
    pattern: /does not have a Release file|404 +Not Found|File not found/i,
    what: 'the mirror does not have it',
    fix: 'set EXEC_SANDBOX_DEBIAN_MIRROR to the URL of a Debian mirror that has it',
  },
  {
    pattern:
      /Temporary failure resolving|Could not resolve|Could not connect|Unable to connect|Network is unreachable|timed out|Connection refused|Connection failed|Cannot initiate the connection/i,
    what: 'the mirror cannot be reached',
    fix: 'check the network connection and the proxy settings of apt, then run again: sbx image build',
  },
  {
    pattern: /Unable to locate package|No packages found|has no installation candidate/i,
    what: 'a package is missing from it',
    fix: 'set EXEC_SANDBOX_DEBIAN_MIRROR to the URL of a complete Debian mirror',
  },
]

/** The typed error for a failed apt or mmdebstrap command. */
export function aptFailure(error: CommandError, suite: string | undefined): DependencyError {
  const cause = CAUSES.find(({ pattern }) => pattern.test(error.output))
  const subject = suite === undefined ? 'A package of Debian' : `Debian's suite "${suite}"`
  const what = cause?.what ?? 'apt failed'
  const fix = cause?.fix ?? 'read its output above, mend it, and run again: sbx image build'
  return new DependencyError(
    `${subject} could not be fetched: ${what}. To mend it: ${fix}.\n${error.output}`,
    { dependency: 'Debian packages', fix },
    error,
  )
}
