import type { Socket } from 'node:net'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { GuestProgram } from '../../test/network/guest-program.ts'
import { tcpServer } from '../../test/network/servers.ts'
import { TestGateway } from '../../test/network/test-gateway.ts'

const ADDRESS = '93.184.216.34'
const PORTS = [80, 443, 5000] as const

/** What a program, the policy or a server does next. `at` says to which of the connections so far, from the latest. */
type Step =
  | { readonly kind: 'open'; readonly port: number }
  | { readonly kind: 'send'; readonly at: number; readonly bytes: Uint8Array }
  | { readonly kind: 'end' | 'reset' | 'read' | 'server-end' | 'server-reset' | 'server-send'; readonly at: number }
  | { readonly kind: 'policy'; readonly network: 'all' | 'name' | 'none' }
  | { readonly kind: 'wait' }

const at = fc.integer({ min: 0, max: 3 })
const opening = fc.oneof(
  fc.uint8Array({ minLength: 1, maxLength: 300 }),
  // What begins like TLS and goes on as it likes.
  fc.uint8Array({ maxLength: 300 }).map((rest) => Uint8Array.from([0x16, 3, 1, 1, 0, 1, 0, 0, 250, ...rest])),
)
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom(...PORTS).map((port) => ({ kind: 'open' as const, port })) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('send' as const), at, bytes: opening }) },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constantFrom('end', 'reset', 'read', 'server-end', 'server-reset', 'server-send'),
      at,
    }) as fc.Arbitrary<Step>,
  },
  fc.record({ kind: fc.constant('policy' as const), network: fc.constantFrom('all', 'name', 'none') }),
  { weight: 3, arbitrary: fc.constant({ kind: 'wait' as const }) },
)

const POLICIES = { all: true, name: { allow: ['good.example'] }, none: { allow: [] } } as const

test('whatever programs, servers and policies do: each connection ends once, and nothing is left', async () => {
  const accepted: Socket[] = []
  await using server = await tcpServer((socket) => {
    accepted.push(socket)
    socket.resume()
  })
  const seen = { opened: 0, refused: 0, sent: 0, received: 0, finished: 0, reset: 0 }
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 60 }), async (steps) => {
      accepted.length = 0
      const programs: GuestProgram[] = []
      const routes = Object.fromEntries(PORTS.map((port) => [`:${port}`, server.port]))
      using world = new TestGateway({ network: true, names: { 'good.example': [ADDRESS] }, routes })
      await world.resolve('good.example')
      for (const next of steps) await act(next, world, programs, accepted)
      for (const program of programs) program.reset()
      await world.settled()
      const ends = await Promise.all(programs.map(async (program) => await program.ended))
      const { connections, bytesSent, bytesReceived } = world.gateway.metrics()
      seen.opened += connections.opened
      seen.refused += connections.refused
      seen.sent += bytesSent
      seen.received += bytesReceived
      seen.finished += ends.filter(({ kind }) => kind === 'finished').length
      seen.reset += ends.filter((end) => end.kind === 'failed' && end.failure.code === 'reset').length
      expect(connections.open).toBe(0)
      expect(connections.opened).toBeLessThanOrEqual(programs.length)
      expect(connections.refused + connections.failed).toBeLessThanOrEqual(programs.length)
      expect(world.openSockets).toBe(0)
    }),
    { numRuns: 1_000 },
  )
  // All of it has happened, or this test has looked at nothing.
  for (const count of Object.values(seen)) expect(count).toBeGreaterThan(0)
}, 120_000)

/** A connection of the loopback takes some turns of the event loop. */
async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn += 1) await new Promise((resolve) => setImmediate(resolve))
}

async function act(
  next: Step,
  world: TestGateway,
  programs: GuestProgram[],
  accepted: readonly Socket[],
): Promise<void> {
  if (next.kind === 'open') return void programs.push(world.program(ADDRESS, next.port))
  if (next.kind === 'policy') return world.setNetwork(POLICIES[next.network])
  if (next.kind === 'wait') return await turns(5)
  const program = programs.at(-1 - next.at)
  const socket = accepted.at(-1 - next.at)
  switch (next.kind) {
    case 'send':
      // Not waited for: what the host does not read stays in the window.
      program?.send(next.bytes).catch(() => undefined)
      return undefined
    case 'read':
      program?.read().catch(() => undefined)
      return undefined
    case 'end':
      return program?.end()
    case 'reset':
      return program?.reset()
    case 'server-end':
      return void socket?.end()
    case 'server-reset':
      return void (socket?.destroyed === false && socket.resetAndDestroy())
    case 'server-send':
      return void (socket?.writable === true && socket.write('some bytes'))
    default:
      return next satisfies never
  }
}
