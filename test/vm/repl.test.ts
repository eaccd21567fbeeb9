import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { constants, tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { resolvePaths } from '../../src/host/index.ts'
import { descendants, qemuProcesses } from './processes.ts'
import { KEYS, PseudoTerminal } from './pseudo-terminal.ts'
import { isAlive, sbx } from './sbx.ts'

let directory: string
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'exec-sandbox-repl-'))
})
afterEach(async () => await rm(directory, { recursive: true }))

const start = (...args: string[]): PseudoTerminal =>
  new PseudoTerminal(['repl', ...args], { XDG_STATE_HOME: directory })

async function started(prompt: string, ...args: string[]): Promise<PseudoTerminal> {
  const terminal = start(...args)
  await terminal.until(prompt)
  return terminal
}

const PROMPT = /\n(?:>>>|>|\$) /

describe('sbx repl on a terminal', () => {
  it('greets in one line, runs what is typed, keeps names, and ends with Ctrl-D', async () => {
    await using terminal = start()
    expect(await terminal.until('>>> ')).toMatch(/^Python 3\.\d+\.\d+ .*\.help.*\n>>> $/)
    expect(await terminal.enter('1+1', '\n>>> ')).toBe('1+1\n2\n>>> ')
    expect(await terminal.enter('x = 5; None', '\n>>> ')).toBe('x = 5; None\n>>> ')
    expect(await terminal.enter('1/0', '\n>>> ')).toMatch(
      /\nTraceback .*\n.*"<input-3>", line 1.*\n.*\nZeroDivisionError: .*\n>>> $/s,
    )
    expect(await terminal.enter('import time; print("now"); time.sleep(1); x', 'now\n')).toContain('now\n')
    expect(await terminal.until('>>> ')).toBe('5\n>>> ')
    terminal.type(KEYS.end)
    expect(await terminal.ended()).toBe(0)
  })

  it('reads on until a statement is whole, by the rules of each language', async () => {
    await using terminal = await started('>>> ')
    await terminal.enter('def f(n):', '... ')
    await terminal.enter('    if n > 1:', '... ')
    await terminal.enter('        return n', '... ')
    await terminal.enter('', '>>> ')
    await terminal.enter('f(', '... ')
    expect(await terminal.enter('7)', '>>> ')).toBe('7)\n7\n>>> ')
    await terminal.enter('"""a', '... ')
    expect(await terminal.enter('b"""', '>>> ')).toContain("'a\\nb'\n")

    await terminal.enter('.language js', '> ')
    await terminal.enter('const g = (n: number) => {', '| ')
    await terminal.enter('  return `${n', '| ')
    await terminal.enter('}`', '| ')
    await terminal.enter('}', '\n> ')
    expect(await terminal.enter('g(7)', '\n> ')).toContain('"7"\n')
    expect(await terminal.enter('{a: 1}', '\n> ')).toMatch(/\{\n {2}a: 1,\n\}\n> $/)
    expect(await terminal.enter('const y: = 1', '\n> ')).toContain('SyntaxError')

    await terminal.enter('.language bash', '$ ')
    await terminal.enter('for i in 1 2; do', '\n> ')
    expect(await terminal.enter('echo "n$i"; done', '$ ')).toContain('n1\nn2\n')
    await terminal.enter('cat <<END', '\n> ')
    await terminal.enter('text', '\n> ')
    expect(await terminal.enter('END', '$ ')).toContain('\ntext\n')
    await terminal.enter('echo a \\', '\n> ')
    expect(await terminal.enter('b', '$ ')).toContain('\na b\n')
    expect(await terminal.enter('echo "', '\n> ')).toContain('> ')
    await terminal.enter('"', '$ ')

    await terminal.enter('.language python', '>>> ')
    expect(await terminal.enter('f(8)', '>>> ')).toContain('8\n')
  })

  it('takes a paste as one program, blank lines and tabs included', async () => {
    await using terminal = await started('>>> ')
    const program = 'def f():\r\ta = 1\r\r\treturn a + 1\rprint("one")\rf() + 40'
    terminal.type(`${KEYS.pasteStart}${program}${KEYS.pasteEnd}`)
    await terminal.until('f() + 40')
    expect(await terminal.enter('', '>>> ')).toContain('\none\n42\n>>> ')
    expect(terminal.text).toContain('... \treturn')
  })

  it('begins each prompt on a line of its own, and passes what programs write on unchanged', async () => {
    await using terminal = await started('>>> ')
    expect(await terminal.enter('print("no newline", end="")', '>>> ')).toContain('no newline\n>>> ')
    expect(await terminal.enter('print("\\x1b[31mred\\x1b[0m")', '>>> ')).toContain('red\n>>> ')
    expect(terminal.raw).toContain('\u001b[31mred\u001b[0m\r\n')
    // A value is data: it does not get to move the cursor.
    await terminal.enter('type("V", (), {"__repr__": lambda self: "\\x1b[2Jvalue"})()', '·[2Jvalue\n')
    await terminal.until('>>> ')
  })

  it('leaves stdout to the programs', async () => {
    const file = join(directory, 'stdout')
    await using terminal = new PseudoTerminal(['repl'], { XDG_STATE_HOME: directory }, file)
    await terminal.until('>>> ')
    await terminal.enter('print("to the file"); 5', '\n>>> ')
    await terminal.enter('import sys; print("to the screen", file=sys.stderr)', '\nto the screen\n>>> ')
    terminal.type(KEYS.end)
    await terminal.ended()
    expect(await readFile(file, 'utf8')).toBe('to the file\n5\n')
  })

  it('gives the next program what was typed while one ran', async () => {
    await using terminal = await started('>>> ')
    await terminal.enter('import time; print("go", flush=True); time.sleep(1)', 'go\n')
    terminal.type(`6*7${KEYS.enter}`)
    expect(await terminal.until(/42\n>>> $/)).toContain('>>> 6*7')
  })
})

