/** How the installer ended. */
export interface InstallerEnd {
  /** What it was to install, as a person would say it. */
  readonly what: string
  readonly exitCode: number
  readonly reason: 'exit' | 'signal' | 'timeout' | 'memory'
  /** The end of what it wrote, both streams. */
  readonly output: string
  readonly timeoutMs: number
}

/** Why an installation failed, and whether trying again can help. */
export interface InstallFailure {
  readonly message: string
  readonly retryable: boolean
}

interface Cause {
  readonly pattern: RegExp
  readonly words: string
  readonly retryable: boolean
}

/** In this order: the first that fits is what happened; a resolver's conclusion stands behind what led to it. */
const CAUSES: readonly Cause[] = [
  {
    pattern: /No space left on device|ENOSPC|os error 28\b|EDQUOT|Quota exceeded|os error 122\b/i,
    words: 'the packages do not fit into the installing VM',
    retryable: false,
  },
  {
    pattern:
      /\b(?:invalid peer certificate|UnknownIssuer|certificate verify failed|CERTIFICATE_VERIFY_FAILED|SELF_SIGNED_CERT|UNABLE_TO_(?:VERIFY|GET)|CERT_HAS_EXPIRED)/i,
    words: "the certificate of the index is not trusted; the host's own authorities are passed on to the VM",
    retryable: false,
  },
  {
    pattern: /\b(?:401|403)\b(?! ?MiB| ?KiB)|Unauthorized|Forbidden/,
    words: 'the index refused access: check the credentials of your pip or npm configuration',
    retryable: false,
  },
  {
    pattern:
      /\b(?:gcc|g\+\+|cc|clang|c\+\+|gfortran|rustc|cargo|cmake|meson|ninja|nmake|make)'? ?(?:failed|: (?:command )?not found|: No such file)|command '[^']*(?:gcc|g\+\+|cc|clang)'|Unknown compiler|error: can't find Rust compiler|No such file or directory: '(?:gcc|cc|cmake|cargo|ninja)'|unable to execute '[^']*'|Microsoft Visual C\+\+/i,
    words:
      'it has no wheel for this system and must be compiled, and there is no compiler in the sandbox image; ask for a version that has a wheel',
    retryable: false,
  },
  {
    pattern:
      /Failed to build|Build backend failed|build_wheel|Failed to download and build|metadata_generation_failed/i,
    words: 'it has no wheel for this system, and building it from its source failed',
    retryable: false,
  },
  {
    pattern: /no (?:usable )?wheels|Wheels are required|no wheels with a matching/i,
    words: 'it has no wheel for this system',
    retryable: false,
  },
  {
    pattern:
      /was not found in the (?:package registry|provided package locations)|not found in the package registry| - 404\b|\b404 Not Found|No matching distribution/i,
    words: 'there is no such package in the index',
    retryable: false,
  },
  {
    pattern: /depends on|conflict|incompatible/i,
    words: 'the specs, or what they depend on, exclude each other',
    retryable: false,
  },
  {
    pattern:
      /there (?:is|are) (?:no|only the following) versions? of|No version matching|with tag ".*" not found|failed to resolve|No solution found/i,
    words: 'the index has no version that fits',
    retryable: false,
  },
  {
    pattern: /\b(?:429|5\d\d)\b(?= |$|\n)|Too Many Requests|Service Unavailable|Bad Gateway|Gateway Time-?out/i,
    words: 'the index is overloaded or out of order',
    retryable: true,
  },
  {
    pattern:
      /dns error|DNSResolveFailed|error resolving DNS|error sending request|Connection ?(?:Refused|Reset|Closed|TimedOut|aborted)|connect(?:ion)? error|timed out|TimedOut|Network is unreachable|ENETUNREACH|ECONN|EAI_AGAIN|tls handshake|unexpected EOF|IncompleteMessage|Failed to fetch|FailedToOpenSocket/i,
    words: 'the index, or a host that it names for its files, cannot be reached',
    retryable: true,
  },
  {
    pattern: /hash mismatch|IntegrityCheckFailed|integrity check failed|checksum/i,
    words: 'what was downloaded is not what the index promised',
    retryable: true,
  },
]

/** Characters of the installer's own words in a message. */
const MOST_WORDS = 1_000

/** What a failed installation means. The installer's own words stand in the message. Pure. */
export function explainFailure(end: InstallerEnd): InstallFailure {
  const { what, reason, exitCode, output, timeoutMs } = end
  const tell = (why: string, retryable: boolean): InstallFailure => {
    const words = ownWords(output)
    return { message: `Installing ${what} failed: ${why}${words === '' ? '' : `\n${words}`}`, retryable }
  }
  if (reason === 'timeout') return tell(`it was not done within ${timeoutMs / 1_000} s`, true)
  if (reason === 'memory') return tell('the installing VM ran out of memory', false)
  if (reason === 'signal') return tell(`the installer was killed by signal ${exitCode - 128}`, true)
  const cause = CAUSES.find(({ pattern }) => pattern.test(output))
  return cause === undefined ? tell(`the installer ended with ${exitCode}`, false) : tell(cause.words, cause.retryable)
}

/** The lines from the first that says `error` on, else the last few; without what only marks progress. */
function ownWords(output: string): string {
  const lines = output.split('\n').map((line) => line.trimEnd())
  const first = lines.findIndex((line) => /^\s*(?:error|fatal|\S* error)\b/i.test(line))
  const kept = (first === -1 ? lines.slice(-5) : lines.slice(first)).filter((line) => line !== '')
  const text = kept.join('\n')
  return text.length > MOST_WORDS ? `${text.slice(0, MOST_WORDS)}…` : text
}
