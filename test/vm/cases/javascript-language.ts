import { type Case, lines } from './case.ts'
import { javascript } from './javascript.ts'

/** What the language can say, and where errors say they are. */
export const javascriptLanguageCases: readonly Case[] = [
  javascript('everything that TypeScript adds is erased or compiled', [
    {
      code: lines`
        namespace Outer { export namespace Inner { export const v = 1 } }
        const enum Level { Low = 3 }
        abstract class Shape { abstract area(): number; constructor(protected readonly name: string) {} }
        class Square extends Shape {
          constructor(private side: number) { super('square') }
          override area() { return this.side ** 2 }
        }
        function one(a: string): void
        function one(a: number): void
        function one(a: any) { console.log(typeof a) }
        const generic = <T,>(x: T): T => x
        const checked = { a: 1 } satisfies Record<string, number>
        import type { Missing } from './missing'
        declare global { interface Window { x: number } }
        one(Outer.Inner.v); console.log(Level.Low, new Square(3).area(), generic<number>(checked!.a as number))
      `,
      expect: { exitCode: 0, stdout: 'number\n3 9 1\n' },
    },
    {
      code: lines`
        function logged(method: any, context: any) { console.log(context.kind, context.name); return method }
        class Decorated { @logged run() { return 1 } }
        new Decorated().run()
      `,
      expect: { exitCode: 0, stdout: 'method run\n', results: ['1'] },
    },
  ]),
  javascript('JSX needs no library: fragments, spreads and children make plain elements', [
    {
      code: 'const e = <><b>1</b><i {...{ c: 1 }}>{2}</i></>; console.log(typeof e.type, e.props.children.length, e.props.children[1].props)',
      expect: { exitCode: 0, stdout: /^symbol 2 \{\n {2}c: 1,\n {2}children: 2,\n\}\n$/ },
    },
    {
      code: 'const Card = ({ t }: { t: string }) => <p>{t}</p>; Card({ t: "x" }).props.children',
      expect: { exitCode: 0, results: ['"x"'] },
    },
  ]),
  javascript('a program in braces is an object where it can be one, else a block', [
    { code: '{ a: 1, b: 2 }', expect: { exitCode: 0, results: ['{\n  a: 1,\n  b: 2,\n}'] } },
    { code: '{ a: 1 }', expect: { exitCode: 0, results: ['{\n  a: 1,\n}'] } },
    { code: '{ const inner = 1; console.log(inner) }', expect: { exitCode: 0, stdout: '1\n', results: [] } },
    { code: '{ let first = 1 }\nlater = 3', expect: { exitCode: 0, results: ['3'] } },
    {
      code: '{ const inner = 1; inner = 2 }',
      expect: { exitCode: 1, errorName: 'SyntaxError', stderr: /^\/home\/user\/input-5\.tsx:1:20\n\{ const inner/ },
    },
    { code: '{ console.log(early); let early }', expect: { exitCode: 1, errorName: 'ReferenceError' } },
  ]),
  javascript('export declares, and a default that is an expression is the value', [
    {
      code: 'export const a = 1; export default function f() { return 2 }; export { a as b }; export * from "node:os"',
      expect: { exitCode: 0 },
    },
    { code: 'console.log(a, f())', expect: { exitCode: 0, stdout: '1 2\n' } },
    {
      code: 'export enum E { X }\nexport class K {}\nexport default { e: E.X }',
      expect: { exitCode: 0, results: ['{\n  e: 0,\n}'] },
    },
    {
      code: 'export const later = 1\nthrow new Error("second line")',
      expect: { exitCode: 1, stderr: /input-4\.tsx:2:/ },
    },
  ]),
  javascript('import.meta is what a module at /home/user/input.tsx has', [
    {
      code: 'console.log(import.meta.url, import.meta.dirname, import.meta.filename, import.meta.main, import.meta.env === process.env)',
      expect: { exitCode: 0, stdout: 'file:///home/user/input.tsx /home/user /home/user/input.tsx true true\n' },
    },
    {
      code: 'await Bun.write("r.ts", "export {}"); const { resolve } = import.meta; [resolve("./r.ts"), resolve("node:fs")]',
      expect: { exitCode: 0, results: ['[ "file:///home/user/r.ts", "node:fs" ]'] },
    },
    {
      code: 'console.log(this === globalThis, __filename, __dirname, typeof module.exports, require.main === module, process.argv.length)',
      expect: { exitCode: 0, stdout: 'true /home/user/input.tsx /home/user object true 2\n' },
    },
  ]),
  javascript('functions are hoisted, var leaves blocks, and every name may be declared again', [
    {
      code: 'early(); function early() { console.log("hoisted") } { var inBlock = 1 } for (var i = 0; i < 3; i++);',
      expect: { exitCode: 0, stdout: 'hoisted\n' },
    },
    {
      code: 'const { a, b: [c, d = 4], ...rest } = { a: inBlock, b: [i], z: 9 }; [a, c, d, rest.z]',
      expect: { exitCode: 0, results: ['[ 1, 3, 4, 9 ]'] },
    },
    { code: 'let a = "a"; class c {}; function d() { return a } d()', expect: { exitCode: 0, results: ['"a"'] } },
    {
      code: 'const fixed = 1; fixed = 2',
      expect: { exitCode: 1, errorName: 'SyntaxError', stderr: /because it is a constant\n$/ },
    },
    { code: 'let twice = 1; let twice = 2', expect: { exitCode: 1, errorName: 'SyntaxError' } },
  ]),
  javascript('resources are disposed of when their program or block ends', [
    {
      code: 'using top = { [Symbol.dispose]() { console.log("top") } }; { using inner = { [Symbol.dispose]() { console.log("inner") } } } console.log("end")',
      expect: { exitCode: 0, stdout: 'inner\nend\ntop\n' },
    },
    {
      code: 'await using later = { async [Symbol.asyncDispose]() { await 1; console.log("async") } }; console.log("body")',
      expect: { exitCode: 0, stdout: 'body\nasync\n' },
    },
    {
      code: 'using failing = { [Symbol.dispose]() { console.log("disposed") } }; throw new Error("body")',
      expect: { exitCode: 1, stdout: 'disposed\n', stderr: /^Error: body\n/ },
    },
  ]),
  javascript('generators, labels, tagged templates, private fields and the newest syntax', [
    {
      code: lines`
        async function* count() { yield 1; yield 2 }
        for await (const n of count()) console.log(n)
        outer: for (const i of [1, 2]) for (const j of [1, 2]) { if (j === 2) continue outer; console.log(i, j) }
        class P { static #n = 0; #x = 1; static { P.#n = 7 } static has(o: object) { return #x in o && P.#n } }
        console.log(P.has(new P()), String.raw${'`\\n${1}`'}, 2n ** 64n, 1_000, null ?? 'd')
        console.log(/[\p{L}--[a-z]]/v.test('A'), /(?<y>\d{4})/.exec('2024')!.groups!.y, 'ünïcödé 变量'.length)
      `,
      expect: { exitCode: 0, stdout: '1\n2\n1 1\n2 1\n7 \\n1 18446744073709551616n 1000 d\ntrue 2024 10\n' },
    },
    { code: 'with ({ a: 1 }) { console.log(a) } sloppy = 1', expect: { exitCode: 0, stdout: '1\n' } },
    { code: '"use strict"; undeclared = 1', expect: { exitCode: 1, errorName: 'ReferenceError' } },
  ]),
  javascript('eval and Function see what their scope is', [
    {
      code: 'let kept = 3; console.log(eval("kept + 1"), (0, eval)("kept"), new Function("a", "return a * kept")(2), eval("var here = 5; here"))',
      expect: { exitCode: 0, stdout: '4 3 6 5\n' },
    },
    {
      code: 'console.log(typeof here, (0, eval)("var there = 6; there"), there)',
      expect: { exitCode: 0, stdout: 'undefined 6 6\n' },
    },
  ]),
  javascript('the first line may be a hashbang', [
    { code: '#!/usr/bin/env bun\nconsole.log("ran")', expect: { exitCode: 0, stdout: 'ran\n' } },
  ]),
  javascript('lines may be long and end as they like', [
    {
      code: 'console.log("a")\r\nthrow new Error("second")\r\n',
      expect: { exitCode: 1, stdout: 'a\n', stderr: /input-1\.tsx:2:/ },
    },
    { code: 'console.log("a\u2028b".length) // \u2029 1', expect: { exitCode: 0, stdout: '3\n', results: ['1'] } },
    { code: `console.log("${'x'.repeat(1_000_000)}".length)`, expect: { exitCode: 0, stdout: '1000000\n' } },
  ]),
  javascript('what does not parse is shown with its place', [
    {
      code: 'console.log(1)\nfoo(]',
      expect: {
        exitCode: 1,
        stdout: '',
        stderr: '/home/user/input-1.tsx:2:5\nfoo(]\n    ^\nSyntaxError: Unexpected ]\n',
        errorName: 'SyntaxError',
      },
    },
    { code: 'if (true) {', expect: { exitCode: 1, stderr: /input-2\.tsx:1:11\n[^]*end of file\n$/ } },
    { code: 'const t = `open', expect: { exitCode: 1, stderr: /input-3\.tsx:1:11\n[^]*Unterminated/ } },
    {
      code: 'let a = 1\nnew.target',
      expect: {
        exitCode: 1,
        stderr: /^\/home\/user\/input-4\.tsx:2\nnew\.target\nSyntaxError: new\.target[^\n]*\n$/,
        errorName: 'SyntaxError',
      },
    },
    { code: '/* open', expect: { exitCode: 1, errorName: 'SyntaxError' } },
    { code: 'break', expect: { exitCode: 1, errorName: 'SyntaxError' } },
    { code: '`fine`', expect: { exitCode: 0, results: ['"fine"'] } },
  ]),
  javascript('line numbers are the source’s behind strings, templates, types and comments', [
    { code: 'console.log("a\\nb\\nc")\nthrow new Error("x")', expect: { exitCode: 1, stderr: /input-1\.tsx:2:/ } },
    {
      code: lines`
        type A = { x: number
          y: string }
        const text = ${'`one'}
        ${'two ${1 + 1}`'}
        const more = "1\n2" // comment
        /* a
           b */ enum E { A,
          B }
        const raw = String.raw${'`a'}
        b\n${'`'}
        console.log(text, more, raw)
        null.f
      `,
      expect: { exitCode: 1, stdout: 'one\ntwo 2 1\n2 a\nb\\n\n', stderr: /input-2\.tsx:12:/ },
    },
    {
      code: 'function thrower() {\n\n  throw new Error("from afar")\n}',
      expect: { exitCode: 0 },
    },
    {
      code: '\nasync function run() {\n  await 1\n  thrower()\n}\n\nawait run()',
      expect: {
        exitCode: 1,
        stderr:
          /^Error: from afar\n {4}at thrower \(\/home\/user\/input-3\.tsx:3:\d+\)\n {4}at run \(\/home\/user\/input-4\.tsx:4:\d+\)\n {4}at async <anonymous> \(\/home\/user\/input-4\.tsx:7:\d+\)\n$/,
      },
    },
  ]),
]