describe('Ctrl-C and Ctrl-D', () => {
  it('clear the line, cancel a statement, and say at the second Ctrl-C how to leave', async () => {
    await using terminal = await started('>>> ')
    terminal.type('not to be run')
    await terminal.until('run')
    terminal.type(KEYS.interrupt)
    expect(await terminal.until('>>> ')).toBe('\n>>> ')
    terminal.type(KEYS.interrupt)
    expect(await terminal.until('>>> ')).toContain('sbx: Ctrl-D or .exit leaves\n')
    await terminal.enter('if True:', '... ')
    terminal.type(KEYS.interrupt)
    await terminal.until('>>> ')
    await terminal.enter('if True:', '... ')
    terminal.type(KEYS.end)
    await terminal.until('>>> ')
    expect(await terminal.enter('1+1', '>>> ')).toBe('1+1\n2\n>>> ')
    terminal.type(KEYS.end)
    expect(await terminal.ended()).toBe(0)
  })

  // Many short sleeps: a signal that comes just before Python begins to sleep is seen when it has slept.
  const sleeping = 'any(time.sleep(0.05) for _ in iter(int, 1))'
  it.each([
    ['python', '>>> ', `import time; x = 5; print("go", flush=True); ${sleeping}`, 'KeyboardInterrupt', 'x', '5'],
    ['javascript', '> ', 'globalThis.x = 5; console.log("go"); for (;;);', '', 'x', '5'],
    ['bash', '$ ', 'x=5; echo go; sleep 600', '', 'echo $x', '5'],
  ])('interrupt the program and not the session: %s', async (language, prompt, program, shown, line, value) => {
    await using terminal = await started(prompt, '-l', language)
    await terminal.enter(program, 'go\n')
    terminal.type(KEYS.interrupt)
    expect(await terminal.until(`\n${prompt}`)).toContain(shown)
    expect(await terminal.enter(line, `\n${prompt}`)).toContain(`\n${value}\n`)
  })

  it('warn of a program that ignores them, and the third ends it', async () => {
    await using terminal = await started('>>> ')
    await terminal.enter('x = 5; import os, signal, time', '>>> ')
    await terminal.enter('def f():', '... ')
    await terminal.enter('    signal.signal(signal.SIGINT, lambda *_: os.write(1, b"no\\n"))', '... ')
    await terminal.enter('    os.write(1, b"go\\n")', '... ')
    await terminal.enter('    while True: time.sleep(0.05)', '... ')
    await terminal.enter('', '>>> ')
    await terminal.enter('f()', 'go\n')
    terminal.type(KEYS.interrupt)
    await terminal.until('no\n')
    terminal.type(KEYS.interrupt)
    // What the program says and what the tool says are in no order.
    const warned = await terminal.until('Ctrl-C once more')
    if (!warned.includes('no\n')) await terminal.until('no\n')
    terminal.type(KEYS.interrupt)
    expect(await terminal.until('>>> ')).toContain('sbx: python was ended')
    expect(await terminal.enter('x', '>>> ')).toContain('NameError')
  })

  it('stop a copy that is under way', async () => {
    await using terminal = await started('$ ', '-l', 'bash')
    await terminal.enter('truncate -s 200M large', '$ ')
    terminal.type(`.download large ${directory}/${KEYS.enter}`)
    // It is begun under another name.
    await vi.waitFor(async () => expect(await readdir(directory)).toHaveLength(2), { timeout: 60_000, interval: 5 })
    terminal.type(KEYS.interrupt)
    expect(await terminal.until('$ ')).toContain('sbx: interrupted\n')
    expect(await readdir(directory)).toEqual(['exec-sandbox'])
    expect(await terminal.enter('echo still here', '\n$ ')).toContain('still here\n')
  })
})

