import { afterAll, describe, expect, it } from 'vitest'
import { PackageError, Scheduler } from '../../src/index.ts'
import { reachRegistry } from './registry-network.ts'
import { templateCache } from './template-cache.ts'

// F06: packages that people use, from the registries that this host's own configuration names. Without them the tests are
// left out: what does not need the registries is proven in package-installs.test.ts.

const cache = await templateCache()
const TIMEOUT_MS = 120_000
const scheduler = new Scheduler({ cacheDir: cache.directory, memoryMb: 512, timeoutMs: TIMEOUT_MS })
afterAll(async () => {
  await scheduler.close()
  await cache.remove()
})

/** Why there is nothing to install from, if so; asked with the smallest package there is. */
async function unreachable(language: string, spec: string): Promise<string | undefined> {
  try {
    await using probe = new Scheduler({ cacheDir: cache.directory, packages: { timeoutMs: 60_000 } })
    await using _sandbox = await probe.create({ language, packages: [spec] })
    return undefined
  } catch (error) {
    if (error instanceof PackageError && (error.retryable || /OFFLINE/.test(error.message))) return error.message
    throw error
  }
}

const noPython = await unreachable('python', 'six')
const noJavascript = await unreachable('javascript', 'is-number')
for (const reason of [noPython, noJavascript]) {
  if (reason !== undefined) console.warn(`canaries are left out: ${reason.split('\n')[0]}`)
}

/** All in one layer: what they have in common is installed and compiled once. */
const PACKAGES = ['cloudpickle', 'dask', 'httpx', 'matplotlib', 'numpy', 'pandas==2.2.3', 'psutil', 'requests']

interface Canary {
  readonly code: string
  readonly stdout: RegExp
}

const PYTHON: Readonly<Record<string, Canary>> = {
  'numpy and pandas': {
    code: [
      'import io, numpy as np, pandas as pd',
      'frame = pd.read_csv(io.StringIO("a,b\\n1,2\\n3,4\\n"))',
      'frame["c"] = np.sqrt(frame.a * frame.b)',
      'print(frame.groupby("a").c.sum().round(3).to_dict(), pd.__version__, (np.eye(50) @ np.ones(50)).sum())',
    ].join('\n'),
    stdout: /^\{1: 1\.414, 3: 3\.464\} 2\.2\.3 50\.0\n$/,
  },
  psutil: {
    code: [
      'import os, psutil, socket, warnings; warnings.simplefilter("error")',
      'server = socket.create_server(("127.0.0.1", 0))',
      'me = psutil.Process()',
      'print(psutil.cpu_count(), psutil.cpu_times().user >= 0, psutil.virtual_memory().total > 2**28, psutil.swap_memory().total > 0)',
      'print(psutil.disk_usage("/home/user").total > 0, [p.mountpoint for p in psutil.disk_partitions(all=True)].count("/tmp"))',
      'print(me.pid == os.getpid(), me.memory_info().rss > 2**20, me.num_threads() >= 1, len(psutil.pids()) >= 1, me.name())',
      'print([c.laddr.port == server.getsockname()[1] for c in me.net_connections()], list(psutil.net_if_addrs()))',
    ].join('\n'),
    stdout: /^1 True True True\nTrue 1\nTrue True True True python3\n\[True\] \['lo'\]\n$/,
  },
  Dask: {
    code: [
      'import dask, dask.array as da, multiprocessing',
      'square = dask.delayed(lambda x: x * x)',
      'total = dask.delayed(sum)([square(n) for n in range(10)])',
      'for name in ("synchronous", "threads", "processes"): print(name, total.compute(scheduler=name, num_workers=2))',
      'print(da.ones((100, 100), chunks=(50, 50)).sum().compute(scheduler="threads"))',
      'lock = multiprocessing.get_context("fork").Semaphore(1)',
      'print(lock.acquire(timeout=5))',
    ].join('\n'),
    stdout: /^synchronous 285\nthreads 285\nprocesses 285\n10000\.0\nTrue\n$/,
  },
  'requests and httpx': {
    code: [
      'import asyncio, http.server, threading, httpx, requests',
      'class Handler(http.server.BaseHTTPRequestHandler):',
      '    def do_GET(self):',
      '        self.send_response(200); self.end_headers(); self.wfile.write(self.path.encode())',
      '    def log_message(self, *_): pass',
      'server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)',
      'threading.Thread(target=server.serve_forever, daemon=True).start()',
      'url = f"http://127.0.0.1:{server.server_port}"',
      'async def fetch():',
      '    async with httpx.AsyncClient() as client: return (await client.get(url + "/b")).text',
      'print(requests.get(url + "/a", timeout=10).text, asyncio.run(fetch()))',
      'server.shutdown()',
    ].join('\n'),
    stdout: /^\/a \/b\n$/,
  },
}

