import type { Case, CaseCall } from './case.ts'

export const bashCases: readonly Case[] = [
  bash('directory, variables, functions and arrays stay', [
    {
      code: 'cd /tmp; export EXPORTED=1; greet() { echo "hi $1"; }; list=(1 2 3); declare -A map=([k]=v)',
      expect: { exitCode: 0 },
    },
    {
      code: 'pwd; printenv EXPORTED; greet you; echo "${list[2]} ${map[k]}"',
      expect: { exitCode: 0, stdout: '/tmp\n1\nhi you\n3 v\n' },
    },
  ]),
  bash('errexit and nounset end a program and not the session', [
    { code: 'kept=1; set -e; false; echo not reached', expect: { exitCode: 1, stdout: '' } },
    { code: 'set -u; echo $nope', expect: { exitCode: 1, stderr: 'bash: line 1: nope: unbound variable\n' } },
    { code: "echo 'unbalanced", expect: { exitCode: 2 } },
    { code: 'echo $((1/0)); echo not reached', expect: { exitCode: 1, stdout: '' } },
    { code: 'f() { false; echo not reached; }; f a b', expect: { exitCode: 1, stdout: '' } },
    { code: 'echo "ok $kept $#${FUNCNAME[*]}"', expect: { exitCode: 0, stdout: 'ok 1 0\n' } },
  ]),
  bash('functions and variables may have any name', [
    {
      code: 'printf() { echo P; }; read() { echo R; }; eval() { :; }; exit() { echo E; }; builtin() { :; }; owner=1; wire=2; running=3',
      expect: { exitCode: 0 },
    },
    { code: 'printf; read; exit; echo works $owner', expect: { exitCode: 0, stdout: 'P\nR\nE\nworks 1\n' } },
  ]),
  bash('a redirection of the shell itself ends with the call', [
    { code: 'exec >/dev/null 2>&1; echo hidden', expect: { exitCode: 0, stdout: '' } },
    { code: 'echo ok; echo err >&2', expect: { exitCode: 0, stdout: 'ok\n', stderr: 'err\n' } },
    { code: 'exec 1>&- 2>&- 0<&-', expect: { exitCode: 0 } },
    { code: 'echo ok; cat', expect: { exitCode: 0, stdout: 'ok\n', stderr: '' } },
  ]),
  bash('a program that starts with #! runs under that interpreter', [
    { code: '#!/usr/bin/awk -f\nBEGIN { print 6 * 7 }', expect: { exitCode: 0, stdout: '42\n' } },
    { code: 'echo alive', expect: { exitCode: 0, stdout: 'alive\n' } },
  ]),
  bash('a syntax error has status 2 and a line', [
    {
      code: 'echo one\nif true; then\n',
      expect: { exitCode: 2, stdout: 'one\n', stderr: /^bash: line \d+: syntax error: unexpected end of file/ },
    },
    { code: 'echo $?', expect: { exitCode: 0, stdout: '2\n' } },
  ]),
  bash('exit gives the status and keeps directory, variables and functions', [
    {
      code: 'cd /tmp; kept=1; f() { local inner=2; exit 7; }; f; echo not reached',
      expect: { exitCode: 7, stdout: '' },
    },
    { code: 'echo "$kept$inner $?"; pwd', expect: { exitCode: 0, stdout: '1 7\n/tmp\n' } },
    { code: 'exit 300', expect: { exitCode: 44 } },
    { code: 'eval "exit 12"', expect: { exitCode: 12 } },
    { code: '(exit 3); echo $?; x=$(exit 5); echo $?', expect: { exitCode: 0, stdout: '3\n5\n' } },
  ]),
  bash('an EXIT trap runs at the end of the program that set it, and of a later one that exits', [
    { code: 'trap "echo bye" EXIT; echo hi', expect: { exitCode: 0, stdout: 'hi\nbye\n' } },
    { code: 'echo between', expect: { exitCode: 0, stdout: 'between\n' } },
    { code: 'exit 4', expect: { exitCode: 4, stdout: 'bye\n' } },
    { code: 'trap - EXIT; exit 5', expect: { exitCode: 5, stdout: '' } },
  ]),
  bash('replacing the shell ends it, and the next call has a new one', [
    { code: 'kept=1; exec /bin/echo replaced', expect: { exitCode: 0, stdout: 'replaced\n' } },
    { code: 'echo "[$kept]"', expect: { exitCode: 0, stdout: '[]\n' } },
    { code: 'kill -KILL $$', expect: { exitCode: 137, reason: 'signal' } },
    { code: 'echo back', expect: { exitCode: 0, stdout: 'back\n' } },
  ]),
  bash('an endless loop is interrupted at its time limit and the state stays', [
    { code: 'kept=5; while :; do :; done', timeoutMs: 2_000, expect: { exitCode: 124, reason: 'timeout' } },
    { code: 'sleep 60; echo not reached', timeoutMs: 2_000, expect: { exitCode: 124, reason: 'timeout', stdout: '' } },
    { code: 'echo $(sleep 60)', timeoutMs: 2_000, expect: { exitCode: 124, reason: 'timeout' } },
    { code: 'echo $kept', expect: { exitCode: 0, stdout: '5\n' } },
  ]),
  bash('a trap for SIGTERM has its say at the time limit', [
    {
      code: 'trap "echo cleanup; exit 42" TERM; while :; do :; done',
      timeoutMs: 2_000,
      expect: { exitCode: 124, reason: 'timeout', stdout: 'cleanup\n' },
    },
  ]),
  bash('environment entries of a call end with it', [
    { code: 'declare -x OLD=before', expect: { exitCode: 0 } },
    {
      code: 'echo "$OLD $NEW"; printenv OLD NEW; OLD=changed',
      env: { OLD: 'a b', NEW: '$x' },
      expect: { exitCode: 0, stdout: 'a b $x\na b\n$x\n' },
    },
    { code: 'echo "[$OLD] [$NEW]"', expect: { exitCode: 0, stdout: '[before] []\n' } },
  ]),
  bash('jobs, pipes, here-documents and process substitution work', [
    { code: 'sleep 0.1 & wait $!; echo $?', expect: { exitCode: 0, stdout: '0\n' } },
    { code: 'sleep 60 & jobs %1 | wc -l', expect: { exitCode: 0, stdout: '1\n' } },
    { code: 'kill %1; wait; echo gone', expect: { exitCode: 0, stdout: 'gone\n' } },
    {
      code: 'cat <<END\nline\nEND\nwhile read -r l; do echo "got $l"; done < <(echo a; echo b)',
      expect: { exitCode: 0, stdout: 'line\ngot a\ngot b\n' },
    },
    { code: 'seq 3 | tac | tr "\\n" " "; echo "${PIPESTATUS[*]}"', expect: { exitCode: 0, stdout: '3 2 1 0 0 0\n' } },
  ]),
  bash('stdin is at its end', [
    { code: 'read -r x; echo $?; cat /dev/stdin; echo $?', expect: { exitCode: 0, stdout: '1\n0\n' } },
  ]),
  bash('names and numbers are those of a script', [
    {
      code: 'echo "$0 $#"; nosuchcommand',
      expect: { exitCode: 127, stdout: 'bash 0\n', stderr: 'bash: line 1: nosuchcommand: command not found\n' },
    },
    { code: '\n\nset -x; : $LINENO', expect: { exitCode: 0, stderr: '+ : 3\n' } },
    { code: 'set +x; exec_sandbox_repl', expect: { exitCode: 127 } },
  ]),
  bash('output of awkward sizes is exact', [
    { code: 'head -c 65537 /dev/zero | tr "\\0" x', expect: { exitCode: 0, stdoutLength: 65_537 } },
    { code: 'yes 012345678 | head -n 90000', expect: { exitCode: 0, stdoutLength: 900_000 } },
    { code: 'echo -n "é€𝄞"', expect: { exitCode: 0, stdout: 'é€𝄞' } },
  ]),
]

function bash(name: string, calls: readonly CaseCall[]): Case {
  return { name, language: 'bash', calls }
}
