import { type Case, lines } from './case.ts'
import { ok, python, stillWorks } from './python-case.ts'

const programs: readonly Case[] = [
  python('a fork bomb ends and leaves a session', [
    {
      code: 'import os\nwhile True:\n    try: os.fork()\n    except OSError: pass',
      timeoutMs: 2_000,
      expect: { exitCode: 124, reason: 'timeout' },
    },
    stillWorks,
  ]),
  // One after the other: all three together are a third more than the memory, and end as that.
  ...['/home/user', '/tmp', '/dev/shm'].map((place) =>
    python(`a full ${place} says so, and is usable once there is room`, [
      ok(
        lines`
          import errno, os
          def fill(path):
              try:
                  with open(path, 'wb') as file:
                      while True: file.write(bytes(1 << 20)); file.flush()
              except OSError as error:
                  return errno.errorcode[error.errno] in ('ENOSPC', 'EDQUOT')
          fill('${place}/filler')
        `,
        { results: ['True'] },
      ),
      ok(`os.remove('${place}/filler')`),
      ok(`open('${place}/file', 'w').write('fits')`, { results: ['4'] }),
    ]),
  ),
]

/** Programs that use up what the machine has: for a VM only, natively they would use up that of whoever runs them. */
export const pythonLimitCases: readonly Case[] = programs.map((one) => ({ ...one, vmOnly: true }))
