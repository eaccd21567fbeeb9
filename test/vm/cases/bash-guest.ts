import { type Case, type CaseCall } from './case.ts'

/** Programs against the whole guest. They would harm a machine that is not one's own. */
export const bashGuestCases: readonly Case[] = [
  bash('a fork bomb ends and the session works', [
    { code: ':() { :|:& }; :', timeoutMs: 20_000, expect: { exitCode: 0 } },
    { code: 'echo ok', expect: { exitCode: 0, stdout: 'ok\n' } },
    { code: 'f() { f | f; }; f 2>/dev/null', timeoutMs: 5_000, expect: { exitCode: 124, reason: 'timeout' } },
    { code: 'echo ok', expect: { exitCode: 0, stdout: 'ok\n' } },
  ]),
  bash('full file systems say so and can be emptied', [
    {
      code: 'for d in /home/user /tmp /dev/shm; do head -c 4G /dev/zero >$d/full 2>err; echo $?; echo x >$d/more; rm -f $d/full $d/more; echo y >$d/again && cat $d/again; rm $d/again; done',
      timeoutMs: 60_000,
      expect: { exitCode: 0, stdout: '1\ny\n1\ny\n1\ny\n' },
    },
    {
      code: 'for d in /home/user /tmp /dev/shm; do mkdir $d/many; (cd $d/many && seq 1000000 | xargs touch 2>/dev/null); echo $?; rm -rf $d/many; echo y >$d/again && cat $d/again; rm $d/again; done',
      timeoutMs: 60_000,
      expect: { exitCode: 0 },
    },
  ]),
  bash('killing everything of the user leaves a session', [
    { code: 'sleep 60 & kill -KILL -1; echo on', expect: { exitCode: 0, stdout: 'on\n' } },
    { code: "bash -c 'kill -KILL -1'", expect: { exitCode: 137, reason: 'signal' } },
    { code: 'echo alive', expect: { exitCode: 0, stdout: 'alive\n' } },
    { code: 'exec sleep 60', timeoutMs: 1_000, expect: { exitCode: 124, reason: 'timeout' } },
    { code: 'echo alive', expect: { exitCode: 0, stdout: 'alive\n' } },
  ]),
]

function bash(name: string, calls: readonly CaseCall[]): Case {
  return { name, language: 'bash', calls, vmOnly: true }
}
