import { expect, test } from 'vitest'
import { aptFailure } from './apt-failure.ts'
import { CommandError } from './run-command.ts'

// What apt 2.6 and 3.0 write in the C locale.
test.each([
  [
    'no network',
    "W: Failed to fetch http://mirror.test/debian/dists/trixie/InRelease  Temporary failure resolving 'mirror.test'",
    /cannot be reached/,
  ],
  [
    'a closed port',
    'E: Failed to fetch …  Could not connect to 127.0.0.1:1 (127.0.0.1). - connect (111: Connection refused)',
    /cannot be reached/,
  ],
  [
    'a missing suite',
    "E: The repository 'http://mirror.test/debian trixie Release' does not have a Release file.",
    /does not have it/,
  ],
  [
    'unknown keys',
    "E: The following signatures couldn't be verified because the public key is not available: NO_PUBKEY 6ED0E7B82643E131",
    /not in this machine's keyrings/,
  ],
  ['a full disk', 'E: Write error - write (28: No space left on device)', /disk is full/],
  ['something new', 'E: The moon is in the wrong phase', /apt failed/],
])('%s gets its own advice and keeps apt’s words', (_, output, expected) => {
  const error = aptFailure(new CommandError('apt-get', 'failed', 100, output), 'trixie')
  expect(error.message).toMatch(expected)
  expect(error.message).toContain(output)
  expect(error.details.fix).not.toBe('')
})
