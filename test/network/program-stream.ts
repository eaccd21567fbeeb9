import { Duplex } from 'node:stream'
import type { GuestProgram } from './guest-program.ts'

/** What a program sends and receives, as a stream of Node. */
export function programStream(program: GuestProgram): Duplex {
  return new Duplex({
    read() {
      program.read().then(
        (chunk) => this.push(chunk ?? null),
        (error: Error) => this.destroy(error),
      )
    },
    write(chunk: Buffer, _encoding, callback) {
      program.send(chunk).then(() => callback(), callback)
    },
    final(callback) {
      program.end()
      callback()
    },
    destroy(error, callback) {
      program.reset()
      callback(error)
    },
  })
}