describe.skipIf(noPython !== undefined)('F06: Python', () => {
  it('has all of them installed, and imported in a template', { timeout: 900_000 }, async () => {
    expect(await scheduler.prepare({ packages: PACKAGES })).toBe(true)
    const program = 'import sys; print([name in sys.modules for name in ("numpy", "pandas", "matplotlib", "dask")])'
    expect((await scheduler.run(program, { packages: PACKAGES })).stdout).toBe('[True, True, True, True]\n')
  })

  it.each(Object.entries(PYTHON))('%s works', async (_name, { code, stdout }) => {
    const result = await scheduler.run(code, { packages: PACKAGES })
    expect(result).toMatchObject({ stderr: '', stdout: expect.stringMatching(stdout), exitCode: 0 })
    expect(result.source).toMatch(/-snapshot$/)
  })

  it('they are imported by the program where the sandbox has an environment', { timeout: 600_000 }, async () => {
    const { code, stdout } = PYTHON['numpy and pandas'] ?? expect.fail()
    const result = await scheduler.run(`import sys; assert "numpy" not in sys.modules\n${code}`, {
      packages: PACKAGES,
      env: { A: '1' },
    })
    expect(result).toMatchObject({ stderr: '', stdout: expect.stringMatching(stdout), exitCode: 0 })
  })

  it('matplotlib draws, into a file and as a displayed value', { timeout: 600_000 }, async () => {
    await using sandbox = await scheduler.create({ packages: PACKAGES })
    const code = 'import matplotlib.pyplot as plt; plt.plot([1, 4, 9]); plt.savefig("figure.png"); plt.show()'
    const result = await sandbox.runCode(code)
    expect(result).toMatchObject({ stderr: '', exitCode: 0 })
    const png = Buffer.from(await sandbox.files.read('figure.png', { format: 'bytes' }))
    expect(png.subarray(0, 8)).toEqual(Buffer.from('\u0089PNG\r\n\u001a\n', 'latin1'))
    expect(png.length).toBeGreaterThan(5_000)
    expect(result.results).toContainEqual(expect.objectContaining({ 'image/png': expect.stringMatching(/^iVBOR/) }))
  })

  it('clones of a template with packages differ in what numpy and the modules draw', { timeout: 600_000 }, async () => {
    const packages = PACKAGES
    const code = [
      'import sys; print("numpy" in sys.modules)',
      'import numpy as np, pandas as pd, random',
      'print(np.random.rand(), np.random.default_rng().random(), random.random(), pd.Series(range(9)).sample(4).tolist())',
    ].join('\n')
    const runs = await Promise.all([1, 2, 3].map(async () => await scheduler.run(code, { packages })))
    const outputs = runs.map(({ stdout }) => stdout)
    expect(outputs.every((output) => output.startsWith('True\n'))).toBe(true)
    const draws = outputs.flatMap((output) => output.split('\n')[1]?.split(' ').slice(0, 3) ?? [])
    expect(new Set(draws).size).toBe(9)
  })

  it('pip and uv install in a live session with network', { timeout: 300_000 }, async () => {
    await using sandbox = await scheduler.create()
    const env = await reachRegistry(sandbox, 'python', 'six')
    for (const command of [
      'pip install --no-color six',
      'uv pip install --system --target ~/.local/lib/python3.13/site-packages idna',
    ]) {
      const { exitCode, stderr } = await sandbox.commands.run(command, { env })
      expect({ exitCode, stderr: exitCode === 0 ? '' : stderr }).toEqual({ exitCode: 0, stderr: '' })
    }
    expect((await sandbox.runCode('import six, idna; print(six.PY3, idna.encode("ä.test").decode())')).stdout).toBe(
      'True xn--4ca.test\n',
    )
  })
})

describe.skipIf(noJavascript !== undefined)('F06: JavaScript', () => {
  it('zod and lodash work', { timeout: 300_000 }, async () => {
    const code = [
      "import { z } from 'zod'",
      "import _ from 'lodash'",
      'const schema = z.object({ name: z.string(), age: z.number().int() })',
      "console.log(schema.parse({ name: 'x', age: 3 }), schema.safeParse({ name: 1 }).success, _.chunk([1, 2, 3], 2))",
    ].join('\n')
    const options = { language: 'javascript', packages: ['zod@^4', 'lodash'] }
    for (const source of ['first', 'second']) {
      const result = await scheduler.run(code, options)
      expect({ source, stderr: result.stderr, exitCode: result.exitCode }).toEqual({ source, stderr: '', exitCode: 0 })
      expect(result.stdout.replaceAll(/\s+/g, ' ')).toBe('{ name: "x", age: 3, } false [ [ 1, 2 ], [ 3 ] ] ')
      await scheduler.prepare(options)
    }
  })

  it('a web framework is served through a port', { timeout: 300_000 }, async () => {
    await using sandbox = await scheduler.create({ language: 'javascript', packages: ['hono'], ports: [3_000] })
    const code = [
      "import { Hono } from 'hono'",
      'const app = new Hono()',
      "app.get('/hello/:name', (context) => context.json({ hello: context.req.param('name') }))",
      'Bun.serve({ port: 3000, hostname: "127.0.0.1", fetch: app.fetch })',
    ].join('\n')
    expect(await sandbox.runCode(code)).toMatchObject({ stderr: '', exitCode: 0 })
    const [port] = sandbox.ports.list()
    const response = await fetch(`${port?.url ?? ''}/hello/world`)
    expect(await response.json()).toEqual({ hello: 'world' })
  })

  it('bun installs in a live session with network', { timeout: 300_000 }, async () => {
    await using sandbox = await scheduler.create({ language: 'javascript' })
    const env = await reachRegistry(sandbox, 'javascript', 'is-number')
    const { exitCode, stderr } = await sandbox.commands.run('bun add is-number', { env })
    expect({ exitCode, stderr: exitCode === 0 ? '' : stderr }).toEqual({ exitCode: 0, stderr: '' })
    expect((await sandbox.runCode("console.log((await import('is-number')).default(3))")).stdout).toBe('true\n')
  })
})
