import { type Case, type CaseCall, lines } from './case.ts'

const LIMIT_MS = 1_000

/** Programs as texts: syntax, awkward characters, and interpreters named by #!. */
export const bashSourceCases: readonly Case[] = [
  bash('commands before a syntax error have run', [
    {
      code: 'echo one\necho two; fi\necho three',
      expect: {
        exitCode: 2,
        stdout: 'one\n',
        stderr: "bash: line 2: syntax error near unexpected token `fi'\nbash: line 2: `echo two; fi'\n",
      },
    },
    {
      code: 'a=1\nf() {\n',
      expect: { exitCode: 2, stderr: /^bash: line \d: syntax error: unexpected end of file\n$/ },
    },
    {
      code: 'echo $a; echo "`"',
      expect: { exitCode: 2, stdout: '', stderr: /unexpected EOF while looking for matching/ },
    },
    { code: 'set -e; eval "echo ("; echo no', expect: { exitCode: 2, stdout: '' } },
    { code: 'set +e; eval "echo ("; echo $?; bash -c "if"; echo $?', expect: { exitCode: 0, stdout: '2\n2\n' } },
    { code: 'echo "$a"', expect: { exitCode: 0, stdout: '1\n' } },
  ]),
  bash('every unfinished construct is an error and leaves the parser clean', [
    ...[
      '(echo a',
      'echo $(',
      'case x in',
      'for',
      'if',
      ';;',
      'echo a &&',
      '[[ a',
      '((1+',
      "echo '",
      '{ echo; }; }',
    ].map((code): CaseCall => ({ code, expect: { exitCode: 2, stdout: '', stderr: /^bash: line \d: / } })),
    { code: '# only a comment', expect: { exitCode: 0, stdout: '', stderr: '' } },
    { code: '\techo tabs \\\n\t\tmore; echo end \\', expect: { exitCode: 0, stdout: 'tabs more\nend\n' } },
  ]),
  bash('carriage returns belong to the words, as in any bash', [
    { code: 'echo a\r\n', expect: { exitCode: 0, stdout: 'a\r\n' } },
    {
      code: 'if true; then\r\n  echo x\r\nfi\r\n',
      expect: { exitCode: 2, stderr: /syntax error: unexpected end of file/ },
    },
  ]),
  bash(
    'a program that begins with a byte order mark runs without it',
    [{ code: '\u{FEFF}echo marked', expect: { exitCode: 0, stdout: 'marked\n' } }],
    true,
  ),
  bash('large programs and deep nesting', [
    { code: `x='${'y'.repeat(500_000)}'; echo \${#x}`, expect: { exitCode: 0, stdout: '500000\n' } },
    { code: `${':\n'.repeat(20_000)}echo $LINENO`, expect: { exitCode: 0, stdout: '20001\n' } },
    { code: `${'( '.repeat(200)}echo deep${')'.repeat(200)}`, expect: { exitCode: 0, stdout: 'deep\n' } },
    { code: `${'if :; then '.repeat(500)}echo deep${'; fi'.repeat(500)}`, expect: { exitCode: 0, stdout: 'deep\n' } },
  ]),
  bash('scripts that a program writes run by path, by source and without #!', [
    {
      code: 'printf \'#!/bin/bash\\necho "$0 $1"; exit 3\' >s; chmod +x s; ./s a; echo $?; . ./s; echo no',
      expect: { exitCode: 3, stdout: './s a\n3\nbash \n' },
    },
    {
      code: "printf 'echo plain; return 4; echo no' >p; chmod +x p; . ./p a; echo $?; printf 'echo \"$0 $#\"' >q; chmod +x q; ./q 1",
      expect: { exitCode: 0, stdout: 'plain\n4\n./q 1\n' },
    },
    {
      code: "printf '#!/nope\\n' >b; chmod +x b; ./b; echo $?; touch n; ./n; echo $?; ./none; echo $?",
      expect: { exitCode: 0, stdout: '127\n126\n127\n', stderr: /b: cannot execute: required file not found/ },
    },
  ]),
  bash('interpreters of many kinds run programs and the session stays beside them', [
    { code: 'kept=1; cd /tmp; export EXPORTED=1', expect: { exitCode: 0 } },
    {
      code: '#!/usr/bin/python3\nimport os, sys\nprint(sys.argv[1:], os.getcwd(), os.environ["X"], repr(sys.stdin.read()))\nsys.exit("bad")',
      env: { X: 'é x' },
      expect: { exitCode: 1, stdout: "[] /home/user é x ''\n", stderr: 'bad\n' },
    },
    {
      code: '#!/usr/bin/env -S python3 -u\nimport os\nos.kill(os.getpid(), 15)',
      expect: { exitCode: 143, reason: 'signal' },
    },
    { code: '#! /usr/bin/sed -nf\n$ p', expect: { exitCode: 0, stdout: '' } },
    { code: '#!/usr/bin/make -f\nall:\n\t@echo made', expect: { exitCode: 0, stdout: 'made\n' } },
    {
      code: '#!/usr/bin/env bun\nconst n: number = 7\nconsole.log(n); process.exit(n)',
      expect: { exitCode: 7, stdout: '7\n' },
    },
    {
      code: '#!/bin/bash\necho "$kept[$0]" | sed s/program-[0-9]*/P/; exit 5',
      expect: { exitCode: 5, stdout: /^\[.*P\]\n$/ },
    },
    { code: '#!/bin/cat', expect: { exitCode: 0, stdout: '#!/bin/cat' } },
    { code: 'echo "$kept $EXPORTED $?"; pwd', expect: { exitCode: 0, stdout: '1 1 0\n/tmp\n' } },
  ]),
  bash('an interpreter that is not there is told as a shell tells it', [
    {
      code: '#!/nope/sh\necho no',
      expect: { exitCode: 127, stdout: '', stderr: /\/nope\/sh: No such file or directory/ },
    },
    { code: '#!/tmp\necho no', expect: { exitCode: 126, stdout: '', stderr: /\/tmp: Permission denied/ } },
    { code: '#!/usr/bin/env nosuch\n', expect: { exitCode: 127, stderr: /nosuch/ } },
    { code: '#!/bin/sh\r\necho no', expect: { exitCode: 127, stdout: '' } },
    { code: '#!/usr/bin/awk -f\nBEGIN { print 1', expect: { exitCode: 1, stderr: /program-\d+:2: / } },
  ]),
  bash('the time limit holds for interpreters too, and the session outlives it', [
    { code: 'kept=1', expect: { exitCode: 0 } },
    {
      code: lines`
        #!/usr/bin/python3 -u
        import time
        print("begun")
        try:
            time.sleep(60)
        except KeyboardInterrupt:
            print("interrupted")`,
      timeoutMs: 3 * LIMIT_MS,
      expect: { exitCode: 124, reason: 'timeout', stdout: 'begun\ninterrupted\n' },
    },
    { code: 'echo $kept', expect: { exitCode: 0, stdout: '1\n' } },
  ]),
]

function bash(name: string, calls: readonly CaseCall[], vmOnly = false): Case {
  return { name, language: 'bash', calls, vmOnly }
}
