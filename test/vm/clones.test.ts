import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Language, type RunResult, type Sandbox, Scheduler } from '../../src/index.ts'
import { templateCache } from './template-cache.ts'

const cache = await templateCache()
const scheduler = new Scheduler({ cacheDir: cache.directory })
afterAll(async () => {
  await scheduler.close()
  await cache.remove()
})

/** Each prints one `name value` per line. What two clones must not share has a name in capitals. */
const PROGRAMS: Readonly<Record<Language, string>> = {
  python: `
import hashlib, os, random, secrets, socket, ssl, tempfile, time, uuid
print("TIME_MS", time.time_ns() // 1_000_000)
print("URANDOM", os.urandom(16).hex())
print("DEVICE", open("/dev/urandom", "rb").read(16).hex())
print("RANDOM", random.random())
print("GAUSS", random.gauss())
print("SECRETS", secrets.token_hex(16))
print("OPENSSL", ssl.RAND_bytes(16).hex())
print("UUID4", uuid.uuid4())
print("UUID1_NODE", uuid.getnode())
print("TEMPFILE", next(tempfile._get_candidate_names()))
print("MACHINE_ID", open("/etc/machine-id").read().strip())
print("BOOT_ID", open("/proc/sys/kernel/random/boot_id").read().strip())
print("HOSTNAME", socket.gethostname())
print("HOSTNAME_FILE", open("/etc/hostname").read().strip())
print("HOSTS", open("/etc/hosts").read().split()[-1])
print("ENVIRONMENT", os.environ["WHO"])
`,
  javascript: `
const { readFileSync } = await import('node:fs')
const { randomUUID, randomBytes } = await import('node:crypto')
const { hostname } = await import('node:os')
const print = (name: string, value: unknown) => console.log(name, String(value).trim())
print('TIME_MS', Date.now())
print('MATH', Math.random())
print('UUID', crypto.randomUUID())
print('NODE_UUID', randomUUID())
print('BYTES', randomBytes(16).toString('hex'))
print('VALUES', crypto.getRandomValues(new Uint32Array(4)).join('-'))
print('BUN_UUID', (Bun as any).randomUUIDv7().slice(14))
print('MACHINE_ID', readFileSync('/etc/machine-id', 'utf8'))
print('BOOT_ID', readFileSync('/proc/sys/kernel/random/boot_id', 'utf8'))
print('HOSTNAME', hostname())
print('HOSTNAME_FILE', readFileSync('/etc/hostname', 'utf8'))
print('ENVIRONMENT', process.env.WHO)
`,
  bash: `
echo TIME_MS $((\${EPOCHREALTIME/./} / 1000))
echo RANDOM $RANDOM-$RANDOM-$RANDOM-$RANDOM
echo SRANDOM $SRANDOM-$SRANDOM
echo URANDOM $(od -An -tx8 -N16 /dev/urandom | tr -d ' ')
echo MKTEMP $(mktemp -u)
echo MACHINE_ID $(</etc/machine-id)
echo BOOT_ID $(</proc/sys/kernel/random/boot_id)
echo HOSTNAME $(</proc/sys/kernel/hostname)
echo HOSTNAME_FILE $(</etc/hostname)
echo HOSTS $(tail -n 1 /etc/hosts | cut -f 2)
echo ENVIRONMENT $WHO
echo child_environment $(printenv WHO)
echo seconds $((SECONDS < 60))
`,
}

const LANGUAGES = Object.keys(PROGRAMS) as Language[]
const resumed = expect.stringMatching(/^(?:disk|memory)-snapshot$/)

function facts(result: RunResult): Map<string, string> {
  expect(result, result.stderr).toMatchObject({ exitCode: 0, state: 'kept' })
  const pairs = result.stdout.trim().split('\n')
  return new Map(pairs.map((line) => [line.split(' ')[0] ?? '', line.slice(line.indexOf(' ') + 1)]))
}

describe.each(LANGUAGES)('two clones of a %s template', (language) => {
  const program = PROGRAMS[language]
  let sandboxes: Sandbox[] = []
  let clones: Map<string, string>[] = []
  beforeAll(async () => {
    await scheduler.prepare({ language })
    sandboxes = await Promise.all(['one', 'two'].map((WHO) => scheduler.create({ language, env: { WHO } })))
    clones = (await Promise.all(sandboxes.map((sandbox) => sandbox.runCode(program)))).map(facts)
  })
  afterAll(async () => void (await Promise.all(sandboxes.map((sandbox) => sandbox.close()))))

  it('come from a template', () => {
    expect(sandboxes.map((sandbox) => sandbox.info().source)).toEqual([resumed, resumed])
  })

  it('share nothing that is drawn, named or given', () => {
    const [one, two] = clones
    const names = [...(one?.keys() ?? [])].filter((name) => name === name.toUpperCase() && name !== 'TIME_MS')
    expect(names.length).toBeGreaterThan(8)
    for (const name of names) expect(one?.get(name), name).not.toBe(two?.get(name))
  })

  it('carry their own name and environment', () => {
    for (const [index, clone] of clones.entries()) {
      expect(clone.get('ENVIRONMENT')).toBe(['one', 'two'][index])
      expect(clone.get('child_environment') ?? clone.get('ENVIRONMENT')).toBe(['one', 'two'][index])
      expect(clone.get('HOSTNAME')).toMatch(/^sandbox-[0-9a-f]{8}$/)
      expect(clone.get('HOSTNAME_FILE')).toBe(clone.get('HOSTNAME'))
      expect(clone.get('HOSTS') ?? clone.get('HOSTNAME')).toBe(clone.get('HOSTNAME'))
      expect(clone.get('MACHINE_ID')).toMatch(/^[0-9a-f]{12}4[0-9a-f]{3}[89ab][0-9a-f]{15}$/)
      expect(clone.get('seconds') ?? '1').toBe('1')
    }
  })

  it('draw something else when they draw again', async () => {
    const [again] = await Promise.all(sandboxes.slice(0, 1).map((sandbox) => sandbox.runCode(program)))
    if (again === undefined) throw new Error('no sandbox')
    const now = facts(again)
    for (const name of ['RANDOM', 'URANDOM', 'MATH', 'UUID', 'UUID4', 'SRANDOM', 'OPENSSL', 'TEMPFILE']) {
      if (now.has(name)) expect(now.get(name), name).not.toBe(clones[0]?.get(name))
    }
    for (const name of ['MACHINE_ID', 'BOOT_ID', 'HOSTNAME']) expect(now.get(name), name).toBe(clones[0]?.get(name))
  })

  it('know the time to 50 ms, and sleep as long as they say', async () => {
    const [sandbox] = sandboxes
    if (sandbox === undefined) throw new Error('no sandbox')
    // The round trip bounds what the guest's clock may say: the host's clock before and after, 50 ms around.
    const before = Date.now()
    const said = Number(facts(await sandbox.runCode(program)).get('TIME_MS'))
    expect(said).toBeGreaterThanOrEqual(before - 50)
    expect(said).toBeLessThanOrEqual(Date.now() + 50)
  })
})
