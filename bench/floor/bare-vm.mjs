// The floor: QEMU started by hand with the product's own arguments, and just enough of the wire format to get one result.
// No product code runs while the clock does: no jail, no supervisor, no QMP, no checks.
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'

const MAGIC = 0x5358
const TYPE = { HELLO: 1, WELCOME: 2, REQUEST: 3, RESPONSE: 4, DATA: 7 }
const HEADER_BYTES = 12

/**
 * Boots a VM and runs one program in it.
 * @param {string} runtime QEMU's runtime tree
 * @param {string} binary QEMU's path within it
 * @param {readonly string[]} argv QEMU's arguments
 * @param {{language: string, code: string}} program
 * @returns {Promise<{ms: number, stdout: string}>} milliseconds from the spawn to the result
 */
export async function bareRun(runtime, binary, argv, program) {
  const startedAt = performance.now()
  const child = spawn(
    join(runtime, '/lib64/ld-linux-x86-64.so.2'),
    ['--library-path', join(runtime, '/usr/lib/x86_64-linux-gnu'), join(runtime, binary), '-L', join(runtime, '/usr/share/qemu'), '-L', join(runtime, '/usr/share/seabios'), ...argv],
    { stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe', 'pipe'] },
  )
  const channel = child.stdio[5]
  child.stdio[4].resume()
  child.stdio[3].resume()
  try {
    return await new Promise((resolve, reject) => {
      child.once('exit', (code, signal) => reject(new Error(`QEMU ended: ${code ?? signal}`)))
      let stdout = ''
      readFrames(channel, ({ type, id, payload }) => {
        if (type === TYPE.HELLO) {
          channel.write(frame(TYPE.WELCOME, 0, { generation: 1 }))
          channel.write(request(1, 'resume', { unixTimeNs: `${Date.now()}000000`, entropy: randomBytes(64).toString('base64'), hostname: 'floor', env: {} }))
        } else if (type === TYPE.RESPONSE && id === 1) {
          channel.write(request(3, 'run', { ...program, context: 'default', env: {}, timeoutMs: 30000, stdoutLimit: 1000000, stderrLimit: 100000 }))
        } else if (type === TYPE.DATA) {
          stdout += payload.toString()
        } else if (type === TYPE.RESPONSE) {
          resolve({ ms: performance.now() - startedAt, stdout })
        }
      })
    })
  } finally {
    child.removeAllListeners('exit')
    const dead = new Promise((resolve) => child.once('exit', resolve))
    child.kill('SIGKILL')
    await dead
  }
}

function readFrames(socket, onFrame) {
  let held = Buffer.alloc(0)
  socket.on('data', (chunk) => {
    held = Buffer.concat([held, chunk])
    while (held.length >= HEADER_BYTES) {
      const length = held.readUInt32LE(8)
      if (held.length < HEADER_BYTES + length) return
      onFrame({ type: held[2], id: held.readUInt32LE(4), payload: held.subarray(HEADER_BYTES, HEADER_BYTES + length) })
      held = held.subarray(HEADER_BYTES + length)
    }
  })
}

function request(id, method, params) {
  return frame(TYPE.REQUEST, id, { method, params })
}

function frame(type, id, body) {
  const payload = Buffer.from(JSON.stringify(body))
  const header = Buffer.alloc(HEADER_BYTES)
  header.writeUInt16LE(MAGIC, 0)
  header[2] = type
  header.writeUInt32LE(id, 4)
  header.writeUInt32LE(payload.length, 8)
  return Buffer.concat([header, payload])
}