describe('commands of the REPL', () => {
  it('copy files, run programs, begin anew, and leave', async () => {
    const home = join(directory, 'home')
    await mkdir(home)
    await writeFile(join(home, 'my data.txt'), 'content')
    await writeFile(join(home, 'program.py'), 'y = 7\n\nprint("ran")\n')
    // Another home directory, and the cache of this one.
    const { cacheDir } = resolvePaths(process.env)
    const env = { XDG_STATE_HOME: directory, HOME: home, EXEC_SANDBOX_CACHE_DIR: cacheDir }
    await using terminal = new PseudoTerminal(['repl'], env)
    await terminal.until('>>> ')
    expect(await terminal.enter('.help', '>>> ')).toMatch(/\.upload LOCAL \[GUEST\] .*\n/)
    expect(await terminal.enter('.upload "~/my data.txt" in/', '>>> ')).toContain(
      'sbx: /home/user/in/my data.txt (7 bytes)',
    )
    expect(await terminal.enter('open("in/my data.txt").read()', '>>> ')).toContain("'content'")
    await terminal.enter('.download in ~/out', '>>> ')
    expect(await readFile(join(home, 'out', 'my data.txt'), 'utf8')).toBe('content')
    expect(await terminal.enter('.run ~/program.py', '>>> ')).toContain('\nran\n')
    expect(await terminal.enter('y', '>>> ')).toContain('\n7\n')
    expect(await terminal.enter('.restart', '>>> ')).toContain('sbx: a new python')
    expect(await terminal.enter('y', '>>> ')).toContain('NameError')
    expect(await terminal.enter('.upload', '>>> ')).toContain('sbx: .upload: expected LOCAL [GUEST]')
    expect(await terminal.enter('.download missing', '>>> ')).toContain('(ENOENT)')
    expect(await terminal.enter('.hlep', '>>> ')).toContain('sbx: .hlep is no command')
    await terminal.enter('.language ts', '> ')
    expect(await terminal.enter('.5 + .5', '\n> ')).toContain('\n1\n')
    await terminal.enter('.language bash', '$ ')
    await terminal.enter('echo "echo sourced" > file', '$ ')
    expect(await terminal.enter('. ./file', '\n$ ')).toContain('\nsourced\n')
    terminal.type(`.exit${KEYS.enter}`)
    expect(await terminal.ended()).toBe(0)
  })

  it("leave as the language's own REPL does, with the code that is asked for", async () => {
    await using terminal = await started('>>> ')
    terminal.type(`exit(3)${KEYS.enter}`)
    expect(await terminal.ended()).toBe(3)
  })
})

