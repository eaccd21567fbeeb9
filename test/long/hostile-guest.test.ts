import { afterAll, beforeAll, expect, it } from 'vitest'
import { HostileGuests, type Moment, MOMENTS } from '../vm/hostile-vm.ts'
import { qemuProcesses } from '../vm/processes.ts'

/** A frame, with the words of a script: `=` is the id of the request that waits, and the true length. */
interface Frame {
  readonly type: number
  readonly stream: number
  readonly id: string
  readonly length: string
  /** Bytes of payload. */
  readonly fill: number
}

/** The types of docs/protocol.md, one below, one above, and the highest number. */
const TYPES = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 255]
const STREAMS = [0, 1, 16]
/** The last two are never open. */
const IDS = ['=', '0', '2', '9999']
const FILLS = [0, 1, 4]

const DATA = 7
const CREDIT = 8

const ALL: Readonly<Record<Moment, true>> = { resuming: true, ready: true, running: true, executing: true, ended: true }
const KINDS = Object.keys(MOMENTS).filter((name): name is Moment => Object.hasOwn(ALL, name))

function framesOf(type: number): readonly Frame[] {
  const honest = STREAMS.flatMap((stream) =>
    IDS.flatMap((id) => FILLS.map((fill): Frame => ({ type, stream, id, length: '=', fill }))),
  )
  return [...honest, { type, stream: 0, id: '=', length: '4294967295', fill: 0 }]
}

/** What a guest may send at that moment: output of a program that runs, and credit for its input. */
function isAllowed(moment: Moment, { type, stream, id, length, fill }: Frame): boolean {
  if (id !== '=' || length !== '=') return false
  const runs = moment === 'running' || moment === 'executing'
  if (type === DATA) return runs && stream === 1 && fill > 0
  return type === CREDIT && moment === 'executing' && stream === 0 && fill === 4
}

let guests: HostileGuests
beforeAll(async () => {
  guests = await HostileGuests.prepare()
  await guests.save()
}, 180_000)
afterAll(async () => await guests[Symbol.asyncDispose]())

for (const moment of KINDS) {
  it.each(TYPES)(
    `B05: a frame of type %i, ${moment}, is allowed or ends in ProtocolError`,
    async (type) => {
      for (const frame of framesOf(type)) {
        const { stream, id, length, fill } = frame
        const attack = `frame ${type} ${stream} ${id} ${length} ${fill}`
        // A guest that may send this goes on as an agent would.
        const { code } = await guests.judge(moment, `${attack};ok`)
        expect({ attack, code }).toEqual({ attack, code: isAllowed(moment, frame) ? 'alive' : 'PROTOCOL' })
        expect(qemuProcesses()).toEqual([])
      }
    },
    600_000,
  )
}
