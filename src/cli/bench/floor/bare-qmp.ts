import type { Duplex } from 'node:stream'
import { z } from 'zod'

const message = z.looseObject({
  id: z.number().optional(),
  event: z.string().optional(),
  data: z.looseObject({ status: z.string().optional() }).optional(),
  error: z.looseObject({ desc: z.string() }).optional(),
})

const CAPABILITIES = ['x-ignore-shared', 'events'].map((capability) => ({ capability, state: true }))

/** QMP without a client: commands are written in one go, and only the two answers that matter are waited for. */
export class BareQmp {
  readonly #socket: Duplex
  readonly #loaded: Promise<void>
  #text = ''
  #settle: { resolve: () => void; reject: (error: Error) => void } = {
    resolve: () => undefined,
    reject: () => undefined,
  }

  constructor(socket: Duplex) {
    this.#socket = socket
    this.#loaded = new Promise((resolve, reject) => {
      this.#settle = { resolve, reject }
    })
    // A VM that is not restored never asks for it.
    this.#loaded.catch(() => undefined)
    socket.on('data', (chunk: Buffer) => this.#read(chunk.toString()))
  }

  /** Loads a state. */
  async load(state: string): Promise<void> {
    this.#send('qmp_capabilities')
    this.#send('migrate-set-capabilities', { capabilities: CAPABILITIES })
    this.#send('migrate-incoming', { uri: `file:${state}` })
    await this.#loaded
  }

  goOn(): void {
    this.#send('cont')
  }

  #send(execute: string, args: object = {}): void {
    this.#socket.write(`${JSON.stringify({ execute, arguments: args })}\n`)
  }

  #read(text: string): void {
    const lines = `${this.#text}${text}`.split('\n')
    this.#text = lines.pop() ?? ''
    for (const line of lines) {
      const { event, data, error } = message.parse(JSON.parse(line))
      if (error !== undefined) this.#settle.reject(new Error(`QEMU refused a command: ${error.desc}`))
      if (event !== 'MIGRATION') continue
      if (data?.status === 'completed') this.#settle.resolve()
      if (data?.status === 'failed') this.#settle.reject(new Error('QEMU could not load the state'))
    }
  }
}