describe('Tab', () => {
  /** Presses Tab until the rest of the word is there: a guest that is busy may not answer in time, and the bell rings. */
  async function completed(terminal: PseudoTerminal, begun: string, rest: string): Promise<void> {
    terminal.type(begun)
    await terminal.until(begun)
    do terminal.type(KEYS.tab)
    while ((await terminal.until(new RegExp(`${KEYS.bell}|${rest}`))).endsWith(KEYS.bell))
    terminal.type(KEYS.interrupt)
    await terminal.until(PROMPT)
  }

  it('completes names and attributes without running code of the user', async () => {
    await using terminal = await started('>>> ')
    await terminal.enter('class Box:', '... ')
    await terminal.enter('    content_of_it = 1', '... ')
    await terminal.enter('    @property', '... ')
    await terminal.enter('    def danger(self): print("ran"); return self', '... ')
    await terminal.enter('', '>>> ')
    await terminal.enter('my_box = Box(); my_box.inner_value = 1; import os', '>>> ')
    await completed(terminal, 'my_b', 'ox')
    await completed(terminal, 'print(my_box.inn', 'er_value')
    await completed(terminal, 'my_box.content_', 'of_it')
    await completed(terminal, 'os.path.abspa', 'th')
    terminal.type(`my_box.danger.con${KEYS.tab}`)
    await terminal.until(KEYS.bell)
    terminal.type(KEYS.interrupt)
    await terminal.until('>>> ')
    await terminal.enter('if my_box:', '... ')
    terminal.type(`${KEYS.tab}1${KEYS.enter}`)
    await terminal.until('    1')
    expect(await terminal.enter('', '>>> ')).not.toContain('Error')
    expect(await terminal.enter('my_box.danger is my_box', '>>> ')).toContain('\nran\nTrue\n')
    expect(terminal.text.match(/^ran$/gm)).toHaveLength(1)
  })

  it('completes in JavaScript, in bash with $? as it was, and the commands of the REPL', async () => {
    await writeFile(join(directory, 'upload-me.txt'), '')
    await using terminal = await started('> ', '-l', 'js')
    await terminal.enter(
      'let danger = 0; let someObject = { longName: { a: 1 }, get trap() { danger++; return {} } }',
      '\n> ',
    )
    await completed(terminal, 'someO', 'bject')
    await completed(terminal, 'someObject.lon', 'gName')
    await completed(terminal, 'Math.tru', 'nc')
    terminal.type(`someObject.trap.a${KEYS.tab}`)
    await terminal.until(KEYS.bell)
    terminal.type(KEYS.interrupt)
    await terminal.until(PROMPT)
    expect(await terminal.enter('danger', '\n> ')).toContain('\n0\n')
    await completed(terminal, `.upload ${directory}/upl`, 'oad-me\\.txt')
    await completed(terminal, '.lang', 'uage ')
    await terminal.enter('.language bash', '$ ')
    await terminal.enter('touch "odd name" && mkdir adir; some_variable=1; false', '$ ')
    await completed(terminal, 'mkte', 'mp')
    await completed(terminal, 'cat od', 'd\\\\ name')
    await completed(terminal, 'cd ad', 'ir/')
    await completed(terminal, 'echo $some_v', 'ariable')
    expect(await terminal.enter('echo "was $?"', '\n$ ')).toContain('was 1')
  })
})

describe('history', () => {
  it('is kept for each language in a file of the user alone, and comes back with the arrow', async () => {
    const first = await started('>>> ')
    await first.enter('print("remember")', 'remember\n>>> ')
    await first.enter('.language bash', '$ ')
    await first.enter('echo in bash', '\n$ ')
    first.type(KEYS.end)
    await first.ended()
    const file = join(directory, 'exec-sandbox', 'history-python')
    expect(await readFile(file, 'utf8')).toBe('print("remember")\n.language bash\n')
    expect(((await stat(file)).mode & 0o777).toString(8)).toBe('600')
    await using second = await started('$ ', '-l', 'bash')
    second.type(KEYS.up)
    await second.until('echo in bash')
    second.type(KEYS.enter)
    expect(await second.until('\n$ ')).toContain('\nin bash\n')
  })

  it('that cannot be kept costs nothing else', async () => {
    await writeFile(join(directory, 'exec-sandbox'), 'a file where the directory should be')
    await using terminal = await started('>>> ')
    await terminal.enter('6*7', '42\n>>> ')
    terminal.type(KEYS.end)
    expect(await terminal.ended()).toBe(0)
  })
})

