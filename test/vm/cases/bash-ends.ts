import type { Case, CaseCall } from './case.ts'

/** A short limit is enough for programs that would never end by themselves. */
const LIMIT_MS = 1_000
const timedOut = { exitCode: 124, reason: 'timeout' } as const

/** Ways in which a bash program ends, and what is left of the session. */
export const bashEndCases: readonly Case[] = [
  bash('exit ends the program wherever it stands', [
    { code: 'for i in 1 2; do exit $i; done; echo no', expect: { exitCode: 1, stdout: '' } },
    { code: 'echo "exit 6; echo no" >sourced; . ./sourced; echo no', expect: { exitCode: 6, stdout: '' } },
    { code: 'while read -r _; do exit 4; done <<<a; echo no', expect: { exitCode: 4, stdout: '' } },
    { code: '{ exit 5; } >/dev/null; echo no', expect: { exitCode: 5, stdout: '' } },
    { code: 'trap "exit 9" USR1; kill -USR1 $$; echo no', expect: { exitCode: 9, stdout: '' } },
    { code: 'f() { exit; }; false; f', expect: { exitCode: 1 } },
    { code: 'exit -1', expect: { exitCode: 255 } },
    { code: 'exit abc', expect: { exitCode: 2, stderr: 'bash: line 1: exit: abc: numeric argument required\n' } },
    { code: 'true; exit 1 2', expect: { exitCode: 1, stderr: 'bash: line 1: exit: too many arguments\n' } },
    { code: 'exit', expect: { exitCode: 1 } },
  ]),
  bash('exit in a subshell, a pipeline, a job or a coprocess ends only that', [
    {
      code: 'f() { exit 3; }; (f); echo $?; x=$(f); echo $?; f | cat; echo "${PIPESTATUS[*]}"',
      expect: { exitCode: 0, stdout: '3\n3\n3 0\n' },
    },
    { code: 'coproc { exit 4; }; wait $!; echo $?; exit 6 &', expect: { exitCode: 0, stdout: '4\n' } },
    { code: 'wait $!; echo $?', expect: { exitCode: 0, stdout: '6\n' } },
  ]),
  bash('return, break, continue and shift where they have no meaning do not end the program', [
    {
      code: 'return 5; echo $?; break; continue; echo $?; shift 5; echo $?; local x; echo $?',
      expect: { exitCode: 0, stdout: '2\n0\n1\n1\n', stderr: /can only `return' from a function/ },
    },
  ]),
  bash('an EXIT trap sees the variables of the function that exits', [
    {
      code: 'main() {\n  local w=/tmp/w\n  trap \'echo "removing $w ${FUNCNAME[0]} $1"\' EXIT\n  exit 3\n}\nmain a b',
      expect: { exitCode: 3, stdout: 'removing /tmp/w main a\n' },
    },
    { code: 'echo "[$w] $# ${FUNCNAME[*]}"', expect: { exitCode: 0, stdout: '[] 0 \n' } },
    { code: 'trap "echo bye; exit 9" EXIT; exit 2', expect: { exitCode: 9, stdout: 'bye\n' } },
    { code: 'trap - EXIT; trap "echo bye; exit 9" EXIT', expect: { exitCode: 9, stdout: 'bye\n' } },
    { code: "trap 'echo ${nope?gone}' EXIT; exit 4", expect: { exitCode: 4, stderr: 'bash: line 1: nope: gone\n' } },
    { code: 'trap - EXIT; (trap "echo sub" EXIT; echo in); exit 5', expect: { exitCode: 5, stdout: 'in\nsub\n' } },
  ]),
  bash('a failing exec keeps the shell, its traps and its jobs', [
    {
      code: 'kept=1; trap "echo usr1" USR1; trap "echo bye" EXIT; exec nosuchprogram; echo no',
      expect: { exitCode: 127, stdout: 'bye\n', stderr: 'bash: line 1: exec: nosuchprogram: not found\n' },
    },
    {
      code: 'kill -USR1 $$; echo $kept; trap - EXIT; (exit 7) & wait $!; echo $?',
      expect: { exitCode: 0, stdout: 'usr1\n1\n7\n' },
    },
    { code: 'exec /etc/passwd', expect: { exitCode: 126, stderr: /Permission denied/ } },
    { code: 'shopt -s execfail; exec /tmp; echo "$kept $?"', expect: { exitCode: 0, stdout: '1 126\n' } },
    { code: 'kill -INT $$; echo no', expect: { exitCode: 130, stdout: '' } },
    { code: 'echo $kept', expect: { exitCode: 0, stdout: '1\n' } },
  ]),
  bash('a program that replaces the shell gives its own end', [
    { code: "exec sh -c 'echo replaced; exit 5'", expect: { exitCode: 5, stdout: 'replaced\n' } },
    { code: "exec bash -c 'kill -TERM $$'", expect: { exitCode: 143, reason: 'signal' } },
    { code: 'echo back', expect: { exitCode: 0, stdout: 'back\n' } },
  ]),
  bash('a signal that the shell does not trap ends it, and the next call has a new one', [
    { code: 'kept=1; kill -TERM $$; echo no', expect: { exitCode: 143, reason: 'signal', stdout: '' } },
    { code: 'echo "[$kept]"; kill -HUP $$', expect: { exitCode: 129, reason: 'signal', stdout: '[]\n' } },
    { code: 'kill -SEGV $$', expect: { exitCode: 139, reason: 'signal' } },
    { code: 'kill -PIPE $$', expect: { exitCode: 141, reason: 'signal' } },
    { code: 'kill 0; echo no', expect: { exitCode: 143, reason: 'signal', stdout: '' } },
    { code: 'kill -QUIT $$; echo "as in any bash"', expect: { exitCode: 0, stdout: 'as in any bash\n' } },
    { code: 'ulimit -t 1; while :; do :; done', expect: { exitCode: 137, reason: 'signal' } },
    { code: 'ulimit -f 1; printf "%9000s" x >big', expect: { exitCode: 153, reason: 'signal' } },
    { code: 'ulimit -s 512; f() { f; }; f', expect: { exitCode: 139, reason: 'signal' } },
    { code: 'echo alive', expect: { exitCode: 0, stdout: 'alive\n' } },
  ]),
  bash('traps run on their signals, in the call during which they come', [
    {
      code: 'trap "echo usr1" USR1; trap "echo term" TERM; kill -USR1 $$; kill -TERM $$; echo on',
      expect: { exitCode: 0, stdout: 'usr1\nterm\non\n' },
    },
    { code: 'kill -USR1 $$; trap - TERM USR1; trap -p', expect: { exitCode: 0, stdout: 'usr1\n' } },
    { code: 'trap "echo chld" CHLD; (:); trap - CHLD', expect: { exitCode: 0, stdout: 'chld\n' } },
    {
      code: 'trap "echo got" USR1; (sleep 0.05; kill -USR1 $$) & wait; echo $?; wait; echo $?',
      expect: { exitCode: 0, stdout: 'got\n138\n0\n' },
    },
    { code: 'trap "echo pending" HUP; (sleep 0.1; kill -HUP $$) &', expect: { exitCode: 0, stdout: '' } },
    { code: 'wait; echo then', expect: { exitCode: 0, stdout: /^pending\n(then\n)?$/ } },
    { code: 'trap NOSUCH; trap x NOSUCH; echo $?', expect: { exitCode: 0, stdout: '1\n' } },
  ]),
  bash('SIGINT ends the program and keeps the session, with and without a trap', [
    { code: 'kept=1; trap "echo int" INT; kill -INT $$; echo on', expect: { exitCode: 0, stdout: 'int\non\n' } },
    { code: 'kill -INT $$; trap - INT; kill -INT $$; echo no', expect: { exitCode: 130, stdout: 'int\n' } },
    {
      code: 'trap "" INT; kill -INT $$; echo ignored; trap - INT; kill -INT $$',
      expect: { exitCode: 130, stdout: 'ignored\n' },
    },
    { code: 'trap "echo bye" EXIT; kill -INT $$; echo no', expect: { exitCode: 130, stdout: 'bye\n' } },
    { code: 'trap - EXIT; echo $kept', expect: { exitCode: 0, stdout: '1\n' } },
  ]),
  bash('a time-out ends what waits in the foreground and keeps the state', [
    { code: 'mkfifo fifo; cd /tmp; v=1; read -r x </home/user/fifo', timeoutMs: LIMIT_MS, expect: timedOut },
    {
      code: "v=2; f() { local v=9; while :; do bash -c 'echo $$ >~/pid; exec sleep 9' | cat; done; }; f",
      timeoutMs: LIMIT_MS,
      expect: timedOut,
    },
    {
      code: 'set -m; coproc { sleep 9; }; v=3; x=$(sleep 9); echo no',
      timeoutMs: LIMIT_MS,
      expect: { ...timedOut, stdout: '' },
    },
    { code: 'v=4; sleep 9; echo no', timeoutMs: LIMIT_MS, expect: { ...timedOut, stdout: '' } },
    {
      code: 'set +m; kill -- -$COPROC_PID; echo $v; pwd; wait; kill -0 $(cat ~/pid); echo $?',
      expect: { exitCode: 0, stdout: '4\n/tmp\n1\n', stderr: /No such process/ },
    },
  ]),
  bash('a time-out ends builtins and traps for SIGINT have their say', [
    { code: 'sleep 30 & job=$!; wait', timeoutMs: LIMIT_MS, expect: timedOut },
    {
      code: 'kill $job; wait $job; echo $?; trap "echo interrupted; exit 5" INT',
      expect: { exitCode: 0, stdout: '143\n' },
    },
    { code: 'while :; do :; done', timeoutMs: LIMIT_MS, expect: { ...timedOut, stdout: 'interrupted\n' } },
    {
      code: 'echo "[${job:+kept}]"; trap -p',
      expect: { exitCode: 0, stdout: "[kept]\ntrap -- 'echo interrupted; exit 5' SIGINT\n" },
    },
  ]),
  bash('a program that will not be interrupted is ended by force', [
    { code: 'kept=1; trap "" INT; while :; do :; done', timeoutMs: LIMIT_MS, expect: timedOut },
    { code: 'echo "[$kept]"; kill -STOP $$; echo no', timeoutMs: LIMIT_MS, expect: { ...timedOut, stdout: '[]\n' } },
    { code: 'echo alive', expect: { exitCode: 0, stdout: 'alive\n' } },
  ]),
  bash('out of memory under ulimit ends the program', [
    {
      code: 'kept=1; ulimit -v 30000; x=0123456789abcdef; while :; do x=$x$x; done',
      expect: { exitCode: 2, stderr: /cannot allocate/ },
    },
    { code: 'echo $kept', expect: { exitCode: 0, stdout: '1\n' } },
  ]),
]

function bash(name: string, calls: readonly CaseCall[]): Case {
  return { name, language: 'bash', calls }
}
