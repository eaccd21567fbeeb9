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
  python('full file systems say so, and are usable once there is room', [
    ok(
      lines`
        import errno, os
        def fill(path):
            try:
                with open(path, 'wb') as file:
                    while True: file.write(bytes(1 << 20)); file.flush()
            except OSError as error:
                return errno.errorcode[error.errno] in ('ENOSPC', 'EDQUOT')
        places = ['/home/user', '/tmp', '/dev/shm']
        [fill(f'{place}/filler') for place in places]
      `,
      { results: ['[True, True, True]'] },
    ),
    ok('for place in places: os.remove(f"{place}/filler")'),
    ok('[open(f"{place}/file", "w").write("fits") for place in places]', { results: ['[4, 4, 4]'] }),
  ]),
]

/** Programs that use up what the machine has: for a VM only, natively they would use up that of whoever runs them. */
export const pythonLimitCases: readonly Case[] = programs.map((one) => ({ ...one, vmOnly: true }))
