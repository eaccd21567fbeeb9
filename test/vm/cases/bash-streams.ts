import { type Case, type CaseCall, lines } from './case.ts'

const LIMIT_MS = 1_000

/** Descriptors, jobs and bytes: what a program reads and writes, and what goes on after it. */
export const bashStreamCases: readonly Case[] = [
  bash('descriptors that a program opens stay open', [
    {
      code: 'exec 3>&1 5<>file {fd}>other; echo a >&3; echo line >&5; echo one >&$fd',
      expect: { exitCode: 0, stdout: 'a\n' },
    },
    {
      code: 'echo b >&3; echo second >&5; echo two >&$fd; exec 5>&- {fd}>&-; cat file other',
      expect: { exitCode: 0, stdout: 'b\nline\nsecond\none\ntwo\n' },
    },
    { code: 'exec 1>hidden 2>&1; echo x; nosuch', expect: { exitCode: 127, stdout: '', stderr: '' } },
    {
      code: 'cat hidden; echo c >&3; exec 3>&-; echo d >&3',
      expect: {
        exitCode: 1,
        stdout: 'x\nbash: line 1: nosuch: command not found\nc\n',
        stderr: 'bash: line 1: 3: Bad file descriptor\n',
      },
    },
    {
      code: 'exec >/dev/full; echo x; echo $? >&2',
      expect: { exitCode: 0, stderr: 'bash: line 1: echo: write error: No space left on device\n1\n' },
    },
    { code: 'exec 0</etc/passwd; head -c 4', expect: { exitCode: 0, stdout: 'root' } },
    { code: 'cat; exec 2>&1; echo err >&2', expect: { exitCode: 0, stdout: 'err\n', stderr: '' } },
    { code: 'echo err >&2', expect: { exitCode: 0, stdout: '', stderr: 'err\n' } },
  ]),
  bash('output through process substitutions belongs to the call that wrote it', [
    {
      code: 'exec > >(tee log) 2> >(sed s/^/E:/ >&2); echo out; echo err >&2',
      expect: { exitCode: 0, stdout: 'out\n', stderr: 'E:err\n' },
    },
    { code: 'cat log; echo x > >(sleep 0.1; tr a-z A-Z)', expect: { exitCode: 0, stdout: 'out\nX\n' } },
    {
      code: 'exec > >(while read -r l; do echo "[$l]"; done); echo a; exit 3',
      expect: { exitCode: 3, stdout: '[a]\n' },
    },
    { code: 'sleep 30 > >(cat) & exec > >(cat); echo b', expect: { exitCode: 0, stdout: 'b\n' } },
    {
      code: 'read -r a < <(echo first; sleep 0.1); echo $a; diff <(seq 3) <(seq 4); kill %1',
      expect: { exitCode: 0, stdout: 'first\n3a4\n> 4\n' },
    },
  ]),
  bash('the end of a program does not wait for its jobs, whose output comes later', [
    { code: '(sleep 0.2; echo late) & sleep 100 & echo now', expect: { exitCode: 0, stdout: 'now\n' } },
    { code: 'wait %1; echo after; kill %2', expect: { exitCode: 0, stdout: 'late\nafter\n' } },
  ]),
  bash('jobs of an earlier call can be waited for, listed and killed', [
    { code: '(exit 3) & first=$!; sleep 30 & (sleep 0.1; exit 7) &', expect: { exitCode: 0 } },
    {
      code: 'wait $first; echo $?; wait %3; echo $?; jobs; kill %2; wait %2; echo $?',
      expect: { exitCode: 0, stdout: /^3\n7\n\[2\][-+] +Running +sleep 30 &\n143\n$/ },
    },
    { code: 'wait 99999; echo $?; wait %9; echo $?; fg; echo $?', expect: { exitCode: 0, stdout: '127\n127\n1\n' } },
    { code: 'sleep 30 & kill -9 $!; wait $!; echo $?', expect: { exitCode: 0, stdout: '137\n', stderr: /Killed/ } },
    {
      code: 'sleep 0.1 & disown; jobs; nohup echo hup; setsid -w echo own; wait',
      expect: { exitCode: 0, stdout: 'hup\nown\n' },
    },
  ]),
  bash('job control can be switched on', [
    {
      code: "set -m; sh -c 'kill -STOP $$; echo resumed'; echo $?; jobs",
      expect: { exitCode: 0, stdout: /^147\n\[1\]\+  Stopped/ },
    },
    { code: 'fg >/dev/null; echo $?', expect: { exitCode: 0, stdout: 'resumed\n0\n' } },
    {
      code: 'sleep 0.1 & fg; echo $?; sleep 30 & kill %+; wait %+; echo $?; set +m',
      expect: { exitCode: 0, stdout: 'sleep 0.1\n0\n143\n' },
    },
  ]),
  bash('a coprocess answers in later calls', [
    {
      code: 'coproc UP { while read -r l; do echo "${l^^}"; done; }; echo hi >&${UP[1]}; read -ru ${UP[0]} x; echo $x',
      expect: { exitCode: 0, stdout: 'HI\n' },
    },
    {
      code: 'echo two >&${UP[1]}; read -ru ${UP[0]} x; echo $x; eval "exec ${UP[1]}>&-"; wait $UP_PID; echo $?',
      expect: { exitCode: 0, stdout: 'TWO\n0\n' },
    },
  ]),
  bash('whatever reads stdin finds its end at once', [
    {
      code: 'read -r x; echo $?; cat; mapfile a; echo ${#a[@]}; python3 -c "import sys; print(repr(sys.stdin.read()))"; python3 -; bash; sh; read -rst 1 y; echo $?',
      expect: { exitCode: 0, stdout: "1\n0\n''\n1\n" },
    },
    {
      code: 'select x in a b; do echo $x; done; echo $?',
      expect: { exitCode: 0, stdout: '\n1\n', stderr: '1) a\n2) b\n#? ' },
    },
    {
      code: 'seq 2 | less; seq 2 | more; echo | xargs echo none',
      expect: { exitCode: 0, stdout: '1\n2\n1\n2\nnone\n' },
    },
  ]),
  bash('there is no terminal, no root and no such program', [
    {
      code: 'echo x >/dev/tty; echo $?; read -r y </dev/tty; echo $?; tty; echo $?; test -t 1; echo $?',
      expect: { exitCode: 0, stdout: '1\n1\nnot a tty\n1\n1\n', stderr: /\/dev\/tty: No such device or address/ },
    },
    {
      code: 'sudo ls; echo $?; man ls; echo $?; nosuch 2>/dev/null; echo $?; /tmp; echo $?',
      expect: { exitCode: 0, stdout: '127\n127\n127\n126\n' },
    },
    {
      code: "script -qc 'tty -s; echo $?' /dev/null; timeout 0.1 sleep 5; echo $?; flock lock echo locked",
      expect: { exitCode: 0, stdout: '0\r\n124\nlocked\n' },
    },
  ]),
  bash('pipes, fifos and locks that block are ended by the time limit', [
    { code: 'mkfifo fifo; exec 8<fifo', timeoutMs: LIMIT_MS, expect: { exitCode: 124, reason: 'timeout' } },
    {
      code: 'v=2; while read -r l; do echo no; done < <(sleep 9)',
      timeoutMs: LIMIT_MS,
      expect: { exitCode: 124, reason: 'timeout' },
    },
    {
      code: 'yes | head -n 1; echo "$v ${PIPESTATUS[*]}"; set -o pipefail; yes | head -n 1',
      expect: { exitCode: 141, stdout: 'y\n2 141 0\ny\n' },
    },
  ]),
  bash('here-documents and here-strings', [
    {
      code: 'cat <<A; cat <<<"here $((1 + 1))"; cat <<-\'B\'\n$HOME $(cat <<IN\ninner\nIN\n)\nA\n\ttab $HOME\n\tB',
      expect: { exitCode: 0, stdout: '/home/user inner\nhere 2\ntab $HOME\n' },
    },
    {
      code: 'cat <<END\nunterminated',
      expect: { exitCode: 0, stdout: 'unterminated\n', stderr: /here-document at line 1 delimited by end-of-file/ },
    },
    {
      code: 'x=$(printf "%070000d" 1); cat <<<"$x" | wc -c; exec 3<<<"$x"',
      expect: { exitCode: 0, stdout: '70001\n' },
    },
    { code: 'wc -c <&3; exec 3<&-', expect: { exitCode: 0, stdout: '70001\n' } },
  ]),
  bash('a server on 127.0.0.1 is reached through /dev/tcp, also in a later call', [
    {
      code: lines`
        python3 -c '
        import socket
        server = socket.create_server(("127.0.0.1", 8099))
        print("ready", flush=True)
        for _ in range(2):
            client, _ = server.accept()
            client.sendall(b"got " + client.recv(100))
            client.close()
        ' >ready & until [ -s ready ]; do sleep 0.05; done
        exec 6<>/dev/tcp/127.0.0.1/8099; echo one >&6; cat <&6; exec 6>&-`,
      expect: { exitCode: 0, stdout: 'got one\n' },
    },
    {
      code: 'exec 6<>/dev/tcp/127.0.0.1/8099; echo two >&6; cat <&6; exec 6>&-; wait; echo $?',
      expect: { exitCode: 0, stdout: 'got two\n0\n' },
    },
    {
      code: 'exec 6<>/dev/tcp/127.0.0.1/8099; echo $?',
      expect: { exitCode: 0, stdout: '1\n', stderr: /Connection refused/ },
    },
  ]),
  bash('output of every awkward size is exact', [
    { code: 'head -c 65535 /dev/zero | tr "\\0" x', expect: { exitCode: 0, stdoutLength: 65_535 } },
    {
      code: 'printf "%065536d" 0; printf "%065537d" 0 >&2',
      expect: { exitCode: 0, stdoutLength: 65_536, stderr: /^0{65537}$/ },
    },
    { code: 'for i in {1..999}; do printf "%01000d" $i; done', expect: { exitCode: 0, stdoutLength: 999_000 } },
    { code: 'x=$(printf "%01000000d" 1); printf %s "$x"', expect: { exitCode: 0, stdoutLength: 1_000_000 } },
    {
      code: 'printf "%03333d" 0; yes é€𝄞 | head -n 33333 | tr -d "\\n"',
      expect: { exitCode: 0, stdout: /^0{3333}(?:é€𝄞){33333}$/u },
    },
    { code: 'for i in {1..20000}; do echo -n "é"; done', expect: { exitCode: 0, stdout: /^é{20000}$/ } },
    {
      code: '/bin/echo "$x"; echo $?',
      expect: { exitCode: 0, stdout: '126\n', stderr: 'bash: line 1: /bin/echo: Argument list too long\n' },
    },
  ]),
  bash('bytes that are no text pass as they are', [
    { code: "printf 'a\\0b\\xffc\\xe2\\x82'; printf '\\xac\\n'", expect: { exitCode: 0, stdout: 'a\0b�c€\n' } },
    {
      code: "head -c 100000 /dev/urandom | wc -c; x=$(printf 'a\\0b'); echo ${#x}",
      expect: { exitCode: 0, stdout: '100000\n2\n', stderr: /ignored null byte/ },
    },
    {
      code: "x=é€𝄞; echo ${#x} ${x:1:1} ${x^}; LC_ALL=C; echo ${#x}; unset LC_ALL; echo ${#x}; printf '%b %q\\n' '\\u20ac' 'é b'",
      expect: { exitCode: 0, stdout: '3 € É€𝄞\n9\n3\n€ é\\ b\n' },
    },
    { code: 'echo -n no newline; echo -n err >&2', expect: { exitCode: 0, stdout: 'no newline', stderr: 'err' } },
  ]),
  bash('small limits of the session end programs and not the session', [
    {
      code: 'ulimit -n 12; echo ok; for i in {3..20}; do exec {fd}</dev/null || break; done; echo full',
      expect: { exitCode: 0, stdout: 'ok\nfull\n' },
    },
    { code: 'echo on; ls -d / | cat', expect: { exitCode: 0, stdout: /^on\n/ } },
    { code: 'ulimit -n 3; echo alone', expect: { exitCode: 0, stdout: 'alone\n' } },
    { code: 'echo alive; kill -KILL $$', expect: { exitCode: 137, reason: 'signal', stdout: 'alive\n' } },
    {
      code: 'ulimit -f 1; head -c 100000 /dev/zero >big; echo $?; echo alive',
      expect: { exitCode: 0, stdout: '153\nalive\n' },
    },
  ]),
]

function bash(name: string, calls: readonly CaseCall[]): Case {
  return { name, language: 'bash', calls }
}
