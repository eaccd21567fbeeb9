import { rm, writeFile } from 'node:fs/promises'
import { afterAll, describe, expect, it } from 'vitest'
import { PackageError, Scheduler } from '../../src/index.ts'
import { makeLayerByHand, NO_INDEX } from './hand-made-layer.ts'
import { recordingLogger, templateCache } from './template-cache.ts'

const cache = await templateCache()
const cacheDir = cache.directory
const { logger, lines } = recordingLogger()
const scheduler = new Scheduler({ cacheDir, packages: NO_INDEX, logger })
afterAll(async () => {
  await scheduler.close()
  await cache.remove()
})

const GREETING = [
  'mkdir -p usr/local/lib/python3.13/site-packages/greeting usr/local/bin usr/local/share/greeting',
  `echo 'def hello(): return "hello from a layer"' >usr/local/lib/python3.13/site-packages/greeting/__init__.py`,
  `printf '#!/usr/bin/python3\\nimport greeting\\nprint(greeting.hello())\\n' >usr/local/bin/greet; chmod 4755 usr/local/bin/greet`,
  'echo data >usr/local/share/greeting/data',
].join('\n')

const python = await makeLayerByHand(scheduler, {
  cacheDir,
  language: 'python',
  packages: ['greeting'],
  script: GREETING,
})

const javascript = await makeLayerByHand(scheduler, {
  cacheDir,
  language: 'javascript',
  packages: ['greeting'],
  script: [
    'mkdir -p node_modules/greeting node_modules/@scope/typed',
    `echo '{"name":"greeting","version":"1.0.0","type":"module","main":"index.js"}' >node_modules/greeting/package.json`,
    `echo 'export const hello = () => "hello from a layer"' >node_modules/greeting/index.js`,
    `echo '{"name":"@scope/typed","version":"1.0.0","main":"index.ts"}' >node_modules/@scope/typed/package.json`,
    `echo 'export const twice = (n: number): number => 2 * n' >node_modules/@scope/typed/index.ts`,
  ].join('\n'),
})

