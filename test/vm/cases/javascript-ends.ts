import { type Case, lines } from './case.ts'
import { javascript } from './javascript.ts'

/** How programs end, and what of them goes on. */
export const javascriptEndCases: readonly Case[] = [
  javascript('process.exit takes what an exit code can be and refuses the rest', [
    { code: 'process.exit("9")', expect: { exitCode: 9, stderr: '', errorName: null } },
    { code: 'process.exit(256 + 3)', expect: { exitCode: 3 } },
    { code: 'process.exitCode = 2; process.exit()', expect: { exitCode: 2 } },
    {
      code: 'try { process.exit({}) } catch (error) { console.log(error.code) }',
      expect: { exitCode: 0, stdout: 'ERR_INVALID_ARG_TYPE\n' },
    },
    {
      code: 'process.exit(1.5)',
      expect: {
        exitCode: 1,
        errorName: 'RangeError',
        stderr: /^RangeError[^\n]*\n {4}at <anonymous> \(\/home\/user\/input-5\.tsx:1:/,
      },
    },
    { code: 'process.exitCode = "7"; 0', expect: { exitCode: 7 } },
    { code: 'process.exitCode = "seven"', expect: { exitCode: 1, errorName: 'TypeError' } },
    { code: '0', expect: { exitCode: 0 } },
  ]),
  javascript('process.exit ends the program from wherever it is called', [
    { code: 'Promise.resolve().then(() => process.exit(4)); await new Promise(() => {})', expect: { exitCode: 4 } },
    { code: 'setTimeout(() => process.exit(3), 1); await new Promise(() => {})', expect: { exitCode: 3 } },
    { code: 'try { await Bun.sleep(1); throw 1 } finally { process.exit(5) }', expect: { exitCode: 5, stderr: '' } },
    { code: 'new Promise(() => process.exit(6)); console.log("no")', expect: { exitCode: 6, stdout: '' } },
    { code: '[3, 1].sort(() => process.exit(7)); console.log("no")', expect: { exitCode: 7, stdout: '' } },
    { code: 'class A { constructor() { process.exit(8) } } new A()', expect: { exitCode: 8 } },
    {
      code: 'for await (const x of (async function* () { try { yield 1 } finally { console.log("no") } })()) process.exit(9)',
      expect: { exitCode: 9, stdout: '' },
    },
    { code: '"alive"', expect: { exitCode: 0, results: ['"alive"'] } },
  ]),
  javascript('listeners for the end run once, in order, and may change the exit code', [
    {
      code: 'process.on("beforeExit", (c) => console.log("before", c)); process.on("exit", (c) => console.log("exit", c)); process.once("exit", () => { process.exitCode = 9 })',
      expect: { exitCode: 9, stdout: 'before 0\nexit 0\n' },
    },
    { code: '0', expect: { exitCode: 0, stdout: '' } },
    {
      code: 'process.on("beforeExit", () => console.log("no")); process.on("exit", () => process.exit(8)); process.exit(1)',
      expect: { exitCode: 8, stdout: '' },
    },
    {
      code: 'process.on("exit", () => { throw new Error("in exit") })',
      expect: { exitCode: 1, errorName: 'Error', stderr: /^Error: in exit\n/ },
    },
    {
      code: 'process.on("exit", (c) => console.log("bye", c)); throw new Error("bad")',
      expect: { exitCode: 1, stdout: 'bye 1\n', stderr: /^Error: bad\n/ },
    },
  ]),
  javascript('what is due at once still belongs to the program', [
    {
      code: 'setImmediate(() => console.log("immediate")); process.nextTick(() => console.log("tick")); queueMicrotask(() => console.log("microtask")); console.log("sync")',
      expect: { exitCode: 0, stdout: 'sync\nmicrotask\ntick\nimmediate\n' },
    },
    {
      code: 'async function main() { await Bun.sleep(5); process.exitCode = 3; return 4 }\nmain()',
      expect: { exitCode: 3, results: ['4'] },
    },
  ]),
  javascript('an interval goes on between calls until it is cleared', [
    {
      code: 'let ticks = 0; const interval = setInterval(() => { ticks++ }, 5); interval.unref(); 0',
      expect: { exitCode: 0 },
    },
    {
      code: 'const before = ticks; while (ticks < before + 2) await Bun.sleep(5); clearInterval(interval)',
      expect: { exitCode: 0 },
    },
    {
      code: 'const stopped = ticks; await Bun.sleep(30); ticks === stopped',
      expect: { exitCode: 0, results: ['true'] },
    },
  ]),
  javascript('an error of a timer belongs to the call that it happens in', [
    {
      code: 'const timer = setInterval(() => { if (globalThis.go) { clearInterval(timer); throw new Error("left behind") } }, 5); 0',
      expect: { exitCode: 0 },
    },
    {
      code: 'globalThis.go = true; await new Promise(() => {})',
      expect: { exitCode: 1, stderr: /^Error: left behind\n {4}at <anonymous> \(\/home\/user\/input-1\.tsx:1:/ },
    },
    { code: '1', expect: { exitCode: 0, results: ['1'] } },
  ]),
  javascript('a loop of microtasks is interrupted and the state stays', [
    { code: 'const kept = 1', expect: { exitCode: 0 } },
    {
      code: '(function spin() { Promise.resolve().then(spin) })()',
      timeoutMs: 2_000,
      expect: { exitCode: 124, reason: 'timeout' },
    },
    { code: 'for (;;) await null', timeoutMs: 2_000, expect: { exitCode: 124, reason: 'timeout' } },
    { code: 'kept', expect: { exitCode: 0, results: ['1'] } },
  ]),
  javascript('waiting for what never comes lasts until the time limit and costs nothing else', [
    {
      code: 'const kept = 1, server = Bun.serve({ port: 0, fetch: () => new Promise(() => {}) })',
      expect: { exitCode: 0 },
    },
    {
      code: 'await new Promise(() => {})',
      timeoutMs: 2_000,
      expect: { exitCode: 124, reason: 'timeout' },
    },
    {
      code: 'await fetch(server.url)',
      timeoutMs: 2_000,
      expect: { exitCode: 124, reason: 'timeout' },
    },
    { code: 'await server.stop(true); kept', expect: { exitCode: 0, results: ['1'] } },
  ]),
  javascript('a program that waits for a child is interrupted with it', [
    { code: 'const kept = 1', expect: { exitCode: 0 } },
    {
      code: 'require("child_process").execSync("sleep 60")',
      timeoutMs: 2_000,
      expect: { exitCode: 124, reason: 'timeout' },
    },
    { code: 'kept', expect: { exitCode: 0, results: ['1'] } },
  ]),
  javascript('a blocked thread ends at a later step of the ladder', [
    { code: 'Bun.sleepSync(60_000)', timeoutMs: 2_000, expect: { exitCode: 124, reason: 'timeout' } },
    { code: '"alive"', expect: { exitCode: 0, results: ['"alive"'] } },
  ]),
  javascript('a handler for SIGTERM runs at the time limit, even of a loop', [
    {
      code: 'process.on("SIGTERM", () => { console.log("cleaned up"); process.exit(42) }); while (true);',
      timeoutMs: 2_000,
      expect: { exitCode: 124, reason: 'timeout', stdout: 'cleaned up\n' },
    },
    { code: 'process.removeAllListeners("SIGTERM"); "alive"', expect: { exitCode: 0, results: ['"alive"'] } },
  ]),
  javascript('a program may send itself signals', [
    {
      code: lines`
        const kept = 1
        const got = (signal) => new Promise((resolve) => {
          process.on(signal, () => resolve(console.log(signal)))
          process.kill(process.pid, signal)
        })
        for (const signal of ['SIGINT', 'SIGUSR1', 'SIGTERM']) await got(signal)
      `,
      expect: { exitCode: 0, stdout: 'SIGINT\nSIGUSR1\nSIGTERM\n' },
    },
    { code: 'process.kill(process.pid, "SIGINT"); console.log("no")', expect: { exitCode: 130, stdout: 'SIGTERM\n' } },
    {
      code: 'process.removeAllListeners("SIGTERM"); await Bun.sleep(1); process.kill(process.pid, "SIGINT"); await new Promise(() => {})',
      expect: { exitCode: 130, stdout: '' },
    },
    { code: 'kept', expect: { exitCode: 0, results: ['1'] } },
  ]),
  javascript('signals that end the process reset the state', [
    {
      code: 'const kept = 1; process.kill(process.pid, "SIGTERM"); await new Promise(() => {})',
      expect: { exitCode: 143, reason: 'signal' },
    },
    { code: 'process.abort()', expect: { exitCode: 134, reason: 'signal' } },
    {
      code: 'console.log("before"); require("bun:ffi").dlopen("libc.so.6", { _exit: { args: ["i32"], returns: "void" } }).symbols._exit(33)',
      expect: { exitCode: 33, stdout: 'before\n' },
    },
    { code: 'typeof kept', expect: { exitCode: 0, results: ['"undefined"'] } },
  ]),
  javascript('a child is waited for only by who asks', [
    {
      code: lines`
        const { spawn, execSync, spawnSync, exec } = require('child_process')
        const print = (event) => (resolve) => event((value) => resolve(console.log(value)))
        console.log(execSync('echo hi').toString().trim())
        spawnSync('sh', ['-c', 'echo inherited; echo error >&2'], { stdio: 'inherit' })
        const child = spawn('sh', ['-c', 'echo out; exit 3'])
        child.stdout.on('data', (data) => console.log('got', String(data).trim()))
        await new Promise(print((report) => child.on('close', report)))
        await new Promise(print((report) => exec('exit 5', (error) => report(error.code))))
        await new Promise(print((report) => spawn('no-such-program').on('error', (error) => report(error.code))))
        try { execSync('exit 6', { stdio: 'pipe' }) } catch (error) { console.log(error.status) }
      `,
      expect: { exitCode: 0, stdout: 'hi\ninherited\ngot out\n3\n5\nENOENT\n6\n', stderr: 'error\n' },
    },
    {
      code: 'const beside = spawn("sh", ["-c", "read line; echo $line"], { stdio: ["pipe", "inherit", "inherit"] }); 0',
      expect: { exitCode: 0, stdout: '' },
    },
    {
      code: 'beside.stdin.end("later\\n"); await new Promise((resolve) => beside.on("close", resolve))',
      expect: { exitCode: 0, stdout: 'later\n' },
    },
    {
      code: 'spawn("no-such-program"); await new Promise(() => {})',
      expect: { exitCode: 1, stderr: /no-such-program/ },
    },
  ]),
]
