import { mkdtemp, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type MemoryPlan, withMemory } from '../../src/qemu/index.ts'
import { execProgram, launchVm, STREAMS, type Vm } from '../../src/vm/index.ts'
import { silent, testHost } from './qemu-plan.ts'

const signal = new AbortController().signal
let directory: string

async function launch(kind: MemoryPlan['kind']): Promise<Vm> {
  const host = await testHost()
  const files = { ram: join(directory, 'ram'), state: join(directory, 'state') }
  return await launchVm(withMemory(host.plan(), { kind, ...files }), {
    language: 'bash',
    identity: { hostname: 'sandbox-test', env: {} },
    onBootLog: undefined,
    signal,
    logger: silent,
    onRetry: () => undefined,
  })
}

async function output(vm: Vm, command: string): Promise<string> {
  const argv = ['bash', '-c', command]
  const limits = { timeoutMs: 10_000, stdoutLimit: 65_536, stderrLimit: 65_536 }
  const exchange = execProgram(vm.channel, { argv, env: {}, ...limits })
  exchange.writable(STREAMS.stdin).end()
  const chunks: Uint8Array[] = []
  const drain = (async () => {
    for await (const _ of exchange.readable(STREAMS.stderr)) continue
  })()
  for await (const chunk of exchange.readable(STREAMS.stdout)) chunks.push(chunk)
  await drain
  await exchange.response
  return Buffer.concat(chunks).toString()
}

describe('a VM that was saved', () => {
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'saved-vm-'))
    await writeFile(join(directory, 'ram'), '')
    await truncate(join(directory, 'ram'), 192 * 2 ** 20)
    await writeFile(join(directory, 'state'), '')
    const vm = await launch('shared')
    await output(vm, 'echo saved > /tmp/note')
    await vm.saveAndClose(signal)
  })

  afterAll(async () => {
    await rm(directory, { recursive: true })
  })

  it('goes on where it was, any number of times at once, each for itself', async () => {
    await using first = await launch('template')
    await using second = await launch('template')
    expect(await output(first, 'cat /tmp/note; echo one > /tmp/note; cat /tmp/note')).toBe('saved\none\n')
    expect(await output(second, 'cat /tmp/note')).toBe('saved\n')
    expect(first.timing.restoreMs).toBeGreaterThan(0)
    expect(first.timing).not.toHaveProperty('bootMs')
  })

  it('is not changed by those that were resumed from it', async () => {
    const ram = join(directory, 'ram')
    const before = await stat(ram, { bigint: true })
    await using vm = await launch('template')
    await output(vm, 'head -c 20000000 /dev/urandom > /tmp/filler')
    expect(await stat(ram, { bigint: true })).toMatchObject({ mtimeNs: before.mtimeNs, blocks: before.blocks })
  })

  it('tells at once when its state does not fit', async () => {
    const state = join(directory, 'state')
    await truncate(state, 10_000)
    await expect(launch('template')).rejects.toMatchObject({ code: 'BOOT', details: { phase: 'restore' } })
  })
})
