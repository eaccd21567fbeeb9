import { type Case, lines } from './case.ts'
import { javascript } from './javascript.ts'

/** Output and input of programs. */
export const javascriptOutputCases: readonly Case[] = [
  javascript('every way to write reaches the caller, in order', [
    {
      code: lines`
        const fs = require('fs')
        console.log('log'); process.stdout.write('write\n'); fs.writeSync(1, 'sync\n'); console.write('console\n')
        fs.writeFileSync('/dev/stdout', 'file\n'); await Bun.write(Bun.stdout, 'bun\n'); Bun.stdout.writer().write('unflushed\n')
        await new Promise((resolve) => process.stdout.write('', resolve))
        new (require('console').Console)(process.stdout, process.stderr).log('own')
        await require('stream/promises').pipeline(require('stream').Readable.from(['pipe', 'line\n']), process.stdout)
        console.error('e'); fs.writeSync(2, 'f\n'); process.stderr.write('g')
      `,
      expect: {
        exitCode: 0,
        stdout:
          /^log\nwrite\nsync\nconsole\nfile\nbun\n(?:unflushed\n)?own\n(?:unflushed\n)?pipeline\n(?:unflushed\n)?$/,
        stderr: 'e\nf\ng',
      },
    },
  ]),
  javascript('the console formats, groups, counts and asserts', [
    {
      code: lines`
        console.log('%s %d %i %f %j', 'a', 1.5, 1.5, 1.5, { a: 1 })
        console.group('g'); console.log('in'); console.groupEnd(); console.count(); console.count()
        console.dir({ a: { b: 1 } }); console.table([{ a: 1 }]); console.info('i'); console.debug('d')
        console.assert(false, 'assert %s', 'x'); console.warn('w')
      `,
      expect: {
        exitCode: 0,
        stdout:
          /^a \S+ 1 1\.5 \{"a":1\}\ng\n {2}in\ndefault: 1\ndefault: 2\n\{\n {2}a: \{\n {4}b: 1,\n {2}\},\n\}\n┌[^]*┘\ni\nd\n$/,
        stderr: 'assert x\nw\n',
      },
    },
    {
      code: 'console.time("t"); console.timeEnd("t"); console.trace("here")',
      expect: { exitCode: 0, stdout: /here\n {6}at/ },
    },
  ]),
  javascript('bytes, encodings and halves of characters', [
    {
      code: 'process.stdout.write(new Uint8Array([104, 105])); process.stdout.write(new Uint16Array([0x0a21])); process.stdout.write(new DataView(new ArrayBuffer(1)))',
      expect: { exitCode: 0, stdout: 'hi!\n\0' },
    },
    {
      code: 'process.stdout.write("68690a", "hex"); console.log("a\\ud800b"); process.stdout.write("\\udc00\\n")',
      expect: { exitCode: 0, stdout: 'hi\na\ufffdb\n\ufffd\n' },
    },
    {
      code: 'process.stdout.write(new Uint8Array([0xf0, 0x9d])); process.stdout.write(new Uint8Array([0x84, 0x9e]))',
      expect: { exitCode: 0, stdout: '𝄞' },
    },
    { code: 'process.stdout.write(123)', expect: { exitCode: 1, errorName: 'TypeError' } },
  ]),
  javascript('write answers like a stream that never fills', [
    {
      code: 'console.log(process.stdout.write("a\\n"), process.stdout.fd, process.stdout.isTTY); process.stdout.write("b", "utf8", () => console.log("c")); await 1',
      expect: { exitCode: 0, stdout: 'a\ntrue 1 undefined\nbc\n' },
    },
    {
      code: 'process.stdout.cork(); process.stdout.write("corked\\n"); process.stdout.uncork(); process.stdout.end("end\\n"); console.log("after")',
      expect: { exitCode: 0, stdout: 'corked\nend\nafter\n' },
    },
    {
      code: 'process.stdout.write("fresh\\n"); process.stdout.destroy(); process.stderr.destroy()',
      expect: { exitCode: 0, stdout: 'fresh\n' },
    },
    {
      code: 'await new Promise((resolve) => process.stdout.write("again\\n", resolve)); process.stderr.write("too")',
      expect: { exitCode: 0, stdout: 'again\n', stderr: 'too' },
    },
  ]),
  javascript('many writes, long lines and no last line break', [
    {
      code: 'for (let i = 0; i < 999; i++) console.log("x".repeat(999))',
      expect: { exitCode: 0, stdoutLength: 999_000 },
    },
    {
      code: 'process.stdout.write("y".repeat(999_999)); process.exit(0)',
      expect: { exitCode: 0, stdoutLength: 999_999 },
    },
    {
      code: 'console.error("z".repeat(65_536)); process.stdout.write("no break")',
      expect: { exitCode: 0, stdout: 'no break', stderr: /^z{65536}\n$/ },
    },
  ]),
  javascript('stdin is at its end, for every program and by every way', [
    {
      code: lines`
        const fs = require('fs')
        console.log(fs.readFileSync('/dev/stdin').length, fs.readFileSync(0, 'utf8').length, fs.readSync(0, Buffer.alloc(3)))
        for await (const line of console) console.log('no', line)
        for await (const chunk of process.stdin) console.log('no', chunk)
        console.log((await Bun.file('/dev/stdin').text()).length)
      `,
      expect: { exitCode: 0, stdout: '0 0 0\n0\n' },
    },
    {
      code: 'for await (const line of require("readline").createInterface({ input: process.stdin })) console.log(line); console.log("closed")',
      expect: { exitCode: 0, stdout: 'closed\n' },
    },
    {
      code: 'process.stdin.on("data", () => {}).on("end", () => { console.log("end"); process.exit(2) }); await new Promise(() => {})',
      expect: { exitCode: 2, stdout: 'end\n' },
    },
    { code: 'console.log(prompt("name?"), confirm("sure?"))', expect: { exitCode: 0, stdout: /null false\n$/ } },
    {
      code: 'require("child_process").execSync("cat", { stdio: ["inherit", "pipe", "inherit"] }).length',
      expect: { exitCode: 0, results: ['0'] },
    },
  ]),
  javascript('a program that closes or replaces its output is not followed by the next', [
    {
      code: 'process.stdout.write = () => true; process.stdout = null; require("fs").closeSync(1)',
      expect: { exitCode: 0 },
    },
    {
      code: 'console.log("seen"); Object.defineProperty(process, "stderr", { value: null, configurable: true })',
      expect: { exitCode: 0, stdout: 'seen\n' },
    },
    { code: 'console.error("seen")', expect: { exitCode: 0, stderr: 'seen\n' } },
  ]),
]
