import { readdirSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Sandbox, Scheduler } from '../../src/index.ts'
import { HostileGuests, type Moment } from './hostile-vm.ts'
import { qemuProcesses } from './processes.ts'

const hex = (text: string): string => Buffer.from(text).toString('hex')

/** A frame of JSON under the id of the request that waits. */
const response = (json: string): string => `frame 4 0 = = 0 ${hex(json)}`
const event = (json: string): string => `frame 5 0 = = 0 ${hex(json)}`

interface Scenario {
  readonly name: string
  readonly moment: Moment
  readonly attack: string
  /** What the user of the VM is told, and the rule that was broken. */
  readonly code: string
  readonly rule?: string
}

const broken = (name: string, moment: Moment, attack: string, rule: string): Scenario => ({
  name,
  moment,
  attack,
  code: 'PROTOCOL',
  rule,
})

const SCENARIOS: readonly Scenario[] = [
  broken('noise instead of a frame', 'resuming', 'bytes deadbeefdeadbeefdeadbeef', 'magic'),
  broken('a second HELLO', 'ready', `frame 1 0 0 = 0 ${hex('{"generation":2,"agent":"x"}')}`, 'opening'),
  broken('a frame that only the host sends', 'running', 'frame 2 0 0 = 0 7b7d', 'direction'),
  broken('an unknown type', 'ready', 'frame 99 0 1 = 0', 'type'),
  broken('a length that is not allowed', 'running', 'frame 7 1 = 65537 0', 'length'),
  broken('a length of four gigabytes', 'running', 'frame 4 0 = 4294967295 0', 'length'),
  broken('a stream that the method does not have', 'running', 'frame 7 5 = = 1', 'no-stream'),
  broken('an answer to nothing', 'ready', 'frame 4 0 9999 = 0 7b7d', 'not-open'),
  broken('a second answer', 'ended', response('{"result":{}}'), 'not-open'),
  {
    name: 'output without end',
    moment: 'running',
    attack: 'flood 7 1 = = 65536',
    code: 'PROTOCOL',
    rule: 'output-limit',
  },
  broken('credit for a stream that nobody sends', 'running', 'frame 8 0 = = 0 ffffff7f', 'no-stream'),
  broken('more credit than there can be', 'executing', 'times 3 8 0 = = 0 ffffff7f', 'credit'),
  broken('bytes after the end of their stream', 'running', 'frame 9 1 = = 0;frame 7 1 = = 1', 'ended'),
  broken('an answer before the end of its streams', 'running', response('{"result":{}}'), 'response-order'),
  broken('JSON that nests too deep', 'running', response(`{"result":${'['.repeat(40)}${']'.repeat(40)}}`), 'json'),
  broken('a megabyte that is no JSON', 'running', 'frame 4 0 = = 1048576', 'json'),
  broken('broken UTF-8', 'resuming', 'frame 4 0 = = 0 7b22fffe22', 'json'),
  broken('fields of a wrong kind', 'resuming', response('{"result":{"guestMs":"1"}}'), 'json'),
  broken('a time without end', 'resuming', response('{"result":{"guestMs":1e300}}'), 'json'),
  broken('names of prototypes', 'resuming', response('{"__proto__":{"result":{"guestMs":1}}}'), 'json'),
  broken('an event of another method', 'running', event('{"event":"started","pid":1}'), 'json'),
  broken(
    'a request of a guest without network',
    'ready',
    `frame 3 0 2 = 0 ${hex('{"method":"x","params":{}}')}`,
    'not-served',
  ),
  broken(
    'half a frame, its port closed and opened a hundred times, and more',
    'running',
    'half 4 0 = = 100;storm 100;times 9 7 1 = = 50',
    'json',
  ),
  { name: 'a panic', moment: 'running', attack: 'panic', code: 'VM_LOST' },
  { name: 'a reset', moment: 'ready', attack: 'reset', code: 'VM_LOST' },
  { name: 'a shutdown', moment: 'resuming', attack: 'off', code: 'BOOT' },
  { name: 'silence', moment: 'resuming', attack: 'silence', code: 'BOOT' },
  { name: 'silence behind noise on the console', moment: 'ended', attack: 'console 500;silence', code: 'VM_LOST' },
  { name: 'nothing bad at all', moment: 'ended', attack: '', code: 'alive' },
]

const hello = (json: string): string => `frame 1 0 0 = 0 ${hex(json)}`

/** Of a guest that has not said HELLO yet: what it plays from its first instruction on, and the rule that it breaks. */
const OPENINGS: readonly (readonly [name: string, script: string, rule: string | undefined])[] = [
  ['noise', 'bytes 00ffdeadbeef00ffdeadbeef', 'magic'],
  ['an answer', 'frame 4 0 1 = 0 7b7d', 'opening'],
  ['output', 'frame 7 1 1 = 100', 'opening'],
  ['credit', 'frame 8 0 1 = 0 ffffff7f', 'opening'],
  ['a HELLO of four gigabytes', 'frame 1 0 0 4294967295 0', 'length'],
  ['a HELLO that is no JSON', 'frame 1 0 0 = 0 7b22fffe22', 'json'],
  ['a HELLO of another generation', hello('{"generation":3,"agent":"x"}'), 'generation'],
  ['a HELLO without a generation, but with a prototype', hello('{"__proto__":{"generation":2,"agent":"x"}}'), 'json'],
  ['a storm at its port and nothing bad', 'storm 200;hello', undefined],
]

/** A few of the largest frames, and what the collector has not got round to. */
const MOST_GROWTH_BYTES = 150_000_000

describe('B05: a guest whose kernel is the attacker’s', () => {
  let guests: HostileGuests
  let scheduler: Scheduler
  let neighbour: Sandbox
  beforeAll(async () => {
    guests = await HostileGuests.prepare()
    scheduler = new Scheduler()
    // Else the first use would save the template beside its VM, in a QEMU of its own.
    await scheduler.prepare({ language: 'bash' })
    neighbour = await scheduler.create({ language: 'bash' })
    await neighbour.runCode('kept=1')
    await guests.save()
  })
  afterAll(async () => {
    await scheduler.close()
    await guests[Symbol.asyncDispose]()
  })

  it.each(SCENARIOS.map((scenario) => [scenario.name, scenario] as const))(
    'B05: %s ends as it must, and nothing is left',
    async (_name, { moment, attack, code, rule }) => {
      const before = { descriptors: readdirSync('/proc/self/fd').length, bytes: process.memoryUsage.rss() }
      const verdict = await guests.judge(moment, attack, { bootLimitMs: code === 'BOOT' ? 1_000 : 30_000 })
      expect(verdict).toMatchObject({ code, ...(rule === undefined ? {} : { rule }) })
      // The neighbour's.
      expect(qemuProcesses()).toHaveLength(1)
      expect(readdirSync('/proc/self/fd')).toHaveLength(before.descriptors)
      expect(process.memoryUsage.rss() - before.bytes).toBeLessThan(MOST_GROWTH_BYTES)
    },
  )

  it.each(OPENINGS)('B05: that begins with %s ends as it must', async (_name, script, rule) => {
    const verdict = await guests.judgeBoot(script)
    expect(verdict).toMatchObject(rule === undefined ? { code: 'alive' } : { code: 'PROTOCOL', rule })
    expect(qemuProcesses()).toHaveLength(1)
  })

  it('B05: leaves its neighbour in the same process as it was', async () => {
    expect((await neighbour.runCode('echo $kept')).stdout).toBe('1\n')
  })
})