describe('the end of a session', () => {
  it.each([
    ['at the prompt', undefined],
    ['while a program runs', 'import time; print("go", flush=True); time.sleep(600)'],
  ])('whose VM is lost %s is told, and exits with 125', async (_, program) => {
    await using terminal = await started('>>> ')
    // The interpreter that judges statements is there too: nothing is on its way when the VM goes.
    await terminal.enter('1', '1\n>>> ')
    if (program !== undefined) await terminal.enter(program, 'go\n')
    for (const pid of qemuProcesses()) process.kill(pid, 'SIGKILL')
    await terminal.until(/sbx: .*\n/)
    expect(await terminal.ended()).toBe(125)
  })

  it('by SIGTERM restores the terminal and exits with 143', async () => {
    await using terminal = await started('>>> ')
    terminal.type('half a line')
    await terminal.until('half a line')
    process.kill(terminal.pid, 'SIGTERM')
    expect(await terminal.ended()).toBe(143)
    expect(terminal.raw.lastIndexOf('\u001b[?2004l')).toBeGreaterThan(terminal.raw.lastIndexOf('\u001b[?2004h'))
  })

  it('by a closed window takes the VM with it', async () => {
    const [monitor, uncaught] = [join(directory, 'monitor.cjs'), join(directory, 'uncaught')]
    const script = (file: string): string =>
      `(error) => require('fs').appendFileSync(${JSON.stringify(file)}, error.stack)`
    await writeFile(monitor, `process.on('uncaughtExceptionMonitor', ${script(uncaught)})`)
    await writeFile(uncaught, '')
    const env = { XDG_STATE_HOME: directory, NODE_OPTIONS: `--require=${monitor}` }
    const terminal = new PseudoTerminal(['repl'], env)
    await terminal.until('>>> ')
    const { pid } = terminal
    const running = [pid, ...descendants(pid)]
    terminal.hangUp()
    expect(await terminal.ended()).toBe(128 + constants.signals.SIGHUP)
    expect(running.length).toBeGreaterThan(1)
    await vi.waitFor(() => expect(running.filter(isAlive)).toEqual([]), { timeout: 20_000, interval: 10 })
    expect(await readFile(uncaught, 'utf8')).toBe('')
  })
})

describe('sbx repl from a pipe', () => {
  const repl = async (input: string, ...args: string[]) =>
    await sbx(['repl', ...args], { input, cwd: directory, env: { XDG_STATE_HOME: directory } })

  it('reads statements as a file has them, without prompts and without history', async () => {
    const input = `x = 1
print(x)
def f():
    a = 1

    # a comment
    return a + 1

f()
for i in range(2):
    print(i)
else:
    print("end")
"""
a
"""
if x:
    print("last")`
    expect(await repl(input)).toEqual({ code: 0, stdout: "1\n2\n0\n1\nend\n'\\na\\n'\nlast\n", stderr: '' })
    expect(await readdir(directory)).toEqual([])
  })

  it('goes on after an error, and exits with the code of the last statement', async () => {
    const failing = await repl('1/0\n"on"\n')
    expect(failing).toMatchObject({ code: 0, stdout: "'on'\n", stderr: expect.stringContaining('ZeroDivision') })
    expect(await repl('"on"\n1/0\n')).toMatchObject({ code: 1, stdout: "'on'\n" })
    const bash = await repl('echo a; (exit 7)\nexit\necho never\n', '-l', 'bash')
    expect(bash).toEqual({ code: 7, stdout: 'a\n', stderr: '' })
    expect(await repl('exit(5)\nprint("never")\n')).toEqual({ code: 5, stdout: '', stderr: '' })
  })

  it('takes JavaScript whose statements go on in the next line, and the commands of the REPL', async () => {
    await writeFile(join(directory, 'in.txt'), 'content')
    const input = `const list = [1, 2]
  .map((n) => n * 2)
if (list[0] === 1) {
  console.log('no')
}
else { console.log('else') }
list
.upload in.txt
.language bash
cat in.txt; echo changed > in.txt
.download in.txt out.txt
.download missing
`
    expect(await repl(input, '-l', 'js')).toMatchObject({
      code: 125,
      stdout: 'else\n[ 2, 4 ]\ncontent',
      stderr: expect.stringContaining('missing'),
    })
    expect(await readFile(join(directory, 'out.txt'), 'utf8')).toBe('changed\n')
  })

  it('is interrupted as a whole', async () => {
    const outcome = await sbx(['repl'], {
      input: 'import time; print("go", flush=True); any(time.sleep(0.05) for _ in iter(int, 1))\nprint("never")\n',
      onStdout: (_, child) => child.kill('SIGINT'),
    })
    expect(outcome).toEqual({ code: 130, stdout: 'go\n', stderr: '' })
  })

  it('refuses what no VM could serve before there is one', async () => {
    const env = { EXEC_SANDBOX_CACHE_DIR: join(directory, 'empty') }
    for (const args of [
      ['-l', 'cobol'],
      ['--upload', 'missing'],
      ['-t', '10ms'],
    ]) {
      expect(await sbx(['repl', ...args], { cwd: directory, env })).toMatchObject({ code: 2, stdout: '' })
    }
  })
})
