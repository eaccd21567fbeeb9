import { type Case, type CaseCall, lines } from './case.ts'

export const javascriptCases: readonly Case[] = [
  javascript('TypeScript and JSX run as they are', [
    {
      code: lines`
        enum Colour { Red, Green }
        interface Box<T> { value: T }
        function unbox<T>(box: Box<T>): T { return box.value }
        const element = <p id="a">text</p>
        console.log(Colour.Green, unbox<number>({ value: 3 } as Box<number>), element.type, element.props.id)
      `,
      expect: { exitCode: 0, stdout: '1 3 p a\n' },
    },
    {
      code: 'const x: = 1',
      expect: {
        exitCode: 1,
        stderr: '/home/user/input-2.tsx:1:10\nconst x: = 1\n         ^\nSyntaxError: Unexpected =\n',
        errorName: 'SyntaxError',
      },
    },
  ]),
  javascript('top-level declarations stay and may be declared again', [
    {
      code: 'const a = await Promise.resolve(5); let b = 1; class K { #p = 2; get p() { return this.#p } }',
      expect: { exitCode: 0, results: [] },
    },
    { code: 'function inc() { return ++b }', expect: { exitCode: 0 } },
    { code: 'console.log(a, inc(), b, new K().p)', expect: { exitCode: 0, stdout: '5 2 2 2\n' } },
    { code: 'const a = "again"; a', expect: { exitCode: 0, results: ['"again"'] } },
    { code: 'import { join } from "node:path"', expect: { exitCode: 0 } },
    { code: 'join("a", "b")', expect: { exitCode: 0, results: ['"a/b"'] } },
  ]),
  javascript('the last expression is a result and not output', [
    { code: '[1, 2].map((n) => n * 2)', expect: { exitCode: 0, stdout: '', results: ['[ 2, 4 ]'] } },
    { code: 'const n = 1', expect: { exitCode: 0, results: [] } },
    { code: 'const { o, ...rest } = { o: 1, p: 2 }', expect: { exitCode: 0, results: [] } },
    { code: 'undefined', expect: { exitCode: 0, results: [] } },
    {
      code: 'async function main() { await Bun.sleep(10); console.log("done") }\nmain()',
      expect: { exitCode: 0, stdout: 'done\n' },
    },
  ]),
  javascript('modules are imported by name and relative to the home directory', [
    { code: 'await Bun.write("m.ts", "export const q: number = 8; export default () => 1")', expect: { exitCode: 0 } },
    { code: 'const m = await import("./m.ts"); m.q', expect: { exitCode: 0, results: ['8'] } },
    { code: 'import d, { q } from "./m.ts"\nd() + q', expect: { exitCode: 0, results: ['9'] } },
    { code: 'require("node:path").sep', expect: { exitCode: 0, results: ['"/"'] } },
    { code: 'await import("nosuch")', expect: { exitCode: 1 } },
  ]),
  javascript('an uncaught error shows the program’s frames on their lines', [
    {
      code: lines`
        interface Z {
          a: number
        }

        class P<T> {
          constructor(private v: T) {}
          get(): T {
            if (this.v) return this.v
            throw new TypeError('empty')
          }
        }

        new P<number>(0).get()
      `,
      expect: {
        exitCode: 1,
        stderr:
          /^TypeError: empty\n {4}at get \(\/home\/user\/input-1\.tsx:9:\d+\)\n {4}at <anonymous> \(\/home\/user\/input-1\.tsx:13:\d+\)\n$/,
        errorName: 'TypeError',
      },
    },
    { code: 'throw { a: 1 }', expect: { exitCode: 1, stderr: 'Uncaught {\n  a: 1,\n}\n' } },
  ]),
  javascript('an unhandled rejection ends the program with 1', [
    { code: 'Promise.reject(new Error("x"))', expect: { exitCode: 1, stderr: /^Error: x\n {4}at / } },
    {
      code: '(async () => { await 1; throw new Error("y") })(); 5',
      expect: { exitCode: 1, stderr: /^Error: y\n {4}at / },
    },
    {
      code: 'setTimeout(() => { throw new Error("z") }, 10); await Bun.sleep(200)',
      expect: { exitCode: 1, stderr: /^Error: z\n {4}at / },
    },
    { code: 'console.log("alive")', expect: { exitCode: 0, stdout: 'alive\n' } },
  ]),
  javascript('process.exit ends the program where it stands and keeps the state', [
    {
      code: 'const kept = 1; process.stdout.write("x".repeat(900_000)); process.exit(3)',
      expect: { exitCode: 3, stdoutLength: 900_000 },
    },
    {
      code: 'try { process.exit(4) } catch { console.log("caught") } finally { console.log("finally") }',
      expect: { exitCode: 4, stdout: '' },
    },
    { code: 'await Bun.sleep(10); process.exit(5); console.log("not reached")', expect: { exitCode: 5, stdout: '' } },
    { code: 'process.exit(-1)', expect: { exitCode: 255 } },
    {
      code: 'process.on("exit", (code) => console.log("bye", code)); process.exitCode = 6',
      expect: { exitCode: 6, stdout: 'bye 6\n' },
    },
    { code: 'kept', expect: { exitCode: 0, stdout: '', results: ['1'] } },
  ]),
  javascript('a hard exit resets the state', [
    { code: 'const kept = 1; process.reallyExit(9)', expect: { exitCode: 9 } },
    { code: 'process.kill(process.pid, "SIGKILL")', expect: { exitCode: 137, reason: 'signal' } },
    { code: 'typeof kept', expect: { exitCode: 0, results: ['"undefined"'] } },
  ]),
  javascript('a timer that is still pending does not hold the call', [
    {
      code: 'setTimeout(() => console.log("late"), 1_000); console.log("now")',
      expect: { exitCode: 0, stdout: 'now\n' },
    },
    {
      // Set later and for as long: it fires later.
      code: 'await new Promise((resolve) => setTimeout(resolve, 1_000))',
      expect: { exitCode: 0, stdout: 'late\n' },
    },
  ]),
  javascript('an endless loop is interrupted at its time limit and the state stays', [
    { code: 'const kept = 5; while (true);', timeoutMs: 2_000, expect: { exitCode: 124, reason: 'timeout' } },
    { code: 'try { while (true); } catch {}', timeoutMs: 2_000, expect: { exitCode: 124, reason: 'timeout' } },
    { code: 'await 1; while (true);', timeoutMs: 2_000, expect: { exitCode: 124, reason: 'timeout' } },
    { code: 'await Bun.sleep(60_000)', timeoutMs: 2_000, expect: { exitCode: 124, reason: 'timeout' } },
    { code: 'kept', expect: { exitCode: 0, results: ['5'] } },
  ]),
  javascript('an endless loop after a wait ends all the same', [
    { code: 'await Bun.sleep(10); while (true);', timeoutMs: 2_000, expect: { exitCode: 124, reason: 'timeout' } },
    { code: 'console.log("back")', expect: { exitCode: 0, stdout: 'back\n' } },
  ]),
  javascript('WebAssembly instances stay', [
    {
      // (module (func (export "add") (param i32 i32) (result i32) local.get 0 local.get 1 i32.add)
      //         (func (export "lanes") (result i32) v128.const i32x4 1 2 3 4, i32x4.extract_lane 2))
      code: lines`
        const bytes = new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0, 1, 11, 2, 96, 2, 127, 127, 1, 127, 96, 0, 1, 127, 3, 3, 2, 0, 1,
          7, 15, 2, 3, 97, 100, 100, 0, 0, 5, 108, 97, 110, 101, 115, 0, 1, 10, 33, 2, 7, 0, 32, 0, 32, 1, 106, 11, 23, 0,
          253, 12, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 253, 27, 2, 11])
        const { instance } = await WebAssembly.instantiate(bytes)
      `,
      expect: { exitCode: 0 },
    },
    { code: '[instance.exports.add(2, 3), instance.exports.lanes()]', expect: { exitCode: 0, results: ['[ 5, 3 ]'] } },
  ]),
  javascript('a server and a client meet on 127.0.0.1', [
    {
      code: 'const server = Bun.serve({ port: 0, fetch: () => new Response("pong") }); await (await fetch(`http://127.0.0.1:${server.port}`)).text()',
      expect: { exitCode: 0, results: ['"pong"'] },
    },
    { code: 'await server.stop(true)', expect: { exitCode: 0 } },
  ]),
  javascript('environment entries of a call end with it', [
    { code: 'console.log(process.env.A, Bun.env.A)', env: { A: 'x=1' }, expect: { exitCode: 0, stdout: 'x=1 x=1\n' } },
    { code: 'console.log(process.env.A)', expect: { exitCode: 0, stdout: 'undefined\n' } },
  ]),
  javascript('closed descriptors and wrecked globals do not reach the next call', [
    { code: 'const fs = require("fs"); fs.closeSync(1); fs.closeSync(2)', expect: { exitCode: 0 } },
    {
      code: 'process.exit = null; process = null; JSON.stringify = null; Symbol = null; Promise = null',
      expect: { exitCode: 0 },
    },
    {
      code: 'console.log("ok"); console.error("err"); 1',
      expect: { exitCode: 0, stdout: 'ok\n', stderr: 'err\n', results: ['1'] },
    },
    { code: 'process = require("node:process")', expect: { exitCode: 0 } },
  ]),
  javascript('a bunfig.toml in the home directory is left alone when the REPL starts', [
    {
      code: 'await Bun.write("bunfig.toml", `preload = ["/home/user/first.js"]`); await Bun.write("first.js", "globalThis.planted = 1"); process.kill(process.pid, 9)',
      expect: { exitCode: 137, reason: 'signal' },
    },
    { code: 'typeof planted', expect: { exitCode: 0, results: [/^"?undefined"?$/] } },
  ]),
  javascript('output of awkward sizes is exact', [
    ...[65_535, 65_536, 65_537].map((size) => ({
      code: `console.log("x".repeat(${size - 1}))`,
      expect: { exitCode: 0, stdoutLength: size },
    })),
    {
      code: 'for (let i = 0; i < 40_000; i++) process.stdout.write("é€𝄞")',
      expect: { exitCode: 0, stdoutLength: 160_000, stdout: /^(?:é€𝄞)+$/u },
    },
  ]),
]

export function javascript(name: string, calls: readonly CaseCall[]): Case {
  return { name, language: 'javascript', calls }
}
