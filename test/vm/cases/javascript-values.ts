import { type Case, lines } from './case.ts'
import { javascript } from './javascript.ts'

/** What a run shows besides its output. */
export const javascriptValueCases: readonly Case[] = [
  javascript('a value is shown as the console shows it', [
    { code: 'null', expect: { exitCode: 0, results: ['null'] } },
    {
      code: '[-0, 10n, Symbol("s"), undefined, NaN]',
      expect: { exitCode: 0, results: ['[ -0, 10n, Symbol(s), undefined, NaN ]'] },
    },
    {
      code: '[new Date(0), /a/g, new Set("ab"), new Map([[1, 2]])]',
      expect: { exitCode: 0, results: [/1970-01-01T00:00:00\.000Z, \/a\/g,? Set\(2\) \{[^]*Map\(1\)/] },
    },
    {
      code: 'class Point { x = 1; #y = 2; get z() { return 3 } } new Point()',
      expect: { exitCode: 0, results: ['Point {\n  x: 1,\n  z: [Getter],\n}'] },
    },
    {
      code: '[Point, () => 1, function named() {}]',
      expect: { exitCode: 0, results: [/\[class Point\], \[Function\], \[Function: named\]/] },
    },
    { code: '() => 1', expect: { exitCode: 0, results: ['[Function]'] } },
    { code: 'Buffer.from("hi")', expect: { exitCode: 0, results: ['<Buffer 68 69>'] } },
    {
      code: 'const ring = { a: 1 }; ring.ring = ring; ring',
      expect: { exitCode: 0, results: ['{\n  a: 1,\n  ring: [Circular],\n}'] },
    },
    {
      code: '({ [Symbol.for("nodejs.util.inspect.custom")]: () => "as it likes" })',
      expect: { exitCode: 0, results: ['as it likes'] },
    },
    { code: '`a "quoted"\nline`', expect: { exitCode: 0, results: ['"a \\"quoted\\"\\nline"'] } },
  ]),
  javascript('promises as the last value are waited for, other thenables are values', [
    { code: 'Promise.resolve(4)', expect: { exitCode: 0, results: ['4'] } },
    { code: 'await 1; Promise.resolve(undefined)', expect: { exitCode: 0, results: [] } },
    { code: '[Promise.resolve(1)]', expect: { exitCode: 0, results: [/Promise/] } },
    { code: '({ then() { throw new Error("called") } })', expect: { exitCode: 0, results: [/then: \[Function/] } },
  ]),
  javascript('statements and declarations have no value', [
    { code: 'if (true) 5', expect: { exitCode: 0, results: [] } },
    { code: 'for (const x of [1]) x', expect: { exitCode: 0, results: [] } },
    { code: 'function f() {}', expect: { exitCode: 0, results: [] } },
    { code: 'class C {}', expect: { exitCode: 0, results: [] } },
    { code: 'const { a } = { a: 1 }, [b] = [2]', expect: { exitCode: 0, results: [] } },
    { code: 'import { sep } from "node:path"', expect: { exitCode: 0, results: [] } },
    { code: '// nothing', expect: { exitCode: 0, results: [] } },
    { code: 'a += b', expect: { exitCode: 0, results: ['3'] } },
    { code: '[a, b].length;', expect: { exitCode: 0, results: ['2'] } },
    { code: 'void 0', expect: { exitCode: 0, results: [] } },
  ]),
  javascript('huge values are shown in part', [
    {
      code: '"x".repeat(2_000_000)',
      expect: { exitCode: 0, results: [/^"x{65535}\n\[truncated: 65536 of 2000000 characters\]$/] },
    },
    {
      code: 'Array.from({ length: 100_000 }, (_, i) => i)',
      expect: { exitCode: 0, results: [/^\[\n {2}0, 1, [^]*99900 more items\n\]$/] },
    },
    {
      code: 'new Map(Array.from({ length: 5_000 }, (_, i) => [i, i]))',
      expect: {
        exitCode: 0,
        results: [/^Map\(5000\) \{\n {2}0: 0,\n[^]* {2}99: 99,\n {2}\.\.\. 4900 more entries\n\}$/],
      },
    },
    {
      code: 'Object.fromEntries(Array.from({ length: 5_000 }, (_, i) => [`k${i}`, i]))',
      expect: { exitCode: 0, results: [/^\{\n {2}k0: 0,\n[^]* {2}k99: 99,\n {2}\.\.\. 4900 more entries\n\}$/] },
    },
    { code: 'new Uint8Array(1_000_000)', expect: { exitCode: 0, results: [/^Uint8Array\(1000000\) \[[^]*more/] } },
    { code: 'new Array(1e9)', expect: { exitCode: 0, results: [/1000000000 x empty items/] } },
    {
      code: 'let deep = {}; for (let d = deep, i = 0; i < 10_000; i++) d = d.a = {}; deep',
      expect: { exitCode: 0, results: [/\[Object/] },
    },
    { code: '"\\u0001".repeat(100_000)', expect: { exitCode: 0, results: [/^"\\u0001/] } },
  ]),
  javascript('a hostile value is shown somehow and ends nothing', [
    {
      code: 'new Proxy({}, { get() { throw 1 }, ownKeys() { throw 2 }, getPrototypeOf() { throw 3 }, has() { throw 4 } })',
      expect: { exitCode: 0, results: [/./], errorName: null },
    },
    {
      code: '({ [Symbol.for("nodejs.util.inspect.custom")]() { throw new Error("inspect") } })',
      expect: { exitCode: 0, results: ['[value that cannot be shown: Error: inspect]'] },
    },
    {
      code: '({ get a() { throw 1 }, toString() { throw 2 }, toJSON() { throw 3 } })',
      expect: { exitCode: 0, results: [/Getter/] },
    },
    {
      code: 'const { proxy, revoke } = Proxy.revocable({}, {}); revoke(); proxy',
      expect: { exitCode: 0, results: [/./] },
    },
    { code: '"a\\ud800b"', expect: { exitCode: 0, results: [/^"a.+b"$/] } },
    { code: 'Object.create(null)', expect: { exitCode: 0, results: ['[Object: null prototype] {}'] } },
  ]),
  javascript('display shows values in the order of its calls', [
    {
      code: 'display(1, "two"); display({ a: 1 }); 4',
      expect: { exitCode: 0, stdout: '', results: ['1', '"two"', '{\n  a: 1,\n}', '4'] },
    },
    {
      code: lines`
        const rich = (text, wait) => ({ [Symbol.for('Jupyter.display')]: async () => { await Bun.sleep(wait); return { 'text/plain': text } } })
        display(rich('slow', 30)); display(rich('quick', 1)); display('plain')
      `,
      expect: { exitCode: 0, results: ['slow', 'quick', '"plain"'] },
    },
    { code: 'display(1); process.reallyExit(3)', expect: { exitCode: 3, results: ['1'] } },
    {
      code: 'const timer = setInterval(() => { if (globalThis.go) { clearInterval(timer); display("late"); go = false } }, 5); 1',
      expect: { exitCode: 0, results: ['1'] },
    },
    {
      code: 'globalThis.go = true; while (go) await Bun.sleep(1); display()',
      expect: { exitCode: 0, results: ['"late"'] },
    },
  ]),
  javascript('rich forms come from Symbol.for("Jupyter.display") or as they are with raw', [
    {
      code: '({ [Symbol.for("Jupyter.display")]: () => ({ "text/html": "<b>x</b>", "application/json": { a: 1 } }) })',
      expect: { exitCode: 0, resultTypes: [['text/plain', 'text/html', 'application/json']], results: [/Jupyter/] },
    },
    {
      code: '({ [Symbol.for("Jupyter.display")]: async () => ({ "text/plain": "mine", "image/png": new Uint8Array([1, 2]) }) })',
      expect: { exitCode: 0, resultTypes: [['text/plain', 'image/png']], results: ['mine'] },
    },
    {
      code: 'display({ "text/html": "<i>x</i>" }, { raw: true }); display({ "text/html": "no" })',
      expect: { exitCode: 0, resultTypes: [['text/html'], ['text/plain']], results: ['', /text\/html/] },
    },
    {
      code: 'const f = () => 1; f[Symbol.for("Jupyter.display")] = () => ({ "text/markdown": "*f*" }); f',
      expect: { exitCode: 0, resultTypes: [['text/plain', 'text/markdown']] },
    },
  ]),
  javascript('rich forms that fail or do not fit are left out', [
    {
      code: '({ [Symbol.for("Jupyter.display")]() { throw new Error("x") } })',
      expect: { exitCode: 0, resultTypes: [['text/plain']] },
    },
    {
      code: '({ [Symbol.for("Jupyter.display")]: () => ({ "text/html": "x".repeat(600_000), "text/markdown": "fits", "text/bad": 1n, "text/none": undefined }) })',
      expect: { exitCode: 0, resultTypes: [['text/plain', 'text/markdown']] },
    },
    {
      code: 'display({ "text/plain": "x".repeat(70_000), "text/a": () => 1 }, { raw: true })',
      expect: { exitCode: 0, resultTypes: [['text/plain']], results: [/^x{65536}\n\[truncated/] },
    },
    {
      code: '({ get [Symbol.for("Jupyter.display")]() { throw 1 } })',
      expect: { exitCode: 0, resultTypes: [['text/plain']] },
    },
    {
      code: '({ [Symbol.for("Jupyter.display")]: () => Promise.reject(new Error("async")) })',
      expect: { exitCode: 0, resultTypes: [['text/plain']], stderr: '' },
    },
  ]),
]
