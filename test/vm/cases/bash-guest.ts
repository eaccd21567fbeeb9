import { type Case, type CaseCall, lines } from './case.ts'

/** Programs against the whole guest. They would harm a machine that is not one's own. */
export const bashGuestCases: readonly Case[] = [
  bash('file systems that are full, of bytes or of files, say so and can be emptied', [
    {
      code: lines`
        for d in /home/user /tmp /dev/shm; do
          fallocate -l $(($(df --output=avail -B1 $d | tail -1) - (1 << 20))) $d/full
          head -c 4M /dev/zero >$d/more && echo it fits
          rm $d/full $d/more
          echo y >$d/again && cat $d/again
        done`,
      timeoutMs: 60_000,
      expect: {
        exitCode: 0,
        stdout: 'y\ny\ny\n',
        stderr: /^(?:head: error writing .*No space left on device\n){3}$/,
      },
    },
    {
      code: lines`
        mkdir /dev/shm/many
        while : >/dev/shm/many/$((n++)); do :; done
        rm -r /dev/shm/many
        echo y >/dev/shm/again && cat /dev/shm/again`,
      timeoutMs: 60_000,
      expect: { exitCode: 0, stdout: 'y\n', stderr: /^bash: line 2: .*No space left on device\n$/ },
    },
  ]),
  bash('killing everything of the user leaves a session', [
    { code: 'sleep 60 & kill -KILL -1; echo on', expect: { exitCode: 0, stdout: 'on\n' } },
    { code: "bash -c 'kill -KILL -1'", expect: { exitCode: 137, reason: 'signal' } },
    { code: 'echo alive', expect: { exitCode: 0, stdout: 'alive\n' } },
    { code: 'exec sleep 60', timeoutMs: 1_000, expect: { exitCode: 124, reason: 'timeout' } },
    { code: 'echo alive', expect: { exitCode: 0, stdout: 'alive\n' } },
  ]),
  bash('a fork bomb in the background ends, and the session works, other programs included', [
    { code: ':() { :|:& }; :', timeoutMs: 20_000, expect: { exitCode: 0 } },
    { code: 'echo ok', expect: { exitCode: 0, stdout: 'ok\n' } },
    // It grows until it is a crowd; then nothing is left of it.
    { code: 'until seq 3 | wc -l; do :; done', timeoutMs: 60_000, expect: { exitCode: 0, stdout: '3\n' } },
  ]),
  bash('a child in a group of its own hears the time limit, too', [
    {
      code: 'kept=1; timeout 60 bash -c "trap \\"touch heard; exit\\" INT; echo up; while :; do sleep 0.1; done"',
      timeoutMs: 1_000,
      expect: { exitCode: 124, reason: 'timeout', stdout: 'up\n' },
    },
    { code: 'ls heard; echo $kept', expect: { exitCode: 0, stdout: 'heard\n1\n' } },
  ]),
  bash('a first line that names no interpreter is a comment', [
    { code: '#!\necho hi', expect: { exitCode: 0, stdout: 'hi\n' } },
    { code: `#!/${'x'.repeat(300)}\necho ho`, expect: { exitCode: 0, stdout: 'ho\n' } },
  ]),
]

function bash(name: string, calls: readonly CaseCall[]): Case {
  return { name, language: 'bash', calls, vmOnly: true }
}
