import { type Case, type CaseCall, lines } from './case.ts'

/** What a shell keeps and how its options behave, as in a script that is run in pieces. */
export const bashShellCases: readonly Case[] = [
  bash('the main idioms of scripts work: BASH_SOURCE, caller, strict mode', [
    {
      code: 'main() { echo "main $*"; return 3; }\ncd "$(dirname "${BASH_SOURCE[0]}")" && pwd\n[[ "${BASH_SOURCE[0]}" == "$0" ]] && main a b',
      expect: { exitCode: 3, stdout: '/home/user\nmain a b\n' },
    },
    {
      code: 'g() { caller 0; echo "${FUNCNAME[*]} ${BASH_LINENO[*]}"; }\nh() { g; }\nh',
      expect: { exitCode: 0, stdout: '2 h bash\ng h main 2 3 0\n' },
    },
    {
      code: lines`
        set -Eeuo pipefail
        trap 'echo "line $LINENO: $BASH_COMMAND ($?)" >&2' ERR
        trap 'echo cleanup' EXIT
        step() {
          grep -q nothing /etc/passwd | cat
        }
        step
        echo no`,
      expect: { exitCode: 1, stdout: 'cleanup\n', stderr: 'line 5: cat (1)\n' },
    },
    { code: 'trap - EXIT ERR; set +Eeuo pipefail; echo "${FUNCNAME[*]}$#"', expect: { exitCode: 0, stdout: '0\n' } },
  ]),
  bash('line numbers and names in messages are those of the program', [
    { code: 'f() {\n  echo "line $LINENO"\n  nosuch\n  : ${x?is unset}\n}', expect: { exitCode: 0 } },
    {
      code: '\n\nf',
      expect: {
        exitCode: 1,
        stdout: 'line 2\n',
        stderr: 'bash: line 3: nosuch: command not found\nbash: line 4: x: is unset\n',
      },
    },
    { code: 'echo $LINENO\n\necho $LINENO', expect: { exitCode: 0, stdout: '1\n3\n' } },
    {
      code: 'FUNCNEST=20; r() { r; }; r',
      expect: { exitCode: 1, stderr: 'bash: line 1: r: maximum function nesting level exceeded (20)\n' },
    },
  ]),
  bash('$?, PIPESTATUS, $!, $_ and positional parameters go from call to call', [
    { code: 'true | false | (exit 3)', expect: { exitCode: 3 } },
    { code: 'echo "$? ${PIPESTATUS[*]}"; sleep 0 & job=$!', expect: { exitCode: 0, stdout: '3 0 1 3\n' } },
    { code: 'echo $(($! == job)); set -- a b "c d"; : last', expect: { exitCode: 0, stdout: '1\n' } },
    { code: 'echo "$_ $# $3"; shift', expect: { exitCode: 0, stdout: 'last 3 c d\n' } },
    {
      code: 'echo "$*"; f() { shift; echo "$*"; }; f x y; getopts ab: o -b v; echo "$o $OPTARG"',
      expect: { exitCode: 0, stdout: 'b c d\ny\nb v\n' },
    },
    { code: 'set -e; f() { false; }; f 1 2 3 4', expect: { exitCode: 1 } },
    {
      code: 'set +e; echo "$*"; set --; echo $#; echo "$0 $-"',
      expect: { exitCode: 0, stdout: 'b c d\n0\nbash hB\n' },
    },
  ]),
  bash('errexit has its exceptions', [
    {
      code: 'set -e; f() { false; echo in; }; if f; then echo ok; fi; f || :; ! f; x=$(false; echo sub); echo $x; false | true; (( 0 )) || :; local_() { local v=$(false); echo local; }; local_',
      expect: { exitCode: 0, stdout: 'in\nok\nin\nin\nsub\nlocal\n' },
    },
    { code: '(false; echo no); echo no', expect: { exitCode: 1, stdout: '' } },
    { code: 'x=$(false); echo no', expect: { exitCode: 1, stdout: '' } },
    { code: 'eval false; echo no', expect: { exitCode: 1, stdout: '' } },
    { code: 'shopt -s inherit_errexit; x=$(false; echo sub); echo no', expect: { exitCode: 1, stdout: '' } },
    { code: 'cd /nope; echo no', expect: { exitCode: 1, stdout: '' } },
    { code: 'nosuch; echo no', expect: { exitCode: 127, stdout: '' } },
    { code: 'echo $-; set -o pipefail; false | true; echo no', expect: { exitCode: 1, stdout: 'ehB\n' } },
  ]),
  bash('nounset and the errors of expansions end the program with status 1', [
    {
      code: 'set -u; a=(); echo "${a[@]}$*$#"; echo ${a[0]}; echo no',
      expect: { exitCode: 1, stdout: '0\n', stderr: 'bash: line 1: a[0]: unbound variable\n' },
    },
    {
      code: 'set +u; echo ${x!y}; echo no',
      expect: { exitCode: 1, stderr: 'bash: line 1: ${x!y}: bad substitution\n' },
    },
    { code: 'echo $((08)); echo no', expect: { exitCode: 1, stdout: '', stderr: /value too great for base/ } },
    { code: 'echo $((1/0))\necho next', expect: { exitCode: 0, stdout: 'next\n', stderr: /division by 0/ } },
    {
      code: 'let a=1/0; echo $?; ((0)); echo $?; echo $((2**63))',
      expect: { exitCode: 0, stdout: '1\n1\n-9223372036854775808\n' },
    },
    {
      code: 'readonly r=1; r=2; echo no',
      expect: { exitCode: 1, stdout: '', stderr: 'bash: line 1: r: readonly variable\n' },
    },
    { code: '(r=3); echo $?; declare r=4; echo $r', expect: { exitCode: 0, stdout: '1\n1\n' } },
  ]),
  bash('posix mode, noexec and restricted glob options do not break later calls', [
    { code: 'set -o posix; . /nope; echo no', expect: { exitCode: 1, stdout: '' } },
    { code: 'set -o bogus; echo no', expect: { exitCode: 2, stdout: '' } },
    { code: 'set +o posix; set -n; echo no', expect: { exitCode: 0, stdout: '' } },
    {
      code: 'echo on; shopt -s failglob; echo /nope*; echo no',
      expect: { exitCode: 1, stdout: 'on\n', stderr: 'bash: line 1: no match: /nope*\n' },
    },
    {
      code: 'shopt -u failglob; shopt -s nullglob; echo /nope* end; set -f; echo /et*',
      expect: { exitCode: 0, stdout: 'end\n/et*\n' },
    },
  ]),
  bash('tracing goes to stderr or where BASH_XTRACEFD says', [
    {
      code: "PS4='+$LINENO '; set -x; f() { echo $1; }; f a\nb=2",
      expect: { exitCode: 0, stdout: 'a\n', stderr: '+1 f a\n+1 echo a\n+2 b=2\n' },
    },
    { code: 'echo $b; set +x', expect: { exitCode: 0, stdout: '2\n', stderr: '+1 echo 2\n+1 set +x\n' } },
    {
      code: 'exec 7>trace; BASH_XTRACEFD=7; set -x; : q; set +x; unset BASH_XTRACEFD; cat trace',
      expect: { exitCode: 0, stdout: '+1 : q\n+1 set +x\n', stderr: '' },
    },
    { code: 'set -v', expect: { exitCode: 0 } },
    { code: 'echo w; set +v', expect: { exitCode: 0, stdout: 'w\n', stderr: 'echo w; set +v\n' } },
  ]),
  bash('options that change the parser hold from the next line on', [
    {
      code: 'shopt -s extglob expand_aliases\ncase 12 in +([0-9])) echo number;; esac\nalias hi="echo hello"',
      expect: { exitCode: 0, stdout: 'number\n' },
    },
    { code: 'hi there; case x in !(y)) echo other;; esac', expect: { exitCode: 0, stdout: 'hello there\nother\n' } },
    {
      code: 'shopt -s lastpipe globstar; seq 3 | while read -r n; do sum=$((sum + n)); done; echo $sum',
      expect: { exitCode: 0, stdout: '6\n' },
    },
    {
      code: 'shopt -u extglob\ncase x in !(y)) echo other;; esac',
      expect: { exitCode: 2, stderr: /syntax error near unexpected token/ },
    },
  ]),
  bash('functions may take the names of all builtins', [
    {
      code: 'for n in trap unset source . : [ test true command enable set return local declare readonly wait shift; do eval "$n() { builtin echo $n; }"; done',
      expect: { exitCode: 0 },
    },
    {
      code: 'trap; unset; source; .; :; [; test; true; command; enable; set; return; wait',
      expect: { exitCode: 0, stdout: 'trap\nunset\nsource\n.\n:\n[\ntest\ntrue\ncommand\nenable\nset\nreturn\nwait\n' },
    },
    {
      code: 'builtin unset -f $(compgen -A function); [ 1 = 1 ] && echo back; for n in $(compgen -b); do builtin enable -n $n; done 2>&-',
      expect: { exitCode: 127, stdout: 'back\n' },
    },
    { code: '/bin/echo "no builtins left"; echo x', expect: { exitCode: 0, stdout: 'no builtins left\nx\n' } },
  ]),
  bash('readonly and unset variables of the shell do no harm', [
    { code: 'readonly PATH HOME IFS PS4 SECONDS RANDOM; PATH=/x; echo no', expect: { exitCode: 1, stdout: '' } },
    {
      code: 'echo "$HOME"; ls -d /',
      env: { HOME: '/x', PATH: '/x' },
      expect: { exitCode: 0, stdout: '/home/user\n/\n' },
    },
    { code: 'kill -KILL $$', expect: { exitCode: 137, reason: 'signal' } },
    {
      code: 'unset PATH HOME IFS FUNCNAME PWD; ls; echo $?; cd; echo $?',
      expect: { exitCode: 0, stdout: '127\n1\n', stderr: /ls: No such file or directory/ },
    },
    {
      code: 'f() { echo in; return 3; }; f; echo $?; for v in $(compgen -v); do unset $v; done 2>/dev/null; echo z',
      expect: { exitCode: 0, stdout: 'in\n3\nz\n' },
    },
    { code: 'PATH=/usr/bin:/bin; ls -d /; set -e; f() { false; }; f', expect: { exitCode: 1, stdout: '/\n' } },
    { code: 'echo still', expect: { exitCode: 0, stdout: 'still\n' } },
  ]),
  bash('types and attributes of variables stay', [
    {
      code: 'declare -i n=5; n+=3; declare -n ref=n; ref=10; declare -u up=abc; declare -A map=([a b]=1); declare -ra list=(1 2); x=(1 2 3); unset "x[1]"; f() { local -; set -x; }; f 2>&-',
      expect: { exitCode: 0 },
    },
    {
      code: 'echo "$n $ref $up ${map[a b]} ${list[1]} ${!x[*]}"; n=2+2; up=x; declare -p n up; echo $-',
      expect: { exitCode: 0, stdout: '10 10 ABC 1 2 0 2\ndeclare -i n="4"\ndeclare -u up="X"\nhB\n' },
    },
    {
      code: 'v="a b"; set -- $v; echo $#; IFS=:; v=a:b; set -- $v; echo "$# $*"',
      expect: { exitCode: 0, stdout: '2\n2 a:b\n' },
    },
    { code: 'v=c:d; set -- $v; echo $#; umask 077; touch private', expect: { exitCode: 0, stdout: '2\n' } },
    {
      code: 'umask; stat -c %a private; RANDOM=42; echo $RANDOM',
      expect: { exitCode: 0, stdout: '0077\n600\n17772\n' },
    },
  ]),
  bash('entries of a call replace variables of every type and put them back', [
    { code: 'A=(1 2); declare -i N=5; declare -A M=([k]=v); export E=1', expect: { exitCode: 0 } },
    {
      code: 'echo "$A $N $M"; printenv A E; unset A E; N=7; set -u; f() { local N=1; : $nope; }; f',
      env: { A: 'a', N: 'n', M: 'm', E: '2' },
      expect: { exitCode: 1, stdout: 'a n m\na\n2\n' },
    },
    {
      code: 'declare -p A N M E',
      expect: {
        exitCode: 0,
        stdout: 'declare -a A=([0]="1" [1]="2")\ndeclare -i N="5"\ndeclare -A M=([k]="v" )\ndeclare -x E="1"\n',
      },
    },
    {
      code: 'x=é; echo ${#x}; date -d @0 +%H; cd; pwd',
      env: { LC_ALL: 'C', TZ: 'Asia/Tokyo', HOME: '/tmp' },
      expect: { exitCode: 0, stdout: '2\n09\n/tmp\n' },
    },
    { code: 'x=é; echo ${#x}; date -d @0 +%H; cd; pwd', expect: { exitCode: 0, stdout: '1\n00\n/home/user\n' } },
  ]),
  bash('directories: removed, unknown, stacked', [
    { code: 'mkdir -p gone && cd gone && rmdir ../gone; cd /nope; echo $?', expect: { exitCode: 0, stdout: '1\n' } },
    { code: 'pwd; ls; /bin/pwd; echo $?', expect: { exitCode: 0, stdout: '/home/user/gone\n1\n' } },
    {
      code: 'cd; pushd /usr >/dev/null; dirs; popd; cd -; echo $OLDPWD',
      expect: { exitCode: 0, stdout: '/usr ~\n~\n/usr\n/home/user\n' },
    },
  ]),
  bash('traps for ERR, DEBUG and RETURN stay, also after an end inside of a function', [
    { code: 'trap "echo err" ERR; f() { false; }; set -e; f', expect: { exitCode: 1, stdout: '' } },
    { code: 'set +e; false; true', expect: { exitCode: 0, stdout: 'err\n' } },
    {
      code: 'trap - ERR; trap "echo [\\$BASH_COMMAND]" DEBUG; g() { exit 3; }; g',
      expect: { exitCode: 3, stdout: '[g]\n' },
    },
    { code: 'echo x; trap - DEBUG', expect: { exitCode: 0, stdout: '[echo x]\nx\n[trap - DEBUG]\n' } },
    {
      code: 'false; set -T; trap "echo ret" RETURN; h() { :; }; h; trap - RETURN; set +T',
      expect: { exitCode: 0, stdout: 'ret\n' },
    },
  ]),
  bash('what shells start does not change the session: env -i, BASH_ENV, command_not_found_handle', [
    {
      code: 'env -i /usr/bin/env | wc -l; echo "echo from file" >rc; BASH_ENV=./rc bash -c "echo inner"; PROMPT_COMMAND="echo prompt"',
      expect: { exitCode: 0, stdout: '0\nfrom file\ninner\n' },
    },
    {
      code: 'export BASH_ENV=./rc; command_not_found_handle() { echo "no $1"; return 9; }; blah; echo $?',
      expect: { exitCode: 0, stdout: 'no blah\n9\n' },
    },
    {
      code: 'unset BASH_ENV; hash -p /bin/echo say; say hi; hash -r; unset -f command_not_found_handle; say',
      expect: { exitCode: 127, stdout: 'hi\n' },
    },
  ]),
  bash('the builtin that runs programs is not there for them', [
    {
      code: 'enable -a | grep -c sandbox; enable -d exec_sandbox_repl; echo $?; compgen -v | grep -ci sandbox',
      expect: { exitCode: 1, stdout: '0\n1\n0\n' },
    },
    {
      code: 'enable -f /run/exec-sandbox/repl/bash/repl.so exec_sandbox_repl; exec_sandbox_repl; echo $?; enable -d exec_sandbox_repl; exec_sandbox_repl',
      expect: { exitCode: 127, stdout: '1\n' },
    },
    { code: 'ls /proc/self/fd | grep -c "^9..$"', expect: { exitCode: 1, stdout: '0\n' } },
  ]),
]

function bash(name: string, calls: readonly CaseCall[]): Case {
  return { name, language: 'bash', calls }
}
