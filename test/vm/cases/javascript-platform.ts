import { type Case, lines } from './case.ts'
import { javascript } from './javascript.ts'

/** What Bun brings: modules, workers, network, WebAssembly, web interfaces. */
export const javascriptPlatformCases: readonly Case[] = [
  javascript('modules may import each other in a circle, JSON and CommonJS', [
    {
      code: lines`
        await Bun.write('a.ts', 'import { b } from "./b.ts"; export const a = "a"; export const viaA = () => b; console.log("a")')
        await Bun.write('b.ts', 'import { a } from "./a.ts"; export const b = "b"; export const viaB = () => a; console.log("b")')
        await Bun.write('d.json', '{ "x": [1, 2] }')
        await Bun.write('c.cjs', 'module.exports = { name: require("path").basename(__filename) }')
        await Bun.write('t.ts', 'export const t = await Promise.resolve(3)')
        const { viaA } = await import('./a.ts'), { viaB } = await import('./b.ts')
        console.log(viaA() + viaB(), (await import('./t.ts')).t)
      `,
      expect: { exitCode: 0, stdout: 'b\na\nba 3\n' },
    },
    {
      code: 'import data from "./d.json"; import same from "./d.json" with { type: "json" }; [data.x[1], same.x.length, require("./d.json").x[0], require("./c.cjs").name]',
      expect: { exitCode: 0, results: ['[ 2, 2, 1, "c.cjs" ]'] },
    },
    {
      code: '[(await import("data:text/javascript,export const d = 5")).d, (await import("./d.json", { with: { type: "text" } })).default.length]',
      expect: { exitCode: 0, results: ['[ 5, 15 ]'] },
    },
  ]),
  javascript('a module is loaded once, until its cache entry goes', [
    {
      code: 'await Bun.write("m.ts", "export const v = 1"); (await import("./m.ts")).v',
      expect: { exitCode: 0, results: ['1'] },
    },
    {
      code: 'await Bun.write("m.ts", "export const v = 2"); (await import("./m.ts")).v',
      expect: { exitCode: 0, results: ['1'] },
    },
    { code: '(await import("./m.ts?fresh")).v', expect: { exitCode: 0, results: ['2'] } },
    {
      code: 'delete require.cache[require.resolve("./m.ts")]; (await import("./m.ts")).v',
      expect: { exitCode: 0, results: ['2'] },
    },
  ]),
  javascript('WebAssembly exceptions are caught on both sides, in the old encoding and the new', [
    {
      // (module (type $t (func (param i32))) (tag (export "t") (type $t))
      //   (func (export "f") (param i32) (result i32) try (result i32) local.get 0 throw 0 catch 0 end? i32.const 1 i32.add)
      //   (func (export "g") (param i32) local.get 0 throw 0)); the second module says it with try_table.
      code: lines`
        const head = [0, 97, 115, 109, 1, 0, 0, 0, 1, 10, 2, 96, 1, 127, 0, 96, 1, 127, 1, 127, 3, 3, 2, 1, 0, 13, 3, 1, 0, 0,
          7, 13, 3, 1, 102, 0, 0, 1, 103, 0, 1, 1, 116, 4, 0]
        const thrower = [6, 0, 32, 0, 8, 0, 11]
        const old = [10, 23, 2, 14, 0, 6, 127, 32, 0, 8, 0, 7, 0, 65, 1, 106, 11, 11]
        const now = [10, 28, 2, 19, 0, 2, 127, 31, 127, 1, 0, 0, 0, 32, 0, 8, 0, 11, 11, 65, 1, 106, 11]
        const [first, second] = [old, now].map((f) => new WebAssembly.Instance(new WebAssembly.Module(new Uint8Array([...head, ...f, ...thrower]))).exports)
      `,
      expect: { exitCode: 0 },
    },
    { code: '[first.f(41), second.f(1)]', expect: { exitCode: 0, results: ['[ 42, 2 ]'] } },
    {
      code: 'try { first.g(7) } catch (e) { console.log(e instanceof WebAssembly.Exception, e.is(first.t), e.getArg(first.t, 0)) }',
      expect: { exitCode: 0, stdout: 'true true 7\n' },
    },
    { code: 'second.g(1)', expect: { exitCode: 1 } },
    { code: 'new WebAssembly.Module(new Uint8Array([0, 1, 2]))', expect: { exitCode: 1, errorName: 'CompileError' } },
  ]),
  javascript('WebAssembly streams from a response and calls back', [
    {
      // (module (import "m" "f" (func (param i32) (result i32))) (func (export "g") (param i32) (result i32) local.get 0 call 0))
      code: lines`
        const wasm = new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0, 1, 6, 1, 96, 1, 127, 1, 127, 2, 7, 1, 1, 109, 1, 102, 0, 0, 3, 2, 1, 0,
          7, 5, 1, 1, 103, 0, 1, 10, 8, 1, 6, 0, 32, 0, 16, 0, 11])
        const respond = () => new Response(wasm, { headers: { 'content-type': 'application/wasm' } })
        const { instance } = await WebAssembly.instantiateStreaming(respond(), { m: { f: (x) => x * 2 } })
        const compiled = await WebAssembly.compileStreaming(Promise.resolve(respond()))
        const memory = new WebAssembly.Memory({ initial: 1, maximum: 2 }); memory.grow(1)
        ;[instance.exports.g(21), WebAssembly.Module.exports(compiled)[0].name, memory.buffer.byteLength, WebAssembly.validate(wasm)]
      `,
      expect: { exitCode: 0, results: ['[ 42, "g", 131072, true ]'] },
    },
    { code: 'instance.exports.g(4)', expect: { exitCode: 0, results: ['8'] } },
  ]),
  javascript('workers answer, fail and are ended', [
    {
      code: lines`
        const threads = require('worker_threads')
        const once = (worker, event) => new Promise((resolve) => worker.once(event, resolve))
        const doubler = new threads.Worker('const { parentPort, workerData } = require("worker_threads"); parentPort.postMessage(workerData * 2)', { eval: true, workerData: 21 })
        console.log(await once(doubler, 'message'))
        console.log((await once(new threads.Worker('throw new Error("boom")', { eval: true }), 'error')).message)
        console.log(await once(new threads.Worker('process.exit(7)', { eval: true }), 'exit'))
      `,
      expect: { exitCode: 0, stdout: '42\nboom\n7\n' },
    },
    {
      code: 'const spinner = new threads.Worker("while (true);", { eval: true }); await once(spinner, "online"); "left running"',
      expect: { exitCode: 0, results: ['"left running"'] },
    },
    { code: 'await spinner.terminate(); "ended"', expect: { exitCode: 0, results: ['"ended"'] } },
    {
      code: 'const web = new Worker(URL.createObjectURL(new Blob(["onmessage = (e) => postMessage(e.data + 1)"]))); web.postMessage(41); const answer = await new Promise((resolve) => (web.onmessage = (e) => resolve(e.data))); web.terminate(); answer',
      expect: { exitCode: 0, results: ['42'] },
    },
  ]),
  javascript('an error in a worker that nobody listens to ends the program', [
    {
      code: 'new (require("worker_threads").Worker)("throw new Error(`unheard`)", { eval: true }); await new Promise(() => {})',
      expect: { exitCode: 1, stderr: /^Error: unheard\n/ },
    },
    { code: '1', expect: { exitCode: 0, results: ['1'] } },
  ]),
  javascript('servers and clients of every kind meet on 127.0.0.1 and in the file system', [
    {
      code: lines`
        const listening = (server) => new Promise((resolve) => server.on('listening', () => resolve(server.address())))
        const http = require('http').createServer((request, response) => response.end(request.url)).listen(0, '127.0.0.1')
        const { port } = await listening(http)
        console.log(await (await fetch('http://127.0.0.1:' + port + '/node')).text())
        const net = require('net'), read = (socket) => new Promise((resolve) => socket.on('data', (data) => resolve(String(data))))
        const tcp = net.createServer((socket) => socket.end('tcp')).listen(0, '127.0.0.1')
        console.log(await read(net.connect((await listening(tcp)).port, '127.0.0.1')))
        const unix = net.createServer((socket) => socket.end('unix')).listen('/tmp/case.sock')
        await listening(unix)
        console.log(await read(net.connect('/tmp/case.sock')))
        tcp.close(); unix.close()
      `,
      expect: { exitCode: 0, stdout: '/node\ntcp\nunix\n' },
    },
    {
      code: 'await (await fetch(`http://127.0.0.1:${port}/later`)).text()',
      expect: { exitCode: 0, results: ['"/later"'] },
    },
    {
      code: lines`
        http.close()
        const upgrade = Bun.serve({ port: 0, fetch(request, server) { server.upgrade(request) }, websocket: { message(socket, text) { socket.send('echo ' + text) } } })
        const socket = new WebSocket('ws://127.0.0.1:' + upgrade.port)
        await new Promise((resolve) => (socket.onopen = resolve))
        socket.send('hi')
        console.log(await new Promise((resolve) => (socket.onmessage = (event) => resolve(event.data))))
        socket.close(); upgrade.stop(true)
      `,
      expect: { exitCode: 0, stdout: 'echo hi\n' },
    },
  ]),
  javascript('the interfaces of the web are there', [
    {
      code: lines`
        const gzip = new Blob(['squeezed']).stream().pipeThrough(new CompressionStream('gzip')).pipeThrough(new DecompressionStream('gzip'))
        const key = await crypto.subtle.generateKey({ name: 'HMAC', hash: 'SHA-256' }, true, ['sign'])
        const aborted = await fetch('http://127.0.0.1:1', { signal: AbortSignal.abort() }).catch((error) => error.name)
        console.log(await (await fetch('data:text/plain,data')).text(), await new Response(gzip).text(), new TextDecoder().decode(new TextEncoder().encode('é€𝄞')))
        console.log((await crypto.subtle.sign('HMAC', key, new Uint8Array(1))).byteLength, crypto.randomUUID().length, aborted, structuredClone(new Map([[1, new Date(0)]])).get(1).getTime())
        console.log(new URL('../x?y=1', 'http://a/b/c/d').href, new Intl.NumberFormat('de-DE').format(1234.5), atob(btoa('x')), typeof Temporal, await new File(['f'], 'n').text())
        const { port1, port2 } = new MessageChannel(); port2.postMessage('port'); console.log(await new Promise((resolve) => (port1.onmessage = (event) => resolve(event.data)))); port1.close()
      `,
      expect: {
        exitCode: 0,
        stdout: 'data squeezed é€𝄞\n32 36 AbortError 0\nhttp://a/b/x?y=1 1.234,5 x object f\nport\n',
      },
    },
  ]),
  javascript('the modules of Node and Bun are there', [
    {
      code: lines`
        const { createHash } = require('crypto'), zlib = require('zlib'), util = require('util'), os = require('os'), vm = require('vm')
        const { AsyncLocalStorage } = require('async_hooks'), { Database } = require('bun:sqlite')
        const db = new Database(':memory:'); db.run('create table t (a)'); db.run('insert into t values (1), (2)')
        const store = new AsyncLocalStorage(); store.run(5, async () => { await 1; console.log('store', store.getStore()) })
        console.log(createHash('sha256').update('a').digest('hex').slice(0, 8), zlib.gunzipSync(zlib.gzipSync('zip')).toString(), db.query('select sum(a) s from t').get().s)
        console.log(util.inspect({ a: 1 }), os.homedir(), process.cwd(), process.getuid(), vm.runInNewContext('x + 1', { x: 1 }), performance.now() > 0)
        console.log((await Bun.$${'`echo shell | tr a-z A-Z`'}.text()).trim(), (await Bun.$${'`exit 4`'}.nothrow()).exitCode, Bun.deepEquals([1], [1]))
        try { require('assert').strictEqual(1, 2) } catch (error) { console.log(error.code) }
        require('fs').writeFileSync('f.txt', 'abc'); console.log(await Bun.file('f.txt').text(), require('fs').statSync('f.txt').size)
      `,
      expect: {
        exitCode: 0,
        stdout:
          'ca978112 zip 3\n{ a: 1 } /home/user /home/user 1000 2 true\nstore 5\nSHELL 4 true\nERR_ASSERTION\nabc 3\n',
      },
    },
  ]),
]