describe('D06: a sandbox with a layer', () => {
  it('imports Python packages in the REPL, in scripts and in isolated interpreters, and has their programs', async () => {
    await using sandbox = await scheduler.create({ packages: ['Greeting'] })
    const program = 'import greeting; print(greeting.hello(), greeting.__file__, greeting.__cached__)'
    const cached = '/usr/local/lib/python3.13/dist-packages/greeting/__pycache__/__init__.cpython-313.pyc'
    const expected = `hello from a layer /usr/local/lib/python3.13/dist-packages/greeting/__init__.py ${cached}\n`
    expect(await sandbox.runCode(program)).toMatchObject({ stdout: expected, exitCode: 0 })
    expect((await sandbox.commands.run(['python3', '-I', '-c', program])).stdout).toBe(expected)
    const used =
      'import sys; sys.dont_write_bytecode = True; import greeting, os; print(os.path.exists(greeting.__cached__))'
    expect((await sandbox.commands.run(['python3', '-c', used])).stdout).toBe('True\n')
    expect((await sandbox.commands.run('greet; cat /usr/local/share/greeting/data')).stdout).toBe(
      'hello from a layer\ndata\n',
    )
    // What the root has there is still there.
    expect((await sandbox.commands.run('bun --version && uv --version')).exitCode).toBe(0)
    expect(sandbox.info().packages).toEqual([{ name: 'greeting', version: '1.0' }])
  })

  it('imports JavaScript and TypeScript packages from everywhere', async () => {
    await using sandbox = await scheduler.create({ language: 'javascript', packages: ['greeting'] })
    const program =
      "import { hello } from 'greeting'; import { twice } from '@scope/typed'; console.log(hello(), twice(21))"
    expect(await sandbox.runCode(program)).toMatchObject({ stdout: 'hello from a layer 42\n', exitCode: 0 })
    expect(await sandbox.runCode("console.log((await import('greeting')).hello())")).toMatchObject({
      stdout: 'hello from a layer\n',
    })
    await sandbox.files.write('/tmp/below/program.ts', program)
    expect((await sandbox.commands.run('bun run /tmp/below/program.ts')).stdout).toBe('hello from a layer 42\n')
  })

  it('cannot write it, and gains nothing from what is in it', async () => {
    await using sandbox = await scheduler.create({ language: 'python', packages: ['greeting'] })
    const { stdout } = await sandbox.commands.run('grep -E " /(usr/local|node_modules|layer)?( |/)" /proc/mounts')
    expect(stdout).toMatch(/^overlay \/usr\/local overlay ro,nosuid,nodev,/m)
    expect(stdout.match(/ \/usr\/local /g)).toHaveLength(1)
    expect(stdout).not.toMatch(/ \/layer /)
    const writes = await sandbox.commands.run(
      'for f in /usr/local/bin/greet /usr/local/bin/new /usr/local/lib/python3.13/dist-packages/x; do echo x >$f; done; rm -f /usr/local/bin/greet',
    )
    expect(writes.stderr.match(/Read-only file system/g)).toHaveLength(4)
    expect(
      (await sandbox.commands.run('find / -xdev -perm -4000; ls -d /dev/vd*; find /dev -type b')).stdout,
    ).not.toMatch(/\/dev/)
  })

  it('is resumed from a template of that layer, which nobody else gets', async () => {
    expect(await scheduler.prepare({ packages: ['greeting'] })).toBe(true)
    const program = 'import greeting; print(greeting.hello())'
    const result = await scheduler.run(program, { packages: ['greeting'] })
    expect(result).toMatchObject({ stdout: 'hello from a layer\n', source: expect.stringMatching(/-snapshot$/) })
    expect(result.timing.packagesMs).toEqual(expect.any(Number))
    const without = await scheduler.run(program)
    expect(without).toMatchObject({ exitCode: 1, error: { name: 'ModuleNotFoundError' } })
    expect(without.timing).not.toHaveProperty('packagesMs')
  })

  it('is resumed with its packages imported, and draws of its own, unless it has an environment', async () => {
    const module = [
      'import os, random, threading',
      'class Own(random.Random): pass',
      'GENERATORS = [random.Random(), Own(1)]',
      'WHO = os.environ.get("WHO")',
    ].join('\n')
    const packages = ['drawing']
    await makeLayerByHand(scheduler, {
      cacheDir,
      language: 'python',
      packages,
      modules: ['drawing', 'nosuch'],
      script: `mkdir -p usr/local/lib/python3.13/dist-packages; echo '${module}' >usr/local/lib/python3.13/dist-packages/drawing.py`,
    })
    expect(await scheduler.prepare({ packages })).toBe(true)
    const program =
      'import sys; print("drawing" in sys.modules); import drawing; print(drawing.WHO, *[g.random() for g in drawing.GENERATORS])'
    const runs = await Promise.all([1, 2, 3].map(async () => await scheduler.run(program, { packages })))
    const draws = runs.flatMap(({ stdout }) => {
      expect(stdout).toMatch(/^True\nNone 0\.\d+ 0\.\d+\n$/)
      return stdout.trim().split(' ').slice(1)
    })
    expect(new Set(draws).size).toBe(6)
    const named = await scheduler.run(program, { packages, env: { WHO: 'me' } })
    expect(named.stdout).toMatch(/^False\nme /)
    await using lazy = new Scheduler({ cacheDir, packages: { ...NO_INDEX, imports: 'lazy' } })
    expect((await lazy.run(program, { packages })).stdout).toMatch(/^False\n/)
  })

  it('whose package ends the interpreter that imports it still has a template', async () => {
    const packages = ['deadly']
    await makeLayerByHand(scheduler, {
      cacheDir,
      language: 'python',
      packages,
      modules: ['deadly'],
      script: `mkdir -p usr/local/lib/python3.13/dist-packages; echo 'import os; os._exit(3)' >usr/local/lib/python3.13/dist-packages/deadly.py`,
    })
    expect(await scheduler.prepare({ packages })).toBe(true)
    const result = await scheduler.run('print(6 * 7); import deadly', { packages })
    expect(result).toMatchObject({ stdout: '42\n', exitCode: 3, source: expect.stringMatching(/-snapshot$/) })
  })

  it('keeps it when it is evicted meanwhile', async () => {
    const layer = await makeLayerByHand(scheduler, {
      cacheDir,
      language: 'python',
      packages: ['evicted'],
      script: GREETING.replaceAll('greeting', 'evicted'),
    })
    await using sandbox = await scheduler.create({ packages: ['evicted'] })
    await rm(layer.file)
    expect((await sandbox.runCode('import evicted; print(evicted.hello())')).stdout).toBe('hello from a layer\n')
  })

  it('takes a damaged one for none: what it cannot install anew, it says', async () => {
    await rm(javascript.file)
    await writeFile(javascript.file, 'x')
    const run = scheduler.run('1', { language: 'javascript', packages: ['greeting'] })
    await expect(run).rejects.toBeInstanceOf(PackageError)
    expect(lines.join('\n')).toMatch(/a layer is damaged and is removed/)
  })
})

