import { type Case, lines } from './case.ts'
import { javascript } from './javascript.ts'

/** Errors: of every kind, caught by nobody, by the program, or too late. */
export const javascriptErrorCases: readonly Case[] = [
  javascript('anything can be thrown', [
    { code: 'throw undefined', expect: { exitCode: 1, stderr: 'Uncaught undefined\n', errorName: 'Error' } },
    { code: 'throw null', expect: { exitCode: 1, stderr: 'Uncaught null\n' } },
    { code: 'throw "text"', expect: { exitCode: 1, stderr: 'Uncaught "text"\n' } },
    { code: 'throw Object.freeze(Symbol("s"))', expect: { exitCode: 1, stderr: 'Uncaught Symbol(s)\n' } },
    {
      code: 'throw new Proxy({}, { get() { throw 1 }, getPrototypeOf() { throw 2 } })',
      expect: { exitCode: 1, stderr: /^Uncaught/ },
    },
    {
      code: 'const e = new Error("m"); for (const k of ["stack", "message", "name"]) Object.defineProperty(e, k, { get() { throw 1 } }); throw e',
      expect: { exitCode: 1, errorName: 'Error' },
    },
    { code: 'throw Object.freeze(new Error("frozen"))', expect: { exitCode: 1, stderr: /^Error: frozen\n {4}at/ } },
    {
      code: 'throw new (require("vm").runInNewContext("RangeError"))("other realm")',
      expect: { exitCode: 1, stderr: /^RangeError: other realm\n/, errorName: 'RangeError' },
    },
    { code: 'throw new Error("m".repeat(1_000_000))', expect: { exitCode: 1, stderr: /^Error: m+\n\[truncated\]\n$/ } },
    { code: '"alive"', expect: { exitCode: 0, results: ['"alive"'] } },
  ]),
  javascript('an error tells its fields, its causes and the errors it is made of', [
    {
      code: 'class HttpError extends Error { name = "HttpError"; status = 404 } throw new HttpError("gone")',
      expect: {
        exitCode: 1,
        stderr: /^HttpError: gone\n {4}at [^\n]+ \{\n {2}status: 404,\n\}\n$/,
        errorName: 'HttpError',
      },
    },
    {
      code: 'throw new Error("outer", { cause: new TypeError("inner", { cause: "root" }) })',
      expect: {
        exitCode: 1,
        stderr: /^Error: outer\n {4}at .*\nCaused by: TypeError: inner\n {4}at .*\nCaused by: "root"\n$/,
      },
    },
    {
      code: 'await Promise.any([Promise.reject(new Error("p")), Promise.reject(new TypeError("q"))])',
      expect: {
        exitCode: 1,
        stderr: /Error 1 of 2: Error: p\n[^]*Error 2 of 2: TypeError: q\n/,
        errorName: 'AggregateError',
      },
    },
    {
      code: 'const loop = new Error("loop"); loop.cause = loop; loop.self = loop; throw loop',
      expect: { exitCode: 1, stderr: /\[Circular\]/ },
    },
    { code: 'await fetch("http://127.0.0.1:1/")', expect: { exitCode: 1, stderr: /code: "ECONNREFUSED"/ } },
  ]),
  javascript('the console shows errors by their stack, as the end of a program does', [
    {
      code: 'try { null.x } catch (error) { console.error(error); console.log([error]) }',
      expect: {
        exitCode: 0,
        stdout:
          /^\[\n {2}TypeError: null is not an object[^\n]*\n {4}at <anonymous> \(\/home\/user\/input-1\.tsx:1:\d+\)\n\]\n$/,
        stderr: /^TypeError: null is not an object[^\n]*\n {4}at <anonymous> \(\/home\/user\/input-1\.tsx:1:\d+\)\n$/,
      },
    },
    {
      code: 'new RangeError("as a value")',
      expect: {
        exitCode: 0,
        results: [/^RangeError: as a value\n {4}at <anonymous> \(\/home\/user\/input-2\.tsx:1:\d+\)$/],
      },
    },
  ]),
  javascript('an error in a module names the module', [
    {
      code: 'await Bun.write("bad.ts", "\\nexport function go(): never { throw new Error(`in module`) }"); const { go } = await import("./bad.ts"); go()',
      expect: {
        exitCode: 1,
        stderr:
          /^Error: in module\n {4}at go \(\/home\/user\/bad\.ts:2:\d+\)\n {4}at <anonymous> \(\/home\/user\/input-1\.tsx:1:/,
      },
    },
    {
      code: 'await Bun.write("syntax.ts", "\\nconst x: = 1"); await import("./syntax.ts")',
      expect: {
        exitCode: 1,
        stderr: '/home/user/syntax.ts:2:10\nconst x: = 1\n         ^\nSyntaxError: Unexpected =\n',
      },
    },
    { code: 'await import("./nowhere.ts")', expect: { exitCode: 1, stderr: /Cannot find module '\.\/nowhere\.ts'/ } },
    { code: 'require("no-such-package")', expect: { exitCode: 1, stderr: /no-such-package/ } },
  ]),
  javascript('rejections count when nobody handles them in time, wherever they come from', [
    {
      code: 'const p = Promise.reject(new Error("handled")); p.catch(() => console.log("ok"))',
      expect: { exitCode: 0, stdout: 'ok\n' },
    },
    {
      code: 'const late = Promise.reject(new Error("late")); setTimeout(() => late.catch(() => {}), 5_000).unref(); await new Promise(() => {})',
      expect: { exitCode: 1, stderr: /^Error: late\n/ },
    },
    {
      code: 'setTimeout(() => { Promise.reject(new Error("timer")) }, 1); await new Promise(() => {})',
      expect: { exitCode: 1, stderr: /^Error: timer\n/ },
    },
    {
      code: 'const emitter = new (require("events"))(); emitter.on("x", async () => { throw new Error("listener") }); emitter.emit("x")',
      expect: { exitCode: 1, stderr: /^Error: listener\n/ },
    },
    {
      code: 'emitter.emit("error", new Error("no listener"))',
      expect: { exitCode: 1, stderr: /^Error: no listener\n/ },
    },
    { code: 'process.nextTick(() => { throw new Error("tick") })', expect: { exitCode: 1, stderr: /^Error: tick\n/ } },
    {
      code: 'queueMicrotask(() => { throw new Error("microtask") })',
      expect: { exitCode: 1, stderr: /^Error: microtask\n/ },
    },
    {
      code: 'Promise.reject(new Error("last value"))',
      expect: { exitCode: 1, stderr: /^Error: last value\n/, results: [] },
    },
    {
      code: 'Promise.reject(new Error("beside")); 5',
      expect: { exitCode: 1, stderr: /^Error: beside\n/, results: ['5'] },
    },
  ]),
  javascript('a program may handle what nobody caught, for itself and not for later ones', [
    {
      code: 'process.on("uncaughtException", (error, origin) => console.log("handled", error.message, origin)); setTimeout(() => { throw new Error("timer") }, 1); await Bun.sleep(50); throw new Error("end")',
      expect: {
        exitCode: 0,
        stdout: 'handled timer uncaughtException\nhandled end uncaughtException\n',
        errorName: null,
      },
    },
    { code: 'throw new Error("nobody")', expect: { exitCode: 1, stdout: '', errorName: 'Error' } },
    {
      code: 'process.on("unhandledRejection", (reason) => console.log("reason", reason)); Promise.reject(5); Promise.reject(6)',
      expect: { exitCode: 0, stdout: 'reason 6\nreason 5\n' },
    },
    {
      code: 'process.on("uncaughtException", () => { throw new Error("handler") }); throw new Error("first")',
      expect: { exitCode: 7, stderr: /^Error: handler\n/ },
    },
    {
      code: 'process.removeAllListeners(); setTimeout(() => { throw new Error("still seen") }, 1); await new Promise(() => {})',
      expect: { exitCode: 1, stderr: /^Error: still seen\n/ },
    },
  ]),
  javascript('running out of stack is an error like any other', [
    {
      code: 'function f(n) { return n === 0 ? 0 : 1 + f(n - 1) }; f(1e6)',
      expect: { exitCode: 1, errorName: 'RangeError' },
    },
    {
      code: 'try { f(1e6) } catch (error) { console.log(error.name) } f(100)',
      expect: { exitCode: 0, stdout: 'RangeError\n', results: ['100'] },
    },
    {
      code: 'let nested = []; for (let i = 0; i < 20_000; i++) nested = [nested]; try { JSON.stringify(nested) } catch (error) { console.log(error.name) } f(10)',
      expect: { exitCode: 0, results: ['10'] },
    },
    {
      code: 'let s = "x"; try { for (;;) s += s } catch (error) { error.name }\nlet kept = 1',
      expect: { exitCode: 0 },
    },
    { code: 'kept', expect: { exitCode: 0, results: ['1'] } },
  ]),
  javascript('a program may shape stack traces', [
    {
      code: 'Error.prepareStackTrace = (error, sites) => `${error.message} at line ${sites[0].getLineNumber()}`\nconst shaped = new Error("shaped").stack; Error.prepareStackTrace = undefined; shaped',
      expect: { exitCode: 0, results: ['"shaped at line 2"'] },
    },
    {
      code: 'Error.prepareStackTrace = () => { throw 1 }; throw new Error("unshaped")',
      expect: { exitCode: 1, stderr: /Error: unshaped\n/ },
    },
    {
      code: 'Error.prepareStackTrace = undefined; Error.stackTraceLimit = 30; const deep = (n) => { if (n === 0) throw new Error("deep"); deep(n - 1) }; deep(15)',
      expect: { exitCode: 1, stderr: /^Error: deep\n(?: {4}at .*input-3\.tsx.*\n){17}$/ },
    },
  ]),
  javascript('names that the interpreter uses belong to the program', [
    {
      code: lines`
        const process = { fake: 1 }, Promise = 2, Symbol = 3, Object = 4, Array = 5, JSON = 6, Buffer = 7, String = 8, Bun = 9
        const require = 10, module = 11, exports = 12, display = 13, value = 14
        function setTimeout() { return 'mine' }
        class Error {}
        setTimeout()
      `,
      expect: { exitCode: 0, results: ['"mine"'] },
    },
    {
      code: 'await 5; console.log(process.fake, Promise, JSON, require, display); value',
      expect: { exitCode: 0, stdout: '1 2 6 10 13\n', results: ['14'] },
    },
    {
      code: 'throw new TypeError("still shown")',
      expect: { exitCode: 1, stderr: /^TypeError: still shown\n/, errorName: 'TypeError' },
    },
    { code: 'let console = { log() {} }; console.log("hidden")', expect: { exitCode: 0, stdout: '' } },
  ]),
  javascript('patched built-ins do not reach what the caller is told', [
    {
      code: 'Object.prototype.toJSON = () => "x"; Object.prototype.get = 5; Object.prototype.value = 3; Array.prototype.map = Array.prototype.push = Array.prototype.slice = () => "x"; 1',
      expect: { exitCode: 0, results: ['1'] },
    },
    {
      code: 'Promise.prototype.then = Promise.resolve = null; Function.prototype.call = Function.prototype.apply = Function.prototype.bind = null; 2',
      expect: { exitCode: 0, results: ['2'] },
    },
    {
      code: 'JSON.stringify = () => "x"; Array.prototype[Symbol.iterator] = () => { throw 1 }; globalThis.setImmediate = globalThis.queueMicrotask = null; process.on = process.listeners = process.kill = null; 3',
      expect: { exitCode: 0, results: ['3'] },
    },
    {
      code: 'await null; console.log("ok"); 4',
      env: { A: '1' },
      expect: { exitCode: 0, stdout: 'ok\n', results: ['4'] },
    },
    { code: 'process.exit(5)', expect: { exitCode: 5 } },
  ]),
  javascript('a frozen global object keeps what it has', [
    { code: 'var kept = 1; Object.freeze(globalThis); 0', expect: { exitCode: 0 } },
    { code: 'console.log("ok", kept)', expect: { exitCode: 0, stdout: 'ok 1\n' } },
    { code: 'var fresh = 1', expect: { exitCode: 1, errorName: 'TypeError' } },
  ]),
  javascript('a program that wrecks the interpreter ends at once and says so', [
    {
      code: 'const kept = 1; String.prototype.slice = String.prototype.replaceAll = RegExp.prototype.exec = null; throw new Error("x")',
      expect: { exitCode: 1, stderr: /what it kept is lost/ },
    },
    { code: 'console.log(typeof kept)', expect: { exitCode: 0, stdout: 'undefined\n' } },
  ]),
]