describe('a layer that was made to harm', () => {
  const hostile = [
    ['links for its directories', 'mkdir x; ln -s /etc usr; ln -s /root node_modules'],
    ['links further in', 'mkdir usr; ln -s / usr/local; mkdir node_modules; ln -s /proc/1 node_modules/x'],
    ['files where directories should be', 'touch usr node_modules'],
    [
      'other directories than packages have',
      'mkdir -p etc bin lib dev home/user run; echo x >etc/passwd; touch bin/bash',
    ],
    ['nothing', 'true'],
  ] as const
  it.each(hostile)('with %s changes nothing outside its places', async (name, script) => {
    const packages = [`hostile-${hostile.findIndex(([each]) => each === name)}`]
    const seal = `mkfs.erofs -zlz4 --all-root --quiet /tmp/layer.erofs ~/layer >/dev/null`
    await makeLayerByHand(scheduler, { cacheDir, language: 'python', packages, script, seal })
    await using sandbox = await scheduler.create({ language: 'python', packages })
    const look =
      'ls -d /etc/passwd /bin/bash /usr/local/bin/uv; grep -c . /etc/passwd; ls -A /node_modules | head -3; ls -A ~; id -u'
    const { stdout } = await sandbox.commands.run(look)
    await using plain = await scheduler.create({ language: 'python' })
    const expected = (await plain.commands.run(look)).stdout
    expect(stdout.replace(/^x\n/m, '')).toBe(expected)
    expect((await sandbox.runCode('print(6 * 7)')).stdout).toBe('42\n')
  })

  it('that is no file system ends its VM and no other, and is told as what it is', async () => {
    const packages = ['garbage']
    const seal = 'head -c 65536 /dev/urandom >/tmp/layer.erofs'
    await makeLayerByHand(scheduler, { cacheDir, language: 'python', packages, script: 'true', seal })
    const run = scheduler.run('1', { packages })
    const details = { bootLog: expect.stringMatching(/mounting the layer from/) }
    await expect(run).rejects.toMatchObject({ code: 'BOOT', details })
    expect((await scheduler.run('print(6 * 7)')).stdout).toBe('42\n')
  })
})

describe('the layers of one test', () => {
  it('are the same bytes whenever they are made of the same', async () => {
    await rm(python.file)
    const again = await makeLayerByHand(scheduler, {
      cacheDir,
      language: 'python',
      packages: ['greeting'],
      script: GREETING,
    })
    expect(again.digest).toBe(python.digest)
  })
})
